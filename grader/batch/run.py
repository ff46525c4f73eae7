"""A batch from paths to an output folder: what ``grader grade`` and ``grader report`` do."""

import difflib
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from grader.assignments import load_assignment
from grader.batch.alone import alone_in
from grader.batch.cluster import Cluster, NoWorkers
from grader.batch.desk import Desk, Done
from grader.batch.grading import FEW, Job, Settings, settings_digest, start_server
from grader.batch.handing import (
    AS_IT_LIES,
    SUBMISSIONS_COLUMNS,
    SUBMISSIONS_FILE,
    Source,
    find,
    origins_of,
    submission_rows,
)
from grader.batch.local import LocalWorkers, Lost
from grader.batch.pages import SubmissionPages, write_class, write_file, write_submission
from grader.batch.reviewing import Decision, Taken, keep_decisions, read_decisions, require_taken
from grader.batch.worker import Hello
from grader.devices import require_known, require_real
from grader.gradebook import Gradebook, GradebookError, known_origins
from grader.intake.disk import is_same
from grader.intake.entries import is_no_submission
from grader.intake.names import path_text
from grader.lms.handed_in import HandedIn
from grader.lms.roster import NOBODY_ABSENT, Attendance
from grader.model import Assignment, Report
from grader.reports.changes import change_line, losses_first
from grader.reports.csv import render_csv
from grader.reports.html import RunFacts
from grader.reports.tally import ClassTally
from grader.sandbox.protocol import REAL

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
        last: whether it is not tried again.
        failure: why its page could not be drawn, empty if it was.
        no_workers: address of a scheduler that has none, empty while there are some.
    """

    done: int
    total: int
    name: str
    cached: bool = False
    lost: str = ""
    last: bool = False
    failure: str = ""
    no_workers: str = ""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch came to.

    Attributes:
        count: submissions that have a result.
        unreadable: names of files that could not be read.
        seconds: time on the clock.
        cached: results that were taken from the gradebook.
        waiting: answers that wait for a person.
        failed: those of them on which the grader itself failed.
        taken: decisions of persons that came with it.
        unclaimed: files that belong to nobody.
        attendance: who of the roster is absent, and who is not on it.
        changes: a line for each submission that gained or lost points since the previous run.
        interrupted: whether the run has not got to its end, so that results are missing.
    """

    count: int
    unreadable: list[str]
    seconds: float
    cached: int
    waiting: int
    failed: int
    taken: Taken
    changes: list[str]
    unclaimed: list[str] = field(default_factory=list)
    attendance: Attendance = NOBODY_ABSENT
    interrupted: bool = False


def grade_batch(
    paths: Sequence[Path],
    out: Path,
    settings: Settings,
    *,
    workers: int,
    scheduler: str = "",
    only: str | None = None,
    reviews: Path | None = None,
    source: Source = AS_IT_LIES,
    progress: Callable[[Progress], None] = lambda _: None,
) -> BatchResult:
    """Grade every submission of `paths` into `out`.

    Args:
        paths: files and folders; each entry of a folder is one submission.
        out: output folder, made if missing; where it lies in a folder of `paths`, it is left out.
        settings: what decides the results.
        workers: worker processes on this machine, at least 1; a card of its own serves one.
        scheduler: address of a Dask scheduler whose workers grade instead; empty for this machine.
        only: name of the one submission to grade again; the others keep their results.
        reviews: a filled `review.csv`, whose decisions are taken.
        source: the system that `paths` come from, which attempt counts, the roster.
        progress: called after each submission.

    Raises:
        GradebookError: the output folder's gradebook cannot be used, the folder holds or is what is
            to be graded, or there is nothing to grade.
        Refused: `paths` or `reviews` cannot be read, or decisions would be written over.
        OSError: the output folder cannot be written.
    """
    began = time.monotonic()
    assignment = load_assignment(settings.assignment).with_limits(settings.limits)
    handed_in, attendance = _find_outside(out, paths := _without(out, paths), source)
    jobs = [Job(name=one.name, path=one.path, members=one.members) for one in handed_in.submissions]
    names = [job.name for job in jobs]
    _require_there(paths, names, only)
    chosen = [job for job in jobs if only in (None, job.name)]
    _require_device(settings)
    # Two submissions at once on the machine's own card would take each other's memory.
    workers = 1 if settings.card == REAL else workers
    out.mkdir(parents=True, exist_ok=True)
    require_taken(out, reviews)
    with alone_in(out), Gradebook(out / GRADEBOOK) as gradebook:
        decisions = _decisions(reviews, assignment, names)
        gradebook.set_origins(origins_of(handed_in.submissions, attendance, gradebook.origin))
        unclaimed = handed_in.unclaimed
        del handed_in  # the gradebook has it now, and a large class takes its room
        run = gradebook.begin_run(settings.assignment, _identity(paths, settings, assignment, only))
        if only is not None:
            gradebook.carry_over(run, [name for name in names if name != only])
        desk = Desk(settings, assignment, gradebook, run, out)
        pool: Cluster | LocalWorkers
        if scheduler:
            pool = Cluster(settings, desk, assignment, address=scheduler)
        else:
            hello = Hello(
                settings=settings,
                gradebook=os.fsencode((out / GRADEBOOK).resolve()),
                run=run,
                out=os.fsencode(out.resolve()),
                few=len(chosen) <= FEW * workers,
            )
            nothing_known = gradebook.previous_run(run) is None and not gradebook.graded(run)
            pool = LocalWorkers(hello, desk, assignment, count=workers, ahead=nothing_known)
        cached = _take_all(pool.grade(chosen), chosen, gradebook, run, progress)
        whole = gradebook.end_run(run, names)
        taken = keep_decisions(gradebook, run, decisions)
        pages = _pages(assignment, settings.language, gradebook)
        _draw_reviewed(gradebook, run, pages, out, {item.submission for item in decisions})
        seconds = time.monotonic() - began
        facts = RunFacts(
            seconds=seconds,
            workers=workers,
            cached=cached,
            handed_in=len(jobs),
            interrupted=not whole,
        )
        tally, waiting = write_class(
            out, gradebook, run, pages, assignment, language=settings.language, facts=facts
        )
        if only is None:
            origins = ((name, one) for name in names if (one := gradebook.origin(name)))
            table = submission_rows(origins, unclaimed, attendance)
            write_file(out / SUBMISSIONS_FILE, render_csv(SUBMISSIONS_COLUMNS, table))
    return BatchResult(
        count=len(tally.points),
        unreadable=tally.unreadable,
        seconds=seconds,
        cached=cached,
        waiting=waiting,
        failed=tally.failures,
        taken=taken,
        unclaimed=unclaimed,
        attendance=attendance,
        changes=_change_lines(tally, assignment, settings.language),
        interrupted=not whole,
    )


