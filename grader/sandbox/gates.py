"""Calls an object of the student's on inputs and reports what it returned."""

import copy
from collections.abc import Callable

import torch

from grader.sandbox.asking import Asking
from grader.sandbox.names import kind_of
from grader.sandbox.owned import Owned
from grader.sandbox.protocol import Called, CalledGates, CallGate, CallGates, Output, Target
from grader.sandbox.untouched import Foreign, shield
from grader.sandbox.values import (
    DTYPES,
    describe_error,
    device_of,
    dtype_of,
    type_name,
)

shield(globals())

_deepcopy = copy.deepcopy
_tensor = torch.tensor
_vmap = torch.vmap
_device = torch.device
_dtype_name = torch.dtype.__repr__


class NoTarget(Exception):
    """The name of a target does not live."""


class Targets:
    """Finds targets, and keeps what was built for them."""

    def __init__(self, namespace: Callable[[str], dict[str, Foreign]]) -> None:
        self._namespace = namespace
        self._built: dict[tuple[str, str], tuple[Foreign, Foreign]] = {}

    def look_up(self, target: Target, asking: Asking) -> tuple[list[Foreign], str]:
        """Return the object of a target alone in a list, or nothing and why there is none.

        Only what is to be built runs code of the student's, within the time of a question.
        """
        found: list[Foreign] = []
        if target.build:
            failed = asking.calls([lambda: found.append(self.find(target))])[0]
            return found, failed.text or "raised"
        try:
            found.append(self.find(target))
        except NoTarget as error:
            return found, describe_error(error)
        return found, ""

    def find(self, target: Target) -> Foreign:
        """Return the object of a target, built if it asks for that.

        Raises:
            NoTarget: the name does not live.
            BaseException: what building it raised.
        """
        names = self._namespace(target.file)
        if target.name not in names:
            raise NoTarget(target.name)
        value = names[target.name]
        if not target.build:
            return value
        key = (target.file, target.name)
        known = self._built.get(key)
        if known is None or known[0] is not value:
            known = (value, value())
            self._built[key] = known
        return known[1]


class GateCaller:
    """Answers `CallGate` and `CallGates`."""

    def __init__(self, targets: Targets, asking: Asking) -> None:
        self._targets = targets
        self._asking = asking
        self._known: tuple[Foreign, Owned] | None = None

    def begin_cell(self) -> None:
        """Forget what objects own: a cell may change it, and nothing may be kept alive."""
        self._known = None

    def answer(self, question: CallGate) -> Called:
        """Return what the object gave for each row."""
        with self._asking.apart():
            found, failed = self._targets.look_up(question.target, self._asking)
            return self._call(found[0], question) if found else Called(outputs=(), built=failed)

    def answer_all(self, question: CallGates) -> CalledGates:
        """Return the replies to several questions."""
        return CalledGates(replies=tuple(self.answer(each) for each in question.questions))

    def _owned(self, gate: Foreign, question: CallGate) -> Owned:
        """Return what an object owns; looked for again only where it is to be changed."""
        known = self._known
        if known is None or known[0] is not gate or question.weights != "own":
            self._known = known = gate, Owned(gate)
        return known[1]

    def _call(self, gate: Foreign, question: CallGate) -> Called:
        owned = self._owned(gate, question)
        dtype, device = _input_kind(owned, question)
        calls = _Inputs(question, dtype, device).calls(gate)
        changed = 0
        again: tuple[Output, ...] = ()
        with owned.restored():
            if question.weights != "own":
                changed = owned.change(zero=question.weights == "zeroed")
            outputs = self._asking.calls(calls)
        if question.weights != "own":
            with owned.restored():
                again = self._asking.calls(calls)
        return Called(
            outputs=outputs,
            type_name=type_name(gate),
            kind=kind_of(gate),
            dtype=_dtype_name(dtype).removeprefix("torch."),
            device=str(device),
            changed=changed,
            again=again,
        )


def _input_kind(owned: Owned, question: CallGate) -> tuple[torch.dtype, torch.device]:
    """Return dtype and device of the inputs: as asked, else as the object's parameters."""
    like = owned.first_parameter if owned.first_parameter is not None else owned.first_floating
    dtype = torch.float32 if like is None else dtype_of(like)
    device = _device("cpu") if like is None else device_of(like)
    if question.dtype:
        dtype = DTYPES[question.dtype]
    if question.device:
        device = _device(question.device)
    return dtype, device


class _Inputs:
    """Makes the inputs of one question; a call never sees the tensor of another one."""

    def __init__(self, question: CallGate, dtype: torch.dtype, device: torch.device) -> None:
        self._question = question
        self._dtype = dtype
        self._device = device
        self._whole = not (dtype.is_floating_point or dtype.is_complex)

    def calls(self, gate: Foreign) -> list[Callable[[], Foreign]]:
        """Return the calls to make."""
        rows = self._question.rows
        if self._question.form == "batch":
            return [lambda: gate(self._tensor([list(row) for row in rows]))]
        if self._question.form == "mapped":
            return [lambda: self._mapped(gate)]
        return [lambda row=row: gate(*self._arguments(row)) for row in rows]  # type: ignore[misc]

    def _mapped(self, gate: Foreign) -> Foreign:
        """Return what a copy gives for all rows; the object itself may keep what it was given."""
        copied = _deepcopy(gate)
        if copied is gate:
            raise TypeError(f"{type_name(gate)} cannot be copied")
        return _vmap(copied)(self._tensor([list(row) for row in self._question.rows]))

    def _arguments(self, row: tuple[float, ...]) -> tuple[Foreign, ...]:
        if self._question.form == "vector":
            return (self._tensor(list(row)),)
        if self._question.form == "scalars":
            return tuple(self._tensor(number) for number in row)
        return tuple(int(number) if self._whole else number for number in row)

    def _tensor(self, values: Foreign) -> Foreign:
        return _tensor(values, dtype=self._dtype, device=self._device)
