"""The interrupt at a cell's limit comes, even where it is put off."""

import os
import signal
import threading
import time

import pytest

from grader.sandbox.limits import Stopwatch, TimeLimit

TIMERS = (signal.ITIMER_PROF, signal.ITIMER_REAL)
RINGS = (signal.SIGPROF, signal.SIGALRM)


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
    assert len(asked) >= 5


def ring_both():
    """Let both timers ring before the main thread, which is busy, answers either."""
    busy, rung = [], []

    def ring():
        while not busy:
            time.sleep(0.001)
        for number in RINGS:
            os.kill(os.getpid(), number)
        rung.append(True)

    ringing = threading.Thread(target=ring)
    ringing.start()
    busy.append(True)
    try:
        while not rung:
            pass
    finally:
        ringing.join()


def running():
    return [timer for timer in TIMERS if signal.getitimer(timer)[0]]


def test_two_timers_that_ring_at_once_interrupt_once_and_stop():
    def work():
        with stopwatch.limit(100.0):
            ring_both()

    stopwatch = Stopwatch(lambda: False)
    with pytest.raises(TimeLimit) as caught:
        work()
    assert caught.value.__context__ is None
    assert stopwatch.rang
    assert not running()


def test_two_timers_that_ring_at_once_extend_the_limit_and_do_not_use_it_up():
    stopwatch = Stopwatch(lambda: False)
    with stopwatch.limit(100.0, lambda: 50.0):
        ring_both()
        assert 40 < signal.getitimer(signal.ITIMER_PROF)[0] < 51
    assert not stopwatch.rang
    assert not running()


def test_what_is_busy_for_ever_is_interrupted_all_the_same():
    began = time.monotonic()
    with pytest.raises(TimeLimit):
        spin(Stopwatch(lambda: True), 0.01)
    assert time.monotonic() - began < 10