def _identity(
    paths: Sequence[Path], settings: Settings, assignment: Assignment, only: str | None
) -> str:
    """Return what a run must agree in with one that was killed, to go on with it."""
    where = sorted(path_text(path.resolve()) for path in paths)
    # One that grades a single submission again is a run of its own each time.
    alone = only and f"{only} {uuid.uuid4()}"
    return msgspec.json.encode(
        [settings, settings_digest(settings, assignment), alone, where]
    ).decode()


def _take_all(
    events: Iterable[Done | Lost | NoWorkers],
    jobs: Sequence[Job],
    gradebook: Gradebook,
    run: int,
    progress: Callable[[Progress], None],
) -> int:
    """Commit every result as it arrives; return how many were taken from the gradebook.

    Raises:
        OSError: a submission's files cannot be written; its result is kept.
    """
    by_name = {job.name: job for job in jobs}
    finished = cached = 0
    for event in events:
        if isinstance(event, Lost):
            gradebook.add_attempt(run, event.job.name, event.number, event.reason)
            name = event.job.name
            progress(Progress(finished, len(jobs), name, lost=event.reason, last=event.last))
            continue
        if isinstance(event, NoWorkers):
            progress(Progress(finished, len(jobs), "", no_workers=event.address))
            continue
        source = path_text(by_name[event.name].path)
        if event.known is not None:
            gradebook.add_known(run, event.name, event.known, source=source)
        elif event.report is not None:
            gradebook.add_result(run, event.report, key=event.key, source=source)
        if event.unwritten is not None:
            failed = event.unwritten
            raise OSError(failed.number, failed.reason, failed.path)
        if not event.failure:
            gradebook.add_drawn(event.name, event.drawn)
        finished, cached = finished + 1, cached + (event.known is not None)
        progress(
            Progress(
                finished,
                len(jobs),
                event.name,
                cached=event.known is not None,
                failure=event.failure,
            )
        )
    return cached


def _find_outside(out: Path, paths: Sequence[Path], source: Source) -> tuple[HandedIn, Attendance]:
    """Return what was handed in; refuse an output folder that is a part of it."""
    folder = Path(os.path.realpath(out))
    around = {folder, *folder.parents}
    for path in paths:
        below = path.is_dir() and path.resolve() in around
        if is_same(path, out) or (below and _holds_work(out)):
            raise GradebookError("batch.out-is-graded", {"out": str(out), "paths": str(path)})
    handed_in, attendance = find(paths, source, known_origins(out / GRADEBOOK), leave_out=out)
    for one in handed_in.submissions:
        if not one.members and one.path in around:
            raise GradebookError("batch.out-is-graded", {"out": str(out), "paths": str(one.path)})
    return handed_in, attendance


