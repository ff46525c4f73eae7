"""One submission in, one report out: the only place where points are given.

The judge runs a submission's cells section by section and lets each task's question ask the child
at the end of its section, while the names live. It never loads torch, and never believes more
than what was observed.
"""

import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from grader.checks.answers import Choice, FreeText, find_gap
from grader.checks.view import Card, ChildGone, Ran, SectionView, Tried
from grader.devices import choose_card, figures_of, missing_device, real_card, require_known
from grader.evidence import StudentText, as_data
from grader.intake import cut_sections
from grader.model import (
    Assignment,
    Cell,
    CellResult,
    Check,
    CheckResult,
    Finding,
    Limits,
    Outcome,
    Points,
    Report,
    Section,
    Submission,
    Task,
    TaskResult,
    task_outcome,
)
from grader.running import Run
from grader.sandbox.protocol import REAL, BoundName, CellDone, ProtocolError, Start
from grader.sandbox.session import Server, ServerFailed

SEED = 20221204
"""Every submission starts from the same seed, so that two runs agree."""

_MOST_LEFT = 4000
_MOST_EXCERPT = 2000
_MOST_REPLACED = 300
_FEW_WORDS = 5
_LITTLE_BYTES = 1 << 20
_NO_ANSWER = ("answers.raised", "answers.unrecognised")
"""Codes of findings that a cell's early end explains better."""

_LOST = (Outcome.FAILED, Outcome.RAISED)
_WRITTEN = ("answers.", "expression.", "parameters.", "gradients.drawing-", "memory.comparison-")
"""Beginnings of codes of what a student writes down, and no cell has to make."""

_ENDED = (Outcome.TIMEOUT, Outcome.MEMORY, Outcome.CRASHED)


@dataclass(slots=True)
class _Attempt:
    """The findings of one look at a task, and the section it was found in."""

    section: Section
    findings: list[Finding]
    cells: tuple[int, ...]


@dataclass(slots=True)
class _Course:
    """What has been observed so far of one submission."""

    ran: dict[int, Ran] = field(default_factory=dict)  # by Cell.position
    ended: dict[int, Outcome] = field(default_factory=dict)  # by Cell.position
    sections: dict[str, list[Section]] = field(default_factory=dict)
    attempts: dict[str, list[_Attempt]] = field(default_factory=dict)
    bound: list[BoundName] = field(default_factory=list)
    notes: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    claimed: set[tuple[str, str, int]] = field(default_factory=set)  # objects found by behaviour


