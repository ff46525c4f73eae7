"""Moodle's offline grading worksheet: filled, never written anew.

Its headers are in the site's language, and the import skips rows that were graded on the site
after the download (`mod/assign/feedback/offline/importgradeslib.php` of moodle/moodle). The names
of columns below are those of the English and the Russian language packs.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from grader.lms.grades import Filled, Grade, grade_text, read_number, require_maximum
from grader.lms.moodle import ANONYMOUS, filed_group, filed_name
from grader.lms.names import folded
from grader.lms.origin import Origin
from grader.lms.sheets import Sheet

_IDENTIFIER = ("Identifier", "Идентификатор")
_NAME = ("Full name", "Полное имя", "ФИО", "Фамилия и имя")
_GROUP = ("Group", "Groups", "Группа", "Группы")
_GRADE = ("Grade", "Оценка")
_MAXIMUM = ("Maximum Grade", "Максимальная оценка")
_SCALE = ("Scale", "Шкала")
_CHANGEABLE = ("Grade can be changed", "Оценка может быть изменена")
_MODIFIED = ("Last modified (grade)", "Последнее изменение (оценка)")

_LOCKED = {"no", "нет"}
_NEVER = {"", "-"}
_PARTICIPANT = re.compile(r"\D*?([0-9]{1,18})", re.ASCII)


def fill_worksheet(sheet: Sheet, grades: Sequence[Grade], *, scale: bool = False) -> Filled:
    """Return the worksheet with the grades of submissions that came from Moodle.

    Args:
        sheet: as it was downloaded.
        grades: at least one.
        scale: whether to convert points where the sheet counts to another maximum.

    Raises:
        Refused: it is no worksheet, of another assignment, or was changed since its download.
    """
    if sheet.find_column(_SCALE) is not None:
        raise sheet.refuse("scale")
    worksheet = _Worksheet(sheet)
    worksheet.require_unchanged()
    rows = [list(row) for row in sheet.rows]
    filled = Filled(sheet)
    places = [worksheet.rows_of(grade) for grade in grades]
    claims = Counter(at for mine in places for at in mine)
    for grade, mine in zip(grades, places, strict=True):
        if not mine or any(claims[at] > 1 for at in mine):
            filled.unlisted.append(grade.submission)
            continue
        for at in mine:
            text = worksheet.text(at, grade, scale=scale)
            if text != rows[at][worksheet.grade] and worksheet.is_locked(at):
                if grade.submission not in filled.locked:
                    filled.locked.append(grade.submission)
                continue
            rows[at][worksheet.grade] = text
            filled.rows.setdefault(grade.submission, []).append(worksheet.participant(at))
    if not filled.rows and not filled.locked:
        raise sheet.refuse("other-assignment", count=len(grades))
    # The import reads commas and UTF-8 (`parsecsv`), whatever a spreadsheet saved meanwhile.
    mark = sheet.mark if sheet.encoding == "utf-8" else b""
    filled.sheet = replace(sheet.with_rows(rows), mark=mark, encoding="utf-8", delimiter=",")
    return filled


class _Worksheet:
    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._identifier = sheet.column(*_IDENTIFIER)
        self.grade = sheet.column(*_GRADE)
        self._maximum = sheet.column(*_MAXIMUM)
        self._modified = sheet.column(*_MODIFIED)
        self._name = sheet.find_column(_NAME)
        self._group = sheet.find_column(_GROUP)
        self._changeable = sheet.find_column(_CHANGEABLE)
        self._rows: dict[str, int] = {}
        self._groups: dict[str, list[int]] = {}
        for at, row in enumerate(sheet.rows):
            found = _PARTICIPANT.fullmatch(row[self._identifier].strip())
            if found is None or found[1] in self._rows:
                cell = row[self._identifier][:60]
                raise sheet.refuse("no-identifier", row=sheet.lines[at], cell=cell)
            self._rows[found[1]] = at
            if self._group is not None:
                self._groups.setdefault(row[self._group], []).append(at)

    def require_unchanged(self) -> None:
        """Refuse grades that stand where the site itself says that nothing was graded.

        One that is no number, as a spreadsheet makes "дек.50" of "12.50", would go back as it is.
        """
        for line, row in zip(self._sheet.lines, self._sheet.rows, strict=True):
            cell = row[self.grade].strip()
            if cell not in _NEVER and row[self._modified].strip() in _NEVER:
                raise self._sheet.refuse("changed", row=line, cell=cell[:40])
            if cell not in _NEVER and read_number(cell) is None:
                raise self._sheet.refuse("no-maximum", row=line, cell=cell[:40])

    def rows_of(self, grade: Grade) -> list[int]:
        """Return the participant's row, or those of a group's members.

        The numbers of groups and of participants overlap, so the name has to agree as well.
        """
        origin = grade.origin
        at = self._rows.get(origin.id)
        if at is not None and self._is_named(at, origin):
            return [at]
        wanted = filed_name(origin.label)
        groups = [group for group in self._groups if filed_group(group) == wanted != ""]
        # Where names of files do not tell two groups apart, neither gets the other's grade.
        return self._groups[groups[0]] if len(groups) == 1 else []

    def _is_named(self, at: int, origin: Origin) -> bool:
        label = origin.label
        if label.removesuffix(f" {origin.id}").casefold() in map(str.casefold, ANONYMOUS):
            return True  # the number is all there is; names may have been revealed since
        row = self._sheet.rows[at]
        names = self._names(row)
        if any(folded(name) == folded(label) != "" for name in names):
            return True
        if self._group is not None:  # a member's copy, before 4.1
            names += [f"{row[self._group]}-{name}" for name in names]
        return filed_name(label) in map(filed_name, names)

    def _names(self, row: Sequence[str]) -> list[str]:
        """Return what an archive may call a row's participant."""
        if self._name is not None:
            return [row[self._name]]
        # Anonymous marking, or a header in another language.
        cells = [cell for at, cell in enumerate(row[: self.grade]) if at != self._group]
        return [*ANONYMOUS, *filter(None, cells)]

    def is_locked(self, at: int) -> bool:
        """Tell whether the site says that the grade cannot be changed."""
        row = self._sheet.rows[at]
        return self._changeable is not None and row[self._changeable].strip().lower() in _LOCKED

    def text(self, at: int, grade: Grade, *, scale: bool) -> str:
        """Return the grade as the sheet writes numbers."""
        cell = self._sheet.rows[at][self._maximum]
        maximum = read_number(cell)
        if maximum is None:
            raise self._sheet.refuse("no-maximum", row=self._sheet.lines[at], cell=cell[:40])
        require_maximum(self._sheet, maximum, grade, scale=scale)
        return grade_text(grade, maximum, comma="," in cell)

    def participant(self, at: int) -> tuple[str, str]:
        """Return the number and the name of a row's participant."""
        row = self._sheet.rows[at]
        found = _PARTICIPANT.fullmatch(row[self._identifier].strip())
        number = found[1] if found else ""
        return number, row[self._name] if self._name is not None else f"Participant {number}"