def _without(out: Path, paths: Sequence[Path]) -> Sequence[Path]:
    """Leave out an output folder that a shell's ``*`` has put among the paths."""
    if not (out / GRADEBOOK).is_file():
        return paths
    return [path for path in paths if not is_same(path, out)] or paths


def _holds_work(folder: Path) -> bool:
    """Tell whether a folder holds anything, and not what grading wrote."""
    if not folder.is_dir() or (folder / GRADEBOOK).is_file():
        return False
    return not all(is_no_submission(entry.name) for entry in folder.iterdir())


def _require_there(paths: Sequence[Path], names: Sequence[str], only: str | None) -> None:
    """Refuse a batch of nothing, and one submission that there is not."""
    shown = ", ".join(map(str, paths))
    if not names:
        raise GradebookError("batch.nothing", {"paths": shown})
    if only is not None and only not in names:
        near = difflib.get_close_matches(only, names, n=1)
        code = "batch.no-such-near" if near else "batch.no-such"
        raise GradebookError(code, {"paths": shown, "only": only, "near": "".join(near)})


def _require_device(settings: Settings) -> None:
    """Refuse a card or profile that there is not, before anything is written."""
    require_known(settings.card, settings.profile)
    if settings.card == REAL:
        with start_server(settings) as server:
            require_real(server)


def _decisions(
    reviews: Path | None, assignment: Assignment, names: Collection[str]
) -> list[Decision]:
    return [] if reviews is None else read_decisions(reviews, assignment, names)


def _pages(assignment: Assignment, language: str, gradebook: Gradebook) -> SubmissionPages:
    return SubmissionPages(
        assignment,
        language=language,
        reviews=gradebook.reviews(),
        origin_of=gradebook.origin,
    )


def _draw_reviewed(
    gradebook: Gradebook, run: int, pages: SubmissionPages, out: Path, names: Collection[str]
) -> None:
    """Draw the pages of submissions on which persons have just decided."""
    for report in gradebook.reports(run) if names else ():
        if report.submission in names:
            _draw(gradebook, pages, out, report)


def _draw(gradebook: Gradebook, pages: SubmissionPages, out: Path, report: Report) -> str:
    """Write a submission's files; return why its page could not be drawn, empty if it was."""
    drawn = pages.draw(report)
    write_submission(out, report.submission, drawn)
    if not drawn.failure:
        gradebook.add_drawn(report.submission, pages.drawn_from(report))
    return drawn.failure


def _change_lines(tally: ClassTally, assignment: Assignment, language: str) -> list[str]:
    changes = losses_first(tally.changes)
    return [change_line(one, assignment, language=language) for one in changes]


def draw_again(
    out: Path,
    *,
    language: str,
    assignment: str | None = None,
    reviews: Path | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> BatchResult:
    """Draw all pages and tables of `out` again from its gradebook, running nothing.

    Args:
        out: the output folder.
        language: of the pages.
        assignment: name or folder; that of the latest run where None.
        reviews: a filled `review.csv`, whose decisions are taken.
        progress: called after each submission.

    Raises:
        GradebookError: there is no gradebook, or it is empty.
        Refused: `reviews` cannot be read, or decisions would be written over.
        OSError: the folder cannot be written.
    """
    began = time.monotonic()
    path = out / GRADEBOOK
    if not path.is_file():
        raise GradebookError("gradebook.none", {"path": str(path)})
    with alone_in(out), Gradebook(path) as gradebook:
        run = gradebook.latest_run()
        if run is None:
            raise GradebookError("gradebook.none", {"path": str(path)})
        declared = load_assignment(assignment or gradebook.assignment_of(run))
        names = gradebook.graded(run)
        decisions = _decisions(reviews, declared, names)
        require_taken(out, reviews)
        taken = keep_decisions(gradebook, run, decisions)
        pages = _pages(declared, language, gradebook)
        for done, report in enumerate(gradebook.reports(run), start=1):
            failure = _draw(gradebook, pages, out, report)
            progress(Progress(done, len(names), report.submission, cached=True, failure=failure))
        interrupted = not gradebook.is_whole(run)
        facts = RunFacts(
            seconds=0.0, workers=0, cached=0, handed_in=len(names), interrupted=interrupted
        )
        tally, waiting = write_class(
            out, gradebook, run, pages, declared, language=language, facts=facts
        )
    return BatchResult(
        count=len(tally.points),
        unreadable=tally.unreadable,
        seconds=time.monotonic() - began,
        cached=len(tally.points),
        waiting=waiting,
        failed=tally.failures,
        taken=taken,
        changes=_change_lines(tally, declared, language),
        interrupted=interrupted,
    )
