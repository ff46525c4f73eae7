"""Where Python text may be cut, also where it does not parse: magics, unclosed brackets, errors.

Lines count from 0 here.
"""

import ast
import re
import warnings
from dataclasses import dataclass

_TOKEN = re.compile(
    r"#.*|\\.|\"\"\"|'''"
    r'|"(?:[^"\\\n]|\\.)*+"?'
    r"|'(?:[^'\\\n]|\\.)*+'?"
    r"|[()\[\]{}]"
)
_ENDS = {quotes: re.compile(rf"\\.|{quotes}", re.DOTALL) for quotes in ('"""', "'''")}
_MAGIC = re.compile(
    r"\s*(?:"
    r"[!%?]"  # !pip, %matplotlib, ?name
    r"|[\w.\[\], ]+=\s*[!%]"  # files = !ls
    r"|[\w.]+\?{1,2}\s*\Z"  # name?
    r")"
)
_PYTHON_CELL_MAGIC = re.compile(r"%%(?:time|timeit|capture|prun|memit|mprun)\b")
_CLAUSE = re.compile(r"(?:else|elif|except|finally)\b")
_COMPOUND = re.compile(r"(?:def|class|if|for|while|with|try|async|match)\b|@")
_NEW_START = re.compile(r"[^\W\d]|@|#")
_MOST_RECOVERIES = 100


@dataclass(frozen=True, slots=True)
class Block:
    """A top-level statement, or several that share a line: its lines, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _Logical:
    first: int
    last: int
    indent: int
    magic: bool
    closed: bool


def parse_python(source: str) -> ast.Module | None:
    """Return the syntax tree, or None where `source` is not Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes are the student's, not ours
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def python_of_cell(source: str) -> str:
    """Return the Python of a notebook cell, line by line, with magics replaced by ``pass``.

    A cell of another language (``%%bash``) has none.
    """
    start = source.lstrip()
    if start.startswith("%%") and not _PYTHON_CELL_MAGIC.match(start):
        return ""
    return without_magics(source)


def without_magics(source: str) -> str:
    """Return `source` with IPython's magic lines replaced by ``pass``."""
    if not re.search(r"[!%?]", source):
        return source
    lines = source.split("\n")
    for logical in _logical_lines(lines):
        if logical.magic:
            lines[logical.first] = " " * logical.indent + "pass"
            for number in range(logical.first + 1, logical.last + 1):
                lines[number] = ""
    return "\n".join(lines)


def top_level_blocks(source: str) -> list[Block]:
    """Return the top-level statements of Python without magics.

    Where it does not parse as a whole, the cut is by indentation, so that the lines of a syntax
    error are blocks of their own and all others still run.
    """
    tree = parse_python(source)
    lines = source.split("\n")
    blocks = _blocks_of_tree(tree) if tree else _blocks_by_indent(lines)
    return [_with_comments_inside(block, lines) for block in blocks]


def top_level_comments(source: str) -> list[int]:
    """Return the comment lines after which a top-level statement, or nothing, follows."""
    lines = source.split("\n")
    covered = {
        number
        for logical in _logical_lines(lines)
        for number in range(logical.first, logical.last + 1)
    }
    comments: list[int] = []
    boundary = True
    for number in range(len(lines) - 1, -1, -1):
        line = lines[number]
        if number in covered:
            boundary = bool(line) and not line[0].isspace() and not _CLAUSE.match(line)
        elif line.startswith("#") and boundary:
            comments.append(number)
    return comments[::-1]


def _blocks_of_tree(tree: ast.Module) -> list[Block]:
    blocks: list[Block] = []
    for statement in tree.body:
        decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
        first = min([statement.lineno, *(d.lineno for d in decorators)]) - 1
        last = (statement.end_lineno or statement.lineno) - 1
        if blocks and first <= blocks[-1].last:
            blocks[-1] = Block(blocks[-1].first, max(last, blocks[-1].last))
        else:
            blocks.append(Block(first, last))
    return blocks


def _with_comments_inside(block: Block, lines: list[str]) -> Block:
    """A function may end with comments, which no syntax tree has."""
    last = number = block.last
    while number + 1 < len(lines):
        number += 1
        text = lines[number].lstrip()
        if text and not (text.startswith("#") and text != lines[number]):
            break
        last = number if text else last
    return Block(block.first, last)


def _blocks_by_indent(lines: list[str]) -> list[Block]:
    blocks: list[Block] = []
    decorated = compound = False
    for logical in _recovered(lines):
        text = lines[logical.first]
        inside = compound and (logical.indent > 0 or _CLAUSE.match(text))
        if blocks and (inside or decorated):
            blocks[-1] = Block(blocks[-1].first, logical.last)
        else:
            blocks.append(Block(logical.first, logical.last))
        if logical.indent == 0 and not _CLAUSE.match(text):
            compound = bool(_COMPOUND.match(text))
        decorated = logical.indent == 0 and text.startswith("@")
    return blocks


def _recovered(lines: list[str]) -> list[_Logical]:
    """Return logical lines; a bracket or string never closed ends where a new line starts."""
    found: list[_Logical] = []
    start = 0
    for attempt in range(_MOST_RECOVERIES):
        part = _logical_lines(lines, start)
        found += part
        if not part or part[-1].closed or attempt == _MOST_RECOVERIES - 1:
            break
        broken = found.pop()
        start = broken.first + 1
        while start < len(lines) and not _NEW_START.match(lines[start]):
            start += 1
        found.append(_Logical(broken.first, start - 1, broken.indent, magic=False, closed=False))
    return found


def _logical_lines(lines: list[str], start: int = 0) -> list[_Logical]:
    found: list[_Logical] = []
    number = start
    while number < len(lines):
        line = lines[number]
        text = line.lstrip()
        if not text or text.startswith("#"):
            number += 1
            continue
        magic = bool(_MAGIC.match(line))
        last, closed = _end_of_magic(lines, number) if magic else _end_of_line(lines, number)
        found.append(_Logical(number, last, len(line) - len(text), magic, closed))
        number = last + 1
    return found


def _end_of_magic(lines: list[str], number: int) -> tuple[int, bool]:
    while lines[number].endswith("\\") and number + 1 < len(lines):
        number += 1
    return number, True


def _end_of_line(lines: list[str], number: int) -> tuple[int, bool]:
    """Return the last line of the logical line that starts at `number`, and whether it closed."""
    depth = 0
    quotes = ""
    while True:
        line = lines[number]
        depth, quotes = _state_after(line, depth, quotes)
        goes_on = bool(quotes) or depth > 0 or line.endswith("\\")
        if not goes_on:
            return number, True
        if number + 1 == len(lines):
            return number, False
        number += 1


def _state_after(line: str, depth: int, quotes: str) -> tuple[int, str]:
    at = 0
    while True:
        pattern = _ENDS[quotes] if quotes else _TOKEN
        found = pattern.search(line, at)
        if found is None:
            return depth, quotes
        at, token = found.end(), found.group()
        if quotes:
            quotes = "" if token == quotes else quotes
        elif token in _ENDS:
            quotes = token
        elif token in ("(", "[", "{"):
            depth += 1
        elif token in (")", "]", "}"):
            depth = max(0, depth - 1)
