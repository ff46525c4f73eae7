"""Moodle: the archive of an assignment, and names of files that its import takes as feedback.

Names are as in `mod/assign/locallib.php` (`download_submissions`) and in
`mod/assign/feedback/file/importziplib.php` of moodle/moodle: the full name, in which underscores
become spaces, the participant's number, ``assignsubmission`` and the plugin, joined by underscores;
then either a folder (with a trailing underscore before 4.1) or the file's own name. A group's
submission has the group's name and number; the default group has no number.
"""

import re

from grader.lms.layout import Claim
from grader.lms.origin import Origin

_NAME = re.compile(
    r"(?P<name>.+?)(?:_(?P<id>[0-9]{1,18}))?_assignsubmission_(?P<plugin>[a-z]+)(?:_(?P<rest>.*))?",
    re.DOTALL,
)
_ANONYMOUS = {"participant", "участник"}
"""What the site calls everybody under anonymous marking (`hiddenuser`), English and Russian."""


def claim(path: str) -> Claim | None:
    """Tell whose a file of an archive is; None where its path is not as Moodle writes it."""
    parts = path.split("/")
    for at, part in enumerate(parts):
        found = _NAME.fullmatch(part)
        if found is not None:
            name, number = found["name"], found["id"] or ""
            label = "" if name.strip().casefold() in _ANONYMOUS and number else name
            inside = "/".join([*filter(None, [found["rest"]]), *parts[at + 1 :]])
            origin = Origin(system="moodle", id=number, label=label or f"{name.strip()} {number}")
            return Claim(origin, inside or part)
    return None


def recognises(paths: list[str]) -> bool:
    """Tell whether files lie as in an archive of Moodle's: nobody else names them so."""
    return any(claim(path) is not None for path in paths)


def feedback_name(origin: Origin, file: str) -> str:
    """Return the name under which Moodle's import takes a file as feedback to a submission."""
    label = origin.label.replace("_", " ").replace("/", " ")
    number = f"_{origin.id}" if origin.id else ""
    return f"{label}{number}_assignsubmission_file_{file}"
