"""Seconds a submission: this grader beside otter-grader, nbgrader, check50 and pytest, in one run.

    python benchmarks/peers.py [--submissions 6] [--class-size 200]

All grade the same notebooks with the same checks as far as each can ask them: the parameters of two
networks, the truth tables of four gates, four gradients. No cell works on a GPU, which the others
do not have. check50 knows no notebooks and gets the code as a script; pytest gets a test file that
runs the notebook's cells. Programs that grade one submission a call run two at a time. Each is
installed from PyPI into an environment of its own in the user's cache folder, which borrows torch
from this one; what cannot be installed is left out with a line that says so.

The times are on the clock, with the processor time of all processes beside them, which other
work on the machine disturbs less.
"""

import argparse
import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARALLEL = 2
WITH_KERNEL = ("otter-grader", "nbgrader")
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, linux/prctl.h

IMPORTS = "import torch\nimport torch.nn as nn"
NETWORKS = """net_seq = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 5)
        self.second = nn.Linear(5, 2)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))

net_model = Net()

def count_parameters(network):
    return sum(p.numel() for p in network.parameters() if p.requires_grad)"""
NEURON = """class Neuron(nn.Module):
    def __init__(self, weights, bias):
        super().__init__()
        self.linear = nn.Linear(len(weights), 1)
        self.linear.weight.data = torch.tensor([weights])
        self.linear.bias.data = torch.tensor([bias])

    def forward(self, x):
        return (self.linear(x) > 0).float()

neuron_not = Neuron([-2.0], 1.0)"""
XOR = """class Xor(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = Neuron([1.0, -1.0], -0.5)
        self.right = Neuron([-1.0, 1.0], -0.5)
        self.either = Neuron([1.0, 1.0], -0.5)

    def forward(self, x):
        return self.either(torch.cat((self.left(x), self.right(x)), dim=-1))

neuron_xor = Xor()"""
GRADIENTS = """a = torch.tensor(1.5, requires_grad=True)
b = torch.tensor(2.5, requires_grad=True)
c = torch.tensor(-1.0, requires_grad=True)
d = torch.tensor(7.0)
(a * b + c * d).backward()"""
CELLS = {
    "imports": ("", IMPORTS),
    "parameters": ("Задача 1", NETWORKS),
    "not": ("Задача 2", NEURON),
    "and": ("Задача 3", "neuron_and = Neuron([2.0, 2.0], -3.0)"),
    "or": ("Задача 4", "neuron_or = Neuron([2.0, 2.0], -1.0)"),
    "xor": ("Задача 5", XOR),
    "gradients": ("Домашнее задание 2", GRADIENTS),
}
_TABLE = (
    "all(int(neuron_{0}(torch.tensor(row)).round().item()) == right for row, right in "
    "zip([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], {1}))"
)
CHECKS = {
    "parameters": "count_parameters(net_seq) == count_parameters(net_model) == 32",
    "not": "[int(neuron_not(torch.tensor([x])).item()) for x in (0.0, 1.0)] == [1, 0]",
    "and": _TABLE.format("and", [0, 0, 0, 1]),
    "or": _TABLE.format("or", [0, 1, 1, 1]),
    "xor": _TABLE.format("xor", [0, 1, 1, 0]),
    "gradients": "a.grad == b and b.grad == a and c.grad == d and d.grad is None",
}


class Missing(Exception):
    """A program cannot be installed or run here."""


# ------------------------------------------------------------------ notebooks


def code_cell(source: str, **metadata: object) -> dict[str, object]:
    """Return a code cell."""
    lines = source.splitlines(keepends=True)
    return {
        "cell_type": "code",
        "metadata": metadata,
        "execution_count": None,
        "outputs": [],
        "source": lines,
    }


def write_notebook(path: Path, cells: list[dict[str, object]]) -> None:
    """Write a notebook for the kernel that every environment has."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def submission_cells(number: int) -> list[dict[str, object]]:
    """Return the cells of one student, whose text no other has."""
    cells: list[dict[str, object]] = []
    for heading, source in CELLS.values():
        if heading:
            cells.append({"cell_type": "markdown", "metadata": {}, "source": [f"## {heading}"]})
        cells.append(code_cell(f"{source}\n# student {number}"))
    return cells


# ------------------------------------------------------------------ measuring


def run(*command: str | Path, folder: Path, ok: tuple[int, ...] = (0,), **more: str) -> str:
    """Run a command and return what it printed.

    Raises:
        Missing: it ends with another code than those of `ok`.
    """
    result = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode not in ok:
        said = (result.stderr or result.stdout).strip().splitlines()[-1:]
        raise Missing(f"{Path(str(command[0])).name} ended with {result.returncode}: {said}")
    return result.stdout + result.stderr


def measure(action: Callable[[], object], count: int) -> tuple[float, float]:
    """Return clock and processor seconds of an action over `count` submissions."""
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
    return elapsed / count, used / count


def each(action: Callable[[int], object], count: int) -> tuple[float, float]:
    """Measure an action on every submission, two at a time."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        return measure(lambda: list(pool.map(action, range(count))), count)


