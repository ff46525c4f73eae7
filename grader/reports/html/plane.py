"""The unit square with a gate's answers: the half-plane where it is linear, else the regions."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.reports.html.outline import Place, fit_line, inner_parts, trace_outline

_LEFT, _TOP, _SIZE = 24.0, 6.0, 190.0
_MOST_MISPLACED = 0.01


@dataclass(frozen=True, slots=True)
class Corner:
    """A row of the truth table as a point; `wrong` where the gate answers otherwise."""

    x: float
    y: float
    expected: int
    wrong: bool


@dataclass(frozen=True, slots=True)
class Plane:
    """Where a gate of two inputs answers 1, in the drawing's coordinates.

    Attributes:
        ones: SVG path of the region that is answered with 1.
        unknown: SVG path of the region without a usable answer.
        line: ends of the decision line, None where the border is not one straight line.
        border: SVG path of that line, or else of what parts the regions.
        corners: the rows of the truth table.
        ticks: (place on the x axis, place on the y axis, label).
    """

    ones: str
    unknown: str
    line: tuple[Place, Place] | None
    border: str
    corners: tuple[Corner, ...]
    ticks: tuple[tuple[float, float, str], ...]
    kind: str = "plane"


class _Scale:
    """Turns inputs into places of the drawing; x2 grows upwards."""

    def __init__(self, low: float, high: float, side: int) -> None:
        self.low, self.high, self.side = low, high, side
        self.step = (high - low) / (side - 1)

    def x(self, value: float) -> float:
        return _LEFT + _SIZE * (value - self.low) / (self.high - self.low)

    def y(self, value: float) -> float:
        return _TOP + _SIZE * (self.high - value) / (self.high - self.low)

    def at(self, place: int) -> Place:
        row, column = divmod(place, self.side)
        return self.low + self.step * column, self.low + self.step * row


def view_plane(data: Mapping[str, Any], table: Mapping[str, Any] | None) -> Plane:
    """Return the drawing of a grid of answers and of the truth table that belongs to it.

    Args:
        data: a `DecisionLine` as plain data.
        table: the `TruthTable` of the same check, None where it has none.
    """
    scale = _Scale(data["low"], data["high"], data["side"])
    ones, unknown, line, border = _regions(str(data["answers"]), scale.low, scale.high, scale.side)
    return Plane(
        ones=ones,
        unknown=unknown,
        line=line,
        border=border,
        corners=_corners(table, scale) if table is not None else (),
        ticks=tuple((scale.x(v), scale.y(v), str(v)) for v in (0, 1)),
    )


@functools.lru_cache(1024)
def _regions(
    answers: str, low: float, high: float, side: int
) -> tuple[str, str, tuple[Place, Place] | None, str]:
    """Return `ones`, `unknown`, `line` and `border` of a `Plane`; in a class many are alike."""
    scale = _Scale(low, high, side)
    border = None if "?" in answers else _border(answers, scale)
    if border is None:
        outline = trace_outline(answers, "1", side)
        ones, line = _drawn(outline, scale), None
        parts = _drawn(inner_parts(outline, side), scale, closed=False)
    else:
        ones, line = _half_plane(border, scale)
        parts = "" if line is None else "M" + "L".join(f"{x:.4g} {y:.4g}" for x, y in line)
    unknown = _drawn(trace_outline(answers, "?", side), scale) if "?" in answers else ""
    return ones, unknown, line, parts


def _corners(table: Mapping[str, Any], scale: _Scale) -> tuple[Corner, ...]:
    rows = zip(table["rows"], table["expected"], table["actual"], strict=True)
    return tuple(
        Corner(
            scale.x(row[0]),
            scale.y(row[1]),
            expected,
            not same_answer(written(expected, table["convention"]), actual),
        )
        for row, expected, actual in rows
        if len(row) == 2 and all(scale.low <= value <= scale.high for value in row)
    )


def written(truth: int, convention: str) -> str:
    """Return a right answer, 0 or 1, as a gate of this convention writes it."""
    return str(2 * truth - 1 if convention == "-1/+1" else truth)


def same_answer(expected: str, actual: str) -> bool:
    """Tell whether an answer is within 0.1 of the right one; an unasked one is not wrong."""
    try:
        return actual == "" or abs(float(expected) - float(actual)) <= 0.1
    except ValueError:
        return expected == actual


def _drawn(lines: Sequence[Sequence[Place]], scale: _Scale, *, closed: bool = True) -> str:
    """Return lines through half steps of the grid as one SVG path."""
    step = scale.step / 2
    return "".join(
        "M"
        + "L".join(
            f"{scale.x(scale.low + step * x):.4g} {scale.y(scale.low + step * y):.4g}"
            for x, y in line
        )
        + ("z" if closed else "")
        for line in lines
    )


def _border(answers: str, scale: _Scale) -> tuple[float, float, float] | None:
    """Return (a, b, c) of a line with 1 where ``a*x1 + b*x2 > c``; None where no line fits.

    The line is fitted to the middles of the steps between neighbours with different answers.
    """
    steps = _steps(answers, scale)
    if len(steps) < 2:
        return None
    a, b, c = fit_line(steps)
    above = [a * x + b * y - c for x, y in map(scale.at, range(len(answers)))]
    if sum(d if answer == "1" else -d for d, answer in zip(above, answers, strict=True)) < 0:
        a, b, c, above = -a, -b, -c, [-distance for distance in above]
    # Points nearer to the line than half a step may fall on either side: rounding decides there.
    misplaced = sum(
        abs(distance) > scale.step / 2 and (distance > 0) != (answer == "1")
        for distance, answer in zip(above, answers, strict=True)
    )
    return (a, b, c) if misplaced <= _MOST_MISPLACED * len(answers) else None


def _steps(answers: str, scale: _Scale) -> list[Place]:
    found = []
    for place, answer in enumerate(answers):
        x, y = scale.at(place)
        if (place + 1) % scale.side and answers[place + 1] != answer:
            found.append((x + scale.step / 2, y))
        if place + scale.side < len(answers) and answers[place + scale.side] != answer:
            found.append((x, y + scale.step / 2))
    return found


def _half_plane(
    border: tuple[float, float, float], scale: _Scale
) -> tuple[str, tuple[Place, Place] | None]:
    """Cut the square along the line: Sutherland and Hodgman's clipping, with one edge."""
    a, b, c = border
    low, high = scale.low, scale.high
    square = [(low, low), (high, low), (high, high), (low, high)]
    inside: list[Place] = []
    ends: list[Place] = []
    for start, end in zip(square, [*square[1:], square[0]], strict=True):
        before, after = (a * x + b * y - c for x, y in (start, end))
        if before >= 0:
            inside.append(start)
        if (before >= 0) != (after >= 0):
            share = before / (before - after)
            crossing = tuple(s + share * (e - s) for s, e in zip(start, end, strict=True))
            inside.append((crossing[0], crossing[1]))
            ends.append((crossing[0], crossing[1]))
    drawn = [(scale.x(x), scale.y(y)) for x, y in ends]
    line = (drawn[0], drawn[1]) if len(drawn) == 2 else None
    return _polygon([(scale.x(x), scale.y(y)) for x, y in inside]), line


def _polygon(places: Sequence[Place]) -> str:
    return "M" + "L".join(f"{x:.4g} {y:.4g}" for x, y in places) + "z" if places else ""
