"""A cell that ends the child costs its own task; every other task keeps its points."""

import json

import pytest
from click.testing import CliRunner

from grader.assignments import load_assignment
from grader.cli.main import main
from grader.intake import read_submission
from grader.judge import Judge
from grader.messages import LANGUAGES, message
from grader.sandbox.session import Server
from tests.intake.notebooks import sections_notebook

GATE = """
import torch
from torch import nn
class Gate(nn.Module):
    def __init__(self, weights, bias):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights))
        self.bias = nn.Parameter(torch.tensor([bias]))
    def forward(self, x):
        return torch.heaviside(x @ self.weights + self.bias, torch.tensor([0.0]))
"""
FATAL = {
    "exit": ("import os\nos._exit(0)", "crashed"),
    "segfault": ("import ctypes\nctypes.string_at(0)", "crashed"),
    "abort": ("import os\nos.abort()", "crashed"),
    "closed-messages": ("import os\nos.closerange(3, 64)", "crashed"),
    "memory": ("held = []\nwhile True: held.append(bytes(10**6))", "memory"),
    "memory-in-small-pieces": (
        "import torch\nheld = []\nwhile True: held.append(torch.zeros(1000))",
        "memory",
    ),
    "memory-to-the-last-byte": (
        "import torch\nheld = []\ntry:\n    while True: held.append(bytes(10**6))\n"
        "except MemoryError:\n    while True: held.append(torch.zeros(10))",
        "memory",
    ),
    "memory-in-one-list": ("held = []\nwhile True: held += [1] * 10**5", "memory"),
    "memory-on-device": (
        "import torch, ctypes\nx = torch.empty(1 << 30, device='cuda')\n"
        "libc = ctypes.CDLL(None)\nstart = ctypes.c_void_p(x.data_ptr())\n"
        "libc.mprotect(start, ctypes.c_size_t(1 << 32), 3)\n"
        "ctypes.memset(start, 1, 1 << 32)",
        "memory",
    ),
    "endless": ("while True: pass", "timeout"),
    "endless-catching-interrupts": (
        "while True:\n    try:\n        while True: sum(range(9))\n"
        "    except (KeyboardInterrupt, BaseException): pass",
        "timeout",
    ),
}
LIMITS = {
    "cell_cpu_seconds": 1.0,
    "cell_wall_seconds": 1.0,
    "device_cell_seconds": 3.0,
    "memory_bytes": 512 << 20,
}


@pytest.fixture
def grade(server, tmp_path):
    def graded(*sections, **limits):
        path = tmp_path / "ivanova.ipynb"
        path.write_bytes(sections_notebook(*sections))
        assignment = load_assignment("intro-to-torch").with_limits({**LIMITS, **limits})
        return Judge(assignment, server).grade(read_submission(path))

    return graded


def task(report, name):
    return next(task for task in report.tasks if task.id == name)


BEFORE = ("Задача 2", GATE + "neuron = Gate([-1.0], 0.5)")
AFTER = ("Задача 4", "neuron = Gate([1.0, 1.0], -0.5)")


@pytest.mark.parametrize("name", FATAL)
def test_a_cell_that_ends_badly_costs_its_own_task_only(grade, name):
    code, outcome = FATAL[name]
    report = grade(BEFORE, ("Задача 3", code), AFTER)
    assert [cell.outcome for cell in report.cells] == ["passed", outcome, "passed"]
    found = task(report, "and")
    assert (found.outcome, found.points) == (outcome, 0)
    assert found.checks[0].code == f"judge.ended-{outcome}"
    if name != "closed-messages":
        assert (task(report, "not").points, task(report, "or").points) == (100, 100)


BACKWARD = """
import torch
a, b, c, d = (torch.tensor([float(n)], requires_grad=True) for n in range(1, 5))
loss = a * b + c * d
loss.backward()
"""


