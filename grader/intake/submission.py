"""Files of a submission, as bytes, become one Submission."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from grader.intake.bounds import Bounds, refuse, size_text
from grader.intake.names import clean_name, format_of, natural_order, shown_path, stem
from grader.intake.notebook import Note, read_notebook
from grader.intake.script import read_script
from grader.model import Cell, Submission


def submission_from_files(
    files: Mapping[str, bytes], *, name: str, bounds: Bounds, notes: list[Note] | None = None
) -> Submission:
    """Return the submission that these notebooks and scripts are, by path.

    Raises:
        Refused: one of them cannot be read, or together they are beyond a bound.
    """
    cells: list[Cell] = []
    modules: dict[str, str] = {}
    notes = list(notes or [])
    left = bounds.source_bytes
    for path in sorted(files, key=natural_order):
        is_notebook = format_of(path) == "ipynb"
        read = (read_notebook if is_notebook else read_script)(files[path], path, bounds)
        left -= sum(len(cell.source) for cell in read.cells)
        if left < 0:
            raise refuse("too-much-source", shown_path(name), bound=size_text(bounds.source_bytes))
        if len(cells) + len(read.cells) > bounds.cells:
            raise refuse("too-many-cells", shown_path(name), bound=bounds.cells)
        cells += _shifted(read.cells, cells)
        notes += read.notes
        if not is_notebook and read.cells and read.cells[0].style == "script":
            modules[path] = _module_source(files[path])
    return Submission(
        name=clean_name(name, bounds),
        cells=tuple(cells),
        files=modules,
        digest=content_digest(cells, modules),
        notes=tuple(notes),
    )


def _shifted(cells: list[Cell], before: list[Cell]) -> list[Cell]:
    position = len(before)
    index = max((cell.index or 0 for cell in before), default=0)
    return [
        replace(
            cell,
            position=cell.position + position,
            index=None if cell.index is None else cell.index + index,
        )
        for cell in cells
    ]


def _module_source(data: bytes) -> str:
    from grader.intake.text import decode_text

    return decode_text(data, "")[0]


def content_digest(cells: list[Cell], modules: Mapping[str, str]) -> str:
    """Return the SHA-256 of everything that can influence a grade; the name is not part of it."""
    digest = hashlib.sha256()

    def add(data: bytes) -> None:
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)

    for cell in cells:
        for text in (cell.kind, cell.file, cell.style, cell.source, cell.printed):
            add(text.encode(errors="surrogatepass"))
        for picture in cell.pictures:
            add(picture.media.encode())
            add(picture.data)
        add(b"end of cell")
    for path in sorted(modules):
        add(path.encode(errors="surrogatepass"))
        add(modules[path].encode(errors="surrogatepass"))
    return digest.hexdigest()


def name_of(filename: str) -> str:
    """Return the name a submission has without one of its own: the file's stem."""
    return clean_name(stem(filename))
