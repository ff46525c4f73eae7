"""What the fault tests share: small submissions, a short assignment, and processes to kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]

DECLARATION = """
from grader.checks.gates import Gate
from grader.model import Assignment, Check, Heading, Limits, Task, points

ASSIGNMENT = Assignment(
    name="short",
    title={"en": "Short", "ru": "Короткое"},
    limits=Limits(submission_seconds=SECONDS),
    tasks=(
        Task(
            id="not",
            title={"en": "NOT", "ru": "НЕ"},
            headings=(Heading("task", 1),),
            question=Gate(lambda a: not a, 1),
            checks=(Check("truth-table", points(1), {"en": "Table", "ru": "Таблица"}),),
            names=("neuron",),
        ),
    ),
)
"""

RIGHT = "# Task 1\nneuron = lambda x: 1.0 - x\n"
WRONG = "# Task 1\nneuron = lambda x: x\n"
SLOW = "# Task 1\nimport time\ntime.sleep(1.0)\nneuron = lambda x: 1.0 - x\n"
ENDLESS = "# Task 1\nneuron = lambda x: 1.0 - x\n# Task 2\nwhile True:\n    pass\n"


def write_assignment(folder, *, seconds=60):
    folder.mkdir()
    (folder / "assignment.py").write_text(DECLARATION.replace("SECONDS", str(seconds)), "utf-8")
    return str(folder)


def hand_in(folder, **sources):
    folder.mkdir()
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(f"{source}# {name}\n", "utf-8")
    return folder


def command(base, *more, workers=2):
    line = [sys.executable, "-m", "grader.cli", "grade", str(base / "in"), "--out"]
    assignment = ["--assignment", str(base / "short"), "--lang", "en"]
    return [*line, str(base / "out"), "--workers", str(workers), *assignment, *more]


def grade(base, *more, workers=2, seconds=100):
    return subprocess.run(
        command(base, *more, workers=workers), capture_output=True, text=True, timeout=seconds
    )


def start(base, *more, workers=2):
    return subprocess.Popen(
        command(base, *more, workers=workers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcomes(out):
    """Return points and outcomes of everyone, as the files of the latest run say."""
    found = {}
    for path in sorted(out.glob("*/result.json")):
        result = json.loads(path.read_text("utf-8"))
        found[result["submission"]] = result["points"], result["tasks"][0]["outcome"]
    return found


def descendants(pid):
    """Return the ids of all living processes below `pid` with their command lines."""
    found = {}
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return found
    for child in map(int, " ".join(lists).split()):
        try:
            found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        found |= descendants(child)
    return found


def wait_until(found, *, seconds=60):
    """Return the first true value of `found()`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"nothing within {seconds} s")


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def living(pids):
    """Return those that have not ended; one that nobody has reaped yet has ended."""
    alive = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
        except OSError:
            continue
        if state not in "ZX":
            alive.append(pid)
    return alive
