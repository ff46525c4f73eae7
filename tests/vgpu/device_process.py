"""Runs the bodies of tests in a process that has the virtual GPU, each in a fork of its own.

Installing changes torch for the life of a process, so it never happens in the one that runs pytest.
"""

import functools
import inspect
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS_A_TEST = 60

SERVER = r"""
import json, os, sys, traceback, warnings
warnings.simplefilter("error")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pytest
    import torch
    import torch._dynamo  # what optimizers and others import when first used
    import torch.testing
import grader.vgpu as vgpu
torch.set_num_threads(1)
vgpu.install(real_total_bytes=256 << 20)
print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        import signal
        signal.alarm(asked["seconds"])
        answer = ""
        try:
            vgpu.reset(asked["card"], profile=asked["profile"])
            names = {"pytest": pytest, "torch": torch, "vgpu": vgpu, "nn": torch.nn}
            names["F"] = torch.nn.functional
            exec(compile(asked["source"], asked["file"], "exec"), names)
            names[asked["name"]](**asked["arguments"])
        except BaseException:
            answer = traceback.format_exc()
        os.write(write, answer[-8000:].encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    if status:
        answer += f"the child ended with status {status}"
    print(json.dumps(answer), flush=True)
"""


class DeviceProcess:
    """The process with the virtual GPU; started when first needed."""

    def __init__(self):
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def run(self, source, name, file, arguments, card, profile):
        if self.process is None:
            self.start()
        asked = {
            "source": source,
            "name": name,
            "file": file,
            "arguments": arguments,
            "card": card,
            "profile": profile,
            "seconds": SECONDS_A_TEST,
        }
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        if answer:
            pytest.fail(answer, pytrace=False)

    def stop(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait(timeout=10)
            self.process = None


DEVICE = DeviceProcess()


def on_device(function=None, *, card="Tesla T4", profile=None):
    """Make a test whose body runs in the process with the virtual GPU.

    The body sees pytest, torch, nn, F and vgpu, imports the rest itself, and uses nothing of its
    module.
    """
    if function is None:
        return functools.partial(on_device, card=card, profile=profile)
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("def "))
    # Blank lines keep the numbers of lines right in tracebacks.
    above = "\n" * (function.__code__.co_firstlineno + first - 1)
    source = above + "\n".join(lines[first:])

    @functools.wraps(function)
    def test(**arguments):
        DEVICE.run(
            source, function.__name__, function.__code__.co_filename, arguments, card, profile
        )

    return test
