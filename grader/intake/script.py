"""Scripts become cells: at ``# %%`` marks, else at headings and at top-level statements."""

import ast
import re
from typing import Literal

from grader.intake.bounds import Bounds, refuse, require_size
from grader.intake.headings import read_heading
from grader.intake.notebook import SourceFile, looks_like_notebook, read_notebook
from grader.intake.python_text import (
    Block,
    parse_python,
    top_level_blocks,
    top_level_comments,
    without_magics,
)
from grader.intake.text import decode_text
from grader.model import Cell

_MARK = re.compile(r"#\s?%%(?P<rest>.*)|# In\s?\[[ \d]*\]:?\s*\Z|# <(?P<old>\w+)cell>\s*\Z")
_MARKDOWN = re.compile(r"[^\[]{0,80}\[(?:markdown|md|raw)\]")
_NBCONVERT = re.compile(r"(?m)^# In\s?\[[ \d]*\]:?\s*$")

_PREAMBLE = re.compile(r"#!|# (?:-\*- )?coding:|# In\s?\[")


def read_script(data: bytes, file: str, bounds: Bounds) -> SourceFile:
    """Return the cells of a script, each with its first line.

    Raises:
        Refused: it is empty, not text, or beyond a bound.
    """
    require_size(len(data), bounds.file_bytes, file)
    if not data.strip(b"\xef\xbb\xbf \t\r\n"):
        raise refuse("empty", file)
    text, encoding = decode_text(data, file)
    if looks_like_notebook(text):
        return read_notebook(data, file, bounds)
    require_size(len(text), bounds.script_bytes, file)
    masked = without_magics(text)
    pieces = _marked_pieces(text, masked) or _statement_pieces(text, masked)
    if len(pieces) > bounds.cells:
        raise refuse("too-many-cells", file, bound=bounds.cells)
    # What nbconvert exported was a notebook: its magics are calls of `get_ipython()`.
    style: Style = "notebook" if _NBCONVERT.search(masked) else "script"
    read = SourceFile(_numbered(pieces, file, style))
    if encoding not in ("utf-8-sig", "utf-16"):
        read.notes.append(("intake.decoded-as", {"file": file, "found": encoding}))
    return read


Style = Literal["notebook", "script"]
_Piece = tuple[int, bool, str]  # first line from 0, whether it is code, the text


def _numbered(pieces: list[_Piece], file: str, style: Style) -> list[Cell]:
    cells: list[Cell] = []
    index = 0
    for position, (first, is_code, source) in enumerate(pieces):
        index += is_code
        cells.append(
            Cell(
                position=position,
                kind="code" if is_code else "text",
                source=source,
                index=index if is_code else None,
                file=file,
                line=first + 1,
                style=style,
            )
        )
    return cells


# ------------------------------------------------------------------ with marks


def _marked_pieces(text: str, masked: str) -> list[_Piece]:
    lines = text.split("\n")
    # A notebook's cell may begin with spaces, so what follows nbconvert's marks says nothing.
    exported = {n for n, line in enumerate(lines) if _NBCONVERT.match(line)}
    marks = sorted(exported.union(n for n in top_level_comments(masked) if _MARK.match(lines[n])))
    if not marks:
        return []
    starts = [0, *marks] if marks[0] else marks
    pieces: list[_Piece] = []
    for first, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        if exported:
            pieces += _exported_pieces(first, lines[first:end])
        else:
            pieces.append(_marked_piece(first, lines[first:end]))
    return [piece for piece in pieces if piece[2].strip()]


def _marked_piece(first: int, lines: list[str]) -> _Piece:
    mark = _MARK.match(lines[0])
    is_markdown = mark and (_MARKDOWN.match(mark["rest"] or "") or mark["old"] == "markdown")
    if not is_markdown:
        return first, True, "\n".join(lines).rstrip()
    body = "\n".join(lines[1:]).strip()
    if quoted := _string_statement(body):
        return first, False, quoted
    return first, False, "\n".join(re.sub(r"^# ?", "", line) for line in lines[1:]).strip()


def _exported_pieces(first: int, lines: list[str]) -> list[_Piece]:
    """Return a code cell that nbconvert exported, without its mark, and the text cells below it.

    Text cells are blocks of comments between blank lines.
    """
    pieces: list[_Piece] = []
    start = 1 if _NBCONVERT.match(lines[0]) else 0
    end = next((n for n in range(len(lines), start, -1) if _is_code_line(lines[n - 1])), start)
    while start < end < len(lines) and lines[end].strip():
        end += 1  # a comment right below code is the cell's own
    while start < end and not lines[start].strip():
        start += 1
    if start < end:
        pieces.append((first + start, True, "\n".join(lines[start:end])))
    block: list[str] = []
    for number, line in enumerate([*lines[end:], ""], start=end):
        if line.strip():
            if not _PREAMBLE.match(line):
                block.append(re.sub(r"^# ?", "", line))
        elif block:
            pieces.append((first + number - len(block), False, "\n".join(block)))
            block = []
    return pieces


def _is_code_line(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#")


# ------------------------------------------------------------------ without marks


def _statement_pieces(text: str, masked: str) -> list[_Piece]:
    lines = text.split("\n")
    blocks = top_level_blocks(masked)
    headings = [n for n in top_level_comments(masked) if _is_heading(lines, n)]
    pieces: list[_Piece] = []
    after = 0
    for block in blocks:
        pieces += _pieces_of_block(lines, after, block, headings)
        after = block.last + 1
    return pieces + _comment_pieces(lines, after, len(lines), headings)


def _pieces_of_block(
    lines: list[str], after: int, block: Block, headings: list[int]
) -> list[_Piece]:
    """Return the block with the comments above it, cut where those comments hold headings."""
    above = [n for n in headings if after <= n < block.first]
    start = above[-1] if above else after
    pieces = _comment_pieces(lines, after, start, above[:-1])
    source = "\n".join(lines[block.first : block.last + 1])
    if quoted := _string_statement(source):
        # Colab exports its text cells as bare strings.
        pieces += _comment_pieces(lines, start, block.first, above[-1:])
        return [*pieces, (block.first, False, quoted)]
    while start < block.first and not lines[start].strip():
        start += 1
    return [*pieces, (start, True, "\n".join(lines[start : block.last + 1]))]


def _comment_pieces(lines: list[str], first: int, end: int, headings: list[int]) -> list[_Piece]:
    starts = [first, *(n for n in headings if first < n < end)]
    pieces: list[_Piece] = []
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        while start < stop and not lines[start].strip():
            start += 1
        if start < stop:
            pieces.append((start, True, "\n".join(lines[start:stop]).rstrip()))
    return pieces


def _is_heading(lines: list[str], number: int) -> bool:
    before = lines[number - 1] if number else ""
    return read_heading(lines[number], before=before) is not None


def _string_statement(source: str) -> str:
    """Return the string that `source` consists of, or an empty text."""
    if not source.lstrip("rRuUbB").startswith(("'", '"')):
        return ""
    tree = parse_python(source)
    match tree.body if tree else []:
        case [ast.Expr(value=ast.Constant(value=str(text)))]:
            return text.strip()
    return ""
