"""`--card real` from the command to the report, on a machine whose card is a virtual one.

All of the grader is the one that would run on a real card; only `torch.cuda` below it is not.
"""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from grader.assignments import load_assignment
from grader.cli.main import main
from grader.devices import DeviceError
from grader.intake import read_submission
from grader.judge import Judge
from grader.sandbox import launch
from grader.sandbox.session import Server, ServerFailed
from grader.vgpu import ensure

SUBMISSIONS = Path(__file__).parent.parent / "submissions"
WITH_CARD = Path(__file__).parent / "sandbox" / "with_card.py"


ANSWERS = """
import torch
from torch import nn

# Домашнее задание 3
for dtype in (torch.float32, torch.int64):
    x = torch.zeros(15_190_000_000 // dtype.itemsize, dtype=dtype, device="cuda")
    del x
x = torch.zeros(1000, dtype=torch.float16, device="cuda")
# Домашнее задание 4
raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
# Домашнее задание 5
layer = nn.Linear(1, 200800, device="cuda")
x = torch.zeros(3_500_000_000, 1, device="cuda")
y = layer(x)
"""


def test_the_three_memory_tasks_are_judged_by_the_statistics_of_the_card(monkeypatch, tmp_path):
    core = ensure()

    def command(module, *arguments):
        known = (str(WITH_CARD), str(core), "Tesla T4")
        return [sys.executable, "-s", "-P", *known, module, *arguments]

    monkeypatch.setattr(launch, "command", command)
    (tmp_path / "homework.py").write_text(ANSWERS, "utf-8")
    with Server(unsafe=True, real=True) as server:
        judge = Judge(load_assignment("intro-to-torch"), server, card="real")
        report = judge.grade(read_submission(tmp_path / "homework.py"))
    assert (report.card, report.figures, report.isolation) == ("Tesla T4", "measured", ["process"])
    found = {
        f"{task.id}.{check.id}": (check.outcome.value, check.code)
        for task in report.tasks
        for check in task.checks
    }
    assert found["vram-limits.float32"] == ("passed", "memory.largest")
    assert found["vram-limits.int64"] == ("passed", "memory.largest")
    assert found["vram-limits.float16"] == ("failed", "memory.far-too-small")
    assert found["vram-limits.float64"] == ("missing", "memory.dtype-missing")
    assert found["oom.out-of-memory"] == ("failed", "memory.raised-by-hand")
    assert found["linear-vram.fills"] == ("passed", "memory.filled")
    assert found["linear-vram.forward"] == ("passed", "memory.applied-refused")


@pytest.mark.parametrize(("language", "words"), [("en", "CPU build"), ("ru", "собран для CPU")])
def test_without_a_card_the_command_says_so_and_ends(language, words):
    path = str(SUBMISSIONS / "perfect")
    done = CliRunner().invoke(main, ["check", path, "--card", "real", "--lang", language])
    assert done.exit_code == 2
    assert words in done.stderr
    assert not done.stdout


def test_a_batch_on_a_card_without_locks_has_to_be_asked_for(tmp_path):
    command = ["grade", str(SUBMISSIONS / "perfect"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*command, "--card", "real", "--lang", "en"])
    assert (done.exit_code, "--unsafe" in done.stderr) == (3, True)
    done = CliRunner().invoke(main, [*command, "--card", "real", "--lang", "en", "--unsafe"])
    assert (done.exit_code, "CPU build" in done.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_server_for_a_card_serves_only_who_takes_the_risk():
    with Server(real=True) as server, pytest.raises(ServerFailed) as failed:
        server.wait()
    assert failed.value.code == "sandbox.real-card"


def test_a_judge_on_a_card_that_is_not_there_refuses():
    with Server(unsafe=True, real=True) as server:
        judge = Judge(load_assignment("intro-to-torch"), server, card="real")
        with pytest.raises(DeviceError):
            judge.grade(read_submission(SUBMISSIONS / "perfect"))
