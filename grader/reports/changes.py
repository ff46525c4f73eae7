"""Who gained or lost points since the previous run, and why: looked at before grades go out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from grader.messages import message
from grader.model import Assignment, Outcome
from grader.reports.clean import clean_line
from grader.reports.summary import ClassRow
from grader.reports.wording import shown_points


@dataclass(frozen=True, slots=True)
class Change:
    """A submission whose points are not what they were; points are hundredths.

    Attributes:
        anew: whether something else was handed in; else the same work was judged differently.
        checks: (``task.check``, outcome before, outcome now) where the points differ.
    """

    submission: str
    before: int
    now: int
    anew: bool
    checks: tuple[tuple[str, Outcome, Outcome], ...]


def losses_first(changes: Iterable[Change]) -> list[Change]:
    """Return changes in the order they are told in: the greatest losses first."""
    return sorted(changes, key=lambda change: (change.now - change.before, change.submission))


def find_change(before: ClassRow, now: ClassRow) -> Change | None:
    """Return how a submission changed since the previous run, None if its points are the same."""
    if before.check_points == now.check_points:
        return None
    missing = Outcome.MISSING
    return Change(
        submission=now.submission,
        before=before.points,
        now=now.points,
        anew=before.digest != now.digest,
        checks=tuple(
            (name, before.check_outcomes.get(name, missing), now.check_outcomes[name])
            for name, points in now.check_points.items()
            if before.check_points.get(name) != points
        ),
    )


def cause(change: Change, assignment: Assignment, *, language: str) -> str:
    """Return in a line why the points changed: the cause, then each check."""
    titles = _titles(assignment, language)
    parts = [
        f"{titles.get(name, name)}: {_word(before, language)} → {_word(now, language)}"
        for name, before, now in change.checks
    ]
    code = "changes.anew" if change.anew else "changes.same-work"
    return f"{message(code, language=language)}; {'; '.join(parts)}"


def change_line(change: Change, assignment: Assignment, *, language: str) -> str:
    """Return a change as a line of text."""
    points = f"{shown_points(change.before, language)} → {shown_points(change.now, language)}"
    why = cause(change, assignment, language=language)
    return f"{clean_line(change.submission)}: {points} ({why})"


def _titles(assignment: Assignment, language: str) -> Mapping[str, str]:
    return {
        f"{task.id}.{check.id}": f"{task.title[language]}, {check.title[language]}"
        for task in assignment.tasks
        for check in task.checks
    }


def _word(outcome: Outcome, language: str) -> str:
    return message(f"outcome.{outcome.value}", language=language)
