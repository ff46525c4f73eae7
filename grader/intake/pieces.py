"""Cells are cut where a section begins inside of them."""

from collections.abc import Sequence
from dataclasses import replace

from grader.intake.headings import FoundHeading, heading_lines, read_heading
from grader.intake.python_text import python_of_cell, top_level_blocks, top_level_comments
from grader.intake.remembered import remembered
from grader.model import Cell

Piece = tuple[Cell, FoundHeading | None]


def cut_cell(cell: Cell, lines: Sequence[int]) -> list[Cell]:
    """Return `cell` cut before each of these lines (from 0); parts without text are left out.

    Parts of a code cell keep its index, and all but the first say at which line of it (or, in a
    script, of the file) they begin. What the cell had printed is kept with each part, since
    nothing tells which of them printed it; a picture goes where the text refers to it.
    """
    all_lines = cell.source.split("\n")
    starts = sorted({0, *(line for line in lines if 0 < line < len(all_lines))})
    parts: list[Cell] = []
    for start, end in zip(starts, [*starts[1:], len(all_lines)], strict=True):
        source = "\n".join(all_lines[start:end])
        if not source.strip():
            continue
        line = cell.line if start == 0 else (cell.line or 1) + start
        parts.append(replace(cell, source=source, line=line, pictures=()))
    if not parts:
        return [cell]
    for picture in cell.pictures:
        home = next(
            (n for n, part in enumerate(parts) if f"attachment:{picture.name}" in part.source),
            len(parts) - 1,
        )
        parts[home] = replace(parts[home], pictures=(*parts[home].pictures, picture))
    return parts


def pieces_by_heading(cell: Cell) -> list[Piece]:
    """Return the cell, cut before each heading inside it, each part with the heading it opens."""
    found = heading_lines(cell.source) if cell.kind == "text" else _code_headings(cell.source)
    if not found:
        return [(cell, None)]
    lines = cell.source.split("\n")
    first = found[0][0]
    blank_before = not any(line.strip() for line in lines[:first])
    if cell.kind == "code":
        # Comments above the first heading are no cell of their own.
        blank_before = all(not t or t.startswith("#") for t in map(str.strip, lines[:first]))
    starts = [line for line, _ in found]
    if blank_before:
        starts[0] = 0
    headings: dict[int, FoundHeading | None] = dict(
        zip(starts, (heading for _, heading in found), strict=True)
    )
    if not blank_before:
        headings[0] = None
    parts = cut_cell(cell, starts)
    return list(zip(parts, [headings[start] for start in sorted(headings)], strict=True))


@remembered
def _code_headings(source: str) -> tuple[tuple[int, FoundHeading], ...]:
    if "#" not in source:
        return ()
    lines = source.split("\n")
    found: list[tuple[int, FoundHeading]] = []
    for number in top_level_comments(python_of_cell(source)):
        heading = read_heading(lines[number], before=lines[number - 1] if number else "")
        if heading:
            found.append((number, heading))
    return tuple(found)


@remembered
def statement_starts(source: str) -> tuple[int, ...]:
    """Return where each top-level statement begins, the comments above it included."""
    starts: list[int] = []
    after = 0
    lines = source.split("\n")
    for block in top_level_blocks(python_of_cell(source)):
        start = after
        while start < block.first and not lines[start].strip():
            start += 1
        starts.append(start)
        after = block.last + 1
    return tuple(starts)
