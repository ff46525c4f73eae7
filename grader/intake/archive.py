"""Archives are read in memory, as data: bounds first, nothing extracted."""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from grader.intake.bounds import Bounds, refuse, require_size
from grader.intake.names import format_of, shown_path
from grader.intake.tar import TarFault, tar_entries

BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    OverflowError,
)
_ENCRYPTED = 0x1
_UTF8_NAMES = 0x800
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others take memory by the archive's word
_CENTRAL_ENTRY = b"PK\x01\x02"
_SKIPPED_FOLDERS = {"__macosx", "__pycache__", "venv", "node_modules", "site-packages"}


@dataclass(slots=True)
class Found:
    """What a folder or an archive holds of a submission.

    Attributes:
        files: sources, and an archive inside of a folder.
        notes: what was skipped, and why.
        others: paths of what is not read at all, such as a report in PDF.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    notes: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def is_skipped(path: str) -> bool:
    """Tell whether some part of a path is hidden or no work of the student."""
    return any(part.startswith(".") or part.lower() in _SKIPPED_FOLDERS for part in path.split("/"))


def read_archive(data: bytes, file: str, bounds: Bounds) -> Found:
    """Return the notebooks and scripts of a ``.zip``, ``.tar`` or ``.tar.gz``.

    Raises:
        Refused: it is broken, encrypted, of another kind, beyond a bound, or has a path that
            leads out of it.
    """
    require_size(len(data), bounds.file_bytes, file)
    if not data:
        raise refuse("empty", file)
    try:
        found = (
            _read_zip(data, file, bounds) if data[:2] == b"PK" else _read_tar(data, file, bounds)
        )
    except BROKEN as error:
        raise refuse("broken-archive", file, detail=str(error)[:200]) from error
    return Found(_without_common_folder(found.files), found.notes, found.others)


def checked_path(raw: str, file: str, bounds: Bounds) -> str:
    """Return a path inside an archive with ``/`` between its parts.

    Raises:
        Refused: it is absolute, leads upwards, is too long or too deep.
    """
    path = raw.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    drive = len(path) > 1 and path[1] == ":"
    if path.startswith("/") or drive or ".." in parts:
        raise refuse("unsafe-path", file, path=shown_path(raw))
    if len(path.encode(errors="replace")) > bounds.path_bytes:
        raise refuse("path-too-long", file, path=shown_path(raw), bound=bounds.path_bytes)
    if len(parts) > bounds.folder_depth + 1:
        raise refuse("folders-too-deep", file, path=shown_path(raw), bound=bounds.folder_depth)
    return "/".join(parts)


def _without_common_folder(files: dict[str, bytes]) -> dict[str, bytes]:
    """An archive of one folder is that folder."""
    while files and all("/" in path for path in files):
        tops = {path.split("/", 1)[0] for path in files}
        if len(tops) > 1:
            break
        files = {path.split("/", 1)[1]: data for path, data in files.items()}
    return files


def add_file(found: Found, path: str, data: bytes, file: str, bounds: Bounds) -> None:
    """Add a file to what was found, within the bounds of a submission.

    Raises:
        Refused: there are too many files, or too many bytes.
    """
    _require_room(found, len(data), file, bounds)
    found.files[path] = data


def _require_room(found: Found, size: int, file: str, bounds: Bounds) -> None:
    if len(found.files) >= bounds.files:
        raise refuse("too-many-files", file, bound=bounds.files)
    total = sum(len(data) for data in found.files.values()) + size
    require_size(total, bounds.submission_bytes, file, "unpacks-too-large")


# ------------------------------------------------------------------ zip


def _read_zip(data: bytes, file: str, bounds: Bounds) -> Found:
    # zipfile builds an object for each of these before it can be asked how many there are.
    if data.count(_CENTRAL_ENTRY) > bounds.entries:
        raise refuse("too-many-entries", file, bound=bounds.entries)
    found = Found()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            path = checked_path(zip_name(info), file, bounds)
            if info.is_dir() or is_skipped(path):
                continue
            if format_of(path) not in ("ipynb", "py"):
                found.others.append(path)
                continue
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                found.notes.append(("intake.skipped-special", {"file": shown_path(path)}))
                continue
            found.files[path] = _zip_entry(archive, info, path, found, file, bounds)
    return found


def zip_name(info: zipfile.ZipInfo) -> str:
    """Return an entry's path as who packed it wrote it: in UTF-8, or in Russian Windows' cp866."""
    if info.flag_bits & _UTF8_NAMES:
        return info.filename
    raw = info.filename.encode("cp437", errors="replace")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp866")  # what Windows packs Russian names with


def _zip_entry(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    path: str,
    found: Found,
    file: str,
    bounds: Bounds,
) -> bytes:
    _require_room(found, info.file_size, file, bounds)
    return read_zip_entry(archive, info, path, file, bounds)


def read_zip_entry(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str, file: str, bounds: Bounds
) -> bytes:
    """Return the bytes of an entry; `path` and `file`, the archive, are for messages.

    Raises:
        Refused: it is encrypted, of another compression, broken or beyond a bound.
    """
    inside = f"{file}: {shown_path(path)}"
    if info.flag_bits & _ENCRYPTED:
        raise refuse("encrypted", file)
    if info.compress_type not in _METHODS:
        raise refuse("other-compression", file)
    require_size(info.file_size, bounds.file_bytes, inside)
    _require_ratio(info.file_size, info.compress_size, inside, bounds)
    with archive.open(info) as entry:
        data = entry.read(info.file_size + 1)
    if len(data) != info.file_size:
        raise refuse("broken-archive", file, detail=f"{shown_path(path)}: size")
    return data


def _require_ratio(unpacked: int, packed: int, file: str, bounds: Bounds) -> None:
    if unpacked > bounds.ratio_floor_bytes and unpacked > packed * bounds.expansion_ratio:
        raise refuse("expands-too-much", file, bound=bounds.expansion_ratio)


# ------------------------------------------------------------------ tar


def _read_tar(data: bytes, file: str, bounds: Bounds) -> Found:
    if data.startswith(b"\x1f\x8b"):
        data = _gunzipped(data, file, bounds)
    found = Found()
    try:
        for number, entry in enumerate(tar_entries(data)):
            if number >= bounds.entries:
                raise refuse("too-many-entries", file, bound=bounds.entries)
            path = checked_path(entry.path, file, bounds)
            if entry.kind == "folder" or is_skipped(path):
                continue
            if format_of(path) not in ("ipynb", "py"):
                found.others.append(path)
                continue
            if entry.kind != "file":
                found.notes.append(("intake.skipped-special", {"file": shown_path(path)}))
                continue
            size = entry.end - entry.start
            require_size(size, bounds.file_bytes, f"{file}: {shown_path(path)}")
            _require_room(found, size, file, bounds)
            found.files[path] = data[entry.start : entry.end]
    except TarFault as fault:
        raise refuse("broken-archive", file, detail=str(fault)) from fault
    return found


def _gunzipped(data: bytes, file: str, bounds: Bounds) -> bytes:
    unpacked = b"".join(_gzip_members(data, bounds.submission_bytes))
    require_size(len(unpacked), bounds.submission_bytes, file, "unpacks-too-large")
    _require_ratio(len(unpacked), len(data), file, bounds)
    return unpacked


def _gzip_members(data: bytes, limit: int) -> Iterator[bytes]:
    """Yield what the members unpack to, at most one byte more than `limit` together."""
    left = limit + 1
    for _ in range(1000):
        if left <= 0 or not data.startswith(b"\x1f\x8b"):
            return
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        unpacked = member.decompress(data, left)
        left -= len(unpacked)
        yield unpacked
        if left > 0 and not member.eof:
            raise EOFError("gzip: the data end too early")
        data = member.unused_data
