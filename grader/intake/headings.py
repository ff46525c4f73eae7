"""Headings: ``Задача 3``, ``## **Task 3.**``, ``# ДЗ №2``, ``1. Вопрос 1`` open a section."""

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from grader.intake.number_words import ORDINALS, ROMAN, WORDS, number_of
from grader.intake.remembered import remembered

Kind = Literal["task", "homework", "question"]

_LATIN_LOOKS = str.maketrans("acekmnopxybth", "асекмпорхувтн")
_MIXED_WORD = re.compile(r"\b(?=\w*[a-z])(?=\w*[а-я])[^\W\d_]+")

_CHAPTER = (
    r"(?:урок|занятие|лекция|семинар|неделя|часть|блок|раздел|модуль"
    r"|lesson|lecture|seminar|week|part|unit|section|module)\s*№?\s*\d{1,2}[\s.,:;–—\-]+"
)
_PREFIX = (
    r"(?P<markup>(?:<[^<>\n]{0,200}>|[\W_])*+)"
    rf"(?:\d{{1,2}}(?:\.\d{{1,2}}){{0,2}}[.)]?\s+(?![\d\W])|\d{{1,2}}[.)]\s+[\W_]*|{_CHAPTER})?"
)
_FAMILIES: tuple[tuple[Kind, str, str], ...] = (
    # The longest form wins, so homework is tried first.
    (
        "homework",
        r"домашн(?:ее|яя|ие)\s+(?:задани[ея]|работ[аы]|задач[аи])|домашка|домашнее"
        r"|дом\.?\s+(?:задание|задача|работа)"
        r"|(?:д\s?/\s?з|д\.\s?з\.|дз|dz)(?:[\s.,:;/–—\-]+(?:задание|задача|упражнение))?"
        r"|home\s?-?\s?(?:work|tasks?)(?:[\s.,:;/–—\-]+(?:task|exercise|problem|assignment))?"
        r"|home\s+assignment|domashnee\s+zadanie|hw",
        r"домашние\s+\w+|home\s?-?\s?tasks",
    ),
    (
        "task",
        r"задача|задание|упражнение|зад\.|упр\.|task|exercise|ex\.(?=\s?[1-9])|problem|zadacha|zadanie",
        r"задачи|задания|упражнения|tasks|exercises|problems",
    ),
    ("question", r"вопрос|question|vopros|q(?=\.?\s?[1-9](?![\d.]|\s*=))", r"вопросы|questions"),
)
_BETWEEN = r"(?:[\s№#.*_\-–—(\[`]|номер|number|no\.|n(?=\s?\d))*+"
_DIGITS = r"(?P<number>\d{1,4})(?:st|nd|rd|th|[a-zа-я])?(?![^\W_]|_+[^\W_])"
_SPELLED = rf"(?P<number>{WORDS}|{ROMAN})(?!\w)"
_ORDINAL = r"(?P<number>\d{1,3})(?:\s?-?\s?(?:я|ая|е|ое|й|st|nd|rd|th))?\s+"
_ORDINAL_WORD = rf"(?P<number>{ORDINALS})\s+"
_BARE = re.compile(r"#{2,6}\s*[*_]*(?:№\s?)?(?P<number>\d{1,2})[.):]?[*_]*\s*\Z")
_LINE_END = r"[\W_]*\Z"
_CLOSED = re.compile(r"[\s*_`]*(?:[.:)–—<\-]|\Z)")

_OWN = re.compile(
    r"(?P<markup>[\W_]*+)(?:решение|ответ|выполнение|solution|answer)\s+(?:(?:к|на|для|of|to|for)\s+)?"
    r"(?:the\s+)?"
)
"""How a student heads the answer to a task: "Решение задачи 3"."""

_CASES = (
    (re.compile(r"домашне(?:го|му)\s+(?:задани[яю])"), "домашнее задание"),
    (re.compile(r"задач[иеу]"), "задача"),
    (re.compile(r"задани[яю]"), "задание"),
    (re.compile(r"упражнени[яю]"), "упражнение"),
    (re.compile(r"вопрос[ау]"), "вопрос"),
)

