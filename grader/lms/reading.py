"""A submission of a class becomes cells: its files are read where they lie, as data."""

from collections.abc import Sequence
from pathlib import Path

from grader.intake import Bounds, Refused, read_submission
from grader.intake.archive import Found, add_file, read_archive
from grader.intake.bounds import refuse
from grader.intake.names import format_of, shown_path, stem
from grader.intake.reading import ACCEPTED
from grader.intake.submission import submission_from_files
from grader.lms.containers import Member, is_folder, read_member
from grader.model import Submission


def read_handed(path: Path, members: Sequence[Member], *, name: str) -> Submission:
    """Return a submission as data.

    A file among several that cannot be read leaves a note; alone, it is a refusal.

    Args:
        path: the submission, or what holds its members.
        members: its files inside of `path`; empty where `path` is the submission.
        name: of the submission.

    Raises:
        Refused: it cannot be read as a submission.
    """
    if not members:
        return read_submission(path, name=name)
    bounds = Bounds()
    found = Found()
    refusals: list[Refused] = []
    for member in members:
        if not format_of(member.path) and not is_folder(path, member):
            continue
        try:
            _read_into(found, path, member, bounds)
        except Refused as refused:
            refusals.append(refused)
    if not found.files:
        names = ", ".join(shown_path(member.path) for member in members)[:500]
        raise refusals[0] if refusals else refuse("unknown-format", names, bound=ACCEPTED)
    notes = [*found.notes, *((refused.code, refused.values) for refused in refusals)]
    return submission_from_files(found.files, name=name, bounds=bounds, notes=notes)


def _read_into(found: Found, container: Path, member: Member, bounds: Bounds) -> None:
    data = read_member(container, member, bounds)
    shown = shown_path(member.path)
    if format_of(member.path) in ("ipynb", "py"):
        add_file(found, _free(shown, found), data, shown, bounds)
        return
    inner = read_archive(data, shown, bounds)
    found.notes += inner.notes
    for path, content in inner.files.items():
        add_file(found, _free(f"{stem(shown)}/{path}", found), content, shown, bounds)


def _free(path: str, found: Found) -> str:
    """Return `path`, or in a numbered folder where it is taken."""
    free, number = path, 1
    while free in found.files:
        number += 1
        free = f"{number}/{path}"
    return free
