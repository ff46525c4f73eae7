"""Where the cells of a submission stand in its files, for programs that point at lines."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from grader.intake.names import format_of
from grader.model import Submission

_raw_list = msgspec.json.Decoder(list[msgspec.Raw])


class _Notebook(msgspec.Struct):
    cells: msgspec.Raw


class _Kind(msgspec.Struct):
    cell_type: str


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, from 1."""

    path: Path
    line: int


def find_places(path: Path, submission: Submission) -> Mapping[int, Place]:
    """Return the place of each code cell by its index.

    A cell of a notebook stands at the line of the JSON file on which it begins. Cells inside an
    archive, and of notebooks that had to be repaired, stand at the first line.
    """
    files: dict[str, list[int]] = {}
    places: dict[int, Place] = {}
    for cell in submission.cells:
        if cell.index is None:
            continue
        file = path / cell.file if path.is_dir() else path
        if not file.is_file():
            file = path
        if cell.file not in files and format_of(file.name) == "ipynb":
            files[cell.file] = code_cell_lines(file.read_bytes())
        lines = files.get(cell.file, [])
        line = cell.line or (lines.pop(0) if lines else 1)
        in_archive = format_of(file.name) not in ("ipynb", "py")
        places[cell.index] = Place(file, 1 if in_archive else line)
    return places


def code_cell_lines(data: bytes) -> list[int]:
    """Return the line on which each code cell of a notebook begins; nothing if it is broken."""
    try:
        cells = bytes(msgspec.json.decode(data, type=_Notebook).cells)
        found = [bytes(cell) for cell in _raw_list.decode(cells)]
        kinds = [msgspec.json.decode(cell, type=_Kind).cell_type for cell in found]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    lines = []
    offset = data.find(cells)
    line = data.count(b"\n", 0, offset) + 1
    for cell, kind in zip(found, kinds, strict=True):
        start = data.find(cell, offset)
        line += data.count(b"\n", offset, start)
        if kind == "code":
            lines.append(line)
        offset = start + len(cell)
        line += cell.count(b"\n")
    return lines
