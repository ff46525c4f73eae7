"""`grader grade` and `grader report`: batches in the terminal."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from grader.batch.grading import Settings
from grader.batch.handing import SUBMISSIONS_FILE, Source, listed
from grader.batch.run import BatchResult, draw_again, grade_batch
from grader.cli.main import PASSED
from grader.cli.progress import show_progress
from grader.cli.show import guarded
from grader.cli.show import say as complain
from grader.intake.names import path_text
from grader.messages import message, plural, system_reason
from grader.reports.clean import clean_line
from grader.reports.wording import shown_number

_MOST_CHANGES = 40


def grade_all(
    paths: Sequence[Path],
    out: Path,
    settings: Settings,
    *,
    workers: int,
    scheduler: str,
    only: str | None,
    reviews: Path | None,
    source: Source,
) -> int:
    """Grade a batch and say where to look; return the exit code."""

    def action() -> int:
        try:
            with show_progress(settings.language) as progress:
                result = grade_batch(
                    paths,
                    out,
                    settings,
                    workers=workers,
                    scheduler=scheduler,
                    only=only,
                    reviews=reviews,
                    source=source,
                    progress=progress,
                )
        except KeyboardInterrupt:
            complain("batch.interrupted", {}, language=settings.language)
            raise
        _show(result, out, settings.language)
        return PASSED

    return guarded(action, language=settings.language)


def draw_all(folder: Path, *, language: str, assignment: str | None, reviews: Path | None) -> int:
    """Draw an output folder again and say where to look; return the exit code."""

    def action() -> int:
        with show_progress(language) as progress:
            result = draw_again(
                folder,
                language=language,
                assignment=assignment,
                reviews=reviews,
                progress=progress,
            )
        _show(result, folder, language)
        return PASSED

    return guarded(action, language=language)


def _show(result: BatchResult, out: Path, language: str) -> None:
    """Print what a batch came to; where that cannot be, say so: all is in the folder."""
    try:
        _print_result(result, out, language)
    except OSError as error:
        complain(
            "cli.unprinted", {"path": str(out), "reason": system_reason(error)}, language=language
        )


def _print_result(result: BatchResult, out: Path, language: str) -> None:
    console = Console(file=sys.stdout, highlight=False, markup=False, soft_wrap=True)

    def say(code: str, number: int, **values: object) -> None:
        texts = {key: str(value) for key, value in values.items()}
        console.print(clean_line(plural(code, number, texts, language=language), most=2000))

    count = result.count
    rate = shown_number(count / result.seconds, 1, language) if result.seconds else "-"
    say("cli.done", count, seconds=shown_number(result.seconds, 1, language), rate=rate)
    if result.interrupted:
        console.print(message("cli.run-interrupted", language=language))
    for code, number in (
        ("cli.done-cached", result.cached),
        ("cli.reviews-held", result.taken.held),
        ("cli.reviews-changed", result.taken.changed),
        ("cli.failed", result.failed),
    ):
        if number:
            console.print(plural(code, number, language=language))
    for code, names in (
        ("cli.unreadable", result.unreadable),
        ("cli.absent", result.attendance.absent),
        ("cli.strangers", result.attendance.strangers),
        ("cli.unclaimed", result.unclaimed),
    ):
        if names:
            say(code, len(names), names=listed(names), path=path_text(out / SUBMISSIONS_FILE))
    _print_changes(console, result.changes, language)
    page = {"path": path_text(out / "index.html")}
    console.print(clean_line(message("cli.look-at", page, language=language), most=2000))
    if result.waiting:
        say("cli.waits", result.waiting, path=path_text(out / "review.csv"))


def _print_changes(console: Console, changes: Sequence[str], language: str) -> None:
    if not changes:
        return
    console.print(plural("changes.title", len(changes), language=language))
    for line in changes[:_MOST_CHANGES]:
        console.print("  " + clean_line(line, most=400))
    more = len(changes) - _MOST_CHANGES
    if more > 0:
        console.print("  " + plural("changes.more", more, language=language))
