"""A batch from paths to an output folder: what ``grader grade`` and ``grader report`` do."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from grader.assignments import load_assignment
from grader.batch.cluster import Cluster
from grader.batch.grading import Job, Settings, grader_digest, settings_digest
from grader.batch.local import LocalWorkers, Lost
from grader.batch.pages import SubmissionPages, write_class
from grader.batch.reviewing import Decision, Taken, keep_decisions, read_decisions, require_taken
from grader.devices import require_known
from grader.gradebook import Gradebook, GradebookError
from grader.intake import find_submissions
from grader.model import Assignment
from grader.reports.html import RunFacts
from grader.reports.summary import ClassRow

GRADEBOOK = "gradebook.db"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is.

    Attributes:
        done: submissions that have their result.
        total: submissions in all.
        name: the one that was just finished.
        cached: whether its result was taken from the gradebook.
        lost: why a worker died over it, empty if none did.
    """

    done: int
    total: int
    name: str
    cached: bool = False
    lost: str = ""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch came to.

    Attributes:
        rows: a summary of each submission.
        seconds: time on the clock.
        cached: results that were taken from the gradebook.
        waiting: answers that wait for a person.
        taken: decisions of persons that came with it.
    """

    rows: list[ClassRow]
    seconds: float
    cached: int
    waiting: int
    taken: Taken


def grade_batch(
    paths: Sequence[Path],
    out: Path,
    settings: Settings,
    *,
    workers: int,
    scheduler: str = "",
    only: str | None = None,
    reviews: Path | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> BatchResult:
    """Grade every submission of `paths` into `out`.

    Args:
        paths: files and folders; each entry of a folder is one submission.
        out: output folder, made if missing.
        settings: what decides the results.
        workers: worker processes on this machine, at least 1.
        scheduler: address of a Dask scheduler whose workers grade instead; empty for this machine.
        only: name of the one submission to grade again; the others keep their results.
        reviews: a filled `review.csv`, whose decisions are taken.
        progress: called after each submission.

    Raises:
        GradebookError: the output folder's gradebook cannot be used, or there is nothing to grade.
        Refused: `paths` or `reviews` cannot be read, or decisions would be written over.
        OSError: the output folder cannot be written.
    """
    began = time.monotonic()
    assignment = load_assignment(settings.assignment)
    jobs = [Job(name=entry.name, path=entry.path) for entry in find_submissions(paths)]
    chosen = [job for job in jobs if only in (None, job.name)]
    if not chosen:
        values = {"paths": ", ".join(map(str, paths)), "only": only or ""}
        raise GradebookError("batch.nothing", values)
    require_known(settings.card, settings.profile)
    out.mkdir(parents=True, exist_ok=True)
    require_taken(out, reviews)
    with Gradebook(out / GRADEBOOK) as gradebook:
        decisions = _decisions(reviews, assignment, [job.name for job in jobs])
        identity = msgspec.json.encode(settings).decode() + settings_digest(settings, assignment)
        run = gradebook.begin_run(settings.assignment, identity)
        pages = _pages(out, assignment, settings.language, gradebook)
        if only is not None:
            gradebook.carry_over(run, except_for=only)
        pool: Cluster | LocalWorkers = LocalWorkers(settings, out, assignment, count=workers)
        if scheduler:
            pool = Cluster(settings, gradebook, assignment, address=scheduler)
        sources = {job.name: str(job.path) for job in chosen}
        finished = cached = 0
        for event in pool.grade(chosen):
            if isinstance(event, Lost):
                gradebook.add_attempt(run, event.job.name, event.number, event.reason)
                progress(Progress(finished, len(chosen), event.job.name, lost=event.reason))
                continue
            gradebook.add_result(
                run,
                event.report,
                key=event.key,
                source=sources[event.name],
                cached=event.cached,
            )
            if not event.drawn:
                pages.draw(event.report)
            gradebook.add_drawn(event.name, pages.drawn_from(event.name, event.key))
            finished, cached = finished + 1, cached + event.cached
            progress(Progress(finished, len(chosen), event.name, cached=event.cached))
        gradebook.end_run(run)
        taken = keep_decisions(gradebook, run, decisions)
        pages = _pages(out, assignment, settings.language, gradebook)
        _draw_changed(gradebook, run, pages, {decision.submission for decision in decisions})
        seconds = time.monotonic() - began
        facts = RunFacts(seconds=seconds, workers=workers, cached=cached, handed_in=len(jobs))
        rows, waiting = write_class(
            out, gradebook, run, pages, assignment, language=settings.language, facts=facts
        )
    return BatchResult(rows=rows, seconds=seconds, cached=cached, waiting=waiting, taken=taken)


def _decisions(
    reviews: Path | None, assignment: Assignment, names: Collection[str]
) -> list[Decision]:
    return [] if reviews is None else read_decisions(reviews, assignment, names)


def _pages(out: Path, assignment: Assignment, language: str, book: Gradebook) -> SubmissionPages:
    return SubmissionPages(
        out, assignment, language=language, code=grader_digest(), reviews=book.reviews()
    )


def _draw_changed(
    gradebook: Gradebook, run: int, pages: SubmissionPages, names: Collection[str]
) -> None:
    """Draw the pages of submissions on which persons have just decided."""
    if not names:
        return
    keys = gradebook.graded(run)
    for report in gradebook.reports(run):
        if report.submission in names:
            pages.draw(report)
            drawn = pages.drawn_from(report.submission, keys[report.submission])
            gradebook.add_drawn(report.submission, drawn)


def draw_again(
    out: Path, *, language: str, assignment: str | None = None, reviews: Path | None = None
) -> BatchResult:
    """Draw all pages and tables of `out` again from its gradebook, running nothing.

    Args:
        out: the output folder.
        language: of the pages.
        assignment: name or folder; that of the latest run where None.
        reviews: a filled `review.csv`, whose decisions are taken.

    Raises:
        GradebookError: there is no gradebook, or it is empty.
        Refused: `reviews` cannot be read, or decisions would be written over.
        OSError: the folder cannot be written.
    """
    began = time.monotonic()
    path = out / GRADEBOOK
    if not path.is_file():
        raise GradebookError("gradebook.none", {"path": str(path)})
    with Gradebook(path) as gradebook:
        run = gradebook.latest_run()
        if run is None:
            raise GradebookError("gradebook.none", {"path": str(path)})
        declared = load_assignment(assignment or gradebook.assignment_of(run))
        names = gradebook.graded(run)
        decisions = _decisions(reviews, declared, names)
        require_taken(out, reviews)
        taken = keep_decisions(gradebook, run, decisions)
        pages = _pages(out, declared, language, gradebook)
        for report in gradebook.reports(run):
            pages.draw(report)
        facts = RunFacts(seconds=0.0, workers=0, cached=0, handed_in=len(names))
        rows, waiting = write_class(
            out, gradebook, run, pages, declared, language=language, facts=facts
        )
    seconds = time.monotonic() - began
    return BatchResult(rows=rows, seconds=seconds, cached=len(rows), waiting=waiting, taken=taken)
