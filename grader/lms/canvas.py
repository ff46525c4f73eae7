"""Canvas: `submissions.zip` of an assignment.

Names are as in `lib/content_zipper.rb` of instructure/canvas-lms: the student's sortable name in
lower case, ``LATE`` where it was late, and the user's number; then the attachment's number and its
file name, or ``text.html`` or ``link.html``; joined by underscores. An anonymous assignment has
``anon`` and an anonymous id instead of name and number.
"""

import re

from grader.lms.layout import Claim
from grader.lms.origin import Origin

_NAME = re.compile(
    r"(?:(?P<late_first>LATE)_)?"
    r"(?:anon_(?P<anonymous>[A-Za-z0-9]+)|(?P<name>\w+?)(?:_(?P<late>LATE))?_(?P<id>[0-9]{1,18}))"
    r"_(?:(?P<attachment>[0-9]{1,18})_(?P<file>.+)|(?P<entry>text|link)\.html)",
    re.DOTALL,
)
_NUMBER = re.compile(r"_(?P<id>[0-9]{1,18})(?=_(?:[0-9]{1,18}_.|(?:text|link)\.html\Z))")
"""What else may be the user's number where a name ends in one, as in ``team_1_55_777_hw.py``."""

_ANONYMOUS = "anon_"
_ARCHIVE = re.compile(r"(?i).*[_ -]?submissions?(?:[ _-]?\(?\d+\)?)?(?:\.zip)?")


def claim(path: str) -> Claim | None:
    """Tell whose a file of an archive is; None where its name is not as Canvas writes it."""
    found = _NAME.fullmatch(path)
    if found is None or "/" in path:
        return None
    late = bool(found["late_first"] or found["late"])
    if found["anonymous"]:
        number = f"{_ANONYMOUS}{found['anonymous']}"
        origin = Origin(system="canvas", id=number, label=f"anon {found['anonymous']}", late=late)
    else:
        others = [m["id"] for m in _NUMBER.finditer(path, found.end("id"))]
        origin = Origin(
            system="canvas", id=found["id"], label=found["name"], late=late, other_ids=others
        )
    return Claim(origin, found["file"] or f"{found['entry']}.html")


def is_anonymous(origin: Origin) -> bool:
    """Tell whether a submission has an anonymous id, which no gradebook has."""
    return origin.id.startswith(_ANONYMOUS)


def recognises(paths: list[str], container: str) -> bool:
    """Tell whether all files are named as Canvas names them, and so is what holds them.

    Names alone could be a student's own: ``task_1_2_try.py`` has the same form.
    """
    named = _ARCHIVE.fullmatch(container) is not None
    return named and bool(paths) and all(claim(path) is not None for path in paths)
