"""A penalty for handing in late is a line of its own in everything that shows a report."""

import csv
import datetime
import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from grader.assignments import load_assignment
from grader.batch.grading import refused_report
from grader.batch.handing import with_origin
from grader.intake import Refused
from grader.lms.origin import Origin
from grader.model import CheckResult, Outcome, Policy, Report, TaskResult
from grader.reports.csv import gradebook_header, gradebook_row
from grader.reports.html import render_report
from grader.reports.html.view import view_report
from grader.reports.json import encode_result
from grader.reports.terminal import print_report
from grader.reports.wording import all_passed

DUE = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
ASSIGNMENT = replace(load_assignment("intro-to-torch"), policy=Policy(due=DUE, percent_a_day=10))


def late_report(**origin):
    task = ASSIGNMENT.task("not")
    checks = [
        CheckResult(
            id=check.id,
            outcome=Outcome.PASSED,
            points=check.possible,
            possible=check.possible,
            code="gate.all-rows",
        )
        for check in task.checks
    ]
    result = TaskResult(id="not", outcome=Outcome.PASSED, points=100, possible=100, checks=checks)
    report = Report(
        assignment="intro-to-torch",
        submission="anna",
        card="",
        profile="",
        seconds=0.0,
        tasks=[result],
        cells=[],
    )
    values = {"system": "moodle", "submitted": "2026-11-02 12:00", **origin}
    return with_origin(report, Origin(**values), ASSIGNMENT.policy)


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("en", "Handed in 2 days late: 0.2 points less (20 %)"),
        ("ru", "Сдано с опозданием на 2 дня: снято баллов: 0,2 (20 %)"),
    ],
)
def test_the_page_and_the_terminal_say_what_was_taken(language, line):
    report = late_report()
    assert line in render_report(report, ASSIGNMENT, language=language)
    out = Console(file=io.StringIO(), width=120)
    print_report(report, ASSIGNMENT, language=language, console=out)
    assert line in out.file.getvalue()


def test_result_json_has_the_penalty_and_the_points_after_it():
    result = json.loads(encode_result(late_report()))
    assert result["points"] == 0.8
    assert result["tasks"][0]["points"] == 1.0
    assert result["late"] == {
        "submitted": "2026-11-02T12:00:00+00:00",
        "due": "2026-11-01T00:00:00+00:00",
        "days": 2,
        "percent": 20,
        "points": 0.2,
    }
    assert "late" not in json.loads(encode_result(late_report(submitted="2026-10-01")))


def test_the_gradebook_has_columns_for_it():
    text = io.StringIO()
    csv.writer(text).writerow(gradebook_row(late_report(), ASSIGNMENT))
    row = dict(zip(gradebook_header(ASSIGNMENT), next(csv.reader([text.getvalue()])), strict=False))
    assert (row["points"], row["days_late"], row["late_points"]) == ("0.80", "2", "0.20")


def test_a_mark_of_the_system_without_a_time_takes_nothing_and_says_so():
    report = late_report(submitted="", late=True)
    assert report.points == 100
    assert ("lms.late-by-unknown", {}) in report.notes


def test_files_that_nobody_could_open_and_other_attempts_are_on_the_page():
    files = [("a.ipynb", "read"), ("<b>work.rar", "unopened")]
    report = late_report(files=files, attempt=2, attempts=3)
    page = render_report(report, ASSIGNMENT, language="en")
    assert "&lt;b&gt;work.rar" in page
    assert "attempt 2 of 3" in page


def test_nothing_passed_where_nothing_could_be_read():
    refused = refused_report(
        ASSIGNMENT, "anna", Refused("intake.unknown-format", {"file": "a.rar"})
    )
    assert refused.to_review == refused.possible
    assert not all_passed(refused)
    assert all_passed(late_report())


def test_only_where_nothing_was_handed_in_is_everything_missing():
    empty = {"file": "anna", "bound": ".py"}
    nothing = refused_report(ASSIGNMENT, "anna", Refused("intake.nothing-to-grade", empty))
    assert nothing.to_review == 0
    held = empty | {"holds": "report.pdf"}
    report = refused_report(ASSIGNMENT, "anna", Refused("intake.nothing-to-grade", held))
    assert report.to_review == report.possible


@pytest.mark.parametrize("language", ["en", "ru"])
def test_what_was_taken_is_not_called_still_to_earn(language):
    report = late_report()
    parts = {part.look: part for part in view_report(report, ASSIGNMENT, language).parts}
    assert set(parts) == {"passed", "late"}
    assert parts["late"].share == 20
    assert ("0,2" if language == "ru" else "0.2") in parts["late"].words
