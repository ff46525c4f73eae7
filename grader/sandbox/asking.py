"""What every question does around student code: quiet, apart, bounded in time, and undone."""

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


class Asking:
    """Runs student code for a question so that the submission does not notice."""

    def __init__(self, stopwatch: Stopwatch, device: Device) -> None:
        self._stopwatch = stopwatch
        self._device = device
        self._states: tuple[Foreign, Foreign, Foreign] | None = None

    def begin_cell(self) -> None:
        """Note that a cell runs: it may move the random states, which no question does."""
        self._states = None

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Throw away what is printed, restore random states, account device memory apart."""
        saved = sys.stdout, sys.stderr, sys.stdin
        if self._states is None:
            self._states = _torch_state(), _numpy_state(), _python_state()
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
            _set_torch_state(states[0])
            _set_numpy_state(states[1])
            _set_python_state(states[2])

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
