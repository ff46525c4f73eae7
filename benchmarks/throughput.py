"""How fast a class is graded, and what the cells themselves would cost.

    python benchmarks/throughput.py [--submissions 200] [--workers 2] [--notebook FILE]

Grades copies and variants of one notebook with reports: no two are the same text, and every
second one lacks one of the code cells. Prints submissions a second, and the processor time that all
processes together take for one. Beside it the floor: the notebook's code cells run by IPython in a
fork of a warm interpreter with the virtual GPU, without questions and reports, in as many such
interpreters side by side as workers grade.
"""

import argparse
import ctypes
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

ROOT = Path(__file__).resolve().parent.parent
FLOOR_RUNS = 40
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, linux/prctl.h


def code_cells(notebook: dict) -> list[dict]:
    """Return the code cells of a notebook."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def write_variants(notebook: Path, folder: Path, count: int) -> None:
    """Write copies and variants of a notebook: each has a comment of its own."""
    for number in range(count):
        variant = json.loads(notebook.read_text(encoding="utf-8"))
        cells = code_cells(variant)
        last = cells[-1]
        last["source"] = "".join(last["source"]) + f"\n# copy {number}"
        if number % 2:
            variant["cells"].remove(cells[number // 2 % len(cells)])
        (folder / f"student{number:05}.ipynb").write_text(json.dumps(variant), encoding="utf-8")


def processor_seconds(action: Callable[[], object]) -> tuple[float, float]:
    """Return processor and clock seconds of an action, with all processes that it left."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    action()
    elapsed = time.perf_counter() - start
    while True:  # orphans come to this process, which is their subreaper
        try:
            os.wait()
        except ChildProcessError:
            break
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, elapsed


def grade(folder: Path, out: Path, workers: int) -> None:
    """Grade a folder with the command line."""
    command = [sys.executable, "-m", "grader.cli", "grade", str(folder), "--out", str(out)]
    result = subprocess.run(
        [*command, "--workers", str(workers)], capture_output=True, text=True, check=False
    )
    if result.returncode:
        sys.exit(result.stdout + result.stderr)


def measure_class(notebook: Path, count: int, workers: int) -> tuple[float, float]:
    """Return processor and clock seconds of grading that many, the start of workers included."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "in"
        folder.mkdir()
        write_variants(notebook, folder, count)
        return processor_seconds(lambda: grade(folder, Path(name) / "out", workers))


def run_floor(notebook: Path) -> None:
    """Run the cells in forks of this interpreter; print processor seconds of one run."""
    from grader import vgpu
    from grader.sandbox import child, heap
    from grader.sandbox.protocol import Library
    from grader.vgpu.build import ensure

    heap.gather()
    vgpu.install(core=ensure())
    child.preload()
    heap.settle()
    shell = child._Preloaded.shell
    sources = ["".join(c["source"]) for c in code_cells(json.loads(notebook.read_text("utf-8")))]
    used = []
    for number in range(FLOOR_RUNS + 1):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            signal.alarm(300)
            vgpu.reset("Tesla T4", seed=1)
            sys.stdout = sys.stderr = io.StringIO()
            for source in sources:
                shell.run_cell(source, store_history=True)
            imported = [name for name in get_args(Library) if name in sys.modules]
            os.write(writing, json.dumps(imported).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as told:
            imported = json.load(told)
        usage = os.wait4(pid, 0)[2]
        if number == 0:  # what the cells import is loaded beforehand, as the warm server does
            child.load(imported)
            heap.settle()
        used.append(usage.ru_utime + usage.ru_stime)
    print(sum(used[1:]) / FLOOR_RUNS)


def measure_floor(notebook: Path, workers: int) -> float:
    """Return processor seconds of the cells alone, in environments like the warm servers'.

    As many run them side by side as workers grade: cores slow each other down.
    """
    from grader.sandbox.launch import environment

    code = f"import throughput, pathlib; throughput.run_floor(pathlib.Path({str(notebook)!r}))"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**environment(), "PYTHONPATH": str(ROOT / "benchmarks")},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(workers)
    ]
    found = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        sys.exit("the cells alone cannot be run")
    return sum(map(float, found)) / workers


def main() -> None:
    """Measure and print."""
    example = os.environ.get("GRADER_EXAMPLE_NOTEBOOK")
    default = Path(example) if example else ROOT / "submissions" / "perfect" / "homework.ipynb"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--submissions", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--notebook", type=Path, default=default)
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    floors = [measure_floor(options.notebook, options.workers)]
    few = options.submissions // 4
    start_used, start_elapsed = measure_class(options.notebook, few, options.workers)
    used, elapsed = measure_class(options.notebook, options.submissions, options.workers)
    floors.append(measure_floor(options.notebook, options.workers))
    floor = sum(floors) / len(floors)  # before and after: the machine does not stay as fast
    more = options.submissions - few
    each = (used - start_used) / more
    print(f"{options.submissions} submissions, {options.workers} workers, {options.notebook.name}")
    print(f"on the clock          {elapsed:8.1f} s, {options.submissions / elapsed:6.1f} a second")
    print(f"without the start     {more / (elapsed - start_elapsed):24.1f} a second")
    print(f"processor, one more   {each:8.3f} s a submission, reports included")
    print(f"its cells alone       {floor:8.3f} s; grading costs {each / floor:.2f} times that")


if __name__ == "__main__":
    main()
