"""What a gate returned, read as answers: 0, 1, or one of the ways in which it is neither."""

import cmath
import functools
import math
from dataclasses import dataclass
from typing import Literal

from grader.sandbox.protocol import Output

Kind = Literal[
    "zero", "one", "minus", "between", "nan", "complex", "other", "raised", "count", "nothing"
]

TOLERANCE = 0.1
"""An answer this near to 0, 1 or -1 is that value."""

PLAIN = frozenset({"zero", "one", "minus", "between", "nan", "complex"})
"""Kinds of answers that are numbers, whatever they are."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a gate.

    Attributes:
        kind: ``zero``, ``one``, ``minus`` (-1), ``between`` (another number), ``nan``,
            ``complex``, ``other`` (an object that is no number; `text` is its type), ``nothing``
            (None), ``count`` (not one value a row), ``raised`` (`text` says what).
        text: as it is shown.
        value: the number, NaN where it is none.
    """

    kind: Kind
    text: str
    value: float = math.nan


def read_answers(
    outputs: tuple[Output, ...], built: str, *, rows: int, batch: bool
) -> tuple[Answer, ...]:
    """Return one answer for each of `rows` rows of inputs.

    Args:
        outputs: of the calls.
        built: why there was nothing to call, see `grader.sandbox.protocol.Called`.
        rows: how many were given.
        batch: whether one call got them all.
    """
    if built:
        return (Answer("raised", built),) * rows
    if batch:
        return _of_batch(outputs[0], rows) if len(outputs) == 1 else (_miscounted(),) * rows
    if len(outputs) != rows:
        return (_miscounted(),) * rows
    return tuple(_of_call(output) for output in outputs)


def _of_call(output: Output) -> Answer:
    refused = _refused(output)
    if refused is not None:
        return refused
    return read_number(output.values[0]) if len(output.values) == 1 else _miscounted(output)


def _of_batch(output: Output, rows: int) -> tuple[Answer, ...]:
    refused = _refused(output)
    if refused is not None:
        return (refused,) * rows
    shapes = ((rows,), (rows, 1), () if rows == 1 else (rows,))
    if output.shape not in shapes or len(output.values) != rows:
        return (_miscounted(output),) * rows
    return tuple(map(read_number, output.values))


def _refused(output: Output) -> Answer | None:
    if output.type == "raised":
        return Answer("raised", output.text)
    if output.type == "other":
        return Answer("nothing" if output.text == "NoneType" else "other", output.text)
    return None


def _miscounted(output: Output | None = None) -> Answer:
    shape = output.shape if output else ()
    return Answer("count", f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})")


@functools.lru_cache(4096)
def read_number(text: str) -> Answer:
    """Return the answer that a number stands for, given as `repr` gives it."""
    try:
        value = float(text)
    except ValueError:
        return _read_complex(text)
    if math.isnan(value):
        return Answer("nan", "nan")
    shown = f"{value:.6g}"
    nearest: tuple[tuple[Kind, float], ...] = (("zero", 0.0), ("one", 1.0), ("minus", -1.0))
    for kind, target in nearest:
        if abs(value - target) <= TOLERANCE + 1e-9:
            return Answer(kind, shown, value)
    return Answer("between", shown, value)


def _read_complex(text: str) -> Answer:
    try:
        value = complex(text)
    except ValueError:
        return Answer("other", text[:40])
    return Answer("nan" if cmath.isnan(value) else "complex", text[:40])
