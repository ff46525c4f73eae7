"""A student's cell, coloured by Pygments, with the line that matters marked."""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from grader.reports.clean import clean, clean_line

_MOST_CHARACTERS = 3000
_MOST_LINE = 300
_LOOKS = (
    ("Token.Comment", "c"),
    ("Token.Literal.String", "s"),
    ("Token.Literal.Number", "m"),
    ("Token.Keyword", "k"),
    ("Token.Operator.Word", "k"),
    ("Token.Name.Function", "f"),
    ("Token.Name.Class", "f"),
)

Piece = tuple[str, str]
"""(look, text): the look is a letter of the style sheet, empty for plain text."""


@dataclass(frozen=True, slots=True)
class Code:
    """A cell as it is shown.

    Attributes:
        title: where it stands.
        lines: pieces of text, line by line.
        marked: number of the line that matters, from 1; 0 for none.
        note: what happened there, one line.
    """

    title: str
    lines: tuple[tuple[Piece, ...], ...]
    marked: int
    note: str
    kind: str = "code"


def view_code(title: str, source: str, *, marked: int = 0, note: str = "") -> Code:
    """Return Python source as coloured lines; long sources and lines are cut, and say so."""
    shown = "\n".join(_cut(line) for line in clean(source, most=10**6).split("\n"))
    shown = clean(shown, most=_MOST_CHARACTERS)
    lines = tuple(tuple(line) for line in _lines(shown))
    whole = len(shown) < _MOST_CHARACTERS
    return Code(title, lines, marked if whole and marked <= len(lines) else 0, clean_line(note))


def find_binding(source: str, names: tuple[str, ...]) -> int:
    """Return the last line that binds one of these names, from 1; 0 if none does."""
    wanted = "|".join(re.escape(name) for name in names if name)
    if not wanted:
        return 0
    binds = re.compile(rf"\s*(?:class|def)\s+(?:{wanted})\b|\s*(?:{wanted})\s*=(?!=)")
    found = [number for number, line in enumerate(source.split("\n"), 1) if binds.match(line)]
    return found[-1] if found else 0


def find_backward(source: str) -> int:
    """Return the last line that runs backward, from 1; 0 if none does."""
    runs = re.compile(r"[^#]*(?:\.backward\s*\(|\bautograd\.grad\s*\()")
    found = [number for number, line in enumerate(source.split("\n"), 1) if runs.match(line)]
    return found[-1] if found else 0


def _cut(line: str) -> str:
    return line if len(line) <= _MOST_LINE else line[:_MOST_LINE] + " …"


@functools.cache
def _lexer() -> Any:  # noqa: ANN401  # Pygments is loaded for pages with code only
    from pygments.lexers.python import PythonLexer

    return PythonLexer(stripnl=False, ensurenl=False)


def _lines(source: str) -> Iterator[list[Piece]]:
    line: list[Piece] = []
    for token, text in _lexer().get_tokens(source):
        look = _look(str(token))
        for number, part in enumerate(text.split("\n")):
            if number:
                yield line
                line = []
            if part and line and line[-1][0] == look:
                line[-1] = (look, line[-1][1] + part)
            elif part:
                line.append((look, part))
    yield line


@functools.cache
def _look(token: str) -> str:
    return next((look for start, look in _LOOKS if token.startswith(start)), "")
