"""`grader grade` and `grader report`: batches in the terminal."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import rich.progress
from rich.console import Console

from grader.batch.grading import Settings
from grader.batch.handing import SUBMISSIONS_FILE, Source, listed
from grader.batch.run import BatchResult, Progress, draw_again, grade_batch
from grader.cli.main import PASSED
from grader.cli.show import error_console, guarded
from grader.messages import message, plural
from grader.reports.clean import clean_line


@contextmanager
def _progress(language: str) -> Iterator[Callable[[Progress], None]]:
    """Give a function that shows progress: a bar on a terminal, plain lines otherwise."""
    console = error_console()
    if not console.is_terminal:

        def line(event: Progress) -> None:
            code = "cli.progress-lost" if event.lost else "cli.progress"
            values = {
                "done": str(event.done),
                "total": str(event.total),
                "name": event.name,
                "reason": event.lost,
            }
            console.print(clean_line(message(code, values, language=language)))

        yield line
        return
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
        rich.progress.TextColumn("{task.fields[name]}", markup=False),
    )
    with rich.progress.Progress(*columns, console=console) as bar:
        task = bar.add_task(message("cli.grading", language=language), total=None, name="")

        def advance(event: Progress) -> None:
            name = clean_line(event.name, most=40)
            bar.update(task, completed=event.done, total=event.total, name=name)

        yield advance


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
        with _progress(settings.language) as progress:
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
        _print_result(result, out, settings.language)
        return PASSED

    return guarded(action, language=settings.language)


def draw_all(folder: Path, *, language: str, assignment: str | None, reviews: Path | None) -> int:
    """Draw an output folder again and say where to look; return the exit code."""

    def action() -> int:
        result = draw_again(folder, language=language, assignment=assignment, reviews=reviews)
        _print_result(result, folder, language)
        return PASSED

    return guarded(action, language=language)


def _print_result(result: BatchResult, out: Path, language: str) -> None:
    console = Console(file=sys.stdout, highlight=False, markup=False, soft_wrap=True)

    def say(code: str, **values: object) -> None:
        texts = {key: str(value) for key, value in values.items()}
        console.print(clean_line(message(code, texts, language=language), most=2000))

    count = len(result.rows)
    rate = f"{count / result.seconds:.1f}" if result.seconds else "-"
    say("cli.done", count=count, seconds=f"{result.seconds:.1f}", rate=rate)
    if result.cached:
        say("cli.done-cached", count=result.cached)
    for code, number in (
        ("cli.reviews-held", result.taken.held),
        ("cli.reviews-changed", result.taken.changed),
    ):
        if number:
            console.print(plural(code, number, language=language))
    for code, names in (
        ("cli.absent", result.attendance.absent),
        ("cli.strangers", result.attendance.strangers),
        ("cli.unclaimed", result.unclaimed),
    ):
        if names:
            values = {"names": listed(names), "path": str(out / SUBMISSIONS_FILE)}
            text = plural(code, len(names), values, language=language)
            console.print(clean_line(text, most=2000))
    say("cli.look-at", path=out / "index.html")
    if result.waiting:
        say("cli.waits", count=result.waiting, path=out / "review.csv")
