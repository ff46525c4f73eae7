"""What loading the warm server must not start: threads, and the driver of a card."""

import subprocess
import sys
from pathlib import Path

import pytest

from grader.sandbox.launch import environment

ROOT = Path(__file__).parents[2]

# A CUDA build, as far as `torch.cuda` asks for one; to count cards there is to start the driver.
CUDA_BUILD = """
import torch
def start_driver():
    raise SystemExit("the driver was started")
torch.cuda._is_compiled = lambda: True
torch._C._cuda_getDeviceCount = start_driver
"""


def run(source, **variables):
    return subprocess.run(
        [sys.executable, "-c", source],
        cwd=ROOT,
        env=environment() | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("core", ["", "/nonexistent"])
def test_without_a_virtual_card_the_machines_own_is_not_looked_for(core):
    asked = "print(torch.cuda.is_available(), torch.cuda.device_count())"
    hidden = f"from grader.sandbox.server import _install_device\n_install_device({core!r})\n"
    assert "the driver was started" in run(CUDA_BUILD + asked).stderr
    done = run(hidden + CUDA_BUILD + asked)
    assert (done.stdout, done.stderr) == ("False 0\n", "")


def test_a_thread_that_a_library_starts_is_told_by_name():
    done = run(
        "import threading, time\n"
        "from grader.sandbox import child\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "child.preload(once=True)\n"
    )
    name = Path(sys.executable).name[:15]
    assert f"RuntimeError: loading PyTorch and what it uses started threads ({name})" in done.stderr
