"""`gradebook.csv` and `review.csv`: tables for spreadsheets, safe from formulas in names."""

import csv
import io
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from grader.gradebook import Review
from grader.model import Assignment, Report
from grader.reports.clean import csv_cell
from grader.reports.json import decimal
from grader.reviews import WAITING, fingerprint, lapsed

REVIEW_COLUMNS = (
    *("submission", "task", "check", "answer", "excerpt"),
    *("page", "possible", "earlier", "points", "comment"),
)


def gradebook_header(assignment: Assignment) -> list[str]:
    """Return the header of `gradebook.csv`: totals, then points and outcome of each task."""
    header = ["submission", "points", "possible", "to_review", "card", "seconds"]
    if assignment.policy is not None:
        header += ["days_late", "late_points"]
    for task in assignment.tasks:
        header += [task.id, f"{task.id}.outcome"]
    return header


def gradebook_row(report: Report, assignment: Assignment) -> list[str]:
    """Return a submission's row of `gradebook.csv`."""
    row = [
        csv_cell(report.submission),
        f"{decimal(report.points):.2f}",
        f"{decimal(report.possible):.2f}",
        f"{decimal(report.to_review):.2f}",
        csv_cell(report.card),
        f"{report.seconds:.2f}",
    ]
    if assignment.policy is not None:
        days, points = (report.late.days, report.late.points) if report.late else (0, 0)
        row += [str(days), f"{decimal(points):.2f}"]
    for task in report.tasks:
        row += [f"{decimal(task.points):.2f}", task.outcome.value]
    return row


def review_rows(report: Report, reviews: Iterable[Review], *, language: str) -> Iterator[list[str]]:
    """Yield the rows of `review.csv` for a submission: what waits for a person.

    A decision on an answer that has changed since is asked again, with what it was.

    Args:
        report: with the decisions that hold.
        reviews: all decisions on the submission.
        language: whose decimal mark is used.
    """
    earlier = lapsed(report, reviews)
    for task in report.tasks:
        for check in task.checks:
            before = earlier.get((task.id, check.id))
            if before is not None or (check.outcome in WAITING and check.possible > 0):
                page = f"{quote(report.submission)}/report.html#{task.id}.{check.id}"
                yield [
                    csv_cell(report.submission),
                    task.id,
                    check.id,
                    fingerprint(report, task, check),
                    csv_cell(check.excerpt, most=1000),
                    csv_cell(page),
                    _points(check.possible, language),
                    _earlier(before, language),
                    "",
                    "",
                ]


def _earlier(review: Review | None, language: str) -> str:
    if review is None:
        return ""
    return csv_cell(f"{_points(review.points, language)} {review.comment}".strip())


def _points(hundredths: int, language: str) -> str:
    text = f"{decimal(hundredths):.2f}"
    return text.replace(".", ",") if language == "ru" else text


def render_review(rows: Iterable[Iterable[str]], language: str) -> str:
    """Return `review.csv`: with semicolons in Russian, where Excel takes commas for decimal marks.

    A person opens it and fills it in; the other tables are for programs as well and stay the same.
    """
    return render_csv(REVIEW_COLUMNS, rows, delimiter=";" if language == "ru" else ",")


def render_csv(
    header: Iterable[str], rows: Iterable[Iterable[str]], *, delimiter: str = ","
) -> str:
    """Return a table as CSV (RFC 4180), marked as UTF-8 for spreadsheets by a byte order mark."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(rows)
    return "\ufeff" + buffer.getvalue()