def environment_of(package: str) -> Path:
    """Return the folder of programs of an environment with a package, made if need be.

    Raises:
        Missing: it cannot be installed.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "grader" / "peers"
    folder = cache / package
    if not (folder / "installed").exists():
        cache.mkdir(parents=True, exist_ok=True)
        run(sys.executable, "-m", "venv", "--clear", folder, folder=cache)
        more = ("ipykernel",) if package in WITH_KERNEL else ()
        pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet", package, *more)
        packages = next((folder / "lib").glob("python*/site-packages"))
        (packages / "torch_from_outside.pth").write_text(sysconfig.get_path("purelib") + "\n")
        run(*pip, folder=cache)
        if package in WITH_KERNEL:
            kernel = ("-m", "ipykernel", "install", "--sys-prefix")
            run(folder / "bin" / "python", *kernel, folder=cache)
        (folder / "installed").touch()
    return folder / "bin"


# ------------------------------------------------------------------ the programs


def import_torch(folder: Path, count: int) -> tuple[float, float]:
    """Measure the bare import, one after another."""

    def action() -> None:
        for _ in range(count):
            run(sys.executable, "-c", "import torch", folder=folder)

    return measure(action, count)


def this_grader(folder: Path, count: int) -> tuple[float, float]:
    """Measure this grader on a class, the start of its workers and all pages included."""
    for number in range(count):
        write_notebook(folder / "in" / f"student{number}.ipynb", submission_cells(number))
    command = (sys.executable, "-m", "grader.cli", "grade")
    # The first use on a machine compiles the virtual GPU's core, which no later one does.
    first = (folder / "in" / "student0.ipynb", "--out", folder / "first")
    run(*command, *first, "--workers", "1", folder=ROOT)
    command = (*command, folder / "in", "--out", folder / "out")
    found = measure(lambda: run(*command, "--workers", "2", folder=ROOT), count)
    for number in (0, count - 1):
        result = json.loads((folder / "out" / f"student{number}" / "result.json").read_bytes())
        if any(task["outcome"] == "failed" for task in result["tasks"]):
            raise Missing("this grader fails a right submission")
    return found


def pytest_once(folder: Path, count: int) -> tuple[float, float]:
    """Measure pytest, a process for each submission."""
    lines = [
        "import json, os, pathlib",
        "notebook = json.loads(pathlib.Path(os.environ['SUBMISSION']).read_text())",
        "names = {}",
        "for cell in notebook['cells']:",
        "    if cell['cell_type'] == 'code':",
        "        exec(''.join(cell['source']), names)",
    ]
    for name, check in CHECKS.items():
        lines += [f"def test_{name}_():", f"    assert eval({check!r}, names)"]
    (folder / "test_homework.py").write_text("\n".join(lines))
    for number in range(count):
        write_notebook(folder / f"student{number}.ipynb", submission_cells(number))

    def action(number: int) -> None:
        run(
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_homework.py"),
            folder=folder,
            SUBMISSION=str(folder / f"student{number}.ipynb"),
        )

    return each(action, count)


def otter(folder: Path, count: int) -> tuple[float, float]:
    """Measure `otter run`, a process for each submission."""
    programs = environment_of("otter-grader")
    (folder / "tests").mkdir()
    for name, check in CHECKS.items():
        case = {"code": f">>> bool({check})\nTrue", "hidden": False, "locked": False}
        suite = {"cases": [case], "scored": True, "setup": "", "teardown": "", "type": "doctest"}
        test = {"name": name, "points": 1, "suites": [suite]}
        (folder / "tests" / f"{name}.py").write_text(f"OK_FORMAT = True\ntest = {test!r}")
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    make = (programs / "otter", "generate", "-t", "tests", "-o", "autograder.zip")
    run(*make, "--no-environment", folder=folder, PATH=path)
    for number in range(count):
        notebook = folder / f"student{number}" / "homework.ipynb"
        write_notebook(notebook, submission_cells(number))

    def action(number: int) -> None:
        run(
            *(programs / "otter", "run", "-a", folder / "autograder.zip", "--no-logo"),
            *("-o", f"student{number}", f"student{number}/homework.ipynb"),
            folder=folder,
            PATH=path,
        )
        results = json.loads((folder / f"student{number}" / "results.json").read_bytes())
        scores = [test.get("score", 0) for test in results["tests"] if "max_score" in test]
        if sum(scores) < len(CHECKS):
            raise Missing(f"otter gives {scores} for a right submission")

    return each(action, count)


def nbgrader(folder: Path, count: int) -> tuple[float, float]:
    """Measure `nbgrader autograde` on all submissions in one call."""
    programs = environment_of("nbgrader")

    def cells(number: int) -> list[dict[str, object]]:
        made = []
        for name, (_, source) in CELLS.items():
            mark = {"grade": False, "grade_id": name, "locked": False, "schema_version": 3}
            made.append(
                code_cell(
                    f"{source}\n# student {number}",
                    nbgrader={**mark, "solution": True, "task": False},
                )
            )
            if name in CHECKS:
                mark = {"grade": True, "grade_id": f"test-{name}", "locked": True, "points": 1}
                rest = {"schema_version": 3, "solution": False, "task": False}
                made.append(code_cell(f"assert {CHECKS[name]}", nbgrader={**mark, **rest}))
        return made

    write_notebook(folder / "source" / "ps1" / "homework.ipynb", cells(-1))
    for number in range(count):
        path = folder / "submitted" / f"student{number}" / "ps1" / "homework.ipynb"
        write_notebook(path, cells(number))
    more = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    run(programs / "nbgrader", "generate_assignment", "ps1", folder=folder, **more)
    found = measure(
        lambda: run(programs / "nbgrader", "autograde", "ps1", folder=folder, **more), count
    )
    if len(list((folder / "autograded").glob("*/ps1/homework.ipynb"))) != count:
        raise Missing("nbgrader left submissions out")
    return found


def check50(folder: Path, count: int) -> tuple[float, float]:
    """Measure `check50 --dev`, a process for each submission and, as it does, one for a check."""
    programs = environment_of("check50")
    checks = folder / "checks"
    checks.mkdir()
    (checks / ".cs50.yml").write_text("check50:\n  files:\n    - !include 'homework.py'\n")
    lines = ["import check50, check50.py"]
    for name, check in CHECKS.items():
        lines += [
            "@check50.check()",
            f"def check_{name}():",
            f'    """{name} is right"""',
            "    names = vars(check50.py.import_('homework.py'))",
            f"    if not eval({check!r}, names):",
            f"        raise check50.Failure('{name} is wrong')",
        ]
    (checks / "__init__.py").write_text("\n".join(lines))
    script = "\n\n".join(source for _, source in CELLS.values())
    for number in range(count):
        (folder / f"student{number}").mkdir()
        (folder / f"student{number}" / "homework.py").write_text(f"{script}\n# student {number}\n")

    def action(number: int) -> None:
        said = run(
            *(programs / "check50", "--dev", "--log-level", "error", "-o", "json"),
            *("--output-file", "result.json", "--", checks),
            folder=folder / f"student{number}",
            PATH=f"{programs}{os.pathsep}{os.environ['PATH']}",
        )
        result = json.loads((folder / f"student{number}" / "result.json").read_bytes())
        if not all(each["passed"] for each in result["results"]):
            raise Missing(f"check50 fails a right submission: {said[-300:]}")

    return each(action, count)


PROGRAMS: dict[str, Callable[[Path, int], tuple[float, float]]] = {
    "import torch": import_torch,
    "pytest, one process each": pytest_once,
    "check50 --dev": check50,
    "otter run": otter,
    "nbgrader autograde": nbgrader,
}


def attempt(
    name: str, program: Callable[[Path, int], tuple[float, float]], count: int
) -> tuple[float, float] | None:
    """Return a program's seconds a submission, None with a line that says why there are none."""
    folder = Path(tempfile.mkdtemp(prefix="peers-"))
    try:
        return program(folder, count)
    except (Missing, OSError) as error:
        print(f"{name:<26}left out: {str(error)[:300]}")
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds a submission beside other graders.")
    parser.add_argument("--submissions", type=int, default=6, help="for the others")
    parser.add_argument("--class-size", type=int, default=200, help="for this grader")
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    print(f"{'seconds a submission':<26}{'clock':>9}{'processor':>11}{'times this grader':>21}")
    ours = attempt("this grader", this_grader, options.class_size)
    if ours is None:
        sys.exit(1)
    print(f"{'this grader':<26}{ours[0]:9.3f}{ours[1]:11.3f}")
    for name, program in PROGRAMS.items():
        found = attempt(name, program, options.submissions)
        if found is not None:
            ratios = f"{found[0] / ours[0]:10.1f} {found[1] / ours[1]:10.1f}"
            print(f"{name:<26}{found[0]:9.3f}{found[1]:11.3f}{ratios}", flush=True)


if __name__ == "__main__":
    main()