@pytest.mark.parametrize(
    "name", ["memory", "memory-in-small-pieces", "memory-to-the-last-byte", "memory-in-one-list"]
)
def test_what_filled_the_memory_takes_nothing_from_the_cells_that_follow(grade, name):
    """The first backward run starts a thread, which needs memory for its stack."""
    report = grade(BEFORE, ("Задача 3", FATAL[name][0]), ("Задача 7", BACKWARD))
    assert [cell.outcome for cell in report.cells] == ["passed", "memory", "passed"]
    codes = {check.code for found in report.tasks for check in found.checks}
    assert "judge.doubted" not in codes


def test_a_low_limit_of_memory_blames_no_cell(grade):
    cells = [("Задача 3", "raise RuntimeError"), *(("Задача 4", "1 / 0"),) * 8]
    cells.append(("Задача 5", GATE + "neuron = Gate([1.0, 1.0], -0.5)"))
    report = grade(*cells, memory_bytes=100 << 20)
    assert [cell.outcome for cell in report.cells] == ["raised"] * 9 + ["passed"]


def test_a_cell_that_fills_the_memory_and_passes_keeps_its_names(grade):
    held = "held = []\ntry:\n    while True: held.append(bytes(10**6))\nexcept MemoryError: pass"
    cells = [("Задача 3", held), *(("Задача 4", "len(held) / 0"),) * 8, ("Задача 5", "held[0]")]
    report = grade(BEFORE, *cells)
    assert [cell.outcome for cell in report.cells] == ["passed"] * 2 + ["raised"] * 8 + ["passed"]


@pytest.mark.parametrize("name", FATAL)
def test_an_answer_that_ends_badly_when_it_is_called_costs_its_own_task_only(grade, name):
    code, _ = FATAL[name]
    body = "\n".join(f"        {line}" for line in code.splitlines())
    fatal = f"class Fatal(Gate):\n    def forward(self, x):\n{body}\nneuron = Fatal([1., 1.], -1.5)"
    report = grade(BEFORE, ("Задача 3", fatal), AFTER)
    assert task(report, "and").points == 0
    assert task(report, "and").outcome not in ("passed", "grader-error", "missing")
    if name != "closed-messages":
        assert (task(report, "not").points, task(report, "or").points) == (100, 100)


def test_replayed_cells_are_observed_once(grade):
    counting = "import builtins\nprint('ran')\nneuron = Gate([-1.0], 0.5)"
    report = grade(("Задача 2", GATE + counting), ("Задача 3", FATAL["exit"][0]), AFTER)
    assert [cell.output for cell in report.cells] == ["ran\n", "", ""]


def test_the_time_of_the_whole_submission_is_bounded_and_what_was_judged_is_kept(grade):
    sections = [BEFORE, *[("Задача 3", "import time\ntime.sleep(0.6)")] * 8, AFTER]
    report = grade(*sections, submission_seconds=3.0)
    assert task(report, "not").points == 100
    assert report.cells[-1].outcome == "timeout"
    assert report.seconds < 10


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_cell_that_the_whole_submission_left_no_time_for_is_not_called_slow(grade, language):
    waits = ("Задача 2", "import time\ntime.sleep(0.9)")
    report = grade(waits, waits, ("Задача 3", "neuron = 1"), AFTER, submission_seconds=1.2)
    check = task(report, "and").checks[0]
    assert check.outcome == "timeout"
    assert check.code == "judge.ended-time-over"
    assert "1.2" in message(check.code, check.values, language=language)


@pytest.mark.parametrize(
    ("name", "language", "words"),
    [
        ("endless", "en", "Your cell 2 ran longer than 1 s"),
        ("endless", "ru", "Ваша ячейка 2 выполнялась дольше 1 с"),
        ("memory", "en", "Your cell 2 asked for more than 0.5 GB of memory"),
        ("memory", "ru", "Ваша ячейка 2 запросила больше 0.5 ГБ памяти"),
    ],
)
def test_the_student_is_told_which_limit_it_was(grade, name, language, words):
    report = grade(BEFORE, ("Задача 3", FATAL[name][0]), AFTER)
    check = task(report, "and").checks[0]
    assert message(check.code, check.values, language=language).startswith(words)


