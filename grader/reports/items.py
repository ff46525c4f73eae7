"""Item analysis: how each check fared in a class, for `item_analysis.csv`."""

from collections.abc import Iterator

from grader.model import Assignment
from grader.reports.clean import csv_cell
from grader.reports.json import decimal
from grader.reports.tally import ClassTally

ITEM_COLUMNS = (
    "task",
    "check",
    "title",
    "possible",
    "judged",
    "mean",
    "solved",
    "discrimination",
    "codes",
)

_MOST_CODES = 3


def item_rows(tally: ClassTally, assignment: Assignment, *, language: str) -> Iterator[list[str]]:
    """Yield the rows of `item_analysis.csv`, one a check; a cell that says nothing is empty.

    ``judged`` counts the submissions with an answer that was judged; ``mean`` (points) and
    ``solved`` (share that passed, 0 to 1) are over those; ``codes`` are the message codes of the
    commonest wrong answers, each with its count.
    """
    for task in assignment.tasks:
        for check in task.checks:
            one = tally.checks[f"{task.id}.{check.id}"]
            title = f"{task.title[language]}: {check.title[language]}"
            yield [
                csv_cell(task.id),
                csv_cell(check.id),
                csv_cell(title),
                f"{decimal(check.possible):.2f}",
                str(one.judged),
                _number(decimal(one.points) / one.judged if one.judged else None),
                _number(one.solved / one.judged if one.judged else None),
                _number(one.discrimination()),
                " ".join(f"{code}={count}" for code, count in one.codes.most_common(_MOST_CODES)),
            ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
