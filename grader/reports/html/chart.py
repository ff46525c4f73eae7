"""Video memory as drawings: a bar a dtype, and a column a cell under the card's capacity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grader.messages import message
from grader.reports.clean import clean_line
from grader.reports.wording import shown_bytes, shown_percent

_HEIGHT, _TOP, _LEFT, _COLUMN = 150.0, 26.0, 8.0, 34.0
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
    reserved: float
    peak: float
    allocated: float
    refusals: int
    words: tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Video memory over the cells of a section; lengths in the drawing's units."""

    title: str
    width: float
    base: float
    capacity: float
    capacity_words: str
    columns: tuple[Column, ...]
    text: str
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

    def top(size: int) -> float:
        return round(base - _HEIGHT * size / highest, 1)

    columns = tuple(
        Column(
            x=_LEFT + _COLUMN * place,
            cell=cell,
            reserved=top(reserved),
            peak=top(peak),
            allocated=top(allocated),
            refusals=refusals,
            words=(
                shown_bytes(peak, language),
                shown_bytes(allocated, language),
                shown_bytes(reserved, language),
            ),
        )
        for place, (cell, allocated, reserved, peak, refusals) in enumerate(cells)
    )
    values = {"card": clean_line(data["card"]), "capacity": shown_bytes(capacity, language)}
    return Timeline(
        title=message("page.timeline", values, language=language),
        width=max(230.0, 2 * _LEFT + _COLUMN * len(columns)),
        base=base,
        capacity=top(capacity),
        capacity_words=values["capacity"],
        columns=columns,
        text=message("page.timeline-legend", language=language),
    )
