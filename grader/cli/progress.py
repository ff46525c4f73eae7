"""How far a batch is: a bar on a terminal; in a log a plain line now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import rich.progress
from rich.console import Console

from grader.batch.run import Progress
from grader.cli.show import error_console
from grader.messages import message
from grader.reports.clean import clean_line

LINE_SECONDS = 15.0
"""Time between two lines in a log, so that a night of grading fits on a page."""


@contextmanager
def show_progress(language: str) -> Iterator[Callable[[Progress], None]]:
    """Give a function that shows progress on standard error."""
    console = error_console()
    if console.is_terminal:
        with _Bar(console, language) as bar:
            yield bar.show
    else:
        yield _Lines(console, language).show


def _trouble(event: Progress, language: str) -> str:
    """Return the line that says what went wrong, empty where nothing did."""
    if event.no_workers:
        return clean_line(
            message("cli.no-workers", {"address": event.no_workers}, language=language), most=500
        )
    if event.lost:
        code = "cli.worker-gave-up" if event.last else "cli.progress-lost"
    elif event.failure:
        code = "batch.no-page"
    else:
        return ""
    reason = clean_line(event.lost or event.failure.strip().rpartition("\n")[2])
    values = {"name": event.name, "reason": reason}
    return clean_line(message(code, values, language=language), most=500)


class _Lines:
    """Lines in a log: at most one each `LINE_SECONDS`, and every trouble."""

    def __init__(self, console: Console, language: str) -> None:
        self._console = console
        self._language = language
        self._began = self._said = time.monotonic()

    def show(self, event: Progress) -> None:
        trouble = _trouble(event, self._language)
        if trouble:
            self._console.print(trouble)
        now = time.monotonic()
        if now - self._said < LINE_SECONDS or not event.done:
            return
        self._said = now
        rate = event.done / (now - self._began)
        values = {
            "done": str(event.done),
            "total": str(event.total),
            "rate": f"{rate:.1f}",
            "left": _clock((event.total - event.done) / rate),
        }
        self._console.print(message("cli.progress", values, language=self._language))


_NARROW = 72
"""Columns of a terminal that has room for the figures alone."""


class _Bar(rich.progress.Progress):
    """A bar with count, rate and time left; a narrow terminal shows these and no bar."""

    def __init__(self, console: Console, language: str) -> None:
        self._language = language
        columns: list[rich.progress.ProgressColumn] = [
            rich.progress.TextColumn("{task.description}"),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TextColumn("{task.fields[rate]}"),
            rich.progress.TimeRemainingColumn(),
        ]
        if console.width > _NARROW:
            columns.insert(1, rich.progress.BarColumn(bar_width=20))
            columns.append(rich.progress.TextColumn("{task.fields[name]}", markup=False))
        super().__init__(*columns, console=console)
        title = message("cli.grading", language=language)
        self._began = time.monotonic()
        self._task = self.add_task(title, total=None, name="", rate="")

    def show(self, event: Progress) -> None:
        trouble = _trouble(event, self._language)
        if trouble:
            self.console.print(trouble)
        rate = event.done / max(time.monotonic() - self._began, 0.001)
        shown = message("cli.rate", {"rate": f"{rate:.1f}"}, language=self._language)
        self.update(
            self._task,
            completed=event.done,
            total=event.total,
            rate=shown,
            name=clean_line(event.name, most=min(40, max(8, self.console.width - _NARROW + 8))),
        )


def _clock(seconds: float) -> str:
    """Return a time as ``1:02:03``, rounded up to the second."""
    minutes, rest = divmod(int(seconds + 0.999), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