def test_limits_can_be_given_on_the_command_line(tmp_path):
    path = tmp_path / "ivanova.py"
    path.write_text("# Задача 3\nprint('x' * 1000)\nwhile True: pass\n")
    arguments = ["check", str(path), "--json", "--cell-seconds", "0.5", "--output", "100"]
    done = CliRunner().invoke(main, [*arguments, "--memory", "512", "--seconds", "60"])
    report = json.loads(done.stdout)
    found = next(task for task in report["tasks"] if task["id"] == "and")
    assert found["outcome"] == "timeout"
    assert found["checks"][0]["values"]["seconds"] == "0.5"
    assert len(report["cells"][0]["output"]) <= 100


@pytest.mark.parametrize("option", ["--memory=1", "--seconds=0", "--cell-seconds=x"])
def test_a_limit_that_makes_no_sense_is_wrong_use(tmp_path, option):
    assert CliRunner().invoke(main, ["check", str(tmp_path), option]).exit_code == 2


TRAINED = """
import torch
neuron = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(neuron.parameters(), lr=1.0)
rows = torch.tensor([[0., 0.], [0., 1.], [1., 0.], [1., 1.]])
for _ in range(200):
    optimizer.zero_grad()
    loss = (torch.sigmoid(neuron(rows)) - rows.prod(1, keepdim=True)).square().sum()
    loss.backward()
    optimizer.step()
def gate(x):
    return (neuron(x) > 0).float()
"""


def test_a_neuron_is_trained_where_the_server_was_not_warmed_up(tmp_path):
    path = tmp_path / "ivanova.py"
    path.write_text(f"# Задача 3{TRAINED}")
    with Server(once=True) as server:
        report = Judge(load_assignment("intro-to-torch"), server).grade(read_submission(path))
    assert [cell.error for cell in report.cells if cell.error] == []
    assert task(report, "and").outcome == "passed"


@pytest.mark.parametrize(
    ("heading", "before", "inside", "name"),
    [
        ("Задача 3", "neuron = torch.nn.Linear(2, 1)", "neuron.bias.data.fill_(-1.5)", "and"),
        (
            "ДЗ 2",
            "a = torch.ones(1, requires_grad=True)",
            "(a * a + a * a).backward()",
            "gradients",
        ),
        (
            "ДЗ 3",
            "x = torch.ones(9, device='cuda')",
            "torch.ones(1 << 31, device='cuda')",
            "vram-limits",
        ),
    ],
)
def test_what_a_missing_module_stopped_half_way_is_for_a_person(
    grade, heading, before, inside, name
):
    source = (
        f"import torch\nfrom progress import bar\n{before}\nfor _ in bar(range(9)):\n    {inside}"
    )
    found = task(grade((heading, source)), name)
    waiting = [check for check in found.checks if check.code == "answers.module-missing"]
    assert {check.outcome for check in waiting} == {"review"}
    assert not any(check.outcome in ("failed", "raised", "not-run") for check in found.checks)
    written = task(grade(("ДЗ 1", "import bar\n'neuron(x1 + x2)'\nbar()")), "xor-expression")
    assert written.checks[0].outcome == "failed"


@pytest.mark.parametrize(
    "compiled",
    [
        "neuron = torch.compile(Gate([1.0, 1.0], -0.5))",
        "whole = Gate([1.0, 1.0], -0.5)\nwhole.compile()\nneuron = whole",
        "weights = torch.tensor([1.0, 1.0])\n@torch.compile\ndef neuron(x):\n"
        "    return torch.heaviside(x @ weights - 0.5, torch.tensor([0.0]))",
        "@torch.compile(fullgraph=True)\nclass Other(Gate):\n    def __init__(self):\n"
        "        super(Other, self).__init__([1.0, 1.0], -0.5)\nneuron = Other()",
        "class Other(Gate):\n    def compile(self, optimizer, loss): pass\n"
        "neuron = torch.compile(Other([1.0, 1.0], -0.5))",
    ],
    ids=["network", "in-place", "function", "class", "with-a-compile-of-its-own"],
)
def test_compiled_neurons_count_where_there_is_no_compiler(grade, compiled):
    report = grade(BEFORE, ("Задача 4", compiled), cell_cpu_seconds=20.0, cell_wall_seconds=20.0)
    assert task(report, "or").points == task(report, "or").possible
