"""Headings: ``Задача 3``, ``## **Task 3.**``, ``# ДЗ №2``, ``1. Вопрос 1`` open a section."""

import re
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["task", "homework", "question"]

_LATIN_LOOKS = str.maketrans("acekmnopxybth", "асекмпорхувтн")
_MIXED_WORD = re.compile(r"\b(?=\w*[a-z])(?=\w*[а-я])[^\W\d_]+")

_PREFIX = r"(?P<markup>(?:<[^<>\n]{0,200}>|[\W_])*+)(?:\d{1,2}[.)]\s+[\W_]*)?"
_FAMILIES: tuple[tuple[Kind, str, str], ...] = (
    # The longest form wins, so homework is tried first.
    (
        "homework",
        r"домашн(?:ее|яя|ие)\s+(?:задани[ея]|работ[аы]|задач[аи])|домашка|домашнее"
        r"|д\s?/\s?з|дз|dz|home\s?-?\s?(?:work|tasks?)(?:\s+(?:task|exercise|problem))?|hw",
        r"домашние\s+\w+|home\s?-?\s?tasks",
    ),
    (
        "task",
        r"задача|задание|упражнение|зад\.|task|exercise|problem|zadacha|zadanie",
        r"задачи|задания|упражнения|tasks|exercises|problems",
    ),
    ("question", r"вопрос|question|vopros", r"вопросы|questions"),
)
_BETWEEN = r"(?:[\s№#.*_\-–—(\[`]|номер|number|no\.)*+"
_NUMBER = r"(?P<number>\d{1,4})(?:st|nd|rd|th|[a-zа-я])?(?![^\W_]|_+[^\W_])"
_ORDINAL = r"(?P<number>\d{1,3})(?:\s?-?\s?(?:я|ая|е|ое|й|st|nd|rd|th))?\s+"
_LINE_END = r"[\W_]*\Z"


@dataclass(frozen=True, slots=True)
class FoundHeading:
    """A heading.

    Attributes:
        kind: what it counts.
        number: None for a chapter such as ``# Homework``, which opens nothing.
        title: what stands behind the number.
    """

    kind: Kind
    number: int | None
    title: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class _Forms:
    kind: Kind
    numbered: re.Pattern[str]
    ordinal: re.Pattern[str]
    chapter: re.Pattern[str]


def _forms(kind: Kind, words: str, plurals: str) -> _Forms:
    return _Forms(
        kind,
        re.compile(rf"{_PREFIX}(?:{words}){_BETWEEN}{_NUMBER}(?P<rest>.*)"),
        re.compile(rf"{_PREFIX}{_ORDINAL}(?:{words})(?P<rest>[\W_].*|\Z)"),
        re.compile(rf"{_PREFIX}(?:(?:{words})|(?:{plurals})(?:\s*[\d,–—\-]*)){_LINE_END}"),
    )


_ALL_FORMS = tuple(_forms(*family) for family in _FAMILIES)
_ANY_WORD = re.compile("|".join(f"{words}|{plurals}" for _, words, plurals in _FAMILIES))
_MARKUP = re.compile(r"#|\*|__|<h|<b|<strong", re.IGNORECASE)


def folded(text: str) -> str:
    """Return `text` in lower case, with ё as е and Latin look-alikes in Cyrillic words."""
    lower = text.lower().replace("ё", "е")
    return _MIXED_WORD.sub(lambda word: word.group().translate(_LATIN_LOOKS), lower)


def read_heading(line: str, *, before: str = "") -> FoundHeading | None:
    """Return the heading that `line` is, or None.

    A line without markup that goes on in lower case reads like prose ("Задача 4 даёт нам ..."); it
    counts only where `before`, the line above it, is empty.
    """
    if len(line) > 4000:
        line = line[:4000]
    text = folded(line)
    if not _ANY_WORD.search(text):
        return None  # most lines; the patterns below are slower
    for forms in _ALL_FORMS:
        found = forms.numbered.match(text) or forms.ordinal.match(text)
        if found and _is_set_apart(line, found, before):
            title = line[len(line) - len(found["rest"]) :] if found["rest"] else ""
            return FoundHeading(forms.kind, int(found["number"]), title)
        if forms.chapter.match(text):
            return FoundHeading(forms.kind, None)
    return None


def heading_lines(text: str) -> list[tuple[int, FoundHeading]]:
    """Return the headings of a text cell, by line from 0; a table of contents has none."""
    lines = text.split("\n")
    found: list[tuple[int, FoundHeading]] = []
    for number, line in enumerate(lines):
        heading = read_heading(line, before=lines[number - 1] if number else "")
        if heading:
            found.append((number, heading))
    return [] if _is_contents(lines, [number for number, _ in found]) else found


def _is_set_apart(line: str, found: re.Match[str], before: str) -> bool:
    rest = found["rest"]
    if _MARKUP.search(found["markup"].lstrip()[1:] if line.startswith("#") else found["markup"]):
        return True
    after = line[len(line) - len(rest) :].lstrip() if rest else ""
    if not after or not after[0].isalpha() or after[0].isupper():
        return True
    return not before.strip(" \t#")


def _is_contents(lines: list[str], numbers: list[int]) -> bool:
    if len(numbers) < 3:
        return False
    ends = [*numbers[1:], len(lines)]
    return all(
        sum(1 for line in lines[start:end] if line.strip()) <= 1
        for start, end in zip(numbers, ends, strict=True)
    )
