"""The report of `grader check` in a terminal: score, first thing to fix, a line a task."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grader.messages import has_message, message
from grader.model import Assignment, Outcome, Report, TaskResult
from grader.reports.clean import clean, clean_line
from grader.reports.wording import (
    all_passed,
    check_text,
    first_to_fix,
    is_advice,
    late_text,
    note_texts,
    shown_points,
)

_STYLES = {
    Outcome.PASSED: ("✓", "green"),
    Outcome.PARTIAL: ("◐", "yellow"),
    Outcome.REVIEW: ("?", "cyan"),
    Outcome.MISSING: ("·", "dim"),
    Outcome.NOT_RUN: ("·", "dim"),
    Outcome.GRADER_ERROR: ("!", "magenta"),
}
_BAD = ("✗", "red")
_ADVICE = ("i", "cyan")


def print_report(
    report: Report,
    assignment: Assignment,
    *,
    language: str,
    page: Path | None = None,
    console: Console | None = None,
) -> None:
    """Print a report; every text that a student wrote is cleaned."""
    out = console or Console(file=sys.stdout, highlight=False, markup=False)
    _print_head(out, report, assignment, language)
    titles = {task.id: task.title[language] for task in assignment.tasks}
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=True, header_style="bold")
    table.add_column("")
    table.add_column(message("cli.task", language=language))
    table.add_column(message("cli.result", language=language))
    table.add_column(message("cli.points", language=language), justify="right")
    for task in report.tasks:
        icon, style = _STYLES.get(task.outcome, _BAD)
        points = f"{shown_points(task.points, language)}/{shown_points(task.possible, language)}"
        words = message(f"outcome.{task.outcome.value}", language=language)
        table.add_row(
            Text(icon, style=style), Text(titles[task.id]), Text(words, style=style), points
        )
    out.print(table)
    for task in report.tasks:
        _print_task(out, task, assignment, language)
    _print_foot(out, report, language, page)


def _print_head(out: Console, report: Report, assignment: Assignment, language: str) -> None:
    score = message(
        "cli.score",
        {
            "points": shown_points(report.points, language),
            "possible": shown_points(report.possible, language),
        },
        language=language,
    )
    line = Text(f"{clean_line(report.submission)} · {assignment.title[language]} · ")
    line.append(score, style="bold")
    if report.to_review:
        waiting = {"points": shown_points(report.to_review, language)}
        line.append(", " + message("cli.to-review", waiting, language=language), style="cyan")
    _print_wrapped(out, line)
    found = first_to_fix(report)
    if found is None:
        if all_passed(report):
            _print_wrapped(out, Text(message("cli.all-right", language=language), style="green"))
    else:
        task, check = found
        fix = Text(message("cli.fix-first", language=language) + ": ", style="bold red")
        title = assignment.task(task.id).title[language]
        fix.append(f"{title}. {check_text(check, language)}", style="not bold default")
        _print_wrapped(out, fix)
        if has_message(f"{check.code}.explain", language):
            more = message("cli.explain-more", {"code": check.code}, language=language)
            _print_wrapped(out, Text(more, style="dim"))
    if report.late is not None:
        _print_wrapped(out, Text(late_text(report.late, language), style="yellow"))
    for note in note_texts(report, language):
        _print_wrapped(out, Text(f"• {note}"))
    out.print()


def _print_task(out: Console, task: TaskResult, assignment: Assignment, language: str) -> None:
    shown = [c for c in task.checks if c.outcome not in (Outcome.PASSED, Outcome.NOT_RUN)]
    if not shown or all(c.outcome is Outcome.MISSING for c in task.checks):
        return
    declared = assignment.task(task.id)
    titles = {check.id: check.title[language] for check in declared.checks}
    out.print()
    head = Text(declared.title[language], style="bold")
    if task.graded is not None:
        name, type_name, cell = task.graded
        shown_name = f"{name} ({type_name})" if type_name not in ("", name) else name
        values = {"graded": shown_name, "cell": str(cell)}
        words = message("cli.graded", values, language=language)
        head.append(f"  {clean_line(words)}", style="not bold dim")
    _print_wrapped(out, head)
    for check in shown:
        icon, style = _ADVICE if is_advice(check) else _STYLES.get(check.outcome, _BAD)
        line = Text().append(f"{icon} ", style=style)
        if is_advice(check):
            line.append(message("page.advice", language=language) + ": ", style="cyan")
        line.append(f"{titles[check.id]}: ", style="default")
        line.append(check_text(check, language), style="default")
        _print_wrapped(out, line, first="  ", rest="    ")
        for evidence in check.evidence:
            if evidence.get("kind") == "counterexample":
                _print_counterexample(out, evidence, language)
            if evidence.get("kind") == "expression-tree":
                _print_expression(out, evidence, language)


def _print_wrapped(out: Console, text: Text, *, first: str = "", rest: str = "") -> None:
    """Print a text with one indent before its first line and another before the rest."""
    indent = first
    for line in _wrapped(text, max(10, out.width - len(rest))):
        out.print(Text(indent).append_text(line), soft_wrap=True)
        indent = rest


def _wrapped(text: Text, width: int) -> Iterator[Text]:
    """Yield the lines of a text, broken at its spaces.

    Rich breaks at no-break spaces as well, which would tear numbers apart.
    """
    for line in text.split("\n", allow_blank=True):
        breaks = [0]
        for word in re.finditer(r"[^ ]+", line.plain):
            while cell_len(line.plain[breaks[-1] : word.end()]) > width:
                if breaks[-1] < word.start():
                    breaks.append(word.start())
                else:  # one word that is wider than the screen
                    fits = chop_cells(word.group()[breaks[-1] - word.start() :], width)[0]
                    breaks.append(breaks[-1] + len(fits))
        for part in line.divide(breaks[1:]):
            part.rstrip()
            yield part


def _print_counterexample(out: Console, evidence: dict[str, str], language: str) -> None:
    values = {key: clean(str(evidence[key]), most=600) for key in ("source", "expected", "actual")}
    for code in ("cli.paste", "cli.expected-actual"):
        line = "      " + message(code, values, language=language)
        out.print(Text(line, style="dim"), soft_wrap=True)  # what is to be pasted stays one line


def _print_expression(out: Console, evidence: dict[str, str], language: str) -> None:
    values = {"expression": clean_line(str(evidence["text"]), most=600)}
    line = "      " + message("cli.read-as", values, language=language)
    out.print(Text(line, style="dim"), soft_wrap=True)


def _print_foot(out: Console, report: Report, language: str, page: Path | None) -> None:
    out.print()
    if report.figures:
        card = message(f"device.card-{report.figures}", {"card": report.card}, language=language)
        _print_wrapped(out, Text(clean_line(card), style="dim"))
    if report.isolation:
        layers = {"layers": ", ".join(report.isolation)}
        _print_wrapped(out, Text(message("cli.isolation", layers, language=language), style="dim"))
    elif report.cells:  # where none ran, none had any rights
        _print_wrapped(out, Text(message("cli.isolation-none", language=language), style="dim"))
    if page is not None:
        out.print(message("cli.page", {"path": str(page)}, language=language))
