"""Grades on their way back to a system: what its sheet takes of them, and what it does not."""

import re
from dataclasses import dataclass, field

from grader.lms.origin import Origin
from grader.lms.sheets import Sheet

_NUMBER = re.compile(r"\d{1,9}(?:[.,]\d{1,6})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Grade:
    """A submission's grade; points are hundredths."""

    submission: str
    origin: Origin
    points: int
    possible: int


@dataclass(slots=True)
class Filled:
    """A sheet with grades.

    Attributes:
        sheet: the sheet, filled.
        rows: (number, name) of each row that was filled, by submission.
        unlisted: submissions that no row of the sheet is for.
        locked: submissions whose row the system does not let change.
    """

    sheet: Sheet
    rows: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)


def read_number(cell: str) -> float | None:
    """Return a number as sheets write it, with a point or a comma; None for anything else."""
    text = cell.replace("\N{NO-BREAK SPACE}", "").replace(" ", "")
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def require_maximum(sheet: Sheet, maximum: float, grade: Grade, *, scale: bool) -> None:
    """Refuse a sheet whose maximum is not the assignment's, unless grades are to be scaled.

    Raises:
        Refused: the sheet counts to another maximum.
    """
    if not scale and round(maximum * 100) != grade.possible:
        values = {"maximum": f"{maximum:g}", "possible": f"{grade.possible / 100:g}"}
        raise sheet.refuse("other-maximum", **values)


def grade_text(grade: Grade, maximum: float, *, comma: bool) -> str:
    """Return the grade as a sheet that counts to `maximum` has it, with two decimals."""
    points = grade.points / 100
    if round(maximum * 100) != grade.possible:
        points = grade.points * maximum / grade.possible
    text = f"{points:.2f}"
    return text.replace(".", ",") if comma else text
