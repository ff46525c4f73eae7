"""What a student wrote in words: text cells, comments, strings and pictures of a section.

The statement's own text is no answer. A text cell that opens with a heading (``Задача 3``) holds
the statement in its first paragraph, and so does a comment, unless the lines below the heading can
only be the student's; a sentence that the assignment names as a sample never counts.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from grader.checks.view import SectionView
from grader.evidence import Evidence, StudentPicture, StudentText
from grader.intake.headings import read_heading
from grader.intake.remembered import remembered
from grader.model import Cell

Where = Literal["markdown", "comment", "string"]

MOST_EXCERPT = 2000
_MOST_EVIDENCE = 4000
_MOST_PIECES = 40
_SHORTEST_QUOTE = 15

_HEADING = re.compile(
    r"(?:домашн\w*\s+)?(?:задач\w*|задани\w*|вопрос\w*)\s*№?\s*\d+"
    r"|(?:task|homework|question|hw)\s*#?\s*\d+",
    re.IGNORECASE,
)
_NOT_COMPARED = re.compile(r"[^\w+\-()]|_")
_MARKUP = re.compile(r"^[\s#*_>`~\-]+")
_AROUND = " \t\n.:*_`#–—-"
_SENTENCE, _SENTENCE_OF_CLAUSES = 9, 5
"""Words of a heading that is a sentence and no title; fewer where a comma parts them."""
_ANSWER_WORD = r"(?:ответ|решение|answer|solution)[*_]{0,3}\s?[:=–—.\-]"
_ANSWER_INSIDE = re.compile(rf"(?<=[?.!])\s*[*_]{{0,3}}{_ANSWER_WORD}", re.IGNORECASE)
_ANSWER_BELOW = re.compile(rf"(?m)^[\s*_>#\-]*{_ANSWER_WORD}", re.IGNORECASE)
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
    if _HEADING.match(_MARKUP.sub("", text)):
        return True
    heading = read_heading(_first_line(text))
    return heading is not None and heading.number is not None and not heading.own


def title_text(view: SectionView) -> str:
    """Return what a heading says beside its number and the question it asks, empty for little.

    Without a question it has to be three words: "Вопрос 1. Линейность" is a title.
    """
    for cell in view.section.cells:
        heading = read_heading(_first_line(cell.source)) if cell.kind == "text" else None
        if heading is not None and heading.title:
            _, asked, rest = heading.title.rpartition("?")
            said = rest.strip(_AROUND)
            return said if asked or len(said.split()) > 2 else ""
    return ""


def normalised(text: str) -> str:
    """Return a text without markup, case and spaces, for comparison with the statement."""
    return _NOT_COMPARED.sub("", text.casefold())


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


@remembered
def string_constants(source: str) -> tuple[str, ...]:
    """Return the string constants of a piece of code in order; none where it does not parse.

    Constants joined by ``+`` are given as the whole.
    """
    if "'" not in source and '"' not in source:
        return ()
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


@remembered
def comments(source: str) -> tuple[str, ...]:
    """Return the comments of a piece of code, those on neighbouring lines as one text."""
    lines: list[tuple[int, str]] = []
    if "#" not in source:
        return ()
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
    paragraphs[0] = _without_statement(paragraphs[0])
    text = "\n\n".join(part for part in paragraphs if not _is_statement_link(part))
    if text.strip():
        yield Piece("markdown", text.strip(), cell)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _without_statement(paragraph: str) -> str:
    """Return what a paragraph holds besides a heading and the statement.

    The statement follows its heading, on the same line or below a title. So the lines below are
    the student's where the heading is a bare number, asks its question at once, is a markdown
    heading as long as a sentence, or where they begin with "Ответ:".
    """
    first, _, below = paragraph.strip().partition("\n")
    heading = read_heading(first)
    if heading is not None and heading.own:
        return f"{heading.title.strip(_AROUND)}\n{below}".strip()
    if not opens_with_heading(paragraph):
        return paragraph
    said = _ANSWER_INSIDE.search(first)
    if said:
        return f"{first[said.end() :]}\n{below}".strip()
    title = heading.title.strip(_AROUND) if heading is not None else first
    words = _SENTENCE_OF_CLAUSES if "," in title else _SENTENCE
    long = first.startswith("#") and len(title.split()) >= words
    if _LETTER.search(title) and not title.endswith("?") and not long:
        begins = _ANSWER_BELOW.search(below)
        below = below[begins.end() :] if begins else ""
    return "" if below.rstrip(_AROUND).endswith("?") else below.strip()


def _is_statement_link(paragraph: str) -> bool:
    """Tell whether nothing but links to a hint or a video stands there."""
    if "![" in paragraph:
        return False
    return not _LETTER.search(_LINK_ONLY.sub("", paragraph))


def _of_code(cell: Cell) -> Iterator[Piece]:
    for block in comments(cell.source):
        paragraphs = re.split(r"\n[ \t]*\n", block)
        text = "\n".join([_without_statement(paragraphs[0]), *paragraphs[1:]])
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
