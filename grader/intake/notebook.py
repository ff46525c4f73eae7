"""Jupyter notebooks (nbformat 4) become cells.

Decoding is typed and skips unknown fields, so metadata and pictures in outputs cost next to
nothing. The reference for the format is nbformat's JSON schema, `nbformat.v4.5.schema.json`.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from grader.intake.bounds import Bounds, refuse, require_size, size_text
from grader.intake.json_bytes import repaired, require_shallow
from grader.intake.pictures import PictureFinder
from grader.intake.printed import Output, printed_text
from grader.intake.text import decode_text
from grader.model import Cell

Note = tuple[str, dict[str, str]]
_Text = str | list[str] | None


class _Cell(msgspec.Struct):
    cell_type: str
    source: _Text = ""
    outputs: msgspec.Raw = msgspec.Raw(b"")
    attachments: msgspec.Raw = msgspec.Raw(b"")


class _Header(msgspec.Struct):
    nbformat: Any = None
    cells: msgspec.Raw = msgspec.Raw(b"")
    metadata: msgspec.Raw = msgspec.Raw(b"")
    worksheets: msgspec.Raw = msgspec.Raw(b"")


class _Language(msgspec.Struct):
    name: Any = None


class _Metadata(msgspec.Struct):
    language_info: _Language | None = None


_raw_list = msgspec.json.Decoder(list[msgspec.Raw])  # to be counted before it is decoded
_cells = msgspec.json.Decoder(list[_Cell])
_header = msgspec.json.Decoder(_Header)
_output = msgspec.json.Decoder(Output)
_MOST_OUTPUTS = 200


@dataclass(slots=True)
class SourceFile:
    """What one file of a submission holds; positions and indexes count from its own start."""

    cells: list[Cell]
    notes: list[Note] = field(default_factory=list)


def read_notebook(data: bytes, file: str, bounds: Bounds) -> SourceFile:
    """Return the cells of a notebook.

    Raises:
        Refused: it is empty, something else than a notebook, of another format than 4, broken, or
            beyond a bound.
    """
    require_size(len(data), bounds.file_bytes, file)
    data = _as_utf8(data, file)
    if data.count(b'"cell_type"') > bounds.cells:
        raise refuse("too-many-cells", file, bound=bounds.cells)
    require_shallow(data, file, bounds)
    header, data = _decoded_header(data, file)
    _require_format_4(header, file)
    try:
        if len(_raw_list.decode(header.cells)) > bounds.cells:
            raise refuse("too-many-cells", file, bound=bounds.cells)
        cells = _cells.decode(header.cells)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refuse("not-a-notebook", file, detail=_reason(error)) from error
    return _read_cells(cells, file, bounds, _language_notes(header, file))


def looks_like_notebook(text: str) -> bool:
    """Tell whether what is named a script is a notebook that was renamed."""
    start = text.lstrip()[:1]
    return start == "{" and '"nbformat"' in text and '"cells"' in text


def _as_utf8(data: bytes, file: str) -> bytes:
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not data.strip(b"\xef\xbb\xbf \t\r\n\0"):
        raise refuse("empty", file)
    if start.startswith(b"<"):
        raise refuse("html", file)
    if start.startswith(b"%pdf"):
        raise refuse("pdf", file)
    if data.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        raise refuse("is-archive", file)
    try:
        data.decode()
    except UnicodeDecodeError:
        return decode_text(data, file)[0].encode()
    return data.removeprefix(b"\xef\xbb\xbf")


def _decoded_header(data: bytes, file: str) -> tuple[_Header, bytes]:
    try:
        return _header.decode(data), data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        data = repaired(data)
    try:
        return _header.decode(data), data
    except msgspec.ValidationError as error:
        raise refuse("not-a-notebook", file, detail=_reason(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        line = _line_of_conflict(data)
        if line is not None:
            raise refuse("merge-conflict", file, line=line) from error
        raise refuse("broken-json", file, detail=_reason(error)) from error


def _line_of_conflict(data: bytes) -> int | None:
    """Return the line on which git left the two sides of a merge to be chosen from, if it did."""
    start = re.search(rb"^<{7} ", data, re.MULTILINE)
    if start is None or not re.search(rb"^>{7} ", data[start.end() :], re.MULTILINE):
        return None
    return data.count(b"\n", 0, start.start()) + 1


def _require_format_4(header: _Header, file: str) -> None:
    if bytes(header.worksheets) and not bytes(header.cells):
        found = header.nbformat if isinstance(header.nbformat, int) else 3
        raise refuse("other-format", file, found=found)
    if not bytes(header.cells):
        raise refuse("not-a-notebook", file, detail="no `cells`")
    if header.nbformat is None or header.nbformat == 4:
        return  # some tools drop the number; cells with the right fields are format 4
    raise refuse("other-format", file, found=str(header.nbformat)[:20])


def _reason(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__


def _language_notes(header: _Header, file: str) -> list[Note]:
    try:
        metadata = msgspec.json.decode(header.metadata or b"{}", type=_Metadata)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    name = metadata.language_info.name if metadata.language_info else None
    if not isinstance(name, str) or name.lower() in ("", "python", "python3", "ipython"):
        return []
    return [("intake.other-language", {"file": file, "found": name[:40]})]


def _read_cells(cells: list[_Cell], file: str, bounds: Bounds, notes: list[Note]) -> SourceFile:
    pictures = PictureFinder(bounds, file)
    read: list[Cell] = []
    index = 0
    for position, cell in enumerate(cells):
        source = _joined(cell.source)
        if cell.cell_type == "code":
            index += 1
            _require_source(source, file, position, bounds)
            printed = _printed(cell.outputs, file, notes, bounds)
            read.append(
                Cell(
                    position=position,
                    kind="code",
                    source=source,
                    index=index,
                    file=file,
                    printed=printed,
                )
            )
            continue
        source, found = pictures.take(source, cell.attachments)
        _require_source(source, file, position, bounds)
        read.append(Cell(position=position, kind="text", source=source, file=file, pictures=found))
    return SourceFile(read, notes + pictures.notes)


def _joined(source: _Text) -> str:
    text = source if isinstance(source, str) else "".join(source or ())
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _require_source(source: str, file: str, position: int, bounds: Bounds) -> None:
    if len(source) > bounds.cell_source_bytes:
        raise refuse(
            "cell-too-large",
            file,
            cell=position + 1,
            found=size_text(len(source)),
            bound=size_text(bounds.cell_source_bytes),
        )


def _printed(outputs: msgspec.Raw, file: str, notes: list[Note], bounds: Bounds) -> str:
    if not bytes(outputs).strip(b"[] \n"):
        return ""
    try:
        raw = _raw_list.decode(outputs)
        if len(raw) > _MOST_OUTPUTS:
            raw = raw[: _MOST_OUTPUTS // 2] + raw[-_MOST_OUTPUTS // 2 :]
        return printed_text([_output.decode(one) for one in raw], bounds.printed_characters)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        note = ("intake.outputs-unreadable", {"file": file})
        if note not in notes:
            notes.append(note)
        return ""
