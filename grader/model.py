"""The nouns every part of the grader shares: assignments, submissions, outcomes, points, reports.

Nothing here imports torch, and nothing here does input or output.

Values that stay in the process are frozen dataclasses; what goes into a file is a `msgspec.Struct`
that allows unknown keys, so that files written by a later version can still be read.
"""

import datetime
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NewType

import msgspec

if TYPE_CHECKING:
    from grader.evidence import Evidence

Points = NewType("Points", int)
"""Hundredths of a point. Scores are added as integers and divided only for display."""

Words = Mapping[str, str]
"""The same text in each language, by its code: ``{"en": ..., "ru": ...}``."""


def points(value: float) -> Points:
    """Return `value` points as an integer of hundredths.

    Raises:
        ValueError: `value` is negative or has more than two decimals.
    """
    hundredths = round(value * 100)
    if hundredths < 0 or abs(hundredths - value * 100) > 1e-6:
        raise ValueError(f"points must be at least 0 with two decimals at most, got {value!r}")
    return Points(hundredths)


class Outcome(enum.StrEnum):
    """How a check or a task ended, from the student's point of view."""

    PASSED = "passed"
    PARTIAL = "partial"
    FAILED = "failed"
    MISSING = "missing"  # nothing found to judge
    REVIEW = "review"  # a person decides
    RAISED = "raised"  # the student's code raised
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CRASHED = "crashed"  # the process died
    NOT_RUN = "not-run"  # waits for another check
    GRADER_ERROR = "grader-error"  # ours; costs no points


# ------------------------------------------------------------------ what an instructor declares


@dataclass(frozen=True, slots=True)
class Check:
    """One question about the answer to a task.

    Attributes:
        id: unique within the task; part of the `result.json` contract.
        possible: points it is worth; 0 makes it advice, shown and never counted.
        title: what it asks, in each language.
    """

    id: str
    possible: Points
    title: Words


@dataclass(frozen=True, slots=True)
class Heading:
    """A form of heading that opens a section: a word and a number, as in ``Задача 3``.

    Attributes:
        kind: which family of words: ``task`` (Задача, Задание, Task), ``homework``
            (Домашнее задание, Homework) or ``question`` (Вопрос, Question).
        number: the number after the word.
    """

    kind: Literal["task", "homework", "question"]
    number: int


