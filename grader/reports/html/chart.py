"""Video memory as drawings: a bar a dtype, and a column a cell under the card's capacity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grader.messages import message
from grader.reports.clean import clean_line
from grader.reports.wording import shown_bytes, shown_percent

_HEIGHT, _TOP, _LEFT, _SIDE = 150.0, 26.0, 8.0, 74.0
_WIDE, _NARROW, _PLOT = 34.0, 16.0, 200.0
_KEYS = ("held", "peak", "reserved", "capacity")
_MOST_CELLS = 60


@dataclass(frozen=True, slots=True)
class Bar:
    """A dtype: the student's largest tensor beside the largest that fits."""

    name: str
    share: float
    used: str
    most: str
    percent: int


@dataclass(frozen=True, slots=True)
class Bars:
    """The largest tensor of each dtype."""

    title: str
    bars: tuple[Bar, ...]
    kind: str = "bars"


@dataclass(frozen=True, slots=True)
class Column:
    """A cell: tops of what was reserved, at peak and afterwards allocated, as places."""

    x: float
    cell: int
    label: str
    reserved: float
    peak: float
    allocated: float
    refusals: int
    words: tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Video memory over the cells of a section; lengths in the drawing's units.

    Attributes:
        bar: width of a cell's bars.
        right: where the lines end; their labels stand beyond.
        keys: (look, message code) of each sign that the drawing uses.
    """

    title: str
    width: float
    bar: float
    base: float
    right: float
    capacity: float
    capacity_words: str
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, str], ...]
    kind: str = "timeline"


def view_bars(data: Mapping[str, Any], language: str) -> Bars:
    """Return the drawing of a `MemoryBars`."""
    title = clean_line(data["card"])
    if not data["exact"]:
        title = message("page.estimated", {"card": title}, language=language)
    bars = tuple(
        Bar(
            name=dtype,
            share=min(1.0, used / most) if most else 0.0,
            used=shown_bytes(used, language),
            most=shown_bytes(most, language),
            percent=shown_percent(used, most),
        )
        for dtype, used, most in data["rows"]
    )
    return Bars(message("page.bars", {"card": title}, language=language), bars)


def view_timeline(data: Mapping[str, Any], language: str) -> Timeline:
    """Return the drawing of a `MemoryTimeline`; its first cells where there are very many."""
    capacity: int = data["capacity_bytes"]
    cells = data["cells"][:_MOST_CELLS]
    highest: int = max([capacity, 1, *(max(cell[1:4]) for cell in cells)])
    base = _TOP + _HEIGHT
    step = min(_WIDE, max(_NARROW, _PLOT // max(1, len(cells))))
    labelled = 1 if step >= 20 or len(cells) < 2 else 2  # every second where two digits would meet

    def top(size: int) -> float:
        return round(base - _HEIGHT * size / highest, 1)

    def breakable(size: int) -> str:
        """Return a size that a narrow column may put on two lines."""
        return shown_bytes(size, language).replace("\u00a0", " ")

    columns = tuple(
        Column(
            x=_LEFT + step * place + 4,
            cell=cell,
            label="" if place % labelled else str(cell),
            reserved=top(reserved),
            peak=top(peak),
            allocated=top(allocated),
            refusals=refusals,
            words=(breakable(peak), breakable(allocated), breakable(reserved)),
        )
        for place, (cell, allocated, reserved, peak, refusals) in enumerate(cells)
    )
    looks = [*_KEYS, *(["cross"] if any(cell[4] for cell in cells) else [])]
    values = {"card": clean_line(data["card"]), "capacity": shown_bytes(capacity, language)}
    right = max(_PLOT, 2 * _LEFT + step * len(columns))
    return Timeline(
        title=message("page.timeline", values, language=language),
        width=right + _SIDE,
        bar=step - 8 if step > 20 else step - 4,
        base=base,
        right=right,
        capacity=top(capacity),
        capacity_words=values["capacity"],
        columns=columns,
        keys=tuple((look, f"page.key-{look}") for look in looks),
    )
