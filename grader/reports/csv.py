"""`gradebook.csv` and `review.csv`: tables for spreadsheets, safe from formulas in names."""

import csv
import io
from collections.abc import Iterable, Iterator

from grader.model import Assignment, Report
from grader.reports.clean import csv_cell
from grader.reports.json import decimal
from grader.reviews import WAITING, fingerprint

REVIEW_COLUMNS = ("submission", "task", "check", "answer", "excerpt", "points", "comment")


def gradebook_header(assignment: Assignment) -> list[str]:
    """Return the header of `gradebook.csv`: totals, then points and outcome of each task."""
    header = ["submission", "points", "possible", "to_review", "card", "seconds"]
    for task in assignment.tasks:
        header += [task.id, f"{task.id}.outcome"]
    return header


def gradebook_row(report: Report) -> list[str]:
    """Return a submission's row of `gradebook.csv`."""
    row = [
        csv_cell(report.submission),
        f"{decimal(report.points):.2f}",
        f"{decimal(report.possible):.2f}",
        f"{decimal(report.to_review):.2f}",
        csv_cell(report.card),
        f"{report.seconds:.2f}",
    ]
    for task in report.tasks:
        row += [f"{decimal(task.points):.2f}", task.outcome.value]
    return row


def review_rows(report: Report) -> Iterator[list[str]]:
    """Yield the rows of `review.csv` for what waits for a person in a submission."""
    for task in report.tasks:
        for check in task.checks:
            if check.outcome in WAITING and check.possible > 0:
                yield [
                    csv_cell(report.submission),
                    task.id,
                    check.id,
                    fingerprint(report, task, check),
                    csv_cell(check.excerpt, most=1000),
                    "",
                    "",
                ]


def render_csv(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table as CSV (RFC 4180), marked as UTF-8 for spreadsheets by a byte order mark."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(rows)
    return "\ufeff" + buffer.getvalue()