class Judge:
    """Grades submissions of one assignment with one warm server.

    Args:
        assignment: what is graded.
        server: the warm server whose children run the submissions.
        card: name of the card to imitate; empty for the one the submission's outputs name.
        profile: runtime profile of the virtual GPU; empty for what those outputs show.
        only: id of the one task to judge; None for all.

    Raises:
        DeviceError: there is no such card or profile.
    """

    def __init__(
        self,
        assignment: Assignment,
        server: Server,
        *,
        card: str = "",
        profile: str = "",
        only: str | None = None,
    ) -> None:
        require_known(card, profile)
        self._assignment = assignment
        self._server = server
        self._card = card
        self._profile = profile
        self._tasks = [task for task in assignment.tasks if only in (None, task.id)]

    def grade(self, submission: Submission) -> Report:
        """Run and judge a submission.

        Our own failures become `Outcome.GRADER_ERROR` of the checks they concern; this method
        raises only for what makes the whole report impossible.

        Raises:
            ServerFailed: no child can be started.
            DeviceError: it is to run on a real card, and there is none.
        """
        began = time.monotonic()
        printed = "\n".join(cell.printed for cell in submission.cells if cell.printed)
        card = (
            real_card(printed, self._server)
            if self._card == REAL
            else choose_card(printed, card=self._card, profile=self._profile)
        )
        start = Start(
            seed=SEED,
            files=dict(submission.files),
            card=self._card if self._card == REAL else card.name,
            profile=card.profile,
            output_bytes=self._assignment.limits.output_bytes,
        )
        course = _Course(notes=[(code, dict(values)) for code, values in submission.notes])
        missing = missing_device(self._server)
        if missing is not None:
            course.notes.append(missing)
        sections = cut_sections(submission, self._assignment)
        with Run(self._server, start, self._assignment.limits) as run:
            for section in sections:
                self._take(section, run, course, card)
        left = _left_over(sections, course) if len(self._tasks) > 1 else ()
        tasks = [self._task_result(task, course, left) for task in self._tasks]
        return Report(
            assignment=self._assignment.name,
            submission=submission.name,
            card=card.name,
            profile=card.profile,
            figures=figures_of(card, self._server.device),
            seconds=round(time.monotonic() - began, 4),
            tasks=_with_anomalies(_with_replaced(tasks, course), run.anomalies),
            cells=_cell_results([cell for part in sections for cell in part.cells], course),
            notes=course.notes,
            isolation=list(self._server.layers),
            digest=submission.digest,
        )

    # -------------------------------------------------------------- a section

    def _take(self, section: Section, run: Run, course: _Course, card: Card) -> None:
        """Run a section's cells, then ask its task's question."""
        task = self._find_task(section.task)
        if task is not None:
            self._run_cells(section.cells, run, course)
            course.sections.setdefault(task.id, []).append(section)
            earlier = course.sections[task.id]
            whole = replace(section, cells=tuple(cell for part in earlier for cell in part.cells))
            self._ask(task, whole, run, course, card)
            return
        for cell in section.cells:
            self._run_cells((cell,), run, course)
            if section.task is None and cell.kind == "code":
                self._ask_by_behaviour(cell, run, course, card)

    def _find_task(self, task_id: str | None) -> Task | None:
        return next((task for task in self._tasks if task.id == task_id), None)

    def _run_cells(self, cells: Iterable[Cell], run: Run, course: _Course) -> None:
        for cell in cells:
            if cell.kind != "code":
                continue
            ran, ended = run.run(cell)
            course.ran[cell.position] = ran
            if ended is not None:
                course.ended[cell.position] = ended
            if ran.done is not None:
                course.bound.extend(ran.done.bound)

    def _ask(
        self,
        task: Task,
        section: Section,
        run: Run,
        course: _Course,
        card: Card,
        tried: Tried | None = None,
    ) -> _Attempt:
        view = self._view(task, section, run, course, card)
        if tried is not None:
            view = replace(view, tried=tried)
        findings = _for_our_gap(self._judged(task, view, run), view)
        attempt = _Attempt(
            section=section,
            findings=[
                _explained(finding, view, self._assignment.limits, time_over=run.out_of_time)
                for finding in findings
            ],
            cells=tuple(ran.cell.index or 0 for ran in view.ran),
        )
        course.attempts.setdefault(task.id, []).append(attempt)
        return attempt

    def _view(
        self, task: Task, section: Section, run: Run, course: _Course, card: Card
    ) -> SectionView:
        code = [cell for cell in section.cells if cell.kind == "code"]
        ended = [(course.ended[c.position], c.index) for c in code if c.position in course.ended]
        here = {cell.position for cell in code}
        return SectionView(
            section=section,
            ran=tuple(course.ran[cell.position] for cell in code if cell.position in course.ran),
            child=run.child(),
            file=code[-1].file if code else "",
            device=self._server.device,
            card=card,
            samples=self._assignment.samples,
            key=self._assignment.keys.get(task.id),
            earlier=tuple(
                name
                for position, ran in course.ran.items()
                if position not in here and ran.done
                for name in ran.done.bound
            ),
            ended=ended[-1][0] if ended else None,
            ended_cell=ended[-1][1] if ended else None,
        )

    def _judged(self, task: Task, view: SectionView, run: Run) -> list[Finding]:
        """Ask the question; what goes wrong on the way is a finding too."""
        try:
            findings: Sequence[Finding] = task.question.judge(task, view)
            by_check = {finding.check: finding for finding in findings}
            return [by_check[check.id] for check in task.checks]
        except ChildGone as gone:
            run.bury()
            code = f"judge.ended-question-{gone.outcome.value}"
            return [
                Finding(check=check.id, outcome=gone.outcome, code=code) for check in task.checks
            ]
        except ServerFailed:
            raise
        except Exception as error:  # noqa: BLE001  # ours, whatever it is: shown as ours
            if isinstance(error, ProtocolError):
                run.bury()
            staff = (("judge.traceback", {"text": traceback.format_exc(limit=-6)}),)
            return [
                Finding(
                    check=check.id,
                    outcome=Outcome.GRADER_ERROR,
                    code="judge.grader-error",
                    staff=staff,
                )
                for check in task.checks
            ]

    def _ask_by_behaviour(self, cell: Cell, run: Run, course: _Course, card: Card) -> None:
        """Try a cell that belongs to no task on tasks that have no section, by what it does.

        Only an answer that is right, or that a person should see, counts: a wrong one could be
        meant for any task. An object that already answers one task is not offered to another.
        """
        ran = course.ran.get(cell.position)
        if ran is None or ran.done is None or not _may_answer(ran.done):
            return
        section = Section(task=None, cells=(cell,), found_by="behaviour")
        tried: Tried = {}
        for task in self._tasks:
            if task.id in course.sections or _is_settled(course.attempts.get(task.id, [])):
                continue
            attempt = self._ask(task, section, run, course, card, tried)
            graded = _graded(attempt.findings)
            right = any(finding.outcome is Outcome.PASSED for finding in attempt.findings)
            if not right or (graded is not None and graded in course.claimed):
                course.attempts[task.id].pop()
            elif graded is not None:
                course.claimed.add(graded)

    # -------------------------------------------------------------- points

    def _task_result(self, task: Task, course: _Course, left: Sequence[Cell]) -> TaskResult:
        attempts = course.attempts.get(task.id, [])
        results = [self._attempt_result(task, attempt) for attempt in attempts]
        if not results:
            kind = "text" if isinstance(task.question, Choice | FreeText) else "code"
            cells = tuple(
                cell
                for cell in left
                if cell.kind == kind
                and (not task.content or any(word in cell.source for word in task.content))
            )
            section = Section(task=task.id, cells=cells, found_by="")
            indices = tuple(cell.index for cell in cells if cell.index)
            return self._attempt_result(task, _Attempt(section, _missing(task, cells), indices))
        return max(enumerate(results), key=lambda item: (_worth(item[1]), item[0]))[1]

    def _attempt_result(self, task: Task, attempt: _Attempt) -> TaskResult:
        by_check = {finding.check: finding for finding in attempt.findings}
        rivals = bool(attempt.section.rivals)
        checks = [_check_result(check, by_check[check.id], rivals=rivals) for check in task.checks]
        counted = [check for check in checks if check.possible > 0] or checks
        return TaskResult(
            id=task.id,
            outcome=task_outcome([check.outcome for check in counted]),
            points=sum(check.points for check in checks),
            possible=task.possible,
            graded=_graded(attempt.findings),
            checks=checks,
            cells=list(attempt.cells),
            found_by=attempt.section.found_by,
        )


