"""Writes what a batch leaves in its output folder: pages, `result.json`, tables."""

import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from grader.batch.grading import pages_digest
from grader.batch.handing import with_origin
from grader.gradebook import Gradebook, Review, result_key
from grader.lms.origin import Origin
from grader.model import Assignment, Report
from grader.reports.changes import Change, find_changes
from grader.reports.csv import (
    gradebook_header,
    gradebook_row,
    render_csv,
    render_review,
    review_rows,
)
from grader.reports.html import RunFacts, render_class, render_report
from grader.reports.items import ITEM_COLUMNS, item_rows
from grader.reports.json import encode_result
from grader.reports.summary import ClassRow, summarize
from grader.reviews import apply_reviews

RESULT, PAGE = "result.json", "report.html"


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class Drawn:
    """The files of one submission.

    Attributes:
        files: content by name.
        failure: why the page is not among them, which is ours; empty where it is.
    """

    files: dict[str, bytes]
    failure: str = ""


_NOWHERE: Mapping[str, Origin] = {}


class SubmissionPages:
    """Draws `result.json` and `report.html` of submissions.

    Args:
        assignment: the assignment.
        language: of the pages.
        reviews: decisions of persons.
        origins: where submissions came from, by name.
    """

    def __init__(
        self,
        assignment: Assignment,
        *,
        language: str,
        reviews: Iterable[Review] = (),
        origins: Mapping[str, Origin] = _NOWHERE,
    ) -> None:
        self._assignment = assignment
        self._language = language
        self._reviews: dict[str, list[Review]] = {}
        self._origins = origins
        for review in reviews:
            self._reviews.setdefault(review.submission, []).append(review)

    def drawn_from(self, report: Report) -> str:
        """Return a digest of everything that decides the files of a report's submission."""
        reviews = sorted(repr(review) for review in self.reviews_of(report.submission))
        data = msgspec.json.encode(report).decode()
        handed_in = repr((self._origins.get(report.submission), self._assignment.policy))
        return result_key((data, self._language, pages_digest(), handed_in, *reviews))

    def reviews_of(self, submission: str) -> Sequence[Review]:
        """Return all decisions on a submission, those on earlier answers included."""
        return self._reviews.get(submission, ())

    def reviewed(self, report: Report) -> Report:
        """Return the report with the decisions of persons and what lateness takes."""
        decided = apply_reviews(report, self.reviews_of(report.submission))
        origin = self._origins.get(report.submission)
        if origin is None:
            return decided
        return with_origin(decided, origin, self._assignment.policy)

    def origin_of(self, submission: str) -> Origin | None:
        """Return where a submission came from, where it is known."""
        return self._origins.get(submission)

    def draw(self, report: Report) -> Drawn:
        """Return the submission's files; a page that cannot be drawn loses no result."""
        decided = self.reviewed(report)
        files = {RESULT: encode_result(decided)}
        try:
            page = render_report(decided, self._assignment, language=self._language)
            return Drawn({**files, PAGE: page.encode()})
        except Exception:  # noqa: BLE001  # ours, whatever it is: said as ours; the result stands
            return Drawn(files, failure=traceback.format_exc(limit=-4))


def write_submission(out: Path, name: str, drawn: Drawn) -> None:
    """Write a submission's files into the output folder; a page that was not drawn goes.

    Raises:
        OSError: they cannot be written.
    """
    for file, data in drawn.files.items():
        write_file(out / name / file, data)
    if drawn.failure:
        (out / name / PAGE).unlink(missing_ok=True)


def is_written(out: Path, name: str) -> bool:
    """Tell whether a submission's files exist; an empty one is what a power cut leaves."""
    try:
        return all((out / name / file).stat().st_size > 0 for file in (RESULT, PAGE))
    except OSError:
        return False


def write_class(
    out: Path,
    gradebook: Gradebook,
    run: int,
    pages: SubmissionPages,
    assignment: Assignment,
    *,
    language: str,
    facts: RunFacts,
) -> tuple[list[ClassRow], int, list[Change]]:
    """Write the class page, `gradebook.csv`, `item_analysis.csv` and `review.csv`.

    Returns the rows, how many answers wait for a person, and what changed since the previous run.

    Reports are read one at a time, so memory does not grow with their size.

    Raises:
        OSError: a file cannot be written.
    """
    rows: list[ClassRow] = []
    table: list[list[str]] = []
    waiting: list[list[str]] = []
    for report in map(pages.reviewed, gradebook.reports(run)):
        rows.append(summarize(report))
        table.append(gradebook_row(report, assignment))
        reviews = pages.reviews_of(report.submission)
        waiting.extend(review_rows(report, reviews, language=language))
    before = gradebook.previous_run(run)
    previous = (
        [summarize(pages.reviewed(report)) for report in gradebook.reports(before)]
        if before is not None
        else []
    )
    page = render_class(rows, assignment, language=language, previous=previous, facts=facts)
    write_file(out / "index.html", page.encode())
    write_file(out / "gradebook.csv", render_csv(gradebook_header(assignment), table).encode())
    items = item_rows(rows, assignment, language=language)
    write_file(out / "item_analysis.csv", render_csv(ITEM_COLUMNS, items).encode())
    write_file(out / "review.csv", render_review(waiting, language).encode())
    return rows, len(waiting), find_changes(rows, previous)
