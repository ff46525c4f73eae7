"""The interrupt at a cell's limit comes, even where it is put off."""

import time

import pytest

from grader.sandbox.limits import Stopwatch, TimeLimit


def spin(stopwatch, seconds):
    with stopwatch.limit(seconds):
        while True:
            pass


def test_an_interrupt_waits_while_something_may_not_be_broken_off():
    asked = []

    def busy():
        asked.append(1)
        return len(asked) < 5

    with pytest.raises(TimeLimit):
        spin(Stopwatch(busy), 0.01)
    assert len(asked) == 5


def test_what_is_busy_for_ever_is_interrupted_all_the_same():
    began = time.monotonic()
    with pytest.raises(TimeLimit):
        spin(Stopwatch(lambda: True), 0.01)
    assert time.monotonic() - began < 10
