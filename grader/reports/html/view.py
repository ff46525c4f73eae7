"""What the student's page shows, as plain values: a report in the words of one language."""

import json
from dataclasses import dataclass
from typing import Any

from grader.messages import has_message, message
from grader.model import Assignment, CheckResult, Outcome, Report, TaskResult
from grader.reports.clean import clean, clean_line
from grader.reports.terminal import check_text, first_to_fix, shown_points

_CLOSED = (Outcome.PASSED, Outcome.MISSING, Outcome.NOT_RUN)
_MOST_CODE = 4000


@dataclass(frozen=True, slots=True)
class Table:
    """A table of evidence; `right` tells of each row whether it is right, None where neither."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[bool | None, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A plane of answers: squares of a grid, points of the truth table on it."""

    title: str
    side: int
    ones: tuple[tuple[int, int], ...]
    corners: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A text of evidence with its label."""

    title: str
    text: str
    code: bool = True


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check of the page."""

    anchor: str
    title: str
    outcome: str
    words: str
    points: str
    text: str
    advice: bool
    reviewed: bool
    comment: str
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]
    texts: tuple[Shown, ...]
    pictures: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task of the page."""

    anchor: str
    title: str
    outcome: str
    words: str
    points: str
    opened: bool
    graded: str
    hint: str
    checks: tuple[CheckView, ...]
    cells: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class ReportView:
    """The page."""

    name: str
    assignment: str
    score: str
    to_review: str
    undecided: str
    fix_anchor: str
    fix_title: str
    fix_text: str
    notes: tuple[str, ...]
    tasks: tuple[TaskView, ...]
    facts: tuple[str, ...]


class _Drawing:
    def __init__(self, report: Report, assignment: Assignment, language: str) -> None:
        self._report = report
        self._assignment = assignment
        self._language = language

    def word(self, code: str, **values: str) -> str:
        return message(code, values, language=self._language)

    def points(self, hundredths: int) -> str:
        return shown_points(hundredths, self._language)

    def view(self) -> ReportView:
        report = self._report
        fix = first_to_fix(report)
        score = self.word(
            "cli.score", points=self.points(report.points), possible=self.points(report.possible)
        )
        return ReportView(
            name=clean_line(report.submission),
            assignment=self._assignment.title[self._language],
            score=score,
            to_review=self.word("cli.to-review", points=self.points(report.to_review))
            if report.to_review
            else "",
            undecided=self.word("page.undecided", points=self.points(report.undecided))
            if report.undecided
            else "",
            fix_anchor=f"{fix[0].id}.{fix[1].id}" if fix else "",
            fix_title=self._assignment.task(fix[0].id).title[self._language] if fix else "",
            fix_text=check_text(fix[1], self._language) if fix else "",
            notes=tuple(
                clean(message(code, values, language=self._language))
                for code, values in report.notes
                if has_message(code, self._language)
            ),
            tasks=tuple(self._task(task) for task in self._ordered()),
            facts=self._facts(),
        )

    def _ordered(self) -> list[TaskResult]:
        """Return the tasks, those with something to fix first."""
        wrong = (Outcome.PASSED, Outcome.REVIEW, Outcome.MISSING)
        return sorted(self._report.tasks, key=lambda task: task.outcome in wrong)

    def _facts(self) -> tuple[str, ...]:
        facts = []
        if self._report.figures:
            code = f"device.card-{self._report.figures}"
            facts.append(self.word(code, card=clean_line(self._report.card)))
        layers = ", ".join(self._report.isolation)
        none = self.word("cli.isolation-none")
        facts.append(self.word("cli.isolation", layers=layers) if layers else none)
        return tuple(facts)

    def _task(self, task: TaskResult) -> TaskView:
        declared = self._assignment.task(task.id)
        titles = {check.id: check.title[self._language] for check in declared.checks}
        failed = task.outcome not in (*_CLOSED, Outcome.REVIEW)
        graded = ""
        if task.graded is not None:
            name, type_name, cell = task.graded
            shown = f"{name} ({type_name})" if type_name not in ("", name) else name
            graded = clean_line(self.word("cli.graded", graded=shown, cell=str(cell)))
        return TaskView(
            anchor=task.id,
            title=declared.title[self._language],
            outcome=task.outcome.value,
            words=self.word(f"outcome.{task.outcome.value}"),
            points=f"{self.points(task.points)} / {self.points(task.possible)}",
            opened=failed,
            graded=graded,
            hint=declared.hint.get(self._language, "") if failed else "",
            checks=tuple(self._check(task, check, titles[check.id]) for check in task.checks),
            cells=self._cells(task) if failed or task.outcome is Outcome.REVIEW else (),
        )

    def _cells(self, task: TaskResult) -> tuple[Shown, ...]:
        """Return the cells that a failed or waiting check names, else the task's last ones."""
        named = {
            index for check in task.checks if check.outcome not in _CLOSED for index in check.cells
        }
        if task.graded is not None:
            named.add(task.graded[2])
        wanted = named or set(task.cells[-2:])
        return tuple(
            Shown(
                title=self.word("page.cell", cell=str(cell.index)),
                text=clean(cell.source, most=_MOST_CODE)
                + (f"\n# {clean_line(cell.error)}" if cell.error else ""),
            )
            for cell in self._report.cells
            if cell.index in wanted
        )[:4]

    def _check(self, task: TaskResult, check: CheckResult, title: str) -> CheckView:
        tables, figures, texts, pictures = [], [], [], []
        for data in check.evidence:
            kind = data.get("kind")
            if kind == "decision-regions":
                figures.append(self._figure(data))
            elif kind == "student-picture":
                pictures.append((clean_line(data["name"]), data["media"], str(data["data"])))
            elif kind == "student-text":
                texts.append(Shown(self.word("page.your-answer"), clean(data["text"]), code=False))
            elif kind == "counterexample":
                texts += self._counterexample(data)
            elif (table := self._table(data)) is not None:
                tables.append(table)
        return CheckView(
            anchor=f"{task.id}.{check.id}",
            title=title,
            outcome=check.outcome.value,
            words=self.word(f"outcome.{check.outcome.value}"),
            points=f"{self.points(check.points)} / {self.points(check.possible)}"
            if check.possible
            else "",
            text=check_text(check, self._language),
            advice=check.possible == 0,
            reviewed=check.reviewed,
            comment=clean(check.comment),
            tables=tuple(tables),
            figures=tuple(figures),
            texts=tuple(texts),
            pictures=tuple(pictures),
        )

    def _counterexample(self, data: dict[str, Any]) -> list[Shown]:
        return [
            Shown(self.word("page.paste"), clean(str(data["source"]))),
            Shown(self.word("page.expected"), clean(str(data["expected"]))),
            Shown(self.word("page.yours"), clean(str(data["actual"]))),
        ]

    def _figure(self, data: dict[str, Any]) -> Figure:
        side, low, high = data["side"], data["low"], data["high"]
        ones = tuple(
            (number % side, side - 1 - number // side)
            for number, answer in enumerate(data["answers"])
            if answer == "1"
        )
        scale = (side - 1) / (high - low)
        ends = (0.0, 1.0) if low > -1 else (-1.0, 1.0)
        corners = tuple(
            ((x - low) * scale + 0.5, side - 0.5 - (y - low) * scale) for x in ends for y in ends
        )
        return Figure(self.word("page.regions"), side, ones, corners)

    def _table(self, data: dict[str, Any]) -> Table | None:
        """Return evidence that is a table of texts; None for kinds without a drawing."""
        kind = data.get("kind")
        rows: tuple[tuple[str, ...], ...]
        header: tuple[str, ...]
        expected, yours = self.word("page.expected"), self.word("page.yours")
        if kind == "truth-table":
            rows = tuple(
                (*map(_number, row), str(right), clean_line(actual))
                for row, right, actual in zip(
                    data["rows"], data["expected"], data["actual"], strict=True
                )
            )
            return _table(self.word("page.truth-table"), (*data["inputs"], expected, yours), rows)
        if kind == "parameter-table":
            rows = tuple(
                (clean_line(name), "×".join(map(str, shape)), str(count))
                for name, shape, count, _ in data["rows"]
            )
            total = (("=", "", str(data["total"])),)
            header = (self.word("page.parameter"), self.word("page.shape"), self.word("page.count"))
            return _table(clean_line(data["name"]), header, rows + total, compare=False)
        if kind == "gradient-table":
            rows = tuple(
                (clean_line(name), clean_line(value), clean_line(right), clean_line(actual))
                for name, value, _, right, actual in data["rows"]
            )
            header = (self.word("page.tensor"), self.word("page.value"), expected, yours)
            return _table(self.word("page.gradients"), header, rows)
        if kind == "memory-bars":
            rows = tuple((dtype, f"{most:,}", f"{used:,}") for dtype, used, most in data["rows"])
            header = (self.word("page.dtype"), self.word("page.most-bytes"), yours)
            title = clean_line(data["card"])
            if not data["exact"]:
                title = self.word("page.estimated", card=title)
            return _table(title, header, rows, compare=False)
        if kind == "memory-timeline":
            rows = tuple(tuple(f"{value:,}" for value in cell) for cell in data["cells"])
            codes = ("page.cell-short", "page.allocated", "page.reserved", "page.peak")
            header = (*map(self.word, codes), self.word("page.refusals"))
            return _table(clean_line(data["card"]), header, rows, compare=False)
        if kind == "memory-printed":
            return self._memory_printed(data)
        return self._expression_or_graph(data)

    def _memory_printed(self, data: dict[str, Any]) -> Table:
        card, named = clean_line(data["card"]), clean_line(data["named"])
        code = "page.memory-printed-other" if named not in ("", card) else "page.memory-printed"
        counts = {key: str(data[key]) for key in ("equal", "different")}
        title = f"{self.word(code, card=card, named=named)}. {self.word('page.memory-equal', **counts)}"
        rows = tuple(
            (
                str(figure["cell"]),
                clean_line(figure["shown"], most=300),
                clean_line(figure["text"], most=300),
                self.word("page.same" if figure["same"] else "page.other"),
            )
            for figure in data["figures"]
        )
        header = (self.word("page.cell-short"), self.word("page.printed"), self.word("page.rerun"))
        return _table(title, (*header, ""), rows, compare=False)

    def _expression_or_graph(self, data: dict[str, Any]) -> Table | None:
        kind = data.get("kind")
        rows: tuple[tuple[str, ...], ...]
        header: tuple[str, ...]
        row: tuple[str, ...]
        if kind == "expression-tree":
            rows = tuple(
                (
                    _number(a),
                    _number(b),
                    *(clean_line(s[place]) for s in data["sums"]),
                    str(data["expected"][place]),
                    clean_line(data["results"][place]),
                )
                for place, (a, b) in enumerate(data["rows"])
            )
            neurons = tuple(clean_line(text, most=60) for text in data["neurons"])
            header = ("x1", "x2", *neurons, self.word("page.expected"), self.word("page.yours"))
            return _table(clean_line(data["text"]), header, rows)
        if kind == "backward-graph":
            names = {node["id"]: clean_line(node["name"]) for node in data["nodes"]}
            rows = tuple(
                (names.get(start, "?"), names.get(end, "?"), clean_line(str(gradient)))
                for start, end, gradient in data["edges"]
            )
            header = (self.word("page.from"), self.word("page.to"), self.word("page.gradient"))
            return _table(self.word(f"page.graph-{data['role']}"), header, rows, compare=False)
        if kind == "comparison":
            row = (clean(data["expected"], most=1500), clean(data["shown"], most=1500))
            header = (self.word("page.rerun"), self.word("page.printed"))
            return _table("", header, (row,), compare=False)
        if kind == "refusal":
            row = tuple(f"{data[key]:,}" for key in ("cell", "requested_bytes", "allocated_bytes"))
            codes = ("page.cell-short", "page.requested", "page.allocated")
            return _table("", tuple(map(self.word, codes)), (row,), compare=False)
        return None


def _table(
    title: str,
    header: tuple[str, ...],
    rows: tuple[tuple[str, ...], ...],
    *,
    compare: bool = True,
) -> Table:
    """Return a table whose last two columns are compared where `compare` is set."""
    right = tuple(_same(row[-2], row[-1]) if compare else None for row in rows)
    return Table(title=title, header=header, rows=rows, right=right)


def _same(expected: str, actual: str) -> bool:
    try:
        return abs(float(expected) - float(actual)) <= 0.1
    except ValueError:
        return expected == actual


def _number(value: float) -> str:
    return json.dumps(int(value) if value == int(value) else value)


def view_report(report: Report, assignment: Assignment, language: str) -> ReportView:
    """Return what the student's page shows; every text of the student's is cleaned."""
    return _Drawing(report, assignment, language).view()
