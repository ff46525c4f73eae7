"""A class in figures, taken in one submission at a time.

What is kept of each submission is its points and its tasks' seconds; beside them each different
wrong answer once, who gained or lost points, and whose file could not be read.
"""

import math
from array import array
from collections import Counter
from dataclasses import dataclass, field

from grader.model import Assignment, Outcome
from grader.reports.changes import Change, find_change
from grader.reports.summary import ClassRow
from grader.reports.wording import STOPPED

FEWEST_FOR_DISCRIMINATION = 20
"""With fewer submissions a correlation says nothing."""

MOST_NAMES = 12
"""Names that are kept of submissions that have something in common."""

_MOST_ODDITIES = 50
_NOT_TRIED = (None, Outcome.NOT_RUN, Outcome.MISSING)
_UNDECIDED = (Outcome.GRADER_ERROR, Outcome.REVIEW)

Wrong = tuple[str, str, tuple[tuple[str, str], ...]]
"""A wrong answer: ``task.check``, message code, and what filled the message."""


@dataclass(slots=True)
class Named:
    """Submissions that have something in common: how many, and the first of them."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Take one in."""
        self.count += 1
        if len(self.first) < MOST_NAMES:
            self.first.append(name)


@dataclass(slots=True)
class CheckTally:
    """How one check fared; points are hundredths.

    Attributes:
        judged: answers that were judged, not left to a person.
        solved: those that passed.
        points: what those that were judged earned in all.
        not_tried: submissions without an answer.
        undecided: answers that wait for a person.
        codes: message codes of wrong answers.
    """

    judged: int = 0
    solved: int = 0
    points: int = 0
    not_tried: int = 0
    undecided: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    _rest: int = 0
    _rest_squared: int = 0
    _rest_of_solved: int = 0

    def add(self, outcome: Outcome | None, points: int, rest: int) -> None:
        """Take in a submission.

        Args:
            outcome: of this check, None where there is none.
            points: what it earned.
            rest: what the submission's other checks earned.
        """
        if outcome in _NOT_TRIED:
            self.not_tried += 1
        elif outcome in _UNDECIDED:
            self.undecided += 1
        else:
            solved = outcome is Outcome.PASSED
            self.judged += 1
            self.solved += solved
            self.points += points
            self._rest += rest
            self._rest_squared += rest * rest
            self._rest_of_solved += rest * solved

    def discrimination(self) -> float | None:
        """Return the correlation of solving this check with the rest of the score.

        None for fewer than `FEWEST_FOR_DISCRIMINATION` submissions, or where one of both is the
        same for all. The sums are whole numbers, so nothing is lost on the way.
        """
        count = self.judged
        spread = self.solved * (count - self.solved)
        rest_spread = count * self._rest_squared - self._rest**2
        if count < FEWEST_FOR_DISCRIMINATION or not spread or not rest_spread:
            return None
        together = count * self._rest_of_solved - self.solved * self._rest
        return together / math.sqrt(spread * rest_spread)


class ClassTally:
    """A class in figures.

    Args:
        assignment: the assignment.
        compared: whether there is a previous run to compare with.

    Attributes:
        points: of each submission, in hundredths.
        checks: how each check fared, by ``task.check``.
        task_seconds: time on the clock of each submission's cells, by task.
        empty: submissions without an answer to any task.
        nothing_run: submissions in which nothing could be run, though they could be read.
        unreadable: names of files that could not be read.
        ends: submissions with cells that were stopped, by how.
        waiting: submissions with an answer that waits for a person, by ``task.check``.
        failed: submissions on which the grader itself failed, by ``task.check``.
        oddities: what is for the instructor only, as (name, code, values); the first of it.
        wrong: how many gave a wrong answer, and the first who did.
        new: submissions that the previous run did not have.
        went_up: submissions that gained points since then.
        went_down: submissions that lost points.
        changes: submissions of which a check earned more or less.
    """

    def __init__(self, assignment: Assignment, *, compared: bool = False) -> None:
        names = [f"{task.id}.{check.id}" for task in assignment.tasks for check in task.checks]
        self._compared = compared
        self.points = array("q")
        self.checks = {name: CheckTally() for name in names}
        self.task_seconds = {task.id: array("d") for task in assignment.tasks}
        self.empty = 0
        self.nothing_run = Named()
        self.unreadable: list[str] = []
        self.ends = {outcome: Named() for outcome in STOPPED}
        self.waiting = {name: Named() for name in names}
        self.failed = {name: Named() for name in names}
        self.oddities: list[tuple[str, str, dict[str, str]]] = []
        self.wrong: dict[Wrong, tuple[int, str]] = {}
        self.new = self.went_up = self.went_down = 0
        self.changes: list[Change] = []

    @property
    def failures(self) -> int:
        """Answers on which the grader itself failed."""
        return sum(named.count for named in self.failed.values())

    def add(self, row: ClassRow, before: ClassRow | None = None) -> None:
        """Take in a submission, and what it was in the previous run."""
        self.points.append(row.points)
        self.empty += not row.answered
        for task, seconds in self.task_seconds.items():
            seconds.append(row.task_seconds.get(task, 0.0))
        for name, check in self.checks.items():
            points = row.check_points.get(name, 0)
            check.add(row.check_outcomes.get(name), points, row.points - points)
            if name in row.codes:
                check.codes[row.codes[name]] += 1
        self._add_needs(row)
        for name, code in row.codes.items():
            wrong = name, code, tuple(sorted(row.values.get(name, {}).items()))
            count, first = self.wrong.get(wrong, (0, row.submission))
            self.wrong[wrong] = count + 1, first
        if self._compared:
            self._compare(row, before)

    def _compare(self, row: ClassRow, before: ClassRow | None) -> None:
        if before is None:
            self.new += 1
            return
        self.went_up += row.points > before.points
        self.went_down += row.points < before.points
        change = find_change(before, row)
        if change is not None:
            self.changes.append(change)

    def _add_needs(self, row: ClassRow) -> None:
        name = row.submission
        if row.unreadable:
            self.unreadable.append(name)
        elif row.stopped and not row.ends:
            self.nothing_run.add(name)
        for outcome in row.ends:
            self.ends[outcome].add(name)
        for check in row.waiting:
            failed = row.check_outcomes.get(check) is Outcome.GRADER_ERROR
            found = (self.failed if failed else self.waiting).get(check)
            if found is not None:
                found.add(name)
        room = _MOST_ODDITIES - len(self.oddities)
        self.oddities += [(name, code, values) for code, values in row.anomalies[:room]]
