"""Item analysis: how each check fared in a class, for `item_analysis.csv`."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from grader.model import Assignment, Outcome
from grader.reports.clean import csv_cell
from grader.reports.json import decimal
from grader.reports.summary import ClassRow

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

FEWEST_FOR_DISCRIMINATION = 20
"""With fewer submissions a correlation says nothing."""

NOT_JUDGED = frozenset({Outcome.NOT_RUN, Outcome.MISSING, Outcome.GRADER_ERROR, Outcome.REVIEW})
"""Outcomes that say nothing of whether a check was solved."""

_MOST_CODES = 3


def item_rows(
    rows: Sequence[ClassRow], assignment: Assignment, *, language: str
) -> Iterator[list[str]]:
    """Yield the rows of `item_analysis.csv`, one a check; a cell that says nothing is empty.

    ``judged`` counts the submissions with an answer that was judged; ``mean`` (points) and
    ``solved`` (share that passed, 0 to 1) are over those; ``codes`` are the message codes of the
    commonest wrong answers, each with its count.
    """
    for task in assignment.tasks:
        for check in task.checks:
            name = f"{task.id}.{check.id}"
            judged = [row for row in rows if _is_judged(row, name)]
            codes = Counter(row.codes[name] for row in rows if name in row.codes)
            title = f"{task.title[language]}: {check.title[language]}"
            yield [
                csv_cell(task.id),
                csv_cell(check.id),
                csv_cell(title),
                f"{decimal(check.possible):.2f}",
                str(len(judged)),
                _mean([decimal(row.check_points[name]) for row in judged]),
                _mean([row.check_outcomes[name] is Outcome.PASSED for row in judged]),
                _number(discrimination(judged, name)),
                " ".join(f"{code}={count}" for code, count in codes.most_common(_MOST_CODES)),
            ]


def discrimination(judged: Sequence[ClassRow], name: str) -> float | None:
    """Return the correlation of solving a check with the rest of the score.

    None for fewer than `FEWEST_FOR_DISCRIMINATION` submissions, or where one of both is the same
    for all.
    """
    solved = [float(row.check_outcomes[name] is Outcome.PASSED) for row in judged]
    rest = [float(row.points - row.check_points[name]) for row in judged]
    if len(judged) < FEWEST_FOR_DISCRIMINATION or len(set(solved)) < 2 or len(set(rest)) < 2:
        return None
    return statistics.correlation(solved, rest)


def _is_judged(row: ClassRow, name: str) -> bool:
    return name in row.check_outcomes and row.check_outcomes[name] not in NOT_JUDGED


def _mean(values: Sequence[float]) -> str:
    return _number(statistics.fmean(values) if values else None)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
