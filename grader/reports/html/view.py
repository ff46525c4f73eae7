"""What the student's page shows, as plain values: a report in the words of one language."""

from collections.abc import Sequence
from dataclasses import dataclass

from grader.messages import message
from grader.model import Assignment, CellResult, CheckResult, Outcome, Report, TaskResult
from grader.reports.clean import clean, clean_line
from grader.reports.html.code import Code, find_backward, find_binding, view_code
from grader.reports.html.figures import Data
from grader.reports.wording import (
    STOPPED,
    all_passed,
    check_text,
    first_to_fix,
    is_advice,
    late_text,
    note_texts,
    shown_points,
)

_NOTHING_TO_FIX = (Outcome.PASSED, Outcome.REVIEW, Outcome.MISSING, Outcome.NOT_RUN)
_MOST_CELLS = 4


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check of the page.

    Attributes:
        anchor: its id on the page.
        look: its outcome, or ``advice``: icon and colour.
        words: the outcome in words.
        points: earned of possible; empty for advice and for what was not asked.
        text: what the check says; empty where a person decided.
        person: what a person decided, empty where none did.
        evidence: what its figures are drawn from.
    """

    anchor: str
    title: str
    look: str
    words: str
    points: str
    text: str
    person: str
    evidence: tuple[Data, ...]


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task of the page; `opened` where there is something to fix."""

    anchor: str
    title: str
    look: str
    words: str
    points: str
    opened: bool
    graded: str
    hint: str
    checks: tuple[CheckView, ...]
    cells: tuple[Code, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the score: its look, its words and its share of all points."""

    look: str
    words: str
    start: float
    share: float


@dataclass(frozen=True, slots=True)
class ReportView:
    """The page: `ordered` are the tasks, what is to be fixed first; `tasks` the handout's order."""

    name: str
    assignment: str
    score: str
    parts: tuple[Part, ...]
    undecided: str
    all_right: str
    late: str
    fix_anchor: str
    fix_title: str
    fix_text: str
    notes: tuple[str, ...]
    tasks: tuple[TaskView, ...]
    ordered: tuple[TaskView, ...]
    facts: tuple[str, ...]


def view_report(report: Report, assignment: Assignment, language: str) -> ReportView:
    """Return what the student's page shows; every text of the student's is cleaned."""
    return _Drawing(report, assignment, language).view()


class _Drawing:
    def __init__(self, report: Report, assignment: Assignment, language: str) -> None:
        self._report = report
        self._assignment = assignment
        self._language = language
        self._cells = {cell.index: cell for cell in report.cells}
        self._shown: set[int] = set()
        self._fix = first_to_fix(report)

    def word(self, code: str, **values: str) -> str:
        return message(code, values, language=self._language)

    def points(self, hundredths: int) -> str:
        return shown_points(hundredths, self._language)

    def view(self) -> ReportView:
        report = self._report
        fix = self._fix
        by_order = sorted(report.tasks, key=lambda task: not self._to_fix(task))
        ordered = tuple(self._task(task) for task in by_order)
        places = {task.id: place for place, task in enumerate(report.tasks)}
        return ReportView(
            name=clean_line(report.submission),
            assignment=self._assignment.title[self._language],
            score=self.word(
                "cli.score",
                points=self.points(report.points),
                possible=self.points(report.possible),
            ),
            parts=self._parts(),
            undecided=self.word("page.undecided", points=self.points(report.undecided))
            if report.undecided
            else "",
            all_right=self.word("cli.all-right") if all_passed(report) else "",
            late=late_text(report.late, self._language) if report.late is not None else "",
            fix_anchor=f"{fix[0].id}.{fix[1].id}" if fix else "",
            fix_title=self._assignment.task(fix[0].id).title[self._language] if fix else "",
            fix_text=(self._person(fix[1]) or check_text(fix[1], self._language)) if fix else "",
            notes=tuple(note_texts(report, self._language)),
            tasks=tuple(sorted(ordered, key=lambda task: places[task.anchor])),
            ordered=ordered,
            facts=self._facts(),
        )

    def _to_fix(self, task: TaskResult) -> bool:
        """Tell whether a task is shown first and open: it failed, or what to fix first is in it."""
        first = self._fix is not None and task is self._fix[0]
        return task.outcome not in _NOTHING_TO_FIX or (
            first and task.outcome is not Outcome.MISSING
        )

    def _parts(self) -> tuple[Part, ...]:
        report = self._report
        late = report.late.points if report.late is not None else 0
        lost = report.possible - report.points - report.to_review - late
        sizes = (
            ("passed", report.points),
            ("review", report.to_review),
            ("missing", lost),
            ("late", late),
        )
        parts, start = [], 0
        for look, size in sizes:
            if size > 0:
                words = self.word(f"page.part-{look}", points=self.points(size))
                whole = report.possible
                parts.append(Part(look, words, 100 * start / whole, 100 * size / whole))
            start += size
        return tuple(parts)

    def _facts(self) -> tuple[str, ...]:
        facts = []
        if self._report.figures:
            code = f"device.card-{self._report.figures}"
            facts.append(self.word(code, card=clean_line(self._report.card)))
        if self._report.isolation:
            layers = ", ".join(self._report.isolation)
            facts.append(self.word("cli.isolation", layers=layers))
        elif self._report.cells:  # where none ran, none had any rights
            facts.append(self.word("cli.isolation-none"))
        return tuple(facts)

    def _task(self, task: TaskResult) -> TaskView:
        declared = self._assignment.task(task.id)
        titles = {check.id: check.title[self._language] for check in declared.checks}
        failed = self._to_fix(task)
        cells = self._cells_of(task)
        graded = ""
        if task.graded is not None:
            name, type_name, cell = task.graded
            shown = f"{name} ({type_name})" if type_name not in ("", name) else name
            graded = clean_line(self.word("cli.graded", graded=shown, cell=str(cell)))
        return TaskView(
            anchor=task.id,
            title=declared.title[self._language],
            look=task.outcome.value,
            words=self.word(f"outcome.{task.outcome.value}"),
            points=f"{self.points(task.points)} / {self.points(task.possible)}",
            opened=failed,
            graded=graded,
            hint=declared.hint.get(self._language, "") if failed else "",
            checks=tuple(
                self._check(task, check, titles[check.id], cells) for check in task.checks
            ),
            cells=tuple(self._cell(task, cell) for cell in cells),
        )

    def _cells_of(self, task: TaskResult) -> tuple[CellResult, ...]:
        """Return the cells that a failed or waiting check names; each stands once on the page."""
        closed = (Outcome.PASSED, Outcome.MISSING, Outcome.NOT_RUN)
        asked = [check for check in task.checks if check.outcome not in closed]
        wanted = {index for check in asked if check.possible for index in check.cells}
        if asked and task.graded is not None and any(check.possible for check in asked):
            wanted.add(task.graded[2])
        fresh = sorted(wanted - self._shown)[:_MOST_CELLS]
        self._shown.update(fresh)
        return tuple(self._cells[n] for n in fresh if n in self._cells)

    def _cell(self, task: TaskResult, cell: CellResult) -> Code:
        marked = cell.error_line or 0
        if not marked and task.graded is not None and task.graded[2] == cell.index:
            marked = find_binding(cell.source, task.graded[:2])
        if not marked and _shows(task, "backward-graph"):
            marked = find_backward(cell.source)
        title = self.word("page.cell", cell=str(cell.index))
        stopped = cell.outcome in STOPPED
        note = self.word(f"outcome.{cell.outcome.value}") if stopped else cell.error
        return view_code(title, cell.source, marked=marked, note=note)

    def _check(
        self, task: TaskResult, check: CheckResult, title: str, cells: Sequence[CellResult]
    ) -> CheckView:
        advice = is_advice(check)
        points = f"{self.points(check.points)} / {self.points(check.possible)}"
        asked = check.possible > 0 and check.outcome is not Outcome.NOT_RUN
        return CheckView(
            anchor=f"{task.id}.{check.id}",
            title=title,
            look="advice" if advice else check.outcome.value,
            words=self.word("page.advice" if advice else f"outcome.{check.outcome.value}"),
            points=points if asked else "",
            text="" if check.reviewed else check_text(check, self._language),
            person=self._person(check),
            evidence=tuple(data for data in check.evidence if not _repeats(data, cells)),
        )

    def _person(self, check: CheckResult) -> str:
        """Return what a person decided, which stands in place of what the check said before."""
        if not check.reviewed:
            return ""
        points = f"{self.points(check.points)} / {self.points(check.possible)}"
        said = f"{self.word('page.person')}: {points}"
        return f"{said}. {clean(check.comment)}" if check.comment else said


def _shows(task: TaskResult, kind: str) -> bool:
    return any(data.get("kind") == kind for check in task.checks for data in check.evidence)


def _repeats(data: Data, cells: Sequence[CellResult]) -> bool:
    """Tell whether evidence is code that the page shows anyway, as the student's own cell."""
    code = data.get("text", "").strip() if data.get("kind") == "student-text" else ""
    return bool(code) and data.get("where") == "code" and any(code in c.source for c in cells)
