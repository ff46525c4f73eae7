"""What a student wrote in words: text cells, comments, strings and pictures of a section.

The statement's own text is no answer. A text cell that opens with a heading (``Задача 3``) holds
the statement in its first paragraph, and so does a comment; a sentence that the assignment names
as a sample never counts.
"""

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from grader.checks.view import SectionView
from grader.evidence import Evidence, StudentPicture, StudentText
from grader.model import Cell

Where = Literal["markdown", "comment", "string"]

MOST_EXCERPT = 2000
_MOST_EVIDENCE = 4000
_MOST_PIECES = 40
_MOST_KNOWN = 256  # pieces of code whose texts are kept; every task of a section reads them
_SHORTEST_QUOTE = 15

_HEADING = re.compile(
    r"(?:домашн\w*\s+)?(?:задач\w*|задани\w*|вопрос\w*)\s*№?\s*\d+"
    r"|(?:task|homework|question|hw)\s*#?\s*\d+",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"^[\s#*_>`~\-]+")
_LETTER = re.compile(r"[^\W_]")
_LINK_ONLY = re.compile(r"!?\[[^\]]*\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Piece:
    """A text of the student's.

    Attributes:
        where: the kind of place.
        text: the text, without the statement.
        cell: the cell that holds it.
    """

    where: Where
    text: str
    cell: Cell


def opens_with_heading(text: str) -> bool:
    """Tell whether a text begins with a heading such as ``## **Задача 2**``."""
    return _HEADING.match(_MARKUP.sub("", text)) is not None


def normalised(text: str) -> str:
    """Return a text without markup, case and spaces, for comparison with the statement."""
    return "".join(char for char in text.casefold() if char.isalnum() or char in "+-()")


def text_pieces(view: SectionView) -> tuple[Piece, ...]:
    """Return what the student wrote in this section, in order, without the statement."""
    samples = tuple(filter(None, (normalised(sample) for sample in view.samples)))
    found: list[Piece] = []
    for cell in view.section.cells:
        pieces = _of_text(cell) if cell.kind == "text" else _of_code(cell)
        found += (piece for piece in pieces if _counts(piece.text, samples))
    return tuple(found[:_MOST_PIECES])


def answer_text(view: SectionView, *, where: Iterable[Where] = ("markdown", "comment")) -> str:
    """Return the student's words in these places as one text, empty if there are none."""
    wanted = frozenset(where)
    return "\n\n".join(piece.text for piece in text_pieces(view) if piece.where in wanted)


def text_evidence(pieces: Iterable[Piece]) -> tuple[Evidence, ...]:
    """Return pieces as evidence, one a place."""
    texts: dict[str, list[str]] = {}
    for piece in pieces:
        texts.setdefault("code" if piece.where == "string" else piece.where, []).append(piece.text)
    return tuple(
        StudentText(where=where, text="\n\n".join(parts)[:_MOST_EVIDENCE])
        for where, parts in texts.items()
    )


def picture_evidence(view: SectionView) -> tuple[Evidence, ...]:
    """Return the pictures attached to the section's text cells as evidence."""
    return tuple(
        StudentPicture(name=picture.name, media=picture.media, data=picture.data)
        for cell in view.section.cells
        for picture in cell.pictures
    )


@functools.lru_cache(_MOST_KNOWN)
def string_constants(source: str) -> tuple[str, ...]:
    """Return the string constants of a piece of code in order; none where it does not parse.

    Constants joined by ``+`` are given as the whole.
    """
    try:
        tree = ast.parse(without_magics(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found: list[str] = []
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        text = _joined_text(node)
        if text is not None:
            found.append(text)
            continue
        waiting.extend(reversed(list(ast.iter_child_nodes(node))))
    return tuple(found)


@functools.lru_cache(_MOST_KNOWN)
def comments(source: str) -> tuple[str, ...]:
    """Return the comments of a piece of code, those on neighbouring lines as one text."""
    lines: list[tuple[int, str]] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(without_magics(source)).readline):
            if token.type == tokenize.COMMENT:
                lines.append((token.start[0], token.string))
    except (tokenize.TokenError, SyntaxError, ValueError):
        lines = [
            (number, line.strip())
            for number, line in enumerate(source.splitlines())
            if line.lstrip().startswith("#")
        ]
    blocks: list[list[str]] = []
    previous = -2
    for number, line in lines:
        if number != previous + 1 or not blocks:
            blocks.append([])
        blocks[-1].append(line.lstrip("#").strip())
        previous = number
    return tuple("\n".join(block) for block in blocks)


def without_magics(source: str) -> str:
    """Return notebook code with its magics and shell lines blanked, so that Python can parse it."""
    lines = source.split("\n")
    if lines and lines[0].startswith("%%"):
        lines[0] = ""
    kept = ("" if line.lstrip()[:1] in ("%", "!", "?") else line for line in lines)
    text = "\n".join(kept)
    # IPython forgives a cell whose first line is indented.
    return text if text[:1] not in (" ", "\t") else "\n".join(_dedented(text.split("\n")))


def _dedented(lines: list[str]) -> list[str]:
    indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    shift = min(indents, default=0)
    return [line[shift:] for line in lines]


def _joined_text(node: ast.AST) -> str | None:
    """Return the text of a string constant or a sum of them, None for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        if not (isinstance(node.right, ast.Constant) and isinstance(node.right.value, str)):
            return None
        parts.append(node.right.value)
        node = node.left
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return None
    return "".join([node.value, *reversed(parts)])


def _of_text(cell: Cell) -> Iterator[Piece]:
    paragraphs = re.split(r"\n[ \t]*\n", cell.source.strip())
    if opens_with_heading(paragraphs[0]):
        paragraphs = paragraphs[1:]
    text = "\n\n".join(part for part in paragraphs if not _is_statement_link(part))
    if text.strip():
        yield Piece("markdown", text.strip(), cell)


def _is_statement_link(paragraph: str) -> bool:
    """Tell whether nothing but links to a hint or a video stands there."""
    if "![" in paragraph:
        return False
    return not _LETTER.search(_LINK_ONLY.sub("", paragraph))


def _of_code(cell: Cell) -> Iterator[Piece]:
    for block in comments(cell.source):
        text = block
        if opens_with_heading(block):
            text = "\n".join(re.split(r"\n[ \t]*\n", block)[1:])
        if text.strip():
            yield Piece("comment", text.strip(), cell)
    for constant in string_constants(cell.source):
        if opens_with_heading(constant):
            continue
        if len(constant.split()) > 1 or len(constant) > 2:
            yield Piece("string", constant.strip(), cell)


def _counts(text: str, samples: tuple[str, ...]) -> bool:
    if not _LETTER.search(text) and "![" not in text:
        return False
    plain = normalised(text)
    part_of_statement = len(plain) >= _SHORTEST_QUOTE
    return not any(plain == s or (part_of_statement and plain in s) for s in samples)
