"""How a batch scales: an unchanged folder graded again, and cost from 100 to 5,000 submissions.

    python benchmarks/batch.py [MOST]

The submissions are small (one gate each, every one of them different), so that the figures show the
batch itself and not what notebooks do. Prints for each count: seconds and rate with all cores, peak
memory of the parent and of the largest worker, then seconds on the clock and of processor time to
grade the unchanged folder again (the second tells more on a machine that others use as well).
MOST (5000) ends the series early.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

COUNTS = (100, 300, 1000, 2500, 5000)


def hand_in(folder: Path, count: int) -> None:
    """Write that many different submissions, a third of them wrong."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        bias = 0.5 if number % 3 == 0 else 1.5
        text = f"# Task 3\n# {number}\nneuron = lambda x: float(x[0] + x[1] > {bias})\n"
        (folder / f"student-{number:05}.py").write_text(text, "utf-8")


def peak_kib(pid: int) -> int:
    """Return the most memory that a process has held, in KiB (`VmHWM`, proc(5)); 0 if it ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that live."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def command_of(pid: int) -> bytes:
    """Return the command line of a process, empty if it ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def grade(folder: Path, out: Path) -> tuple[float, int, int]:
    """Grade a folder; return seconds, and peak KiB of the parent and of its largest worker."""
    line = [sys.executable, "-m", "grader.cli", "grade", str(folder), "--out", str(out)]
    began = time.perf_counter()
    run = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    parent = worker = 0
    ended = threading.Event()
    threading.Thread(target=lambda: (run.wait(), ended.set()), daemon=True).start()
    while not ended.wait(0.1):
        parent = max(parent, peak_kib(run.pid))
        workers = [pid for pid in children(run.pid) if b"batch.worker" in command_of(pid)]
        worker = max([worker, *map(peak_kib, workers)])
    if run.returncode:
        raise SystemExit(f"grading ended with status {run.returncode}")
    return time.perf_counter() - began, parent, worker


def main() -> None:
    """Print the figures."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else COUNTS[-1]
    print(f"{os.cpu_count()} cores; load before: {os.getloadavg()[0]:.1f}")
    print(" count  seconds  a second  parent MB  worker MB   again  processor")
    for count in (count for count in COUNTS if count <= most):
        with tempfile.TemporaryDirectory() as base:
            folder, out = Path(base, "in"), Path(base, "out")
            hand_in(folder, count)
            seconds, parent, worker = grade(folder, out)
            before = os.times()
            again, _, _ = grade(folder, out)
            after = os.times()
            spent = after.children_user + after.children_system
            spent -= before.children_user + before.children_system
        print(
            f"{count:6} {seconds:8.1f} {count / seconds:9.1f} {parent / 1024:10.0f} "
            f"{worker / 1024:10.0f} {again:7.2f} {spent:10.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
