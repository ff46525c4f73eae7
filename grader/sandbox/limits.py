"""Interrupts a cell at its time limit, in the process itself, so that its names survive.

Two timers run: processor time, and twice as much on the clock for a cell that only waits. Code
that swallows the interrupt gets it again every half second; what never lets it through is ended
by the judge from outside. The virtual GPU's ledger is not broken off halfway: the interrupt comes
a little later. Both timers may ring at once: the second says nothing new, and would break off
what the first has begun or use up what it has granted.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from grader.sandbox.untouched import shield

shield(globals())

REPEAT_SECONDS = 0.5
CLOCK_FACTOR = 2.0
_SOON_SECONDS = 0.002
_MOST_DELAYS = 150
"""How often an interrupt is put off; what is busy for longer waits for itself."""

_clock = time.monotonic
_setitimer = getattr(signal, "setitimer", None)
_signal = getattr(signal.signal, "__wrapped__", signal.signal)  # without looking for names


class TimeLimit(BaseException):
    """The time limit was reached; no `Exception`, so that ``except Exception`` lets it pass."""


class Stopwatch:
    """Raises `TimeLimit` in the main thread; one for the life of the child.

    Args:
        busy: asked at the limit whether something runs that may not be interrupted.
    """

    def __init__(self, busy: Callable[[], bool]) -> None:
        self.rang = False
        self._busy = busy
        self._delays = 0
        self._armed = False
        self._answered_at = -REPEAT_SECONDS
        self._extend: Callable[[], float] | None = None

    def install(self) -> None:
        """Take over the signals of both timers; without timers (Windows) do nothing."""
        if _setitimer is not None:
            _signal(signal.SIGPROF, self._ring)
            _signal(signal.SIGALRM, self._ring)

    @contextmanager
    def limit(self, seconds: float, extend: Callable[[], float] | None = None) -> Iterator[None]:
        """Interrupt the body after `seconds` of processor time.

        Args:
            seconds: processor time, above 0.
            extend: asked once at the limit for further seconds; 0 for none.
        """
        self.rang = False
        self._extend = extend
        self._armed = True
        self._answered_at = -REPEAT_SECONDS
        self._delays = 0
        try:
            self._arm(seconds)
            yield
        finally:
            self._armed = False
            self._disarm()

    def _arm(self, seconds: float) -> None:
        if _setitimer is not None:
            # Students set handlers of their own; ours must be there when the timer rings.
            self.install()
            _setitimer(signal.ITIMER_PROF, seconds, REPEAT_SECONDS)
            _setitimer(signal.ITIMER_REAL, seconds * CLOCK_FACTOR, REPEAT_SECONDS)

    def _disarm(self) -> None:
        if _setitimer is not None:
            _setitimer(signal.ITIMER_PROF, 0)
            _setitimer(signal.ITIMER_REAL, 0)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if not self._armed or _clock() - self._answered_at < REPEAT_SECONDS / 2:
            return
        if _setitimer is not None and self._delays < _MOST_DELAYS and self._busy():
            self._delays += 1
            _setitimer(signal.ITIMER_REAL, _SOON_SECONDS, REPEAT_SECONDS)
            return
        self._answered_at = _clock()
        extend, self._extend = self._extend, None
        if extend is not None:
            further = extend()
            if further > 0:
                self._arm(further)
                return
        self.rang = True
        raise TimeLimit("the time limit of the cell was reached")
