"""Draws the pages: Jinja templates with autoescape, one self-contained file each."""

import base64
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from grader.messages import message
from grader.model import Assignment, Report
from grader.reports.html.class_view import RunFacts, view_class
from grader.reports.html.view import view_report
from grader.reports.summary import ClassRow

_HERE = Path(__file__).parent / "templates"


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"prose": _prose, "short": _short}
    return environment


def _short(length: float) -> str:
    """Return a place or length of a drawing to a tenth, without a zero after the point."""
    return f"{length:.1f}".removesuffix(".0")


def _prose(text: str) -> Markup:
    """Return a sentence with what stands in backticks as code; it is escaped like any text."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one is without its other half
        return escape(text)
    code = Markup('<code translate="no">{}</code>')
    return Markup("").join(
        code.format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
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
    return _render(
        "class.html.j2",
        language,
        script=script,
        script_hash=script_hash,
        page=view_class(rows, assignment, language, previous=previous, facts=facts),
    )
