"""The line of a submission on the class page, as plain values in the words of one language."""

from dataclasses import dataclass
from itertools import groupby
from urllib.parse import quote

from grader.messages import message
from grader.model import Assignment, Outcome
from grader.reports.clean import clean_line
from grader.reports.summary import ClassRow
from grader.reports.wording import outcome_words, shown_number, shown_points

MARKS = {
    Outcome.PASSED: "✓",
    Outcome.PARTIAL: "◐",
    Outcome.REVIEW: "?",
    Outcome.MISSING: "·",
    Outcome.GRADER_ERROR: "!",
}
FAILED_MARK = "✗"
_PLAIN = (Outcome.PASSED, Outcome.MISSING)


@dataclass(frozen=True, slots=True)
class StudentLine:
    """A submission; `strip` are runs of equal outcomes as (outcome, marks), `said` in words."""

    name: str
    href: str
    points: str
    order: int
    to_review: str
    review_order: int
    change: str
    change_order: int
    strip: tuple[tuple[str, str], ...]
    said: str
    seconds: str


class StudentLines:
    """Makes lines.

    Args:
        assignment: the assignment.
        language: of the words.
        compared: whether there is a previous run to compare with.
    """

    def __init__(self, assignment: Assignment, language: str, *, compared: bool) -> None:
        self._language = language
        self._compared = compared
        self._tasks = {task.id: task.title[language] for task in assignment.tasks}
        self._outcomes = outcome_words(language)

    def line(self, row: ClassRow, before: ClassRow | None) -> StudentLine:
        """Return the line of a submission; its name is cleaned.

        Args:
            row: the submission.
            before: what it was in the previous run, None if it was not there.
        """
        outcomes = [row.outcomes[task] for task in self._tasks if task in row.outcomes]
        change, order = self._change(row, before)
        return StudentLine(
            name=clean_line(row.submission, most=80),
            href=href(row.submission),
            points=shown_points(row.points, self._language),
            order=row.points,
            to_review=shown_points(row.to_review, self._language) if row.to_review else "",
            review_order=row.to_review,
            change=change,
            change_order=order,
            strip=tuple(
                (outcome.value, MARKS.get(outcome, FAILED_MARK) * len(list(run)))
                for outcome, run in groupby(outcomes)
            ),
            said=self._said(row),
            seconds=shown_number(row.seconds, 2, self._language),
        )

    def _said(self, row: ClassRow) -> str:
        """Return the marks of a submission in words: which tasks, or how many of the plain ones."""
        named: dict[Outcome, list[str]] = {}
        for task, outcome in row.outcomes.items():
            named.setdefault(outcome, []).append(self._tasks.get(task, task))
        return "; ".join(
            f"{self._outcomes[outcome]}: "
            + (str(len(tasks)) if outcome in _PLAIN else ", ".join(tasks))
            for outcome, tasks in named.items()
        )

    def _change(self, row: ClassRow, before: ClassRow | None) -> tuple[str, int]:
        """Return how the points changed since the previous run, in words and as a number."""
        if not self._compared:
            return "", 0
        if before is None:
            return message("page.new", language=self._language), 0
        more = row.points - before.points
        if not more:
            return "", 0
        return ("+" if more > 0 else "−") + shown_points(abs(more), self._language), more


def href(name: str, anchor: str = "") -> str:
    """Return the link from the class page to a submission's page."""
    return f"{quote(name)}/report.html" + (f"#{quote(anchor)}" if anchor else "")