_OFTEN_MISTYPED = ("задача", "задание", "вопрос", "task", "exercise", "question", "homework")
_FIRST_WORD = re.compile(rf"{_PREFIX}(?P<word>[^\W\d_]{{4,10}})(?=\W{{0,4}}\d{{1,2}}\b)")
_HOMEWORK_BEHIND = re.compile(r"[\W_]*(?:домашн\w+|дз|homework|hw)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FoundHeading:
    """A heading.

    Attributes:
        kind: what it counts.
        number: None for a chapter such as ``# Homework``, which opens nothing.
        title: what stands behind the number.
        own: whether it heads the answer and not the task: "Решение задачи 3".
        bare: whether it is a number alone, which counts only between its neighbours: ``## 3``.
    """

    kind: Kind
    number: int | None
    title: str = field(default="", compare=False)
    own: bool = field(default=False, compare=False)
    bare: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class _Forms:
    kind: Kind
    numbered: re.Pattern[str]
    ordinal: re.Pattern[str]
    spelled: tuple[re.Pattern[str], ...]
    chapter: re.Pattern[str]


def _forms(kind: Kind, words: str, plurals: str) -> _Forms:
    return _Forms(
        kind,
        re.compile(rf"{_PREFIX}(?:{words}){_BETWEEN}{_DIGITS}(?P<rest>.*)"),
        re.compile(rf"{_PREFIX}{_ORDINAL}(?:{words})(?P<rest>[\W_].*|\Z)"),
        (
            re.compile(rf"{_PREFIX}(?:{words}){_BETWEEN}{_SPELLED}(?P<rest>.*)"),
            re.compile(rf"{_PREFIX}{_ORDINAL_WORD}(?:{words})(?P<rest>[\W_].*|\Z)"),
        ),
        re.compile(rf"{_PREFIX}(?:(?:{words})|(?:{plurals})(?:\s*[\d,–—\-]*)){_LINE_END}"),
    )


_ALL_FORMS = tuple(_forms(*family) for family in _FAMILIES)
_ANY_WORD = re.compile("|".join(f"{words}|{plurals}" for _, words, plurals in _FAMILIES))
_PLURAL = re.compile("|".join(plurals for _, _, plurals in _FAMILIES))
_MARKUP = re.compile(r"#|\*|__|<h|<b|<strong", re.IGNORECASE)


def folded(text: str) -> str:
    """Return `text` in lower case, with ё as е and Latin look-alikes in Cyrillic words."""
    lower = text.lower().replace("ё", "е")
    return _MIXED_WORD.sub(lambda word: word.group().translate(_LATIN_LOOKS), lower)


def read_heading(line: str, *, before: str = "", inside: bool = False) -> FoundHeading | None:
    """Return the heading that `line` is, or None.

    A line without markup that goes on in lower case reads like prose ("Задача 4 даёт нам ..."); it
    counts only where `before`, the line above it, is empty. Slips ("Здача 3") and the student's own
    forms ("Решение задачи 3") count only with markup. `inside` says that the line is the title of
    another heading, whose own title is not read in turn.
    """
    if len(line) > 4000:
        line = line[:4000]
    if bare := _BARE.match(line):
        return FoundHeading("task", int(bare["number"]), bare=True)
    text = folded(line)
    if _ANY_WORD.search(text):  # most lines have none, and the patterns below are slower
        found = _read(line, text, before, inside=inside)
        if found is not None:
            return found
    if line.lstrip("> ")[:1] not in ("#", "*", "_", "<") or len(line) > 400:
        return None
    own = _OWN.match(text)
    if own is not None:
        rest = text[own.end() :]
        for pattern, plain in _CASES:
            rest = re.sub(rf"\A(?:{pattern.pattern})", plain, rest)
        found = _read(line, own["markup"] + rest, "", inside=inside)
        return replace(found, own=True) if found is not None and found.number else None
    mended = _mended(text)
    return _read(line, mended, before, inside=inside) if mended else None


def _read(line: str, text: str, before: str, *, inside: bool) -> FoundHeading | None:
    """Return the heading of a line; `text` is what it says, folded, with the same end."""
    for forms in _ALL_FORMS:
        found = forms.numbered.match(text) or forms.ordinal.match(text)
        if found and _is_set_apart(line, found, before):
            number = int(found["number"])
            return _refined(forms.kind, number, _title(line, found), inside=inside)
        if forms.chapter.match(text):
            return FoundHeading(forms.kind, None)
        for pattern in forms.spelled:
            found = pattern.match(text)
            if found and _is_number(line, text, found):
                number = number_of(found["number"])
                return _refined(forms.kind, number, _title(line, found), inside=inside)
    return None


def _title(line: str, found: re.Match[str]) -> str:
    return line[len(line) - len(found["rest"]) :] if found["rest"] else ""


def _refined(kind: Kind, number: int, title: str, *, inside: bool) -> FoundHeading:
    """Return a heading, or what its title says better: "ДЗ 1. Задача 3", "Задание 1 (домашнее)"."""
    if kind == "homework" and not inside:
        inner = read_heading(title.lstrip(" .,:;–—-*_"), inside=True) if title else None
        if inner is not None and inner.kind == "task" and inner.number is not None:
            return inner
    if kind == "task" and _HOMEWORK_BEHIND.match(title):
        kind = "homework"
    return FoundHeading(kind, number, title)


def _is_number(line: str, text: str, found: re.Match[str]) -> bool:
    """Tell whether a number in words or Roman capitals ends the heading or stands in markup."""
    start, end = found.span("number")
    shift = len(line) - len(text)
    closed = _CLOSED.match(found["rest"]) is not None
    if re.fullmatch(ROMAN, found["number"]):
        return closed and line[start + shift : end + shift].isupper()
    return closed or _has_markup(line, found)


def _mended(text: str) -> str:
    """Return a heading whose first word is a slip of one letter with the word meant, or nothing."""
    found = _FIRST_WORD.match(text)
    if found is None or _PLURAL.fullmatch(found["word"]):
        return ""
    meant = next((word for word in _OFTEN_MISTYPED if _is_slip(found["word"], word)), None)
    if meant is None:
        return ""
    return text[: found.start("word")] + meant + text[found.end("word") :]


def _is_slip(typed: str, word: str) -> bool:
    """Tell whether one letter is missing, doubled, wrong or changed places with its neighbour."""
    if abs(len(typed) - len(word)) > 1 or typed == word:
        return False
    start = next((n for n, (a, b) in enumerate(zip(typed, word, strict=False)) if a != b), None)
    if start is None:
        return len(word) > 5  # a letter more or less at the end
    swapped = word[:start] + word[start + 1 : start + 2] + word[start] + word[start + 2 :]
    if typed == swapped:
        return True
    return len(word) > 5 and (
        typed[start + 1 :] == word[start + 1 :]
        or typed[start + 1 :] == word[start:]
        or typed[start:] == word[start + 1 :]
    )


@remembered
def heading_lines(text: str) -> tuple[tuple[int, FoundHeading], ...]:
    """Return the headings of a text cell, by line from 0; a table of contents has none."""
    lines = text.split("\n")
    found: list[tuple[int, FoundHeading]] = []
    for number, line in enumerate(lines):
        heading = read_heading(line, before=lines[number - 1] if number else "")
        if heading:
            found.append((number, heading))
    return () if _is_contents(lines, [number for number, _ in found]) else tuple(found)


def _is_set_apart(line: str, found: re.Match[str], before: str) -> bool:
    rest = found["rest"]
    if _has_markup(line, found):
        return True
    after = line[len(line) - len(rest) :].lstrip() if rest else ""
    if not after or not after[0].isalpha() or after[0].isupper():
        return True
    return not before.strip(" \t#")


def _has_markup(line: str, found: re.Match[str]) -> bool:
    """Tell whether marks set a line apart; a single ``#`` may only make it a comment."""
    markup = found["markup"].lstrip()
    return _MARKUP.search(markup[1:] if line.startswith("#") else markup) is not None


def _is_contents(lines: list[str], numbers: list[int]) -> bool:
    if len(numbers) < 3:
        return False
    ends = [*numbers[1:], len(lines)]
    return all(
        sum(1 for line in lines[start:end] if line.strip()) <= 1
        for start, end in zip(numbers, ends, strict=True)
    )
