"""Tests of grader.model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.model import Outcome, points, task_outcome

OUTCOMES = st.lists(st.sampled_from(Outcome), min_size=1, max_size=6)


@given(hundredths=st.integers(0, 10_000))
def test_points_are_exact_hundredths(hundredths):
    assert points(hundredths / 100) == hundredths


@pytest.mark.parametrize("value", [-0.5, 0.123])
def test_points_with_a_third_decimal_or_below_zero_are_refused(value):
    with pytest.raises(ValueError, match="two decimals"):
        points(value)


@given(outcomes=OUTCOMES)
def test_our_own_failure_hides_everything_else(outcomes):
    assert task_outcome([*outcomes, Outcome.GRADER_ERROR]) is Outcome.GRADER_ERROR


@given(outcomes=OUTCOMES)
def test_a_task_is_passed_only_if_every_check_is(outcomes):
    passed = all(outcome is Outcome.PASSED for outcome in outcomes)
    assert (task_outcome(outcomes) is Outcome.PASSED) == passed


@given(outcomes=OUTCOMES)
def test_order_of_the_checks_does_not_matter(outcomes):
    assert task_outcome(outcomes) is task_outcome(outcomes[::-1])


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([Outcome.PASSED, Outcome.REVIEW], Outcome.REVIEW),
        ([Outcome.PASSED, Outcome.MISSING, Outcome.REVIEW], Outcome.REVIEW),
        ([Outcome.REVIEW, Outcome.FAILED], Outcome.PARTIAL),
        ([Outcome.FAILED, Outcome.NOT_RUN], Outcome.FAILED),
        ([Outcome.MISSING, Outcome.MISSING], Outcome.MISSING),
        ([Outcome.PASSED, Outcome.MISSING], Outcome.PARTIAL),
        ([Outcome.PASSED, Outcome.TIMEOUT], Outcome.TIMEOUT),
        ([Outcome.TIMEOUT, Outcome.CRASHED], Outcome.CRASHED),
    ],
)
def test_the_first_that_applies_wins(outcomes, expected):
    assert task_outcome(outcomes) is expected
