"""The files of a class: a folder, or an archive that a system made, read where it lies."""

import hashlib
import stat
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.intake.archive import BROKEN, checked_path, is_skipped, read_zip_entry, zip_name
from grader.intake.bounds import Bounds, Refused, refuse
from grader.intake.disk import list_folder, read_file_bytes, walk_folder
from grader.intake.names import shown_path
from grader.messages import system_reason

_CLASS = Bounds(entries=100_000, folder_depth=256, path_bytes=4096)
"""Bounds of everybody's files together; each submission has its own.

Moodle keeps 255 characters of folders and 255 of a name (`files` in `lib/db/install.xml`): what it
let one student hand in must not hide the class.
"""

_END = b"PK\x05\x06"
_LONGEST_END = 22 + (1 << 16)
_MOST_DIRECTORY_BYTES = 16 << 20
_MOST_DIGESTED_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a class.

    Attributes:
        key: by which `read_member` finds it.
        path: with ``/`` between its parts.
    """

    key: str
    path: str


def list_members(
    container: Path,
    *,
    visible: Callable[[str], bool] = lambda _: False,
    leave_out: Path | None = None,
) -> list[Member]:
    """Return the files in a folder or a zip archive, hidden ones left out.

    A folder in it that cannot be listed is there too: whose it is goes to a person.

    Args:
        container: the folder or archive.
        visible: tells which names are not hidden although they begin with a dot.
        leave_out: a folder whose files are left out too, wherever it lies.

    Raises:
        Refused: it cannot be read, or is beyond a bound.
    """
    shown = shown_path(container.name)
    if container.is_dir():
        found = walk_folder(
            container, shown, _CLASS, visible=visible, leave_out=leave_out, lenient=True
        )
        return [
            Member(str(Path(entry.path).relative_to(container)), path)
            for path, entry in found
            if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
        ]
    _require_directory(container, shown)
    try:
        with zipfile.ZipFile(container) as archive:
            entries = enumerate(archive.infolist())
            members = [
                Member(str(number), checked_path(zip_name(info), shown, _CLASS))
                for number, info in entries
                if not info.is_dir()
            ]
    except BROKEN as error:
        raise refuse("broken-archive", shown, detail=str(error)[:200]) from error
    # Of two entries with one path, whoever unpacks sees the last.
    by_path = {member.path: member for member in members}
    return [
        member
        for path, member in by_path.items()
        if not any(is_skipped(part) and not visible(part) for part in path.split("/"))
    ]


def read_member(container: Path, member: Member, bounds: Bounds) -> bytes:
    """Return the bytes of a file.

    Raises:
        Refused: it cannot be read, or is beyond a bound.
    """
    shown = shown_path(container.name)
    if container.is_dir():
        if is_folder(container, member):
            list_folder(container / member.key, shown_path(member.path))
        return read_file_bytes(container / member.key, shown_path(member.path), bounds)
    try:
        with zipfile.ZipFile(container) as archive:
            info = archive.infolist()[int(member.key)]
            return read_zip_entry(archive, info, member.path, shown, bounds)
    except BROKEN as error:
        raise refuse("broken-archive", shown, detail=str(error)[:200]) from error


def is_folder(container: Path, member: Member) -> bool:
    """Tell whether a member is a folder that could not be listed."""
    return container.is_dir() and (container / member.key).is_dir()


def digest_members(container: Path, members: Sequence[Member]) -> str:
    """Return what changes when files change, read or not: 12 hexadecimal digits, or nothing.

    Args:
        container: a folder, an archive, or a file of its own.
        members: of the container; all of a folder, or the file itself, where empty.
    """
    digest = hashlib.sha256()
    try:
        if not container.is_dir() and not members:
            _add_file(digest, container)
        elif container.is_dir():
            for member in members or list_members(container):
                digest.update(f"{member.path}\0".encode(errors="replace"))
                _add_file(digest, container / member.key)
        else:
            with zipfile.ZipFile(container) as archive:
                entries = archive.infolist()
            for member in members:
                info = entries[int(member.key)]
                digest.update(f"{member.path}\0{info.file_size}\0{info.CRC}\0".encode())
    except (Refused, *BROKEN):
        return ""
    return digest.hexdigest()[:12]


def _add_file(digest: "hashlib._Hash", path: Path) -> None:
    size = path.lstat().st_size
    digest.update(f"{size}\0".encode())
    if stat.S_ISREG(path.lstat().st_mode) and size <= _MOST_DIGESTED_BYTES:
        digest.update(path.read_bytes())


def _require_directory(container: Path, shown: str) -> None:
    """Refuse an archive whose directory would take much memory; PKWARE's APPNOTE, 4.3.16."""
    try:
        with container.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _LONGEST_END))
            tail = file.read(_LONGEST_END)
    except OSError as error:
        raise refuse("unreadable", shown, detail=system_reason(error)) from error
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise refuse("broken-archive", shown, detail="zip: no end of the directory")
    if int.from_bytes(tail[at + 12 : at + 16], "little") > _MOST_DIRECTORY_BYTES:
        raise refuse("too-many-entries", shown, bound=_CLASS.entries)
