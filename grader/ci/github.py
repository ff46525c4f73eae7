"""GitHub Actions: annotations, the job's summary, step outputs, and student text kept harmless.

The runner reads commands from every line that a step prints (GitHub's "Workflow commands" page), so
whatever may hold a student's text is printed between stop-commands tokens that nobody can guess.
"""

import html
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

from grader.ci.places import Place
from grader.ci.words import cell_of, check_title, check_words
from grader.messages import message
from grader.model import Assignment, Outcome, Report, TaskResult
from grader.reports.clean import clean_line
from grader.reports.wording import shown_points

MOST_SUMMARY_BYTES = 1000 * 1024
"""A step's summary may have 1024 KiB (GitHub's "Workflow commands" page); more is dropped whole."""

_KINDS = {
    Outcome.REVIEW: "notice",
    Outcome.MISSING: "warning",
    Outcome.GRADER_ERROR: "warning",
}
_MARKS = {
    Outcome.PASSED: "✅",
    Outcome.PARTIAL: "🟡",
    Outcome.REVIEW: "👤",
    Outcome.MISSING: "▫️",
    Outcome.NOT_RUN: "▫️",
    Outcome.GRADER_ERROR: "⚠️",
}
_WRONG = "❌"


def is_here(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether this runs as a step of a GitHub workflow."""
    return environment.get("GITHUB_ACTIONS") == "true"


def disarmed(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return text in which a runner finds nothing to obey, for what is printed outside a fence."""
    if not is_here(environment):
        return text
    return re.sub(r"^(\s*):(?=:)", r"\1: ", text, flags=re.MULTILINE).replace("##[", "# #[")


class Printer(Protocol):
    """What prints: a stream, or pytest's terminal."""

    def write(self, text: str, /) -> Any:  # noqa: ANN401  # what streams return plays no part
        """Print a text."""

    def flush(self) -> None:
        """Print it now."""


@contextmanager
def fenced(out: Printer) -> Iterator[None]:
    """Print what is printed inside without the runner obeying any of it."""
    token = secrets.token_hex(16)
    out.write(f"::stop-commands::{token}\n")
    out.flush()
    try:
        yield
    finally:
        out.write(f"\n::{token}::\n")
        out.flush()


def publish(
    report: Report,
    assignment: Assignment,
    path: Path,
    places: Mapping[int, Place],
    *,
    language: str,
    out: TextIO | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Print annotations, and write the summary and the outputs where the runner wants them.

    Args:
        report: what was found.
        assignment: what was graded.
        path: the submission's file or folder, for what stands in no cell.
        places: of its code cells, by index.
        language: of all words.
        out: where annotations are printed.
        environment: says where the runner's files are.
    """
    stream = out or sys.stdout
    folder = environment.get("GITHUB_WORKSPACE", "")
    for line in annotations(report, assignment, path, places, language=language, folder=folder):
        stream.write(line + "\n")
    stream.flush()
    _append(environment.get("GITHUB_STEP_SUMMARY"), summary(report, assignment, language=language))
    _append(environment.get("GITHUB_OUTPUT"), outputs(report))


def _append(file: str | None, text: str) -> None:
    if file:
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(text)


# ------------------------------------------------------------------ annotations


def annotations(
    report: Report,
    assignment: Assignment,
    path: Path,
    places: Mapping[int, Place],
    *,
    language: str,
    folder: str = "",
) -> list[str]:
    """Return a command for each task that is not passed, the most points first.

    The runner shows ten of each kind a step, so a task with several checks has one.
    """
    lines = []
    lost = [task for task in report.tasks if task.possible > 0]
    for task in sorted(lost, key=lambda one: one.points - one.possible):
        words = _annotation_words(task, assignment, language)
        if not words:
            continue
        cell = cell_of(task)
        place = places.get(cell or 0, Place(path, 1))
        code = "ci.annotation" if cell is None else "ci.annotation-cell"
        values = {"task": assignment.task(task.id).title[language], "cell": str(cell)}
        title = clean_line(message(code, values, language=language))
        kind = _KINDS.get(task.outcome, "error")
        properties = {"file": _from_folder(place.path, folder), "line": place.line, "title": title}
        shown = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
        lines.append(f"::{kind} {shown}::{_data(words)}")
    return lines


def _annotation_words(task: TaskResult, assignment: Assignment, language: str) -> str:
    shown = [
        check
        for check in task.checks
        if check.possible > 0 and check.outcome not in (Outcome.PASSED, Outcome.NOT_RUN)
    ]
    texts = {check.id: check_words(check, language=language) for check in shown}
    if len(set(texts.values())) == 1:  # as where nothing was found
        return texts[shown[0].id]
    titles = {
        check.id: check_title(assignment, task.id, check.id, language=language) for check in shown
    }
    return "\n".join(f"{titles[name]}: {text}" for name, text in texts.items())


def _from_folder(path: Path, folder: str) -> str:
    """Return a path as the runner wants it: from the workspace, with slashes."""
    whole = Path(os.path.abspath(path))  # noqa: PTH100  # a link stays the name it has
    if folder and whole.is_relative_to(folder):
        return whole.relative_to(folder).as_posix()
    return path.as_posix()


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


# ------------------------------------------------------------------ outputs


def outputs(report: Report) -> str:
    """Return the step's outputs as GITHUB_OUTPUT takes them."""
    values = {
        "points": report.points,
        "possible": report.possible,
        "to-review": report.to_review,
    }
    lines = []
    for name, hundredths in values.items():
        end = f"end-{secrets.token_hex(16)}"
        lines.append(f"{name}<<{end}\n{shown_points(hundredths, 'en')}\n{end}\n")
    return "".join(lines)


# ------------------------------------------------------------------ the summary


def summary(report: Report, assignment: Assignment, *, language: str) -> str:
    """Return the summary as Markdown in which no student's text can be more than text."""
    score = {
        "points": shown_points(report.points, language),
        "possible": shown_points(report.possible, language),
    }
    head = [f"## {_inline(message('cli.score', score, language=language))}", ""]
    if report.to_review:
        waiting = {"points": shown_points(report.to_review, language)}
        head += [_inline(message("cli.to-review", waiting, language=language)), ""]
    words = [message(f"cli.{name}", language=language) for name in ("task", "result", "points")]
    head += [f"| | {' | '.join(map(_inline, words))} |", "|---|---|---|--:|"]
    head += [_row(task, assignment, language) for task in report.tasks]
    parts = ["\n".join(head) + "\n\n"]
    left = MOST_SUMMARY_BYTES - len(parts[0].encode())
    for task in report.tasks:
        part = _details(task, assignment, language)
        left -= len(part.encode())
        if left < 0:
            parts.append(_inline(message("ci.summary-cut", language=language)) + "\n")
            break
        parts.append(part)
    return "".join(parts)


def _row(task: TaskResult, assignment: Assignment, language: str) -> str:
    title = _inline(assignment.task(task.id).title[language])
    outcome = _inline(message(f"outcome.{task.outcome.value}", language=language))
    points = f"{shown_points(task.points, language)} / {shown_points(task.possible, language)}"
    return f"| {_MARKS.get(task.outcome, _WRONG)} | {title} | {outcome} | {points} |"


def _details(task: TaskResult, assignment: Assignment, language: str) -> str:
    shown = [c for c in task.checks if c.outcome not in (Outcome.PASSED, Outcome.NOT_RUN)]
    if not shown or all(check.outcome is Outcome.MISSING for check in task.checks):
        return ""
    lines = [f"### {_inline(assignment.task(task.id).title[language])}", ""]
    for check in shown:
        title = _inline(check_title(assignment, task.id, check.id, language=language))
        sentence, _, rest = check_words(check, language=language).partition("\n")
        lines.append(f"{_MARKS.get(check.outcome, _WRONG)} **{title}**: {_inline(sentence)}")
        lines.append("")
        if rest:
            lines += [f"<pre>{html.escape(rest)}</pre>", ""]
    return "\n".join(lines) + "\n"


def _inline(text: str) -> str:
    """Return text as Markdown that shows exactly this text: all but words become references."""
    return "".join(
        char if char.isalnum() or char == " " else f"&#{ord(char)};"
        for char in clean_line(text, most=2000)
    )
