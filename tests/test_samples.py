"""Every sample of `submissions/` gets exactly what its `expect.toml` says; so does the solution.

One warm server grades them all, as `grader grade` would.
"""

import html
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from grader.assignments import load_assignment
from grader.intake import read_submission
from grader.judge import Judge
from grader.messages import message
from grader.reports.html import render_report
from grader.reports.json import as_result
from grader.reports.terminal import print_report
from tests.expectation import differences, read_expectation

REPOSITORY = Path(__file__).parent.parent
SUBMISSIONS = REPOSITORY / "submissions"
REFERENCE = REPOSITORY / "reference" / "intro_to_torch"
SAMPLES = sorted(path.parent for path in SUBMISSIONS.glob("*/expect.toml"))


@pytest.fixture(scope="module")
def grade(server):
    """Return a function that grades a path, with the keys at hand."""
    assignment = load_assignment("intro-to-torch")

    def graded(path, *, card="", profile=""):
        judge = Judge(assignment, server, card=card, profile=profile)
        return judge.grade(read_submission(path))

    return graded


@pytest.fixture(scope="module")
def grade_without_device(server_without_device):
    """Return the same for a machine that has no device of any kind."""
    judge = Judge(load_assignment("intro-to-torch"), server_without_device)
    return lambda path: judge.grade(read_submission(path))


def test_there_are_samples_of_everything():
    assert len(SAMPLES) >= 24
    folders = {path for path in SUBMISSIONS.iterdir() if path.is_dir()}
    assert folders == set(SAMPLES)


def test_the_samples_are_those_that_their_sources_make():
    command = [sys.executable, str(REPOSITORY / "tools" / "samples.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), "run tools/samples.py"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_a_sample_gets_what_it_expects(server, once, sample):
    expected = read_expectation(sample / "expect.toml")
    card, profile = expected.run.card, expected.run.profile
    judge = Judge(load_assignment("intro-to-torch"), server, card=card, profile=profile)
    report = once.report(judge, read_submission(sample))
    assert not differences(expected, report), "\n".join(differences(expected, report))
    notes = [code for task in report.tasks for check in task.checks for code, _ in check.staff]
    assert "judge.anomaly" not in notes


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_solution_gets_all_points_but_for_its_explanation(grade, language):
    report = grade(REFERENCE / "solution" / f"solution.{language}.ipynb")
    waiting = {
        f"{task.id}.{check.id}"
        for task in report.tasks
        for check in task.checks
        if check.outcome != "passed"
    }
    assert waiting == {"linear-vram.explanation"}
    assert (report.points, report.to_review) == (1900, 100)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_empty_handout_gets_nothing(grade, language):
    report = grade(REFERENCE / "handout" / f"homework.{language}.ipynb")
    assert {task.id: str(task.outcome) for task in report.tasks if task.outcome != "missing"} == {}
    assert (report.points, report.to_review) == (0, 0)


def test_without_a_device_the_memory_tasks_of_the_solution_wait_for_a_person(
    grade_without_device,
):
    report = grade_without_device(REFERENCE / "solution" / "solution.en.ipynb")
    assert (report.points, report.to_review) == (1400, 600)
    waiting = {task.id for task in report.tasks if task.outcome == "review"}
    assert waiting == {"vram-limits", "oom", "linear-vram"}


def test_without_a_device_the_empty_handout_gets_nothing_to_review(grade_without_device):
    report = grade_without_device(REFERENCE / "handout" / "homework.en.ipynb")
    assert (report.points, report.to_review) == (0, 0)


def test_without_the_keys_the_choices_wait_for_a_person(server):
    assignment = load_assignment("intro-to-torch")
    keyless = type(assignment)(
        name=assignment.name,
        title=assignment.title,
        tasks=assignment.tasks,
        limits=assignment.limits,
        samples=assignment.samples,
    )
    submission = read_submission(REFERENCE / "solution" / "solution.en.ipynb")
    report = Judge(keyless, server).grade(submission)
    outcomes = {task.id: task.outcome for task in report.tasks}
    assert outcomes["linear-boundary"] == outcomes["linear-stack"] == "review"
    assert report.points == 1700


@pytest.mark.parametrize("name", ["perfect", "one-row-off", "small-tensors", "wrong-counts"])
def test_two_runs_agree_in_everything_but_time(grade, name):
    first, second = grade(SUBMISSIONS / name), grade(SUBMISSIONS / name)
    assert first.tasks == second.tasks


NOTEBOOK = os.environ.get("GRADER_EXAMPLE_NOTEBOOK", "")
needs_notebook = pytest.mark.skipif(not NOTEBOOK, reason="GRADER_EXAMPLE_NOTEBOOK is not set")


@needs_notebook
def test_the_example_notebook_gets_what_a_person_would_give(grade):
    report = grade(Path(NOTEBOOK))
    earned = {task.id: task.points for task in report.tasks}
    assert earned == {
        "parameters": 200,
        "not": 100,
        "and": 100,
        "or": 100,
        "xor": 200,
        "linear-boundary": 0,
        "linear-stack": 0,
        "xor-expression": 200,
        "gradients": 200,
        "vram-limits": 200,
        "oom": 100,
        "linear-vram": 100,
    }
    assert (report.points, report.to_review) == (1500, 450)
    checks = {f"{task.id}.{check.id}": check for task in report.tasks for check in task.checks}
    assert checks["vram-limits.float16"].outcome == "missing"
    assert checks["parameters.any-network"].outcome == "failed"
    for name in ("linear-boundary.answer", "linear-stack.answer"):
        assert checks[name].outcome == "review"
        assert checks[name].excerpt


@needs_notebook
def test_the_example_notebook_without_a_device_leaves_the_memory_tasks_to_a_person(
    grade_without_device,
):
    report = grade_without_device(Path(NOTEBOOK))
    assert (report.points, report.to_review) == (1100, 900)


@needs_notebook
def test_every_memory_figure_the_example_notebook_kept_is_equal_in_the_rerun(grade):
    report = grade(Path(NOTEBOOK))
    found = {
        task.id: evidence
        for task in report.tasks
        for check in task.checks
        for evidence in check.evidence
        if evidence["kind"] == "memory-printed"
    }
    counts = {name: (item["equal"], item["different"]) for name, item in found.items()}
    assert counts == {"vram-limits": (10, 0), "oom": (1, 0), "linear-vram": (6, 0)}
    assert {item["card"] for item in found.values()} == {"Tesla T4"}
    assert {item["profile"] for item in found.values()} == {"1.12"}


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize(("card", "figures"), [("Tesla T4", "exact"), ("NVIDIA L4", "estimated")])
def test_a_report_says_whether_the_figures_of_its_card_are_exact(grade, language, card, figures):
    report = grade(SUBMISSIONS / "first-half", card=card)
    words = message(f"device.card-{figures}", {"card": card}, language=language)
    assert as_result(report)["figures"] == figures
    assignment = load_assignment("intro-to-torch")
    page = render_report(report, assignment, language=language)
    assert html.escape(words) in page
    screen = Console(file=io.StringIO(), width=300)
    print_report(report, assignment, language=language, console=screen)
    assert words in screen.file.getvalue()
