"""A CSV of git repositories that are already cloned: a row a student.

Columns: `path` (of the clone, from the CSV's folder), and `name`; with `submitted` where the time
counts. GitHub Classroom's grades file has the same under other names. Nothing of git is run.
"""

from pathlib import Path

from grader.intake.names import clean_name
from grader.lms.layout import Handed
from grader.lms.origin import Origin, Student
from grader.lms.sheets import Sheet

_PATHS = ("path", "student_repository_name", "repository")
_NAMES = ("name", "roster_identifier", "student", "submission")
_ACCOUNTS = ("github_username", "login")
_TIMES = ("submitted", "submission_timestamp")


def recognises(sheet: Sheet) -> bool:
    """Tell whether a table says where repositories are."""
    return sheet.find_column(_PATHS) is not None


def read_repositories(sheet: Sheet, folder: Path) -> list[Handed]:
    """Return the submissions that a table names.

    Args:
        sheet: the table.
        folder: where relative paths start.

    Raises:
        Refused: there is no column for the path, or a row has none.
    """
    path_at = sheet.find_column(_PATHS)
    if path_at is None:
        raise sheet.refuse("no-column", column=_PATHS[0], known=", ".join(sheet.header))
    name_at, account_at, time_at = map(sheet.find_column, (_NAMES, _ACCOUNTS, _TIMES))
    found = []
    for line, row in zip(sheet.lines, sheet.rows, strict=True):
        written = row[path_at].strip()
        path = folder / written
        if not written or not path.is_dir():
            raise sheet.refuse("no-clone", row=line, path=written or "-")
        account = row[account_at].strip() if account_at is not None else ""
        name = (row[name_at].strip() if name_at is not None else "") or account or path.name
        origin = Origin(
            system="git",
            id=account,
            label=name,
            students=[Student(name=name, id=account)],
            submitted=row[time_at].strip() if time_at is not None else "",
        )
        found.append(Handed(name=clean_name(name), path=path.resolve(), origin=origin))
    return found
