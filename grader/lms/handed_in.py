"""What ``grade PATH...`` grades: each path's layout is recognised, and names are made unique."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from grader.intake import Bounds, Refused, find_submissions
from grader.intake.bounds import refuse
from grader.intake.entries import RESERVED, Entry
from grader.intake.names import format_of, path_text, shown_path
from grader.lms import canvas, gradescope, moodle, nbgrader, repositories
from grader.lms.containers import Member, list_members, read_member
from grader.lms.layout import Claim, Handed, Layout, choose_attempts, give_names, split_members
from grader.lms.origin import FileState, Origin
from grader.lms.sheets import read_sheet

System: TypeAlias = Literal["moodle", "canvas", "gradescope", "nbgrader", "git", "folder"]
SYSTEMS: tuple[System, ...] = ("moodle", "canvas", "gradescope", "nbgrader", "git", "folder")

_NOTHING: Mapping[str, Origin] = {}


@dataclass(frozen=True, slots=True)
class HandedIn:
    """Everything that is to be graded, and the files that belong to nobody."""

    submissions: list[Handed]
    unclaimed: list[str]


def find_handed_in(
    paths: Sequence[Path],
    *,
    system: str | None = None,
    attempt: str = "last",
    known: Mapping[str, Origin] = _NOTHING,
    leave_out: Path | None = None,
) -> HandedIn:
    """Return the submissions in files and folders.

    Args:
        paths: as the instructor gave them; of one student's attempts, later paths are later.
        system: one of `SYSTEMS`; recognised from each path where None.
        attempt: which of several attempts counts: ``last``, ``first`` or a number from 1.
        known: where earlier submissions came from, by the names that they keep.
        leave_out: a folder in which nothing was handed in, wherever it lies.

    Raises:
        Refused: a path cannot be read, or is not what `system` says.
    """
    handed: list[Handed] = []
    unclaimed: list[str] = []
    for path in paths:
        layout = _read_layout(path, system, leave_out)
        handed += layout.handed
        unclaimed += [f"{path.name}/{name}" for name in layout.unclaimed]
    named = give_names(choose_attempts(handed, attempt), RESERVED, known)
    return HandedIn(named, unclaimed)


def _read_layout(path: Path, system: str | None, leave_out: Path | None) -> Layout:
    if system == "folder":
        return _plain(path, leave_out)
    if path.suffix.lower() == ".csv" and path.is_file():
        sheet = read_sheet(path)
        if system == "git" or repositories.recognises(sheet):
            return Layout(repositories.read_repositories(sheet, path.resolve().parent))
    if path.is_dir() or (path.is_file() and format_of(path.name) == "zip"):
        container = path.resolve()
        members = _members(container, system, leave_out)
        claim, own = _claims(container, members, system)
        students = [member for member in members if member.path not in own]
        layout = Layout() if claim is None else split_members(container, students, claim)
        if layout.handed:
            return layout
    if system is not None:
        raise refuse("not-this-system", shown_path(str(path)), system=system)
    return _plain(path, leave_out)


def _plain(path: Path, leave_out: Path | None) -> Layout:
    entries = find_submissions([path], leave_out=leave_out)
    return Layout([Handed(e.name, e.path, _plain_origin(e)) for e in entries])


def _plain_origin(entry: Entry) -> Origin:
    files: list[tuple[str, FileState]] = [(path_text(entry.path.name), "read")]
    return Origin(system="folder", label=entry.name, files=files)


def _members(container: Path, system: str | None, leave_out: Path | None) -> list[Member]:
    try:
        return list_members(container, visible=moodle.is_own, leave_out=leave_out)
    except Refused:
        if system is not None:
            raise
        return []  # what a submission's own reading says of it will be in its report


def _claims(
    container: Path, members: list[Member], system: str | None
) -> tuple[Callable[[str], Claim | None] | None, Collection[str]]:
    """Return what tells whose a file is, for the system that is named or recognised.

    With it come the paths of what the system itself put there.
    """
    paths = [member.path for member in members]
    by_path = {member.path: member for member in members}
    if system == "moodle" or (system is None and moodle.recognises(paths)):
        return moodle.claim, ()
    metadata = gradescope.find_metadata(paths)
    if system in (None, "gradescope") and metadata is not None:
        data = read_member(container, by_path[metadata], Bounds())
        return gradescope.claims(metadata, data), (metadata,)
    if system in (None, "nbgrader") and container.is_dir():
        prefix = nbgrader.prefix_of(container)
        if system == "nbgrader" or nbgrader.recognises(paths, prefix):
            stamps = {
                path: read_member(container, member, Bounds()).decode("utf-8", "replace")
                for path, member in by_path.items()
                if nbgrader.is_stamp(path, prefix or "")
            }
            return nbgrader.claims(container, paths, prefix or "", stamps), stamps
    if system == "canvas" or (system is None and canvas.recognises(paths, container.name)):
        return canvas.claim, ()
    return None, ()
