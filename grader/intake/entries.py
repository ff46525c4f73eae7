"""What ``grade PATH...`` grades: one entry a submission."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.intake.archive import is_skipped
from grader.intake.bounds import refuse
from grader.intake.disk import is_same
from grader.intake.names import clean_name, natural_order, shown_path, stem, unique_name
from grader.messages import system_reason

RESERVED = frozenset(
    {
        "index.html",
        "gradebook.csv",
        "gradebook.db",
        "gradebook.db-wal",
        "gradebook.db-shm",
        "gradebook.db-journal",
        "review.csv",
        "item_analysis.csv",
        "submissions.csv",
        "moodle-grades.csv",
        "moodle-feedback.zip",
        "canvas-grades.csv",
        "gradescope-grades.csv",
        "grades.csv",
    }
)
"""Names of files that grading writes beside the submissions' folders."""

_NO_SUBMISSION = re.compile(r"(?i)expect\.toml|readme(?:\.(?:md|rst|txt))?|thumbs\.db|desktop\.ini")


@dataclass(frozen=True, slots=True)
class Entry:
    """A submission to be read.

    Attributes:
        name: unique in its batch, fit for a folder's name.
        path: the file or the folder.
    """

    name: str
    path: Path


def is_no_submission(name: str) -> bool:
    """Tell whether a file of this name is never a student's work."""
    return is_skipped(name) or _NO_SUBMISSION.fullmatch(name) is not None


def find_submissions(paths: Sequence[Path], *, leave_out: Path | None = None) -> list[Entry]:
    """Return what is to be graded: a file is one submission, each entry of a folder is one.

    Hidden files, ``__MACOSX``, ``expect.toml`` and a README are none. What is no submission after
    all is found out by reading it, so that it is reported and not lost.

    Args:
        paths: files and folders.
        leave_out: a folder that is none, wherever it lies.

    Raises:
        Refused: a path does not exist or a folder cannot be listed.
    """
    found: list[Entry] = []
    taken = set(RESERVED)
    for path in paths:
        for candidate in _candidates(path, leave_out):
            own_name = candidate.name if _is_folder(candidate) else stem(candidate.name)
            name = unique_name(clean_name(own_name), taken)
            taken.add(name.casefold())
            found.append(Entry(name, candidate))
    return found


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # reading it will say why, as of a link to where nobody may look


def _candidates(path: Path, leave_out: Path | None) -> list[Path]:
    try:
        # What the instructor names may be a link; what lies in a folder may not.
        path = path.resolve(strict=True)
        if not path.is_dir():
            return [path]
        listed = sorted(path.iterdir(), key=lambda entry: natural_order(entry.name))
    except (OSError, RuntimeError) as error:
        # Before Python 3.13 links that lead in a circle are a RuntimeError.
        detail = "ELOOP" if isinstance(error, RuntimeError) else system_reason(error)
        raise refuse("unreadable", shown_path(str(path)), detail=detail) from error
    return [
        entry
        for entry in listed
        if not is_no_submission(entry.name) and not is_same(entry, leave_out)
    ]
