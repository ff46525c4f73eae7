"""Tables that people save from spreadsheets and learning-management systems.

What such files differ in is found out and kept, so that a filled sheet is the sheet that was
downloaded: encoding and byte order mark, delimiter, line ends.
"""

import codecs
import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from grader.intake.bounds import Bounds, Refused
from grader.intake.disk import read_file_bytes
from grader.intake.names import shown_path

_DELIMITERS = ",;\t"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MOST_CELL = 16 << 20  # an online text, in a column of a worksheet


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table with its form.

    Attributes:
        name: of the file, for messages.
        header: the first row.
        rows: the others; each has as many cells as the header.
        lines: the row numbers that a spreadsheet shows for `rows`, from 1.
        mark: byte order mark, empty for none.
        encoding: without its mark.
        delimiter: between cells.
        line_end: between rows.
    """

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    mark: bytes = b""
    encoding: str = "utf-8"
    delimiter: str = ","
    line_end: str = "\r\n"

    def find_column(self, names: Iterable[str]) -> int | None:
        """Return the place of the first column that has one of these names, or None."""
        wanted = {_folded(name) for name in names}
        return next((at for at, name in enumerate(self.header) if _folded(name) in wanted), None)

    def column(self, *names: str) -> int:
        """Return the place of the first column that has one of these names.

        Raises:
            Refused: there is none.
        """
        found = self.find_column(names)
        if found is None:
            values = {"column": names[0], "known": ", ".join(self.header)[:500]}
            raise self.refuse("no-column", **values)
        return found

    def refuse(self, code: str, **values: object) -> Refused:
        """Return the refusal ``sheet.CODE`` of this sheet, to be raised."""
        shown = {name: str(value) for name, value in values.items()}
        return Refused(f"sheet.{code}", {"file": self.name, **shown})

    def with_rows(self, rows: Iterable[Iterable[str]]) -> "Sheet":
        """Return the same sheet with other cells."""
        return replace(self, rows=tuple(tuple(row) for row in rows))

    def encode(self) -> bytes:
        """Return the file."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, delimiter=self.delimiter, lineterminator=self.line_end)
        writer.writerow(self.header)
        writer.writerows(self.rows)
        return self.mark + buffer.getvalue().encode(self.encoding, "replace")


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def read_sheet(path: Path) -> Sheet:
    """Return the table in a file.

    Raises:
        Refused: it cannot be read, is no table, or has rows that are longer than its header.
    """
    shown = shown_path(path.name or str(path))
    return parse_sheet(read_file_bytes(path, shown, Bounds()), shown)


def parse_sheet(data: bytes, name: str) -> Sheet:
    """Return the table that the bytes hold; `name` is for messages.

    Raises:
        Refused: they hold none, or rows that are longer than the header.
    """
    mark, encoding, text = _decoded(data, name)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(_DELIMITERS, key=lambda sign: len(next(csv.reader([first], delimiter=sign))))
    csv.field_size_limit(_MOST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        table = [tuple(row) for row in reader]
    except csv.Error as error:
        raise Refused("sheet.broken", {"file": name, "detail": str(error)}) from error
    numbered = [(at, row) for at, row in enumerate(table, 1) if any(cell.strip() for cell in row)]
    if not numbered:
        raise Refused("sheet.empty", {"file": name})
    (_, header), *rows = numbered
    for at, row in rows:
        if any(cell.strip() for cell in row[len(header) :]):
            values = {"row": str(at), "cells": str(len(row)), "columns": str(len(header))}
            raise Refused("sheet.ragged", {"file": name, **values})
    # Excel leaves out empty cells at the end of rows, sixteen rows at a time, and adds such cells.
    missing = ("",) * len(header)
    return Sheet(
        name=name,
        header=header,
        rows=tuple((row + missing)[: len(header)] for _, row in rows),
        lines=tuple(at for at, _ in rows),
        mark=mark,
        encoding=encoding,
        delimiter=delimiter,
        line_end="\r\n" if "\r\n" in text else "\n",
    )


def _decoded(data: bytes, name: str) -> tuple[bytes, str, str]:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            candidates = [(mark, encoding)]
            break
    else:
        # Spreadsheets on Russian Windows save plain CSV as Windows-1251.
        candidates = [(b"", "utf-8"), (b"", "cp1251")]
    for mark, encoding in candidates:
        try:
            text = data[len(mark) :].decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return mark, encoding, text
    raise Refused("sheet.not-text", {"file": name})
