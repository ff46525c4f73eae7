"""Gradescope: the export of an assignment's submissions.

A folder ``submission_NUMBER`` holds the files of each, and `submission_metadata.yml` says who
handed it in and when. The metadata have Ruby's symbols as keys (``:submitters``).
"""

import datetime
from collections.abc import Callable
from typing import Any

import yaml

from grader.intake.bounds import refuse
from grader.lms.layout import Claim
from grader.lms.origin import Origin, Student

METADATA = "submission_metadata.yml"


def find_metadata(paths: list[str]) -> str | None:
    """Return the path of the metadata, at most one folder down; None where there are none.

    A student's file of that name lies deeper.
    """
    found = [path for path in paths if path.rsplit("/", 1)[-1] == METADATA and path.count("/") < 2]
    if METADATA in found:
        return METADATA
    return found[0] if len(found) == 1 else None


def claims(path: str, data: bytes) -> Callable[[str], Claim | None]:
    """Return what tells whose a file of the export is.

    Args:
        path: of the metadata.
        data: the metadata.

    Raises:
        Refused: they are no such metadata.
    """
    try:
        # The safe loader makes plain values only; aliases are shared, not copied.
        loaded = yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise refuse("broken-metadata", path, detail=str(error)[:200]) from error
    if not isinstance(loaded, dict):
        raise refuse("broken-metadata", path, detail=type(loaded).__name__)
    origins = {str(name): _origin(str(name), entry) for name, entry in loaded.items()}
    prefix = path[: -len(METADATA)]

    def claim(file: str) -> Claim | None:
        folder, slash, inside = file.removeprefix(prefix).partition("/")
        if not file.startswith(prefix) or not slash:
            return None
        known = origins.get(folder)
        if known is None and folder.startswith("submission_"):
            known = Origin(system="gradescope", id=folder.removeprefix("submission_"))
        return None if known is None else Claim(known, inside)

    return claim


def _origin(name: str, entry: Any) -> Origin:  # noqa: ANN401  # what YAML holds
    values = entry if isinstance(entry, dict) else {}
    listed = values.get(":submitters")
    students = [
        Student(name=_text(one, ":name"), id=_text(one, ":sid"), email=_text(one, ":email"))
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
    ]
    created = values.get(":created_at")
    submitted = str(created or "")
    if isinstance(created, datetime.datetime):
        submitted = created.isoformat()
    return Origin(
        system="gradescope",
        id=name.removeprefix("submission_"),
        label=", ".join(student.name for student in students if student.name),
        students=students,
        submitted=submitted,
    )


def _text(values: dict[Any, Any], key: str) -> str:
    found = values.get(key)
    return "" if found is None else str(found)
