"""`gradebook.csv` and `review.csv`: tables for spreadsheets, safe from formulas in names."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import IO
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


def review_delimiter(language: str) -> str:
    """Return what stands between the cells of `review.csv`.

    In Russian a semicolon, where Excel takes commas for decimal marks: a person opens it and fills
    it in. The other tables are for programs as well and stay the same.
    """
    return ";" if language == "ru" else ","


class Table:
    """A table that is written row by row as CSV (RFC 4180).

    A byte order mark tells spreadsheets that it is UTF-8.
    """

    def __init__(self, file: IO[bytes], header: Iterable[str], *, delimiter: str = ",") -> None:
        self._file = file
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, delimiter=delimiter, lineterminator="\r\n")
        file.write("\ufeff".encode())
        self.add(header)

    def add(self, row: Iterable[str]) -> None:
        """Write a row.

        Raises:
            OSError: the file cannot be written.
        """
        self._writer.writerow(row)
        self._file.write(self._text.getvalue().encode())
        self._text.seek(0)
        self._text.truncate()


def render_csv(header: Iterable[str], rows: Iterable[Iterable[str]]) -> bytes:
    """Return a whole table as CSV."""
    file = io.BytesIO()
    table = Table(file, header)
    for row in rows:
        table.add(row)
    return file.getvalue()
