"""Writes what a batch leaves in its output folder: pages, `result.json`, tables."""

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from grader.gradebook import Gradebook, Review, result_key
from grader.model import Assignment, Report
from grader.reports.csv import (
    REVIEW_COLUMNS,
    gradebook_header,
    gradebook_row,
    render_csv,
    review_rows,
)
from grader.reports.html import RunFacts, render_class, render_report
from grader.reports.json import encode_result
from grader.reports.summary import ClassRow, summarize
from grader.reviews import apply_reviews


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class SubmissionPages:
    """Draws `result.json` and `report.html` of submissions.

    Args:
        out: the output folder.
        assignment: the assignment.
        language: of the pages.
        code: digest of the grader's code, so that a new version draws anew.
        reviews: decisions of persons.
    """

    def __init__(
        self,
        out: Path,
        assignment: Assignment,
        *,
        language: str,
        code: str,
        reviews: Iterable[Review],
    ) -> None:
        self._out = out
        self._assignment = assignment
        self._language = language
        self._code = code
        self._reviews: dict[str, list[Review]] = {}
        for review in reviews:
            self._reviews.setdefault(review.submission, []).append(review)

    def drawn_from(self, submission: str, key: str) -> str:
        """Return a digest of everything that decides a submission's files."""
        reviews = sorted(repr(review) for review in self._reviews.get(submission, ()))
        return result_key((key, self._language, self._code, *reviews))

    def are_there(self, submission: str) -> bool:
        """Tell whether the submission's files exist."""
        folder = self._out / submission
        return (folder / "report.html").is_file() and (folder / "result.json").is_file()

    def reviews_of(self, submission: str) -> Sequence[Review]:
        """Return all decisions on a submission, those on earlier answers included."""
        return self._reviews.get(submission, ())

    def reviewed(self, report: Report) -> Report:
        """Return the report with the decisions of persons."""
        return apply_reviews(report, self.reviews_of(report.submission))

    def draw(self, report: Report) -> None:
        """Write the submission's files.

        Raises:
            OSError: they cannot be written.
        """
        decided = self.reviewed(report)
        folder = self._out / report.submission
        write_file(folder / "result.json", encode_result(decided))
        page = render_report(decided, self._assignment, language=self._language)
        write_file(folder / "report.html", page.encode())


def write_class(
    out: Path,
    gradebook: Gradebook,
    run: int,
    pages: SubmissionPages,
    assignment: Assignment,
    *,
    language: str,
    facts: RunFacts,
) -> tuple[list[ClassRow], int]:
    """Write the class page, `gradebook.csv` and `review.csv`.

    Returns the rows, and how many answers wait for a person.

    Reports are read one at a time, so memory does not grow with their size.

    Raises:
        OSError: a file cannot be written.
    """
    rows: list[ClassRow] = []
    table: list[list[str]] = []
    waiting: list[list[str]] = []
    for report in map(pages.reviewed, gradebook.reports(run)):
        rows.append(summarize(report))
        table.append(gradebook_row(report))
        waiting.extend(review_rows(report, pages.reviews_of(report.submission)))
    before = gradebook.previous_run(run)
    previous = (
        [summarize(pages.reviewed(report)) for report in gradebook.reports(before)]
        if before is not None
        else []
    )
    page = render_class(rows, assignment, language=language, previous=previous, facts=facts)
    write_file(out / "index.html", page.encode())
    write_file(out / "gradebook.csv", render_csv(gradebook_header(assignment), table).encode())
    write_file(out / "review.csv", render_csv(REVIEW_COLUMNS, waiting).encode())
    return rows, len(waiting)
