"""A roster: who should have handed something in, and when somebody did if the system does not tell.

Any table with names, numbers or addresses will do: a list of the teacher's own, Moodle's grading
worksheet, Canvas's gradebook.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grader.lms.layout import Handed
from grader.lms.sheets import Sheet

_NAMES = ("submission", "name", "full name", "student", "полное имя", "фио", "имя", "студент")
_FIRST = ("first name", "firstname", "имя")
_LAST = ("last name", "surname", "lastname", "фамилия")
_NUMBERS = ("id", "identifier", "идентификатор", "sid", "student id", "github_username", "логин")
_ADDRESSES = ("email", "email address", "e-mail", "sis login id", "адрес электронной почты")
_TIMES = ("submitted", "сдано")
_TRAILING_NUMBER = re.compile(r"\D*(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Person:
    """A row of a roster.

    Attributes:
        shown: what messages call the person.
        keys: what the person may be found by: name, number, address; folded.
        submitted: when the work was handed in, as the roster writes it; empty where it does not.
    """

    shown: str
    keys: frozenset[str]
    submitted: str


@dataclass(frozen=True, slots=True)
class Attendance:
    """A roster beside what was handed in.

    Attributes:
        absent: who handed in nothing, as the roster names them.
        strangers: names of submissions of nobody on the roster.
        submitted: the time that the roster gives, by submission.
    """

    absent: list[str]
    strangers: list[str]
    submitted: dict[str, str]


NOBODY_ABSENT = Attendance([], [], {})
"""What is known without a roster."""


def folded(text: str) -> str:
    """Return a name as it is compared: letters and digits only, case and composition aside."""
    normal = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in normal if char.isalnum())


def read_roster(sheet: Sheet) -> list[Person]:
    """Return the persons of a roster.

    Raises:
        Refused: no column has names, numbers or addresses.
    """
    columns = [sheet.find_column([name]) for name in (*_NAMES, *_NUMBERS, *_ADDRESSES)]
    found = [at for at in dict.fromkeys(columns) if at is not None]
    first, last = sheet.find_column(_FIRST), sheet.find_column(_LAST)
    if not found and (first is None or last is None):
        raise sheet.refuse("no-column", column="name", known=", ".join(sheet.header)[:500])
    numbers = {sheet.find_column([name]) for name in _NUMBERS}
    time_at = sheet.find_column(_TIMES)
    people = []
    for row in sheet.rows:
        cells = [row[at].strip() for at in found]
        if first is not None and last is not None:
            cells = [f"{row[first]} {row[last]}", f"{row[last]} {row[first]}", *cells]
        keys = {folded(cell) for cell in cells}
        keys |= {m[1] for at in found if at in numbers and (m := _number(row[at])) is not None}
        shown = next((cell for cell in cells if cell), "")
        if shown:
            time = row[time_at].strip() if time_at is not None else ""
            people.append(Person(shown, frozenset(keys - {""}), time))
    return people


def attend(people: Iterable[Person], handed: Sequence[Handed]) -> Attendance:
    """Tell who of a roster handed in nothing, and whose submission is of nobody on it."""
    by_key: dict[str, list[str]] = {}
    for one in handed:
        for key in _keys(one):
            by_key.setdefault(key, []).append(one.name)
    absent: list[str] = []
    met: set[str] = set()
    submitted: dict[str, str] = {}
    for person in people:
        mine = {name for key in person.keys for name in by_key.get(key, ())}
        met |= mine
        if not mine:
            absent.append(person.shown)
        if person.submitted:
            submitted |= dict.fromkeys(mine, person.submitted)
    strangers = [one.name for one in handed if one.name not in met]
    return Attendance(absent, strangers, submitted)


def _keys(one: Handed) -> set[str]:
    origin = one.origin
    texts = [one.name, origin.label, origin.id]
    for student in origin.students:
        texts += [student.name, student.id, student.email]
    return {folded(text) for text in texts} - {""}


def _number(cell: str) -> re.Match[str] | None:
    return _TRAILING_NUMBER.fullmatch(cell.strip())
