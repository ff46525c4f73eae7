"""nbgrader: ``submitted/STUDENT/ASSIGNMENT/NOTEBOOK.ipynb`` of a course, with `timestamp.txt`.

The folder may be the course, its `submitted`, a student's, or one student's assignment.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from grader.intake.bounds import refuse
from grader.intake.names import path_text, shown_path
from grader.lms.layout import Claim
from grader.lms.origin import Origin

_SUBMITTED = "submitted"
_TIMESTAMP = "timestamp.txt"


def prefix_of(container: Path) -> str | None:
    """Return what stands before a path inside `container` to make it ``STUDENT/ASSIGNMENT/...``.

    It is ``../`` for the course folder, whose `submitted` is to be entered; None where no folder
    above or below is called `submitted`.
    """
    parts = container.parts[-3:]
    if (container / _SUBMITTED).is_dir() and (container / "nbgrader_config.py").is_file():
        return "../"
    for depth in range(1, len(parts) + 1):
        if parts[-depth] == _SUBMITTED:
            return "".join(f"{path_text(part)}/" for part in parts[len(parts) - depth + 1 :])
    return None


def recognises(paths: list[str], prefix: str | None) -> bool:
    """Tell whether every file lies in a student's assignment; other folders have that name too."""
    return prefix is not None and bool(paths) and all(parts_of(path, prefix) for path in paths)


def parts_of(path: str, prefix: str) -> tuple[str, str, str] | None:
    """Return (student, assignment, path inside), or None for a path that has less."""
    if prefix == "../":
        top, _, path = path.partition("/")
        if top != _SUBMITTED:
            return None
        prefix = ""
    parts = (prefix + path).split("/", 2)
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else None


def is_stamp(path: str, prefix: str) -> bool:
    """Tell whether a file is what nbgrader notes the time of handing in in."""
    parts = parts_of(path, prefix)
    return parts is not None and parts[2] == _TIMESTAMP


def claims(
    container: Path, paths: list[str], prefix: str, stamps: Mapping[str, str]
) -> Callable[[str], Claim | None]:
    """Return what tells whose a file is.

    Args:
        container: the folder, for messages.
        paths: of all files in it.
        prefix: as `prefix_of` found it.
        stamps: the text of each `timestamp.txt`, by its path.

    Raises:
        Refused: there are several assignments.
    """
    found = [parts for path in paths if (parts := parts_of(path, prefix)) is not None]
    names = sorted({assignment for _, assignment, _ in found})
    if len(names) > 1:
        shown = shown_path(str(container))
        raise refuse("several-assignments", shown, names=", ".join(names)[:300], first=names[0])
    times = {
        parts[0]: text
        for path, text in stamps.items()
        if (parts := parts_of(path, prefix)) is not None
    }

    def claim(path: str) -> Claim | None:
        parts = parts_of(path, prefix)
        if parts is None:
            return None
        submitted = times.get(parts[0], "").strip()[:100]
        origin = Origin(system="nbgrader", id=parts[0], label=parts[0], submitted=submitted)
        return Claim(origin, parts[2])

    return claim
