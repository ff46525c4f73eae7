"""Moodle: the archive of an assignment, and names of files that its import takes as feedback.

Names are as in `mod/assign/classes/downloader.php` (before 4.1 `download_submissions` of
`mod/assign/locallib.php`) and in `mod/assign/feedback/file/importziplib.php` of moodle/moodle: the
full name, in which underscores become spaces, the participant's number, ``assignsubmission`` and
the plugin, joined by underscores; then either a folder (with a trailing underscore before 4.1) or
the file's own name. A group's submission has the group's name and number; the default group has no
number. Before 4.1 each member of a group has a copy, under the group's name, a hyphen, the member's
name and number.
"""

import re
import unicodedata

from grader.lms.layout import Claim
from grader.lms.origin import Origin

_NAME = re.compile(
    r"(?P<name>.+?)(?:_(?P<id>[0-9]{1,18}))?_assignsubmission_(?P<plugin>[a-z]+)(?:_(?P<rest>.*))?",
    re.DOTALL,
)
ANONYMOUS = ("Participant", "Участник")
"""What the site calls everybody under anonymous marking (`participant`), English and Russian."""

_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f&<>\"`|':\\/]")  # PARAM_FILE, `lib/moodlelib.php`

_BARE_AMPERSAND = re.compile(r"&(?!(?:[A-Za-z]+|#[0-9]+);)")  # `format_string`, `lib/weblib.php`


def claim(path: str) -> Claim | None:
    """Tell whose a file of an archive is; None where its path is not as Moodle writes it."""
    parts = path.split("/")
    for at, part in enumerate(parts):
        found = _NAME.fullmatch(part)
        if found is not None:
            name, number = found["name"], found["id"] or ""
            anonymous = name.strip().casefold() in map(str.casefold, ANONYMOUS)
            label = "" if anonymous and number else name
            inside = "/".join([*filter(None, [found["rest"]]), *parts[at + 1 :]])
            origin = Origin(system="moodle", id=number, label=label or f"{name.strip()} {number}")
            return Claim(origin, inside or part)
    return None


def is_own(name: str) -> bool:
    """Tell whether a file or folder is named as Moodle names them, be it of a team “.NET”."""
    return _NAME.fullmatch(name) is not None


def recognises(paths: list[str]) -> bool:
    """Tell whether files lie as in an archive of Moodle's: nobody else names them so."""
    return any(claim(path) is not None for path in paths)


def filed_name(name: str) -> str:
    """Return what a name is in names of files, for comparing; empty where nothing is left of it.

    Characters that Moodle does not let into names of files are missing there. Composition and
    spaces may change on the way.
    """
    kept = _NOT_IN_NAMES.sub("", name.replace("_", " "))
    return " ".join(unicodedata.normalize("NFC", kept).split())


def filed_group(name: str) -> str:
    """Return what a group's name is in names of files: since 4.1 it is escaped for HTML first."""
    return filed_name(_BARE_AMPERSAND.sub("&amp;", name))


def feedback_name(origin: Origin, file: str) -> str:
    """Return the name under which Moodle's import takes a file as feedback to a submission."""
    label = origin.label.replace("_", " ").replace("/", " ")
    number = f"_{origin.id}" if origin.id else ""
    return f"{label}{number}_assignsubmission_file_{file}"
