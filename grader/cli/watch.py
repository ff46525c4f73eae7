"""`grader check --watch`: grades again whenever the submission is saved.

The file is looked at many times a second, which works on every system and every kind of disk, and
for editors that write a new file and rename it. A state counts once it has held for two looks, so
that no half of a file is graded; a notebook that cannot be read is given time before it is told.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console

from grader.cli.check import Wanted, declared, judge_of, require_sensible, show, start_server
from grader.cli.main import PASSED
from grader.cli.show import WrongUse, guarded, say, say_refused
from grader.intake import Refused, read_submission
from grader.intake.archive import is_skipped
from grader.intake.names import format_of
from grader.judge import Judge
from grader.model import Assignment, Points, Report, Submission
from grader.reports.wording import shown_points

LOOK_SECONDS = 0.03
"""Between two looks at the file; a look is one call of the system."""

PATIENCE_SECONDS = 1.0
"""How long a file may be gone or unreadable before that is told."""

_MOST_FILES = 2000

State = tuple[tuple[str, int, int, int], ...]
"""Path, time of change in nanoseconds, size in bytes and inode of each file; empty for none."""


def check_on_save(wanted: Wanted) -> int:
    """Check a submission now and after every save until Ctrl-C; return the exit code."""

    def action() -> int:
        if wanted.as_json or wanted.fail_under is not None:
            raise WrongUse("cli.watch-alone", {})
        require_sensible(wanted)
        with start_server(wanted, once=False) as server:
            assignment, _ = declared(wanted)
            judge = judge_of(wanted, assignment, server)
            try:
                _follow(wanted, judge, assignment)
            except KeyboardInterrupt:
                error = Console(file=sys.stderr)
                error.print()  # below the ^C that the terminal shows
        return PASSED

    return guarded(action, language=wanted.language)


def _follow(wanted: Wanted, judge: Judge, assignment: Assignment) -> None:
    """Grade each new content; returns only by an exception."""
    before: Report | None = None
    for submission in saved_submissions(wanted.path):
        if isinstance(submission, Refused):
            say_refused(submission, language=wanted.language)
            continue
        report = judge.grade(submission)
        out = Console()
        if out.is_terminal:
            out.clear()
        show(wanted, report, assignment)
        sys.stdout.flush()
        if before is not None:
            _say_change(Points(report.points - before.points), language=wanted.language)
        say("cli.watching", {"path": str(wanted.path)}, language=wanted.language)
        before = report


def _say_change(change: int, *, language: str) -> None:
    if change:
        shown = shown_points(abs(change), language)
        sign = "+" if change > 0 else "−"
        say("cli.watch-change", {"points": f"{sign}{shown}"}, language=language)


def state_of(path: Path) -> State:
    """Return the state of a file, or of the submission's files in a folder."""
    return tuple(_states(path)) if path.is_dir() else tuple(_state(path, ""))


def _state(path: Path, name: str) -> Iterator[tuple[str, int, int, int]]:
    try:
        status = path.stat()
    except OSError:
        return
    yield name, status.st_mtime_ns, status.st_size, status.st_ino


def _states(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    count = 0
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_skipped(name))
        for name in sorted(files):
            if format_of(name) and not is_skipped(name):
                yield from _state(Path(where) / name, f"{where}/{name}")
                count += 1
        if count > _MOST_FILES:
            return


def saved_submissions(
    path: Path,
    *,
    look: Callable[[Path], State] = state_of,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Submission | Refused]:
    """Yield the submission, and again each time its content has become another.

    What cannot be read is yielded as its refusal, once, after `PATIENCE_SECONDS`.

    Args:
        path: the submission's file or folder.
        look: returns the state of the files.
        pause: waits, in seconds.
        clock: tells the time, in seconds.
    """
    digest, told = "", ""
    read: State | None = None
    seen, since = look(path), clock()
    while True:
        state = look(path)
        if state != seen:
            seen, since = state, clock()
        elif state != read:
            submission = _find(path)
            if isinstance(submission, Submission):
                read, told = state, ""
                if submission.digest != digest:
                    digest = submission.digest
                    yield submission
            elif clock() - since >= PATIENCE_SECONDS:
                read = state
                if submission.code != told:
                    told, digest = submission.code, ""
                    yield submission
        pause(LOOK_SECONDS)


def _find(path: Path) -> Submission | Refused:
    try:
        return read_submission(path)
    except Refused as refused:
        return refused
