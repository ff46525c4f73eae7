"""A tar reader that only goes forward: every step moves on by at least one block.

The standard library's reader follows sizes that an archive's headers give, negative ones included.
Formats: POSIX.1-2017, `pax`, "ustar Interchange Format" and "pax Header Block"; GNU tar manual,
"Basic Tar Format" (long names, base-256 sizes).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_BLOCK = 512
_END = bytes(_BLOCK)
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"
_FILE = (b"0", b"\0", b"7", b"")
_WITHOUT_BYTES = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders, fifos
_LONGEST_META = 1 << 16


class TarFault(Exception):
    """The bytes are no tar archive, or end inside of one."""


@dataclass(frozen=True, slots=True)
class TarEntry:
    """An entry: its path, what it is, and where its bytes lie."""

    path: str
    kind: Literal["file", "folder", "special"]
    start: int
    end: int


def tar_entries(data: bytes) -> Iterator[TarEntry]:
    """Yield the entries of an unpacked tar archive.

    Raises:
        TarFault: a header is not one, a size is impossible, or the archive ends too early.
    """
    at = 0
    long_name: str | None = None
    extended: dict[str, str] = {}
    while True:
        header = data[at : at + _BLOCK]
        if header == _END or (not header and at > 0):
            return
        _require_header(header)
        start = at + _BLOCK
        kind = header[156:157]
        end = start + _size(header, kind, extended)
        if end > len(data):
            raise TarFault("tar: an entry ends after the archive")
        at = start + -(-(end - start) // _BLOCK) * _BLOCK
        if kind == _LONG_NAME:
            long_name = _text(data[start : min(end, start + _LONGEST_META)])
        elif kind == _PAX:
            extended = _pax_records(data[start : min(end, start + _LONGEST_META)])
        elif kind not in (_LONG_LINK, _PAX_GLOBAL):
            path = extended.get("path") or long_name or _header_path(header)
            yield TarEntry(path, _kind(kind, path), start, end)
            long_name, extended = None, {}


def _size(header: bytes, kind: bytes, extended: dict[str, str]) -> int:
    if kind in _WITHOUT_BYTES:
        return 0
    if "size" in extended and kind not in (_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK):
        return _decimal(extended["size"])
    return _number(header[124:136])


def _kind(kind: bytes, path: str) -> Literal["file", "folder", "special"]:
    if kind == b"5" or (kind in _FILE and path.endswith("/")):
        return "folder"
    return "file" if kind in _FILE else "special"


def _require_header(header: bytes) -> None:
    if len(header) < _BLOCK:
        raise TarFault("tar: the archive ends too early")
    blank = header[:148] + b" " * 8 + header[156:]
    if _number(header[148:156]) != sum(blank):
        raise TarFault("tar: a header's checksum is wrong")


def _number(field: bytes) -> int:
    if field[:1] == b"\x80":  # base 256, for what octal digits cannot hold
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b"\0 ") or b"0"
    if not all(byte in b"01234567" for byte in digits):
        raise TarFault("tar: a number is not octal")
    return int(digits, 8)


def _decimal(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise TarFault("tar: a size is no number")
    return int(text)


def _text(field: bytes) -> str:
    raw = field.split(b"\0", 1)[0]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1251", errors="replace")


def _header_path(header: bytes) -> str:
    name, prefix = _text(header[:100]), ""
    if header[257:263] == b"ustar\0":
        prefix = _text(header[345:500])
    return f"{prefix}/{name}" if prefix else name


def _pax_records(data: bytes) -> dict[str, str]:
    records: dict[str, str] = {}
    while data.strip(b"\0"):
        digits, space, _ = data[:12].partition(b" ")
        if not space or not digits.isdigit():
            raise TarFault("tar: an extended header is broken")
        length = int(digits)
        if length <= len(digits) + 1 or length > len(data):
            raise TarFault("tar: an extended header is broken")
        key, _, value = data[len(digits) + 1 : length].removesuffix(b"\n").partition(b"=")
        records[_text(key)] = _text(value)
        data = data[length:]
    return records
