"""Memory figures that a notebook kept of its own run, beside those of the rerun.

They cost no points: a notebook may have been run out of order, or on another card. For a person who
wonders whether the virtual GPU tells the truth, or whether the outputs are the student's own, they
are the first thing to look at.
"""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from grader.checks.memory_log import CellLog
from grader.checks.view import Ran, SectionView
from grader.evidence import MemoryPrinted, PrintedFigure

MOST_FIGURES = 24
_MOST_LINES = 200
_MOST_CHARACTERS = 400

_NUMBER = r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?"
_NUMBERS = re.compile(_NUMBER, re.IGNORECASE)
_SIZES = re.compile(rf"{_NUMBER}\s*(?:bytes|байт\w*|[KMGT]i?B|B|[КМГТ]и?Б|Б)(?!\w)", re.IGNORECASE)
_WORDS = re.compile(
    r"alloc|reserv|memory|cached|\bused\b|\bfree\b|\btotal\b|памят|занят|выдел|зарезерв|свободн",
    re.IGNORECASE,
)
_ASKS = re.compile(r"memory_|mem_get_info|nvidia-smi")
_BARE = re.compile(rf"[\s(\[]*{_NUMBER}(?:[\s,;)\]]+{_NUMBER})*[\s)\]]*", re.IGNORECASE)


def printed_figures(view: SectionView, logs: list[CellLog]) -> tuple[MemoryPrinted, ...]:
    """Return the notebook's own memory figures beside the rerun's, nothing where it kept none."""
    if not logs:
        return ()
    figures = [figure for ran in view.ran for figure in _of_cell(ran)]
    if not figures:
        return ()
    card = view.card
    return (
        MemoryPrinted(
            card=card.name,
            profile=card.profile,
            named=card.named,
            equal=sum(figure.same for figure in figures),
            different=sum(not figure.same for figure in figures),
            figures=tuple(figures[:MOST_FIGURES]),
        ),
    )


def _of_cell(ran: Ran) -> Iterator[PrintedFigure]:
    cell, done = ran.cell, ran.done
    bare = _ASKS.search(cell.source) is not None
    printed = _lines(cell.printed, bare=bare)
    if not printed:
        return
    error = f"{done.error.type}: {done.error.text}" if done and done.error else ""
    rerun = _lines(f"{done.output}\n{error}" if done else "", bare=bare)
    for shown, text in _beside(printed, rerun):
        yield PrintedFigure(
            cell=cell.index or 0,
            shown=shown[:_MOST_CHARACTERS],
            text=text[:_MOST_CHARACTERS],
            same=_agree(_figures(shown), _figures(text)),
        )


def _lines(text: str, *, bare: bool) -> list[str]:
    """Return the lines that hold memory figures; `bare` also takes lines of numbers alone."""
    lines = (line.strip() for line in text.split("\n", _MOST_LINES)[:_MOST_LINES])
    return [line for line in lines if _tells_memory(line) or (bare and _BARE.fullmatch(line))]


def _tells_memory(line: str) -> bool:
    named = _WORDS.search(line) and _NUMBERS.search(line)
    return bool(named or _SIZES.search(line))


def _beside(printed: list[str], rerun: list[str]) -> Iterator[tuple[str, str]]:
    """Pair lines by what they say apart from their numbers; what the rerun lacks is empty."""
    matcher = SequenceMatcher(None, list(map(_label, printed)), list(map(_label, rerun)))
    for _, first, last, other, other_last in matcher.get_opcodes():
        for place in range(first, last):
            partner = other + place - first
            yield printed[place], rerun[partner] if partner < other_last else ""


def _label(line: str) -> str:
    return " ".join(_NUMBERS.sub("", line).split()).casefold()


def _figures(line: str) -> list[str]:
    """Return the sizes of a line, or all its numbers where it names no unit."""
    return _SIZES.findall(line) or _NUMBERS.findall(line)


def _agree(printed: list[str], rerun: list[str]) -> bool:
    """Tell whether the rerun has the same figures; a later PyTorch may add some at the end."""
    return bool(rerun) and rerun[: len(printed)] == printed
