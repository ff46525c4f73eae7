"""A roster: who should have handed something in, and when somebody did if the system does not tell.

Any table with names, numbers or addresses will do: a list of the teacher's own, Moodle's grading
worksheet, Canvas's gradebook.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grader.lms.canvas_sheet import POSSIBLE, TEST_STUDENT
from grader.lms.layout import Handed
from grader.lms.moodle import filed_group, filed_name
from grader.lms.names import folded
from grader.lms.origin import Origin
from grader.lms.sheets import Sheet

_NAMES = ("submission", "name", "full name", "student", "полное имя", "фио", "имя", "студент")
_FIRST = ("first name", "firstname", "имя")
_LAST = ("last name", "surname", "lastname", "фамилия")
_NUMBERS = ("id", "identifier", "идентификатор", "sid", "student id", "github_username", "логин")
_ADDRESSES = ("email", "email address", "e-mail", "sis login id", "адрес электронной почты")
_GROUPS = ("group", "groups", "team", "группа", "группы", "команда")
_TIMES = ("submitted", "сдано")
_TRAILING_NUMBER = re.compile(r"\D*(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Person:
    """A row of a roster.

    Attributes:
        shown: what messages call the person.
        names: what the person is called, also as name and address; folded.
        numbers: by which a system knows the person; folded.
        groups: with which the person may hand in.
        submitted: when the work was handed in, as the roster writes it; empty where it does not.
    """

    shown: str
    names: frozenset[str]
    numbers: frozenset[str]
    groups: frozenset[str]
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
    numbers_at = {sheet.find_column([name]) for name in _NUMBERS} - {None}
    group_at, time_at = sheet.find_column(_GROUPS), sheet.find_column(_TIMES)
    people = []
    for row in sheet.rows:
        if row[0].strip().lower() in (POSSIBLE, TEST_STUDENT):
            continue  # of Canvas's gradebook
        cells = [row[at].strip() for at in found]
        names = [row[at] for at in found if at not in numbers_at]
        if first is not None and last is not None:
            both = [f"{row[first]} {row[last]}", f"{row[last]} {row[first]}"]
            names, cells = [*both, *names], [both[0].strip(), *cells]
        numbers = [row[at] for at in found if at in numbers_at]
        numbers += [m[1] for cell in numbers if (m := _number(cell)) is not None]
        shown = next((cell for cell in cells if cell), "")
        if shown:
            person = Person(
                shown=shown,
                names=_folded(names),
                numbers=_folded(numbers),
                groups=_groups(row[group_at]) if group_at is not None else frozenset(),
                submitted=row[time_at].strip() if time_at is not None else "",
            )
            people.append(person)
    return people


def attend(people: Sequence[Person], handed: Sequence[Handed]) -> Attendance:
    """Tell who of a roster handed in nothing, and whose submission is of nobody on it."""
    roll = _Roll(people)
    met: set[int] = set()
    strangers: list[str] = []
    submitted: dict[str, str] = {}
    for one in handed:
        mine = roll.find(one)
        met |= mine
        if not mine:
            strangers.append(one.name)
        for at in sorted(mine):
            if people[at].submitted:
                submitted[one.name] = people[at].submitted
    absent = [person.shown for at, person in enumerate(people) if at not in met]
    return Attendance(absent, strangers, submitted)


class _Roll:
    """Finds the persons of a roster that a submission is of, by their places."""

    def __init__(self, people: Sequence[Person]) -> None:
        self._names: dict[str, set[int]] = {}
        self._numbers: dict[str, set[int]] = {}
        self._groups: dict[str, set[int]] = {}
        for at, person in enumerate(people):
            for name in person.names:
                self._names.setdefault(name, set()).add(at)
            for number in person.numbers:
                self._numbers.setdefault(number, set()).add(at)
            for group in person.groups:
                self._groups.setdefault(group, set()).add(at)

    def find(self, one: Handed) -> set[int]:
        """Return the places of those who handed something in together.

        Numbers of groups and of participants overlap, and so do names: where both agree, that is
        who it is; then the name of a group counts, then a number alone, then anything else.
        """
        origin = one.origin
        # Gradescope's number is the submission's own.
        number = "" if origin.system == "gradescope" else origin.id
        called = (one.name, origin.label)
        numbered = self._numbered([number]) or self._numbered(origin.other_ids)
        found = (numbered & self._named(called)) or self._members(origin.label) or numbered
        return found or self._students(origin) or self._known((number, *called))

    def _named(self, texts: Iterable[str]) -> set[int]:
        return {at for text in _folded(texts) for at in self._names.get(text, ())}

    def _numbered(self, texts: Iterable[str]) -> set[int]:
        return {at for text in _folded(texts) for at in self._numbers.get(text, ())}

    def _known(self, texts: Sequence[str]) -> set[int]:
        return self._named(texts) | self._numbered(texts)

    def _members(self, label: str) -> set[int]:
        """Return the members of the one group of that name, as a file's name has it or nearly."""
        for of_group, of_label in _FORMS:
            wanted = of_label(label)
            groups = [group for group in self._groups if of_group(group) == wanted != ""]
            if len(groups) == 1:
                return self._groups[groups[0]]
        return set()

    def _students(self, origin: Origin) -> set[int]:
        found: set[int] = set()
        for student in origin.students:
            found |= self._known((student.id, student.email)) or self._named([student.name])
        return found


_FORMS = ((filed_group, filed_name), (filed_name, filed_name), (folded, folded))
"""As what a group of the roster and a label are compared, the strictest first."""


def _folded(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(folded(text) for text in texts) - {""}


def _groups(cell: str) -> frozenset[str]:
    """Return the groups that a cell may name; Moodle's participants have them between commas."""
    return frozenset(group.strip() for group in (cell, *cell.split(","))) - {""}


def _number(cell: str) -> re.Match[str] | None:
    return _TRAILING_NUMBER.fullmatch(cell.strip())
