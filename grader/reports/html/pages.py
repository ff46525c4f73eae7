"""Draws the pages: Jinja templates with autoescape, one self-contained file each."""

import base64
import functools
import hashlib
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from grader.messages import has_message, message
from grader.model import Assignment, Outcome, Report
from grader.reports.clean import clean_line
from grader.reports.html.view import view_report
from grader.reports.summary import ClassRow
from grader.reports.wording import shown_points

_HERE = Path(__file__).parent / "templates"
_FEWEST_FOR_DISCRIMINATION = 20
_MOST_NEEDS = 200


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Facts of a run: time on the clock, workers, results taken again, submissions handed in."""

    seconds: float
    workers: int
    cached: int
    handed_in: int


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def _asset(name: str) -> tuple[str, str]:
    """Return a file's text and its hash for the Content-Security-Policy (CSP3, 'sha256-')."""
    text = (_HERE / name).read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return text, f"'sha256-{digest}'"


def _render(template: str, language: str, **values: Any) -> str:  # noqa: ANN401  # a template's
    style, style_hash = _asset("style.css")
    return (
        _environment()
        .get_template(template)
        .render(
            language=language,
            style=style,
            style_hash=style_hash,
            word=lambda code, **texts: message(code, texts, language=language),
            **values,
        )
    )


def render_report(report: Report, assignment: Assignment, *, language: str) -> str:
    """Return a submission's page; staff notes are not in it."""
    return _render("student.html.j2", language, page=view_report(report, assignment, language))


def render_class(
    rows: Sequence[ClassRow],
    assignment: Assignment,
    *,
    language: str,
    previous: Sequence[ClassRow] = (),
    facts: RunFacts,
) -> str:
    """Return the class page."""
    script, script_hash = _asset("class.js")
    scores = sorted(row.points for row in rows)
    quartiles = statistics.quantiles(scores, n=4) if len(scores) > 1 else scores * 3
    return _render(
        "class.html.j2",
        language,
        title=assignment.title[language],
        script=script,
        script_hash=script_hash,
        count=len(rows),
        facts=facts,
        possible=shown_points(assignment.possible, language),
        quartiles=[shown_points(round(value), language) for value in quartiles],
        needs=_needs(rows, assignment, language),
        bins=_bins(rows, assignment),
        checks=_checks(rows, assignment, language),
        clusters=_clusters(rows, assignment, language),
        students=_students(rows, assignment, language),
        tasks=[task.title[language] for task in assignment.tasks],
        changes=_changes(rows, previous, language),
    )


def _href(name: str, anchor: str = "") -> str:
    return f"{quote(name)}/report.html" + (f"#{quote(anchor)}" if anchor else "")


def _title(assignment: Assignment, name: str, language: str) -> str:
    task_id, check_id = name.split(".", 1)
    task = assignment.task(task_id)
    check = next(check for check in task.checks if check.id == check_id)
    return f"{task.title[language]}: {check.title[language]}"


def _needs(
    rows: Sequence[ClassRow], assignment: Assignment, language: str
) -> list[tuple[str, str, str]]:
    """Return (student, what waits, link) for what needs a person, our own failures first."""
    needs = [
        (
            row.failed_to_run,
            clean_line(row.submission),
            _title(assignment, name, language),
            row,
            name,
        )
        for row in rows
        for name in row.waiting
    ]
    needs.sort(key=lambda need: not need[0])
    return [(who, what, _href(row.submission, name)) for _, who, what, row, name in needs][
        :_MOST_NEEDS
    ]


def _bins(rows: Sequence[ClassRow], assignment: Assignment) -> list[tuple[str, int]]:
    """Return ten bins of the score with their counts."""
    width = max(1, assignment.possible / 10)
    counts = Counter(min(9, int(row.points / width)) for row in rows)
    edges = [width * number / 100 for number in range(11)]
    return [(f"{edges[n]:g}–{edges[n + 1]:g}", counts[n]) for n in range(10)]


def _checks(
    rows: Sequence[ClassRow], assignment: Assignment, language: str
) -> list[tuple[str, str, str, str]]:
    """Return (title, points, share solved, discrimination) of each counted check."""
    found = []
    for task in assignment.tasks:
        for check in task.checks:
            name = f"{task.id}.{check.id}"
            asked = [row for row in rows if row.check_outcomes.get(name) not in _NOT_ASKED]
            solved = [row.check_outcomes[name] is Outcome.PASSED for row in asked]
            share = f"{sum(solved)}/{len(asked)}" if asked else "—"
            rest = [row.points - check.possible * ok for row, ok in zip(asked, solved, strict=True)]
            found.append(
                (
                    _title(assignment, name, language),
                    shown_points(check.possible, language),
                    share,
                    _discrimination(solved, rest),
                )
            )
    return found


_NOT_ASKED = (None, Outcome.NOT_RUN, Outcome.MISSING, Outcome.GRADER_ERROR, Outcome.REVIEW)


def _discrimination(solved: Sequence[bool], rest: Sequence[float]) -> str:
    """Return the correlation of a check with the rest of the score; a dash for too few."""
    varied = len(set(solved)) == 2 and len(set(rest)) > 1
    if len(solved) < _FEWEST_FOR_DISCRIMINATION or not varied:
        return "—"
    return f"{statistics.correlation([float(one) for one in solved], rest):.2f}"


def _clusters(
    rows: Sequence[ClassRow], assignment: Assignment, language: str
) -> list[tuple[int, str, str, str]]:
    """Return (count, check, message, an example's link) of the commonest wrong answers."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for name, code in row.codes.items():
            groups.setdefault((name, code), []).append(row.submission)
    common = sorted(groups.items(), key=lambda item: -len(item[1]))[:20]
    return [
        (
            len(names),
            _title(assignment, name, language),
            message(f"{code}.explain", language=language)
            if has_message(f"{code}.explain", language)
            else code,
            _href(names[0], name),
        )
        for (name, code), names in common
    ]


def _students(
    rows: Sequence[ClassRow], assignment: Assignment, language: str
) -> list[dict[str, Any]]:
    return [
        {
            "name": clean_line(row.submission),
            "href": _href(row.submission),
            "points": shown_points(row.points, language),
            "order": row.points,
            "to_review": shown_points(row.to_review, language),
            "review_order": row.to_review,
            "strip": [
                (
                    row.outcomes[task.id].value,
                    _MARKS.get(row.outcomes[task.id], "✗"),
                    message(f"outcome.{row.outcomes[task.id].value}", language=language),
                )
                for task in assignment.tasks
                if task.id in row.outcomes
            ],
            "seconds": f"{row.seconds:.2f}",
        }
        for row in rows
    ]


_MARKS = {
    Outcome.PASSED: "✓",
    Outcome.PARTIAL: "◐",
    Outcome.REVIEW: "?",
    Outcome.MISSING: "·",
    Outcome.GRADER_ERROR: "!",
}


def _changes(
    rows: Sequence[ClassRow], previous: Sequence[ClassRow], language: str
) -> list[tuple[str, str, str, str]]:
    """Return (student, link, points before, points now) of those whose points changed."""
    before = {row.submission: row.points for row in previous}
    return [
        (
            clean_line(row.submission),
            _href(row.submission),
            shown_points(before[row.submission], language),
            shown_points(row.points, language),
        )
        for row in rows
        if before.get(row.submission, row.points) != row.points
    ]
