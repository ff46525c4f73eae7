"""What every question does around student code: quiet, apart, bounded in time, and undone."""

import ctypes
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy
import torch

from grader.sandbox.device import Device
from grader.sandbox.limits import Stopwatch, TimeLimit
from grader.sandbox.output import BoundedWriter
from grader.sandbox.protocol import Output
from grader.sandbox.untouched import Foreign, shield
from grader.sandbox.values import describe_error, encode_output

shield(globals())

QUESTION_SECONDS = 2.0
"""Processor time; twice as much on the clock: building and calling end within ten seconds."""

_generator = torch.default_generator
_torch_state, _set_torch_state = _generator.get_state, _generator.set_state
_numpy_state, _set_numpy_state = numpy.random.get_state, numpy.random.set_state
_python_state, _set_python_state = random.getstate, random.setstate
_numpy_generator: Foreign = numpy.random.get_bit_generator  # type: ignore[attr-defined]
_bytes_at = ctypes.string_at
_MERSENNE_TWISTER = numpy.random.MT19937
_MERSENNE_BYTES = 624 * 4 + 4
"""Of its state in memory, key and position (`mt19937.h`, NumPy 2)."""


class RandomStates:
    """The states of the random numbers of torch, NumPy and Python when it was made."""

    def __init__(self) -> None:
        self._torch, self._python = _torch_state(), _python_state()
        self._numpy: Foreign = _numpy_state()
        self._mark = _numpy_mark()

    def put_back(self) -> None:
        """Make them the present ones again.

        NumPy's takes fifty times as long as the others, so it is put back only if it has moved.
        """
        _set_torch_state(self._torch)
        _set_python_state(self._python)
        half_of_a_pair_waits = self._numpy[3]  # drawing it moves nothing that shows
        if self._mark is None or half_of_a_pair_waits or _numpy_mark() != self._mark:
            _set_numpy_state(self._numpy)


def _numpy_mark() -> bytes | None:
    """Return NumPy's state as bytes to compare, None for a generator that we do not know."""
    generator = _numpy_generator()
    if type(generator) is not _MERSENNE_TWISTER:
        return None
    return _bytes_at(generator.ctypes.state_address, _MERSENNE_BYTES)


class Asking:
    """Runs student code for a question so that the submission does not notice."""

    def __init__(self, stopwatch: Stopwatch, device: Device) -> None:
        self._stopwatch = stopwatch
        self._device = device
        self._states: RandomStates | None = None

    def begin_cell(self) -> None:
        """Note that a cell runs: it may move the random states, which no question does."""
        self._states = None

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Throw away what is printed, restore random states, account device memory apart."""
        saved = sys.stdout, sys.stderr, sys.stdin
        if self._states is None:
            self._states = RandomStates()
        states = self._states
        grad = torch.is_grad_enabled()
        sys.stdout = sys.stderr = BoundedWriter(0)
        try:
            with self._device.scratch():
                torch._C._set_grad_enabled(True)  # noqa: FBT003 - a C function
                yield
        finally:
            torch._C._set_grad_enabled(grad)
            sys.stdout, sys.stderr, sys.stdin = saved
            sys.settrace(None)
            sys.setprofile(None)
            states.put_back()

    def calls(self, calls: list[Callable[[], Foreign]]) -> tuple[Output, ...]:
        """Call each and return what it gave; all together within the time of one question."""
        outputs: list[Output] = []
        try:
            with self._stopwatch.limit(QUESTION_SECONDS):
                for call in calls:
                    outputs.append(self._call(call))
        except TimeLimit as error:
            late = Output(type="raised", text=describe_error(error))
            outputs += [late] * (len(calls) - len(outputs))
        return tuple(outputs)

    def _call(self, call: Callable[[], Foreign]) -> Output:
        try:
            return encode_output(call())
        except TimeLimit:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever the student's code raises
            return Output(type="raised", text=describe_error(error))
