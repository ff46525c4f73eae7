"""Tests of grader.reports.changes: who gained or lost points since the previous run, and why."""

import msgspec

from grader.assignments import load_assignment
from grader.model import CheckResult, Outcome, Report, TaskResult
from grader.reports.changes import change_line, losses_first
from grader.reports.summary import summarize
from tests.reports.classes import tally_of

ASSIGNMENT = load_assignment("intro-to-torch")


def find_changes(rows, previous):
    return losses_first(tally_of(rows, ASSIGNMENT, previous).changes)


def row(name="ivanova", *, outcome=Outcome.PASSED, points=75, digest="d"):
    check = CheckResult(id="truth-table", outcome=outcome, points=points, possible=75, code="c")
    task = TaskResult(id="and", outcome=outcome, points=points, possible=75, checks=[check])
    report = Report(
        assignment="intro-to-torch",
        submission=name,
        card="",
        profile="",
        seconds=0.0,
        tasks=[task],
        cells=[],
    )
    return summarize(msgspec.structs.replace(report, digest=digest))


LOST = row(outcome=Outcome.FAILED, points=0)


def test_who_has_the_same_points_is_not_listed():
    assert find_changes([row()], [row()]) == []
    assert find_changes([row("new")], [row()]) == []


def test_a_loss_names_the_check_and_that_the_work_is_the_same():
    (change,) = find_changes([LOST], [row()])
    line = change_line(change, ASSIGNMENT, language="en")
    assert line.startswith("ivanova: 0.75 → 0 (")
    assert "the same work, judged differently" in line
    assert ASSIGNMENT.task("and").title["en"] in line
    assert "→" in line.partition("(")[2]


def test_another_hand_in_is_said():
    (change,) = find_changes([row(digest="e")], [LOST])
    assert "сдано другое" in change_line(change, ASSIGNMENT, language="ru")


def test_losses_come_first():
    rows = [row("a"), row("b", outcome=Outcome.FAILED, points=0)]
    previous = [row("a", outcome=Outcome.FAILED, points=0), row("b")]
    assert [change.submission for change in find_changes(rows, previous)] == ["b", "a"]


def test_a_name_that_would_write_to_the_terminal_is_cleaned():
    evil = "\x1b[2Jivan\nova"
    (change,) = find_changes([row(evil)], [row(evil, outcome=Outcome.FAILED, points=0)])
    line = change_line(change, ASSIGNMENT, language="en")
    assert "\x1b" not in line
    assert "\n" not in line
