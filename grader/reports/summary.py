"""A submission in a few figures, from which the class page and the tables are made."""

from collections.abc import Mapping
from dataclasses import dataclass
from sys import intern

from grader.model import Outcome, Report
from grader.reports.wording import STOPPED

_WRONG = (Outcome.FAILED, Outcome.RAISED, Outcome.PARTIAL)
_BY_CHANCE = ("cell", "line", "name", "names", "graded")
_MOST_VALUE = 40
_REFUSED = "judge.refused"


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A submission on the class page; points are hundredths.

    Attributes:
        outcomes: of each task, by id.
        check_points: points of each check, by ``task.check``.
        codes: message code of each check that did not pass and that no person judged, by
            ``task.check``.
        waiting: ``task.check`` of everything that waits for a person; nothing where the file as
            a whole does.
        values: what filled the messages of those checks, without what differs by chance.
        stopped: whether code ran out of time or memory or crashed, or nothing could be run.
        ends: how cells ended that were stopped, each way once.
        unreadable: whether the file could not be read.
        task_seconds: time on the clock of each task's cells, by id.
        anomalies: what is for the instructor only, as (code, values).
        digest: of what was handed in.
    """

    submission: str
    points: int
    possible: int
    to_review: int
    seconds: float
    outcomes: dict[str, Outcome]
    check_outcomes: dict[str, Outcome]
    check_points: dict[str, int]
    codes: dict[str, str]
    values: dict[str, dict[str, str]]
    waiting: tuple[str, ...]
    stopped: bool
    task_seconds: dict[str, float]
    digest: str
    unreadable: bool = False
    ends: tuple[Outcome, ...] = ()
    anomalies: tuple[tuple[str, dict[str, str]], ...] = ()

    @property
    def answered(self) -> bool:
        """Whether there is an answer to any task."""
        return any(outcome is not Outcome.MISSING for outcome in self.outcomes.values())


def summarize(report: Report) -> ClassRow:
    """Return what the class page keeps of a report."""
    # The same in every row of a class, so each name is held once.
    checks = {
        intern(f"{task.id}.{check.id}"): check for task in report.tasks for check in task.checks
    }
    wrong = {
        name: check
        for name, check in checks.items()
        if check.outcome in _WRONG and not check.reviewed  # a person's reason is not the code's
    }
    seconds = {cell.index: cell.seconds for cell in report.cells}
    refused = [check for check in checks.values() if check.code == _REFUSED]
    ends = tuple(dict.fromkeys(c.outcome for c in report.cells if c.outcome in STOPPED))
    return ClassRow(
        anomalies=tuple(note for check in checks.values() for note in check.staff),
        submission=report.submission,
        points=report.points,
        possible=report.possible,
        to_review=report.to_review,
        seconds=report.seconds,
        outcomes={intern(task.id): task.outcome for task in report.tasks},
        check_outcomes={name: check.outcome for name, check in checks.items()},
        codes={name: intern(check.code) for name, check in wrong.items()},
        values={name: _alike(check.values) for name, check in wrong.items()},
        check_points={name: check.points for name, check in checks.items()},
        waiting=tuple(
            name
            for name, check in checks.items()
            if check.possible > 0
            and check.code != _REFUSED
            and check.outcome in (Outcome.REVIEW, Outcome.GRADER_ERROR)
        ),
        stopped=bool(refused) or bool(ends),
        ends=ends,
        unreadable=any(check.outcome is Outcome.REVIEW for check in refused),
        task_seconds={
            intern(task.id): sum(seconds.get(index, 0.0) for index in task.cells)
            for task in report.tasks
        },
        digest=report.digest,
    )


def _alike(values: Mapping[str, str]) -> dict[str, str]:
    """Return the values that are the same where the mistake is: no places, names or long texts."""
    return {
        key: value if len(value) <= _MOST_VALUE and key not in _BY_CHANCE else "…"
        for key, value in values.items()
    }
