"""Numbers in text beside the words that say what they count.

A number counts as a whole token: the 3 of ``in_features=3`` or of ``3-5-2`` is none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_NUMBER = re.compile(r"(?<![\w.,])(?<!\w=)(?<!\d-)\d+(?:\.0+)?(?![\w%]|[.,-]\d)")
_TENSOR = re.compile(r"(?:tensor|array|np\.int64|np\.int32)\((\d+)(?:, dtype=\S+)?\)")
_SHORT = 60
_LEADS = ("=", "→", "->", "≈")
_NEAR = 4
_MOST_LINES = 400
_MOST_BARE = 4


@dataclass(frozen=True, slots=True)
class Labelled:
    """A number with the label it stands beside.

    Attributes:
        number: the number.
        label: the name beside it; empty where only a general word stands there.
    """

    number: int
    label: str


def numbers_beside(
    text: str, names: tuple[str, ...], words: tuple[str, ...]
) -> tuple[Labelled, ...]:
    """Return the numbers of a text that stand beside a name or, without one, beside a word.

    Args:
        text: what was written or printed.
        names: names of the things that are counted, such as ``net_seq``.
        words: beginnings of words that say that something is counted, such as ``параметр``.
    """
    found: list[Labelled] = []
    waiting: str | None = None
    for line in text.splitlines()[:_MOST_LINES]:
        if not line.strip():
            continue
        here = list(_of_line(line, names, words))
        if not here and waiting is not None:
            alone = find_bare_number(line)
            here = [] if alone is None else [Labelled(alone, waiting)]
        found += here
        waiting = None if here else _label_of(line, names, words)
    return tuple(dict.fromkeys(found))


def find_bare_number(line: str) -> int | None:
    """Return the number of a line that holds nothing else, None for any other line."""
    stripped = line.strip()
    tensor = _TENSOR.fullmatch(stripped)
    stripped = (tensor[1] if tensor else stripped).strip("*`_$.:= ()[]")
    match = _NUMBER.fullmatch(stripped)
    return _value(match.group()) if match else None


def find_bare_numbers(line: str) -> tuple[int, ...]:
    """Return the numbers of a line that holds nothing else, as ``print`` or a tuple shows them."""
    stripped = line.strip()
    if stripped[:1] + stripped[-1:] in ("()", "[]"):
        stripped = stripped[1:-1]
    parts = re.split(r"\s*,\s*(?!dtype)|\s+(?!dtype)", stripped.strip(" ,"))
    numbers = [find_bare_number(part) for part in parts[: _MOST_BARE + 1]]
    found = tuple(number for number in numbers if number is not None)
    return found if len(found) == len(numbers) <= _MOST_BARE else ()


def numbers_of_remark(text: str) -> tuple[int, ...]:
    """Return the numbers of short lines without letters to speak of, such as ``# 32 and 32``."""
    found: list[int] = []
    for line in text.splitlines()[:_MOST_LINES]:
        words = [word for word in re.findall(r"[^\W\d_]+", line) if len(word) > _NEAR]
        if len(line) <= _SHORT and not words:
            found += (_value(match.group()) for match in _NUMBER.finditer(line))
    return tuple(dict.fromkeys(found))


def whole_number(text: str) -> int | None:
    """Return the integer that a text such as ``32`` or ``32.0`` stands for, else None."""
    match = _NUMBER.fullmatch(text.strip())
    return _value(match.group()) if match else None


def _of_line(line: str, names: tuple[str, ...], words: tuple[str, ...]) -> Iterator[Labelled]:
    places = _places(line, names)
    if not places:
        if _has_word(line, words):
            for number in _told(line, words):
                yield Labelled(number, "")
        return
    # What stands before the first name belongs to it too: "32 parameters in net_seq".
    ends = [start for start, _, _ in places[1:]] + [len(line)]
    before = line[: places[0][0]]
    for order, ((_, stop, name), end) in enumerate(zip(places, ends, strict=True)):
        told = _told(line[stop:end], words, adjacent=True)
        if not told and order == 0:
            told = _told(before, words)
        for number in told:
            yield Labelled(number, name)


def _places(line: str, names: tuple[str, ...]) -> list[tuple[int, int, str]]:
    found = []
    for name in names:
        for match in re.finditer(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", line):
            found.append((match.start(), match.end(), name))
    return sorted(found)


def _label_of(line: str, names: tuple[str, ...], words: tuple[str, ...]) -> str | None:
    places = _places(line, names)
    if places:
        return places[-1][2]
    return "" if _has_word(line, words) else None


def _has_word(line: str, words: tuple[str, ...]) -> bool:
    folded = line.casefold()
    return any(word in folded for word in words)


def _told(text: str, words: tuple[str, ...], *, adjacent: bool = False) -> list[int]:
    """Return the numbers that a piece of a line tells: its result, where it shows a calculation.

    With `adjacent` an equals sign may stand right before the number, as in ``net_seq=32``.
    """
    if adjacent:
        text = re.sub(r"^[\s`*_]*[=:][\s`*_]*", " ", text)
    matches = list(_NUMBER.finditer(text))
    for lead in _LEADS:
        place = text.rfind(lead)
        after = [match for match in matches if place >= 0 and match.start() > place]
        if after:
            return [_value(after[0].group())]
    near = [match for match in matches if _near_word(text, match, words)]
    if len(near) == 1:
        matches = near
    return list(dict.fromkeys(_value(match.group()) for match in matches))


def _near_word(text: str, match: re.Match[str], words: tuple[str, ...]) -> bool:
    after = text[match.end() : match.end() + _NEAR + max(map(len, words), default=0)].casefold()
    before = text[: match.start()].casefold().rstrip(" :=-—*`")
    last = re.split(r"\s+", before)[-1]
    return any(word in after or last.startswith(word) for word in words)


def _value(text: str) -> int:
    return int(text.split(".")[0])
