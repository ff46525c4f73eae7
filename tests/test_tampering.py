"""Submissions that tamper with their own judging never get a point more than honest ones."""

import pytest

from grader.assignments import load_assignment
from grader.intake import read_submission
from grader.judge import Judge
from grader.reports.html import render_report
from grader.reports.summary import summarize
from tests.intake.notebooks import sections_notebook
from tests.reports.classes import draw_class
from tests.test_running import BEFORE

WRONG = "neuron = Gate([1.0, 1.0], -0.5)"
"""An OR where an AND is asked for: the honest submission gets nothing for it."""
FRAME = """
import os, struct, msgspec
token = b"a" * 8
def send(**message):
    data = msgspec.msgpack.encode(message)
    os.write(3, struct.pack("<I8s", len(data), token) + data)
def answers(*values):
    send(type="called", kind="network", type_name="Gate", outputs=[
        {"type": "tensor", "values": [v], "shape": [1]} for v in values])
"""
STOLEN = """
import gc
token = next(o for o in gc.get_objects() if type(o).__name__ == "Channel")._token
"""
"""The token of the question that runs: a reply to it can be forged, to the next ones not."""
IN_ADVANCE = WRONG + "\nsend(type='cell-done', index=2, outcome='passed',"
IN_ADVANCE += " bound=[{'name': 'neuron', 'kind': 'network', 'type_name': 'Gate'}])\n"
AND_THEN_WAITS = "import time\ntime.sleep(0.2)\nanswers('0.0', '0.0', '0.0', '1.0')\ntime.sleep(30)"
TAMPERING = {
    "reply-without-token": FRAME + IN_ADVANCE,
    "reply-in-advance": FRAME
    + STOLEN
    + IN_ADVANCE
    + "for _ in range(50): answers('0.0', '0.0', '0.0', '1.0')",
    "reply-and-silence": FRAME + STOLEN + IN_ADVANCE + AND_THEN_WAITS,
    "reply-after-the-cell": FRAME + WRONG + "\nimport threading, time\ndef late():\n"
    "    for _ in range(200):\n        time.sleep(0.002)\n"
    "        try: answers('0.0', '0.0', '0.0', '1.0')\n        except OSError: return\n"
    "threading.Thread(target=late, daemon=True).start()",
    "garbage": WRONG + "\nimport os\nos.write(3, b'x' * 100)",
    "announced-length": WRONG + "\nimport os\nos.write(3, b'\\xff\\xff\\xff\\xff')",
    "closed-descriptor": WRONG + "\nimport os\nos.close(3)",
    "other-cell": FRAME + STOLEN + WRONG + "\nsend(type='cell-done', index=99, outcome='passed')",
    "other-message": FRAME + STOLEN + WRONG + "\nsend(type='names', names=[])",
    "failure-of-ours": FRAME + STOLEN + WRONG + "\nsend(type='failed', text='ours')",
}
LIES = {
    "replaced-descriptor": WRONG + "\nimport os\nos.dup2(os.open('/dev/null', os.O_RDWR), 3)",
    "patched-equality": "torch.Tensor.__eq__ = lambda self, other: True\n" + WRONG,
    "patched-values": "torch.Tensor.tolist = lambda self: [0.0]\n"
    "torch.Tensor.item = lambda self: 0.0\ntorch.Tensor.__float__ = lambda self: 0.0\n" + WRONG,
    "patched-builtins": "import builtins\nbuiltins.repr = lambda x: '0.0'\n"
    "builtins.float = lambda x=0: 0.0\nbuiltins.type = lambda x: torch.Tensor\n"
    "builtins.isinstance = lambda *a: True\n" + WRONG,
    "patched-allclose": "torch.allclose = torch.equal = lambda *a, **k: True\n" + WRONG,
    "patched-heaviside": "torch.Tensor.__bool__ = lambda self: True\n" + WRONG,
    "lying-equality": "class Sly(float):\n    def __eq__(self, other): return True\n"
    "    __hash__ = None\ndef neuron(x): return Sly(7)",
    "lying-shape": "class Sly(torch.Tensor):\n    shape = property(lambda self: torch.Size([1]))\n"
    "    def tolist(self): return [0.0]\n    def __eq__(self, other): return True\n"
    "def neuron(x): return torch.zeros(9).as_subclass(Sly)",
    "lying-class": "class Sly:\n    __class__ = torch.Tensor\n    shape = (1,)\n"
    "    def __eq__(self, other): return True\n    def __float__(self): return 1.0\n"
    "def neuron(x): return Sly()",
    "everything-at-once": "def neuron(x): return torch.tensor([0.0, 0.0, 0.0, 1.0])",
    "exception-as-answer": "def neuron(x): raise SystemExit(0)",
    "patched-shell": "shell = get_ipython()\ntype(shell).run_cell = lambda *a, **k: None\n" + WRONG,
    "tracing": "import sys\ndef trace(frame, event, value):\n"
    "    if 'outputs' in frame.f_locals: frame.f_locals['outputs'] = ()\n    return trace\n"
    + WRONG + "\nsys.settrace(trace)\nsys.setprofile(trace)",
}  # fmt: skip


