"""Files and folders on disk, read without following or waiting for anything."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from grader.intake.archive import Found, checked_path, is_skipped
from grader.intake.bounds import Bounds, Refused, refuse, require_size
from grader.intake.names import format_of, natural_order, path_text, shown_path
from grader.messages import system_reason

# A fifo would wait for a writer, a link could lead to somebody else's work.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def read_file_bytes(path: Path, file: str, bounds: Bounds) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        Refused: it is no regular file, cannot be opened, or is too large.
    """
    try:
        # Opening some devices has effects, so the first look is without opening.
        if not stat.S_ISREG(path.lstat().st_mode):
            raise refuse("not-a-file", file)
        descriptor = os.open(path, _FLAGS)
        with open(descriptor, "rb") as opened:  # noqa: PTH123  # from a descriptor
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise refuse("not-a-file", file)
            require_size(status.st_size, bounds.file_bytes, file)
            data = opened.read(bounds.file_bytes + 1)
    except (OSError, ValueError) as error:
        raise refuse("unreadable", file, detail=_reason(error)) from error
    require_size(len(data), bounds.file_bytes, file)
    return data


def read_folder(folder: Path, bounds: Bounds) -> Found:
    """Return the notebooks and scripts in a folder, and its archives where it has only those.

    Links, devices and fifos are skipped with a note.

    Raises:
        Refused: a file cannot be read, or a bound is exceeded.
    """
    found = Found()
    archives: dict[str, Path] = {}
    total = 0
    name = shown_path(folder.name)
    for relative, entry in walk_folder(folder, name, bounds):
        kind = format_of(relative)
        if not kind:
            found.others.append(relative)
            continue
        if not entry.is_file(follow_symlinks=False):
            found.notes.append(("intake.skipped-special", {"file": shown_path(relative)}))
            continue
        if kind in ("zip", "tar"):
            archives[relative] = Path(entry.path)
            continue
        if len(found.files) >= bounds.files:
            raise refuse("too-many-files", name, bound=bounds.files)
        data = read_file_bytes(Path(entry.path), shown_path(relative), bounds)
        total += len(data)
        require_size(total, bounds.submission_bytes, name, "unpacks-too-large")
        found.files[relative] = data
    if not found.files and len(archives) == 1:
        relative, path = archives.popitem()
        found.files[relative] = read_file_bytes(path, shown_path(relative), bounds)
    found.others += archives
    return found


def walk_folder(
    folder: Path,
    name: str,
    bounds: Bounds,
    *,
    visible: Callable[[str], bool] = lambda _: False,
    leave_out: Path | None = None,
    lenient: bool = False,
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield what is in a folder, by path; hidden entries and links to folders are left out.

    Args:
        folder: where to look.
        name: of the folder, for messages.
        bounds: of what it may hold.
        visible: tells which names are not hidden although they begin with a dot.
        leave_out: a folder that is not entered, wherever it lies.
        lenient: whether a folder in it that cannot be listed is yielded instead of refused.

    Raises:
        Refused: a folder cannot be listed, or a bound is exceeded.
    """
    waiting: list[tuple[str, os.DirEntry[str] | None]] = [("", None)]
    seen = 0
    while waiting:
        prefix, current = waiting.pop()
        try:
            listed = list_folder(current or folder, shown_path(f"{name}/{prefix}".rstrip("/")))
        except Refused:
            if current is None or not lenient:
                raise
            yield path_text(prefix.rstrip("/")), current
            continue
        for entry in sorted(listed, key=lambda e: natural_order(e.name)):
            seen += 1
            if seen > bounds.entries:
                raise refuse("too-many-entries", name, bound=bounds.entries)
            relative = f"{prefix}{entry.name}"
            hidden = is_skipped(entry.name) and not visible(entry.name)
            is_folder = entry.is_dir(follow_symlinks=False)
            if hidden or (is_folder and _is_left_out(Path(entry.path), leave_out)):
                continue
            if is_folder:
                checked_path(f"{relative}/x", name, bounds)
                waiting.append((f"{relative}/", entry))
            else:
                yield path_text(relative), entry


def is_same(path: Path, other: Path | None) -> bool:
    """Tell whether two paths lead to one file or folder, however they are written."""
    try:
        return other is not None and path.samefile(other)
    except OSError:
        return False


def _is_left_out(folder: Path, leave_out: Path | None) -> bool:
    try:
        return is_same(folder, leave_out) or (folder / "pyvenv.cfg").exists()
    except OSError:
        return False  # listing it will say why


def list_folder(folder: os.PathLike[str], name: str) -> list[os.DirEntry[str]]:
    """Return what lies in a folder, named `name` in messages.

    Raises:
        Refused: it cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise refuse("unreadable", name, detail=_reason(error)) from error


def _reason(error: Exception) -> str:
    return system_reason(error)[:200]
