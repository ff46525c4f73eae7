"""Canvas's gradebook: filled, never written anew.

The rules are those of `lib/gradebook_importer.rb` of instructure/canvas-lms: assignments follow the
column ``Section`` and end in their number in parentheses, a row gives the points possible.
"""

import re
from collections.abc import Sequence

from grader.lms import canvas
from grader.lms.grades import Filled, Grade, grade_text, read_number, require_maximum
from grader.lms.names import folded
from grader.lms.origin import Origin
from grader.lms.sheets import Sheet

_ASSIGNMENT = re.compile(r".*\(([0-9]{1,18})\)", re.DOTALL)
POSSIBLE = "points possible"
"""First cell, stripped and in lower case, of the row that is no student's."""

TEST_STUDENT = "student, test"
"""First cell, in lower case, of whom Canvas made for teachers."""

_WHOLE = re.compile(r"[0-9]{1,18}", re.ASCII)


def fill_gradebook(
    sheet: Sheet, grades: Sequence[Grade], *, column: str = "", scale: bool = False
) -> Filled:
    """Return the gradebook with the grades of submissions that came from Canvas.

    Args:
        sheet: as it was downloaded.
        grades: at least one.
        column: header of the assignment, or its number; the only one where empty.
        scale: whether to convert points where the assignment counts to another maximum.

    Raises:
        Refused: it is no gradebook, of another assignment, or was changed since its download.
    """
    if "student" not in sheet.header[0].lower():
        raise sheet.refuse("no-column", column="Student", known=", ".join(sheet.header)[:500])
    number_at = sheet.column("ID")
    grade_at = _assignment_at(sheet, column)
    students, possible = _students(sheet, number_at)
    cell = sheet.rows[possible][grade_at]
    maximum = read_number(cell)
    if maximum is None:
        raise sheet.refuse("no-maximum", row=sheet.lines[possible], cell=cell[:40])
    rows = [list(row) for row in sheet.rows]
    filled = Filled(sheet)
    places = [_row_of(grade.origin, students, sheet) for grade in grades]
    for grade, at in zip(grades, places, strict=True):
        require_maximum(sheet, maximum, grade, scale=scale)
        if at is None or places.count(at) > 1:
            filled.unlisted.append(grade.submission)
        elif rows[at][grade_at].strip().upper() == "EX":
            filled.locked.append(grade.submission)
        else:
            comma = sheet.delimiter == ";" and "," in cell
            rows[at][grade_at] = grade_text(grade, maximum, comma=comma)
            filled.rows[grade.submission] = [(rows[at][number_at].strip(), rows[at][0])]
    if not filled.rows and not filled.locked:
        anonymous = all(canvas.is_anonymous(grade.origin) for grade in grades)
        raise sheet.refuse("anonymous" if anonymous else "other-assignment", count=len(grades))
    filled.sheet = sheet.with_rows(rows)
    return filled


def _row_of(origin: Origin, students: dict[str, int], sheet: Sheet) -> int | None:
    """Return the row of who handed in; of several that it may be, the one that has the name."""
    places = [students[number] for number in (origin.id, *origin.other_ids) if number in students]
    if len(places) > 1:
        places = [at for at in places if folded(sheet.rows[at][0]) == folded(origin.label)]
    return places[0] if len(places) == 1 else None


def _assignment_at(sheet: Sheet, column: str) -> int:
    found = {at: m for at, name in enumerate(sheet.header) if (m := _ASSIGNMENT.fullmatch(name))}
    if column:
        found = {
            at: m for at, m in found.items() if column.strip() in (m[1], sheet.header[at].strip())
        }
    if len(found) != 1:
        known = ", ".join(name for name in sheet.header if _ASSIGNMENT.fullmatch(name))
        raise sheet.refuse("which-assignment", known=known[:500] or "-")
    return next(iter(found))


def _students(sheet: Sheet, number_at: int) -> tuple[dict[str, int], int]:
    """Return the row of each student by number, and that of the points possible."""
    students: dict[str, int] = {}
    possible = None
    for at, row in enumerate(sheet.rows):
        if row[0].strip().lower() == POSSIBLE:
            possible = at
            continue
        number = row[number_at].strip()
        if not number:
            continue  # rows of settings and the test student have none
        if not _WHOLE.fullmatch(number) or number in students:
            raise sheet.refuse("no-identifier", row=sheet.lines[at], cell=number[:60])
        students[number] = at
    if possible is None:
        raise sheet.refuse("no-row", cell="Points Possible")
    return students, possible
