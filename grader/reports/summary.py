"""A submission in a few figures, which is all that the class page keeps of it."""

from dataclasses import dataclass

from grader.model import Outcome, Report


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A submission on the class page; points are hundredths.

    Attributes:
        outcomes: of each task, by id.
        codes: message code of each check that did not pass, by ``task.check``.
        waiting: ``task.check`` of everything that waits for a person.
        failed_to_run: whether the grader itself failed somewhere.
    """

    submission: str
    points: int
    possible: int
    to_review: int
    seconds: float
    outcomes: dict[str, Outcome]
    check_outcomes: dict[str, Outcome]
    codes: dict[str, str]
    waiting: tuple[str, ...]
    failed_to_run: bool


def summarize(report: Report) -> ClassRow:
    """Return what the class page keeps of a report."""
    checks = {f"{task.id}.{check.id}": check for task in report.tasks for check in task.checks}
    return ClassRow(
        submission=report.submission,
        points=report.points,
        possible=report.possible,
        to_review=report.to_review,
        seconds=report.seconds,
        outcomes={task.id: task.outcome for task in report.tasks},
        check_outcomes={name: check.outcome for name, check in checks.items()},
        codes={
            name: check.code
            for name, check in checks.items()
            if check.outcome in (Outcome.FAILED, Outcome.RAISED, Outcome.PARTIAL)
        },
        waiting=tuple(
            name
            for name, check in checks.items()
            if check.possible > 0 and check.outcome in (Outcome.REVIEW, Outcome.GRADER_ERROR)
        ),
        failed_to_run=any(c.outcome is Outcome.GRADER_ERROR for c in checks.values()),
    )
