"""Draws the pages: Jinja templates with autoescape, one self-contained file each."""

import base64
import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import jinja2
import msgspec
from markupsafe import Markup, escape

from grader.messages import message
from grader.model import Assignment, Report
from grader.reports.html.class_view import RunFacts, view_class
from grader.reports.html.figures import Data, view_evidence
from grader.reports.html.student_lines import StudentLine, StudentLines
from grader.reports.html.view import view_report
from grader.reports.summary import ClassRow
from grader.reports.tally import ClassTally

_HERE = Path(__file__).parent / "templates"
_PIECES_TOGETHER = 500
"""Pieces of a template that are handed on together."""
_PAGE = "student.html.j2"
_MOST_KEPT = 1024
_LARGEST_KEPT = 16 << 10
"""How many drawings a process keeps, and the bytes of evidence that one of them shows at most."""


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


_CODE = Markup('<code translate="no">'), Markup("</code>")


def _prose(text: str) -> Markup:
    """Return a sentence with what stands in backticks as code; it is escaped like any text."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one is without its other half
        return escape(text)
    pieces = [escape(part) for part in parts]
    before, after = _CODE
    pieces[1::2] = [before + piece + after for piece in pieces[1::2]]
    return Markup("").join(pieces)


@functools.cache
def _asset(name: str) -> tuple[str, str]:
    """Return a file's text and its hash for the Content-Security-Policy (CSP3, 'sha256-')."""
    text = (_HERE / name).read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return text, f"'sha256-{digest}'"


def _values(language: str) -> dict[str, Any]:
    """Return what every template is given."""
    style, style_hash = _asset("style.css")
    return {
        "language": language,
        "style": style,
        "style_hash": style_hash,
        "word": lambda code, **texts: message(code, texts, language=language),
    }


def _draw_evidence(evidence: Sequence[Data], language: str) -> Markup:
    """Return the figures of a check."""
    try:
        data = msgspec.msgpack.encode(evidence)
    except OverflowError:  # a whole number of more than 64 bits
        return _drawn(evidence, language)
    if len(data) > _LARGEST_KEPT:
        return _drawn(evidence, language)
    return _kept(data, language)


@functools.lru_cache(maxsize=_MOST_KEPT)
def _kept(evidence: bytes, language: str) -> Markup:
    """Draw evidence, and keep it: much of a class has the same tables and graphs."""
    return _drawn(msgspec.msgpack.decode(evidence), language)


def _drawn(evidence: Sequence[Data], language: str) -> Markup:
    return Markup("").join(map(_macros(language).draw, view_evidence(evidence, language)))


@functools.cache
def _macros(language: str) -> Any:  # noqa: ANN401  # a template's own names
    return _environment().get_template("figures.html.j2").make_module(_values(language))


@functools.lru_cache(maxsize=_MOST_KEPT)
def _badge(look: str, words: str, language: str) -> Markup:
    return Markup(_macros(language).badge(look, words))  # noqa: S704  # of our own template


def make_templates_ahead(language: str) -> None:
    """Compile what submissions' pages are drawn with, while there is something to wait for."""
    _environment().get_template(_PAGE)
    _macros(language)


def render_report(report: Report, assignment: Assignment, *, language: str) -> str:
    """Return a submission's page; staff notes are not in it."""
    template = _environment().get_template(_PAGE)
    return template.render(
        page=view_report(report, assignment, language),
        figures=_macros(language),
        badge=lambda look, words: _badge(look, words, language),
        drawn=lambda evidence: _draw_evidence(evidence, language),
        **_values(language),
    )


class ClassPage:
    """The class page, drawn from submissions that are taken in one at a time.

    Args:
        assignment: the assignment.
        language: of the page.
        lines: an empty file, in which the lines of the list wait for the rest of the page.
        compared: whether there is a previous run to compare with.

    Attributes:
        tally: the class in figures.
    """

    def __init__(
        self,
        assignment: Assignment,
        *,
        language: str,
        lines: IO[bytes],
        compared: bool = False,
    ) -> None:
        self.tally = ClassTally(assignment, compared=compared)
        self._assignment = assignment
        self._language = language
        self._made = StudentLines(assignment, language, compared=compared)
        self._lines = lines

    def add(self, row: ClassRow, before: ClassRow | None = None) -> None:
        """Take in a submission, and what it was in the previous run.

        Raises:
            OSError: the file of lines cannot be written.
        """
        self.tally.add(row, before)
        self._lines.write(msgspec.json.encode(self._made.line(row, before)) + b"\n")

    def draw(self, facts: RunFacts) -> Iterator[str]:
        """Yield the page piece by piece."""
        script, script_hash = _asset("class.js")
        view = view_class(
            self.tally, self._students(), self._assignment, self._language, facts=facts
        )
        template = _environment().get_template("class.html.j2")
        stream = template.stream(
            page=view, script=script, script_hash=script_hash, **_values(self._language)
        )
        stream.enable_buffering(_PIECES_TOGETHER)
        return iter(stream)

    def _students(self) -> Iterator[StudentLine]:
        self._lines.seek(0)
        for line in self._lines:
            yield msgspec.json.decode(line, type=StudentLine)