def award(check: Check, finding: Finding) -> Points:
    """Return the points that a finding earns; nothing else in the grader gives any."""
    if finding.outcome is Outcome.PASSED:
        return check.possible
    if finding.outcome is Outcome.PARTIAL and finding.parts is not None:
        right, parts = finding.parts
        return Points(check.possible * right // parts)
    return Points(0)


def _check_result(check: Check, finding: Finding, *, rivals: bool) -> CheckResult:
    if rivals and finding.outcome in (Outcome.PASSED, Outcome.FAILED, Outcome.PARTIAL):
        finding = replace(finding, outcome=Outcome.REVIEW, code="judge.unclear-task")
    return CheckResult(
        id=check.id,
        outcome=finding.outcome,
        points=award(check, finding),
        possible=check.possible,
        code=finding.code,
        values=dict(finding.values),
        evidence=[as_data(item) for item in finding.evidence],
        cells=list(finding.cells),
        excerpt=finding.excerpt,
        staff=[(code, dict(values)) for code, values in finding.staff],
    )


def _missing(task: Task, left: Sequence[Cell]) -> list[Finding]:
    """Return that nothing answers a task; what no other task took, a person looks at."""
    if not left:
        return [
            Finding(check=check.id, outcome=Outcome.MISSING, code="judge.missing")
            for check in task.checks
        ]
    text = "\n\n".join(cell.source for cell in left)
    where = "markdown" if left[0].kind == "text" else "code"
    return [
        Finding(
            check=check.id,
            outcome=Outcome.REVIEW,
            code="judge.unassigned",
            evidence=() if position else (StudentText(where=where, text=text[:_MOST_LEFT]),),
            excerpt=text[:_MOST_EXCERPT],
        )
        for position, check in enumerate(task.checks)
    ]


def _left_over(sections: Sequence[Section], course: _Course) -> tuple[Cell, ...]:
    """Return the cells without a task that may answer one, of a submission without headings."""
    if any(section.found_by in ("heading", "file") for section in sections):
        return ()
    taken = {
        index for tried in course.attempts.values() for attempt in tried for index in attempt.cells
    }
    left = []
    for cell in (cell for section in sections if section.task is None for cell in section.cells):
        ran = course.ran.get(cell.position)
        done = ran.done if ran else None
        if cell.kind == "text":
            works = len(cell.source.split()) > _FEW_WORDS
        else:
            works = done is not None and (_may_answer(done) or _used_device(done))
        if works and cell.index not in taken:
            left.append(cell)
    return tuple(left)


def _used_device(done: CellDone) -> bool:
    return done.device is not None and bool(
        done.device.peak_allocated > _LITTLE_BYTES or done.device.refusal_count
    )


def _for_our_gap(findings: list[Finding], view: SectionView) -> list[Finding]:
    """Leave to a person what failed where a cell ended since a module is missing here.

    The neuron was not trained then, or nothing larger was tried; what is written is wrong anyhow.
    """
    gap = find_gap(view)
    if gap is None or not any(finding.outcome in _LOST for finding in findings):
        return findings
    return [
        replace(gap, check=finding.check)
        if finding.outcome in (*_LOST, Outcome.NOT_RUN) and not finding.code.startswith(_WRITTEN)
        else finding
        for finding in findings
    ]


def _explained(finding: Finding, view: SectionView, limits: Limits, *, time_over: bool) -> Finding:
    """Say of an answer that was not found that a cell ended early, where that is why."""
    if finding.outcome is not Outcome.MISSING and finding.code not in _NO_ANSWER:
        return finding
    over = "judge.ended-time-over" if time_over else ""  # not by what that cell itself did
    if view.ended is not None:
        return _ended(finding, view.ended, view.ended_cell, limits.cell_cpu_seconds, limits, over)
    for ran in view.ran:
        if ran.done is not None and ran.done.outcome in ("timeout", "memory"):
            on_device = ran.done.device is not None
            seconds = limits.device_cell_seconds if on_device else limits.cell_cpu_seconds
            outcome = Outcome(ran.done.outcome)
            return _ended(finding, outcome, ran.cell.index, seconds, limits, over)
    return finding


def _ended(
    finding: Finding, outcome: Outcome, cell: int | None, seconds: float, limits: Limits, over: str
) -> Finding:
    code = f"judge.ended-{outcome.value}"
    if over and outcome is Outcome.TIMEOUT:
        code, seconds = over, limits.submission_seconds
    values = {
        **finding.values,
        "cell": str(cell or ""),
        "seconds": f"{seconds:g}",
        "gigabytes": f"{limits.memory_bytes / 2**30:.3g}",
    }
    cells = finding.cells or ((cell,) if cell else ())
    return replace(finding, outcome=outcome, code=code, values=values, cells=cells)


def _may_answer(done: CellDone) -> bool:
    objects = ("network", "instance", "network-class", "class", "function")
    return bool(done.backward_count) or any(bound.kind in objects for bound in done.bound)


def _is_settled(attempts: Sequence[_Attempt]) -> bool:
    return any(all(f.outcome is Outcome.PASSED for f in attempt.findings) for attempt in attempts)


def _worth(result: TaskResult) -> tuple[int, int]:
    waiting = sum(c.possible for c in result.checks if c.outcome is Outcome.REVIEW)
    found = sum(c.outcome is not Outcome.MISSING for c in result.checks)
    return result.points * 100 + waiting, found


def _graded(findings: Iterable[Finding]) -> tuple[str, str, int] | None:
    for finding in findings:
        name = finding.values.get("graded_name")
        if name:
            cell = finding.values.get("graded_cell", "0")
            return name, finding.values.get("graded_type", ""), int(cell)
    return None


def _with_replaced(tasks: list[TaskResult], course: _Course) -> list[TaskResult]:
    """Tell staff which functions were replaced; no check uses them, so no point depends on it."""
    names = dict.fromkeys(n for ran in course.ran.values() if ran.done for n in ran.done.replaced)
    if names and tasks and tasks[0].checks:
        text = ", ".join(names)[:_MOST_REPLACED]
        tasks[0].checks[0].staff.append(("judge.replaced", {"names": text}))
    return tasks


def _with_anomalies(tasks: list[TaskResult], anomalies: Sequence[str]) -> list[TaskResult]:
    """Give what tampered with the protocol to a person; what was noticed is for staff only."""
    if not anomalies or not tasks or not tasks[0].checks:
        return tasks
    first = tasks[0].checks[0]
    first.staff.extend(("judge.anomaly", {"text": text}) for text in anomalies)
    return [_doubted(task) for task in tasks]


def _doubted(task: TaskResult) -> TaskResult:
    """Return a task whose points were earned by a process that is not believed: they wait."""
    checks = [
        msgspec.structs.replace(check, outcome=Outcome.REVIEW, points=0, code="judge.doubted")
        if check.points
        else check
        for check in task.checks
    ]
    if checks == task.checks:
        return task
    counted = [check.outcome for check in checks if check.possible > 0]
    return msgspec.structs.replace(task, checks=checks, points=0, outcome=task_outcome(counted))


def _cell_results(cells: Sequence[Cell], course: _Course) -> list[CellResult]:
    """Return one result a code cell; pieces of one cell are joined."""
    results: dict[int, CellResult] = {}
    for cell in cells:
        if cell.kind == "code" and cell.index is not None:
            piece = _cell_result(cell, course)
            before = results.get(cell.index)
            results[cell.index] = piece if before is None else _joined(before, piece)
    return list(results.values())


def _cell_result(cell: Cell, course: _Course) -> CellResult:
    ran = course.ran.get(cell.position)
    done = ran.done if ran else None
    outcome = Outcome(done.outcome) if done else course.ended.get(cell.position, Outcome.NOT_RUN)
    error = done.error if done else None
    device = done.device if done else None
    return CellResult(
        index=cell.index or 0,
        outcome=outcome,
        seconds=round(done.seconds, 4) if done else 0.0,
        output=done.output if done else "",
        error=f"{error.type}: {error.text}" if error else "",
        error_line=error.line if error else None,
        peak_bytes=device.peak_allocated if device else 0,
        line=cell.line,
        file=cell.file,
        source=cell.source,
        printed=cell.printed,
        device=(device.allocated_after, device.reserved_after, device.refusal_count)
        if device
        else None,
    )


def _joined(first: CellResult, second: CellResult) -> CellResult:
    worst = first if first.outcome is not Outcome.PASSED else second
    return CellResult(
        index=first.index,
        outcome=worst.outcome,
        seconds=round(first.seconds + second.seconds, 4),
        output=first.output + second.output,
        error=worst.error,
        error_line=worst.error_line,
        peak_bytes=max(first.peak_bytes, second.peak_bytes),
        line=first.line,
        file=first.file,
        source=f"{first.source}\n{second.source}",
        printed=first.printed,
        device=second.device or first.device,
    )