@dataclass(frozen=True, slots=True)
class Task:
    """One exercise of an assignment.

    Attributes:
        id: unique within the assignment; part of the `result.json` contract.
        title: what the report calls it, in each language.
        headings: headings that open its section.
        names: variable, class or function names the handout declares for its answer, best first.
        aliases: words that name the task where no heading does: in file stems, object names and
            printed labels (``and``, ``и``).
        content: words in the code that tell this task apart where a heading is ambiguous
            (``backward``); empty where content decides nothing.
        question: the kind of question, an object from `grader.checks`, which judges the checks.
        checks: in the order of the report.
        hint: one sentence that helps without giving the answer away, in each language.
    """

    id: str
    title: Words
    headings: tuple[Heading, ...]
    question: Any
    checks: tuple[Check, ...]
    names: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    hint: Words = field(default_factory=dict)

    @property
    def possible(self) -> Points:
        """All points of the task."""
        return Points(sum(check.possible for check in self.checks))


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one submission.

    Attributes:
        cell_cpu_seconds: processor time of one cell.
        cell_wall_seconds: time on the clock of one cell.
        device_cell_seconds: both of these for a cell that works on the virtual GPU.
        submission_seconds: time on the clock of the whole submission.
        memory_bytes: memory beyond what the warm server itself holds.
        output_bytes: output kept a cell.
        threads: threads a submission may start beyond the first.
    """

    cell_cpu_seconds: float = 30.0
    cell_wall_seconds: float = 60.0
    device_cell_seconds: float = 120.0
    submission_seconds: float = 300.0
    memory_bytes: int = 2 << 30
    output_bytes: int = 4096
    threads: int = 16


LimitValues = Mapping[str, Any]
"""Limits by the name of their field, in place of an assignment's own."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is taken for handing in late; the percentages are of the points earned.

    Attributes:
        due: when the assignment is due, with its zone.
        late_days: days late, begun ones included, that cost nothing.
        percent_a_day: for each further day, begun ones included.
        percent_most: the most that is taken.

    Raises:
        ValueError: `due` has no zone, or a number is outside of its range.
    """

    due: datetime.datetime
    late_days: int = 0
    percent_a_day: int = 10
    percent_most: int = 100

    def __post_init__(self) -> None:
        if self.due.tzinfo is None:
            raise ValueError(f"due needs a time zone, got {self.due!r}")
        if self.late_days < 0 or not 0 <= self.percent_a_day <= 100:
            raise ValueError(f"late_days={self.late_days}, percent_a_day={self.percent_a_day}")
        if not 0 <= self.percent_most <= 100:
            raise ValueError(f"percent_most must be from 0 to 100, got {self.percent_most}")


@dataclass(frozen=True, slots=True)
class Assignment:
    """A homework: its tasks, points, checks and limits.

    Attributes:
        name: its id, as in ``--assignment intro-to-torch``.
        title: in each language.
        tasks: in the order of the handout.
        limits: bounds of one submission.
        samples: texts of the statement itself that never count as an answer.
        keys: answers of choice questions by task id; empty where the solution is not at hand.
        policy: what is taken for handing in late; None where nothing is due.
        total: all points as the statement names them, for `grader doctor` to compare; None where
            it names none.
    """

    name: str
    title: Words
    tasks: tuple[Task, ...]
    limits: Limits = field(default_factory=Limits)
    samples: tuple[str, ...] = ()
    keys: Mapping[str, Any] = field(default_factory=dict)
    policy: Policy | None = None
    total: Points | None = None

    @property
    def possible(self) -> Points:
        """All points of the assignment."""
        return Points(sum(task.possible for task in self.tasks))

    def with_limits(self, limits: LimitValues) -> "Assignment":
        """Return the same assignment with some of its limits changed.

        Raises:
            TypeError: there is no limit of such a name.
        """
        return replace(self, limits=replace(self.limits, **limits))

    def task(self, task_id: str) -> Task:
        """Return the task with this id.

        Raises:
            KeyError: there is none.
        """
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise KeyError(f"{self.name} has no task {task_id!r}; it has {[t.id for t in self.tasks]}")


# ------------------------------------------------------------------ what a student handed in


@dataclass(frozen=True, slots=True)
class Picture:
    """An image attached to a markdown cell, shown to the reviewer.

    Attributes:
        name: the attachment's name.
        media: ``image/png`` or ``image/jpeg``.
        data: the bytes, at most `grader.intake` allows.
    """

    name: str
    media: Literal["image/png", "image/jpeg"]
    data: bytes


@dataclass(frozen=True, slots=True)
class Cell:
    r"""A piece of a submission, in the order of the file.

    Attributes:
        position: place among all cells of the submission, from 0.
        kind: code that runs as a whole, or text.
        source: the text, with line ends as ``\\n``.
        index: place among the code cells, from 1; None for text. This is `cells[].index` of
            `result.json`.
        file: path inside the submission; every file runs in a namespace of its own.
        line: first line of the cell in its file, from 1, for scripts; None for notebooks.
        style: notebooks run with IPython's semantics (`Out`, `_`), scripts without.
        printed: what the notebook itself kept of its last run's text output, bounded.
        pictures: images attached to a text cell.
    """

    position: int
    kind: Literal["code", "text"]
    source: str
    index: int | None = None
    file: str = ""
    line: int | None = None
    style: Literal["notebook", "script"] = "notebook"
    printed: str = ""
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Submission:
    """What one student handed in, as data.

    Attributes:
        name: the submission's name in reports and paths.
        cells: all cells of all files in order.
        files: Python modules of the submission by path, for imports between them.
        digest: SHA-256 of the content, hexadecimal.
        notes: what intake has to say, as (message code, values).
    """

    name: str
    cells: tuple[Cell, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    notes: tuple[tuple[str, Mapping[str, str]], ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """The cells that belong to one task; `task` is None for cells that belong to none.

    Attributes:
        task: id of the task.
        cells: code and text cells in order.
        found_by: how it was found: ``heading``, ``file``, ``name``, ``label``, ``behaviour``.
        rivals: ids of other tasks that these cells fit as well (``xor`` and ``xor-expression``);
            where not empty, a person decides.
    """

    task: str | None
    cells: tuple[Cell, ...]
    found_by: str = "heading"
    rivals: tuple[str, ...] = ()


# ------------------------------------------------------------------ what a check finds


@dataclass(frozen=True, slots=True)
class Finding:
    """How one check ended, before points are given; only `grader.judge` turns it into points.

    Attributes:
        check: id of the check.
        outcome: how it ended.
        code: entry of the message catalogue that says why.
        values: fills the message; student-controlled text appears only here.
        evidence: data that show why.
        parts: for `Outcome.PARTIAL`, (right, all) parts.
        staff: (code, values) for the instructor only, such as an anomaly of the protocol.
        cells: indexes of the code cells that the report should show for it.
        excerpt: for `Outcome.REVIEW`, the student's answer that a person is to read.
    """

    check: str
    outcome: Outcome
    code: str
    values: Mapping[str, str] = field(default_factory=dict)
    evidence: tuple["Evidence", ...] = ()
    parts: tuple[int, int] | None = None
    staff: tuple[tuple[str, Mapping[str, str]], ...] = ()
    cells: tuple[int, ...] = ()
    excerpt: str = ""


# ------------------------------------------------------------------ what goes into result.json


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """One check in a report; points are hundredths here and decimals in `result.json`."""

    id: str
    outcome: Outcome
    points: int
    possible: int
    code: str
    values: dict[str, str] = {}
    evidence: list[Any] = []
    cells: list[int] = []
    excerpt: str = ""
    staff: list[tuple[str, dict[str, str]]] = []
    reviewed: bool = False
    comment: str = ""


class TaskResult(msgspec.Struct, frozen=True, kw_only=True):
    """One task in a report.

    Attributes:
        graded: which object was judged and where it stands, e.g. ``neuron (NeuronAND), cell 13``,
            as (name, type, cell index); empty where none was.
        cells: indexes of the code cells of its section.
        found_by: how its section was found, see `Section.found_by`.
    """

    id: str
    outcome: Outcome
    points: int
    possible: int
    graded: tuple[str, str, int] | None = None
    checks: list[CheckResult]
    cells: list[int] = []
    found_by: str = ""


class CellResult(msgspec.Struct, frozen=True, kw_only=True):
    """One code cell in a report.

    Attributes:
        index: place among the code cells, from 1.
        outcome: ``passed``, ``raised``, ``timeout``, ``memory``, ``crashed`` or ``not-run``.
        seconds: time on the clock.
        output: what it printed, bounded.
        error: one line, exception type and text; empty where none.
        error_line: line inside the cell where it was raised, from 1.
        peak_bytes: the most the virtual GPU had allocated in it.
        line: first line in its file, for scripts.
        source: the code, kept for pages.
        printed: what the notebook kept of its own run.
        timeline: (allocated, reserved, refusals) after the cell, where the device was used.
    """

    index: int
    outcome: Outcome
    seconds: float
    output: str = ""
    error: str = ""
    error_line: int | None = None
    peak_bytes: int = 0
    line: int | None = None
    file: str = ""
    source: str = ""
    printed: str = ""
    device: tuple[int, int, int] | None = None


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken for handing in late.

    Attributes:
        submitted, due: ISO 8601.
        days: days late, a begun one included.
        percent: of the points earned.
        points: hundredths that were taken.
    """

    submitted: str
    due: str
    days: int
    percent: int
    points: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the judge found about one submission; rendering adds nothing to it.

    Attributes:
        card: the GPU that the code ran on or that was imitated.
        figures: what its figures are worth: ``exact`` byte for byte, ``estimated``, ``measured`` on
            a real card, or empty where there was none.
    """

    assignment: str
    submission: str
    card: str
    profile: str
    figures: str = ""
    seconds: float
    tasks: list[TaskResult]
    cells: list[CellResult]
    notes: list[tuple[str, dict[str, str]]] = []
    isolation: list[str] = []
    digest: str = ""
    late: Late | None = None

    @property
    def points(self) -> Points:
        """Points earned, less what was taken for handing in late."""
        taken = self.late.points if self.late is not None else 0
        return Points(sum(task.points for task in self.tasks) - taken)

    @property
    def possible(self) -> Points:
        """Points that could be earned."""
        return Points(sum(task.possible for task in self.tasks))

    @property
    def to_review(self) -> Points:
        """Points that wait for a person, those that the grader failed on included."""
        return self._waiting(Outcome.REVIEW, Outcome.GRADER_ERROR)

    @property
    def undecided(self) -> Points:
        """Points of checks in which the grader itself failed; they are in `to_review` as well."""
        return self._waiting(Outcome.GRADER_ERROR)

    def _waiting(self, *outcomes: Outcome) -> Points:
        return Points(
            sum(
                check.possible - check.points
                for task in self.tasks
                for check in task.checks
                if check.outcome in outcomes
            )
        )


def task_outcome(outcomes: list[Outcome]) -> Outcome:
    """Return the outcome of a task from those of its counted checks, by the design's precedence.

    The first that applies: grader-error; crashed, timeout, memory; review (something waits and
    nothing failed); passed; missing (all); partial; failed. A check that is not-run or raised
    counts as failed here.
    """
    for ours_or_dead in (Outcome.GRADER_ERROR, Outcome.CRASHED, Outcome.TIMEOUT, Outcome.MEMORY):
        if ours_or_dead in outcomes:
            return ours_or_dead
    seen = set(outcomes)
    lost = {Outcome.FAILED, Outcome.RAISED, Outcome.PARTIAL}
    if Outcome.REVIEW in seen and not seen & lost:
        return Outcome.REVIEW
    if seen <= {Outcome.PASSED}:
        return Outcome.PASSED
    if seen <= {Outcome.MISSING, Outcome.NOT_RUN}:
        return Outcome.MISSING
    if seen & {Outcome.PASSED, Outcome.PARTIAL, Outcome.REVIEW}:
        return Outcome.PARTIAL
    return Outcome.FAILED
