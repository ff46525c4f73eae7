"""Writes what a batch leaves in its output folder: pages, `result.json`, tables."""

import contextlib
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from grader.batch.grading import pages_digest
from grader.batch.handing import with_origin
from grader.gradebook import Gradebook, Review, result_key
from grader.lms.origin import Origin
from grader.model import Assignment, Report
from grader.reports.csv import (
    REVIEW_COLUMNS,
    Table,
    gradebook_header,
    gradebook_row,
    render_csv,
    review_delimiter,
    review_rows,
)
from grader.reports.html import ClassPage, RunFacts, render_report
from grader.reports.items import ITEM_COLUMNS, item_rows
from grader.reports.json import encode_result
from grader.reports.summary import summarize
from grader.reports.tally import ClassTally
from grader.reviews import apply_reviews

RESULT, PAGE = "result.json", "report.html"


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears whole at the end, or not at all.

    Raises:
        OSError: the folder cannot be written, or the disk is full; it has a path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a write that fails does not say where
        raise


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    with written_whole(path) as file:
        file.write(data)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The files of one submission.

    Attributes:
        files: content by name.
        failure: why the page is not among them, which is ours; empty where it is.
    """

    files: dict[str, bytes]
    failure: str = ""


class SubmissionPages:
    """Draws `result.json` and `report.html` of submissions.

    Args:
        assignment: the assignment.
        language: of the pages.
        reviews: decisions of persons.
        origin_of: tells where a submission came from, by its name; None where that is not known.
    """

    def __init__(
        self,
        assignment: Assignment,
        *,
        language: str,
        reviews: Iterable[Review] = (),
        origin_of: Callable[[str], Origin | None],
    ) -> None:
        self._assignment = assignment
        self._language = language
        self._reviews: dict[str, list[Review]] = {}
        self.origin_of = origin_of
        for review in reviews:
            self._reviews.setdefault(review.submission, []).append(review)

    def drawn_from(self, report: Report) -> str:
        """Return a digest of everything that decides the files of a report's submission."""
        reviews = sorted(repr(review) for review in self.reviews_of(report.submission))
        data = msgspec.json.encode(report).decode()
        handed_in = repr((self.origin_of(report.submission), self._assignment.policy))
        return result_key((data, self._language, pages_digest(), handed_in, *reviews))

    def reviews_of(self, submission: str) -> Sequence[Review]:
        """Return all decisions on a submission, those on earlier answers included."""
        return self._reviews.get(submission, ())

    def reviewed(self, report: Report) -> Report:
        """Return the report with the decisions of persons and what lateness takes."""
        decided = apply_reviews(report, self.reviews_of(report.submission))
        origin = self.origin_of(report.submission)
        if origin is None:
            return decided
        return with_origin(decided, origin, self._assignment.policy)

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
) -> tuple[ClassTally, int]:
    """Write the class page, `gradebook.csv`, `item_analysis.csv` and `review.csv`.

    Returns the class in figures, and how many answers wait for a person.

    Submissions are taken one at a time; what is kept of each is little (`grader.reports.tally`).

    Raises:
        OSError: a file cannot be written.
    """
    previous = gradebook.previous_run(run)
    waiting = 0
    with (
        written_whole(out / "review.csv") as asked,
        written_whole(out / "gradebook.csv") as grades,
        written_whole(out / "index.html") as index,
        tempfile.TemporaryFile(dir=out) as lines,
    ):
        page = ClassPage(assignment, language=language, lines=lines, compared=previous is not None)
        table = Table(grades, gradebook_header(assignment))
        review = Table(asked, REVIEW_COLUMNS, delimiter=review_delimiter(language))
        for report, before in _beside(gradebook, run, previous):
            decided = pages.reviewed(report)
            page.add(
                summarize(decided), None if before is None else summarize(pages.reviewed(before))
            )
            table.add(gradebook_row(decided, assignment))
            reviews = pages.reviews_of(report.submission)
            for row in review_rows(decided, reviews, language=language):
                review.add(row)
                waiting += 1
        for piece in page.draw(facts):
            index.write(piece.encode())
        items = item_rows(page.tally, assignment, language=language)
        write_file(out / "item_analysis.csv", render_csv(ITEM_COLUMNS, items))
    return page.tally, waiting


def _beside(
    gradebook: Gradebook, run: int, previous: int | None
) -> Iterator[tuple[Report, Report | None]]:
    """Yield the reports of a run, each with that of the same name in the previous run."""
    older = iter(()) if previous is None else gradebook.reports(previous)
    before = next(older, None)
    for report in gradebook.reports(run):  # both come by name
        while before is not None and before.submission < report.submission:
            before = next(older, None)
        same = before is not None and before.submission == report.submission
        yield report, before if same else None
