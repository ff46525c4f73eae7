"""Numbers that people write in words or in Roman figures: ``третья``, ``five``, ``IV``."""

import re

_CARDINALS = (
    "один одна одно one",
    "два две two",
    "три three",
    "четыре four",
    "пять five",
    "шесть six",
    "семь seven",
    "восемь eight",
    "девять nine",
    "десять ten",
    "одиннадцать eleven",
    "двенадцать twelve",
)
_ORDINALS = (
    "первый первая первое first",
    "второй вторая второе second",
    "третий третья третье third",
    "четвертый четвертая четвертое fourth",
    "пятый пятая пятое fifth",
    "шестой шестая шестое sixth",
    "седьмой седьмая седьмое seventh",
    "восьмой восьмая восьмое eighth",
    "девятый девятая девятое ninth",
    "десятый десятая десятое tenth",
    "одиннадцатый одиннадцатая одиннадцатое eleventh",
    "двенадцатый двенадцатая двенадцатое twelfth",
)
_FIGURES = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii")
_VALUES = {
    word: value
    for words in (_CARDINALS, _ORDINALS, _FIGURES)
    for value, same in enumerate(words, start=1)
    for word in same.split()
}


def _pattern(*words: tuple[str, ...]) -> str:
    every = [word for same in words for part in same for word in part.split()]
    return "|".join(sorted(every, key=len, reverse=True))


ORDINALS = _pattern(_ORDINALS)
"""Alternatives of a pattern for folded text: ``третья``, ``third``."""

WORDS = _pattern(_CARDINALS, _ORDINALS)
"""Alternatives of a pattern for folded text: ``три``, ``третья``, ``three``."""

ROMAN = _pattern(_FIGURES)
"""Alternatives of a pattern for folded text; only capitals are meant."""


def number_of(text: str) -> int:
    """Return the number that digits or a match of these patterns stand for."""
    return int(text) if re.fullmatch(r"[0-9]+", text) else _VALUES[text]