@pytest.fixture(scope="module")
def assignment():
    return load_assignment("intro-to-torch")


@pytest.fixture(scope="module")
def grade(assignment, server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tampering")

    def graded(code):
        path = folder / "ivanova.ipynb"
        path.write_bytes(sections_notebook(BEFORE, ("Задача 3", code)))
        return Judge(assignment, server).grade(read_submission(path))

    return graded


def points(report):
    return {task.id: task.points for task in report.tasks if task.points}


def anomalies(report):
    notes = (note for task in report.tasks for check in task.checks for note in check.staff)
    return [values["text"] for code, values in notes if code == "judge.anomaly"]


def test_the_honest_submission_gets_what_it_is_worth(grade):
    report = grade(WRONG)
    assert (points(report), anomalies(report)) == ({"not": 100}, [])


@pytest.mark.parametrize("name", TAMPERING)
def test_a_forged_reply_gives_no_point_and_tells_the_instructor_only(grade, assignment, name):
    report = grade(TAMPERING[name])
    assert points(report) == {}  # what would have counted waits for a person
    assert anomalies(report)
    note = anomalies(report)[0][:40]
    student = render_report(report, assignment, language="en")
    assert "unexpected" not in student
    assert note not in student
    page = draw_class([summarize(report)], assignment, language="en")
    assert "The submission&#39;s process sent something unexpected" in page


@pytest.mark.parametrize("name", LIES)
def test_a_lie_about_values_gives_no_point(grade, name):
    report = grade(LIES[name])
    assert set(points(report)) <= {"not"}
    assert all(task.outcome != "grader-error" for task in report.tasks)


@pytest.mark.parametrize(
    ("code", "replaced"),
    [
        (LIES["patched-equality"], "torch.Tensor.__eq__"),
        ("import builtins\nbuiltins.float = lambda x=0: 0.0\n" + WRONG, "builtins.float"),
        (LIES["patched-allclose"], "torch.allclose"),
    ],
)
def test_replaced_functions_are_named_to_the_instructor_only(grade, assignment, code, replaced):
    report = grade(code)
    notes = [note for task in report.tasks for check in task.checks for note in check.staff]
    assert any(c == "judge.replaced" and replaced in values["names"] for c, values in notes)
    assert "replaced functions" not in render_report(report, assignment, language="en")


def test_an_honest_submission_replaces_nothing(grade):
    for code in (WRONG, "import torch.optim\nopt = torch.optim.Adam([torch.zeros(1)])\n" + WRONG):
        report = grade(code)
        assert not any(check.staff for task in report.tasks for check in task.checks)
