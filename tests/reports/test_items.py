"""Tests of grader.reports.items: how each check fared in a class."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.model import Assignment, Check, CheckResult, Outcome, Report, Task, TaskResult, points
from grader.reports.items import ITEM_COLUMNS, item_rows
from grader.reports.summary import summarize
from tests.reports.classes import tally_of, view

WORDS = {"en": "Title", "ru": "Название"}
CHECKS = (
    Check("first", points(1), {"en": "=First", "ru": "Первый"}),
    Check("rest", points(3), WORDS),
)
ASSIGNMENT = Assignment(
    name="a",
    title=WORDS,
    tasks=(Task(id="t", title={"en": "=T", "ru": "Т"}, headings=(), question=None, checks=CHECKS),),
)


def row(first, rest=0, code="gate.wrong"):
    """Return a row of a submission whose first check ended so, and with these other points."""
    earned = 100 if first is Outcome.PASSED else 0
    checks = [
        CheckResult(id="first", outcome=first, points=earned, possible=100, code=code),
        CheckResult(id="rest", outcome=Outcome.PARTIAL, points=rest, possible=300, code="c"),
    ]
    task = TaskResult(id="t", outcome=first, points=earned + rest, possible=400, checks=checks)
    return summarize(
        Report(
            assignment="a",
            submission="s",
            card="",
            profile="",
            seconds=0.0,
            tasks=[task],
            cells=[],
        )
    )


def items(rows):
    return item_rows(tally_of(rows, ASSIGNMENT), ASSIGNMENT, language="en")


def discrimination(rows):
    return tally_of(rows, ASSIGNMENT).checks["t.first"].discrimination()


def first_item(rows):
    return dict(zip(ITEM_COLUMNS, next(items(rows)), strict=True))


def test_every_check_has_a_row():
    assert len(list(items([]))) == 2


def test_means_are_over_what_was_judged():
    rows = [row(Outcome.PASSED), row(Outcome.FAILED), row(Outcome.REVIEW), row(Outcome.MISSING)]
    item = first_item(rows)
    assert (item["judged"], item["mean"], item["solved"]) == ("2", "0.50", "0.50")
    assert item["codes"] == "gate.wrong=1"


def test_a_check_that_nobody_answered_has_empty_cells():
    item = first_item([row(Outcome.MISSING)])
    assert (item["judged"], item["mean"], item["solved"], item["codes"]) == ("0", "", "", "")


def test_a_title_is_no_formula():
    assert first_item([])["title"] == "'=T: =First"


def test_too_few_say_nothing_of_discrimination():
    rows = [row(Outcome.PASSED, 300), row(Outcome.FAILED, 0)]
    assert discrimination(rows) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 300)), min_size=20, max_size=40))
def test_discrimination_is_the_correlation_with_the_rest_of_the_score(answers):
    rows = [row(Outcome.PASSED if ok else Outcome.FAILED, rest) for ok, rest in answers]
    found = discrimination(rows)
    solved, rest = [float(ok) for ok, _ in answers], [float(rest) for _, rest in answers]
    if len(set(solved)) < 2 or len(set(rest)) < 2:
        assert found is None
    else:
        assert found == pytest.approx(statistics.correlation(solved, rest))


def test_the_class_page_and_the_table_tell_the_same_of_a_check():
    outcomes = [Outcome.PASSED, Outcome.FAILED, Outcome.REVIEW, Outcome.MISSING]
    rows = [row(outcomes[n % 4], rest=(37 * n) % 301) for n in range(60)]
    item, line = first_item(rows), view(rows, ASSIGNMENT).checks[0]
    assert line.discrimination == item["discrimination"].replace("-", "−")
    assert line.solved == f"{15}/{item['judged']}"
    assert (line.not_tried, line.waiting) == (15, 15)
