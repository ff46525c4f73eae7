"""A class page from rows that are all at hand."""

import io

from grader.reports.html import ClassPage, RunFacts
from grader.reports.html.class_view import view_class
from grader.reports.html.student_lines import StudentLines
from grader.reports.tally import ClassTally

FACTS = RunFacts(seconds=1.0, workers=1, cached=0, handed_in=1)


def draw_class(rows, assignment, *, language, previous=(), facts=FACTS):
    """Return the class page."""
    before = {row.submission: row for row in previous}
    page = ClassPage(assignment, language=language, lines=io.BytesIO(), compared=bool(before))
    for row in rows:
        page.add(row, before.get(row.submission))
    return "".join(page.draw(facts))


def tally_of(rows, assignment, previous=()):
    """Return the class in figures."""
    before = {row.submission: row for row in previous}
    tally = ClassTally(assignment, compared=bool(before))
    for row in rows:
        tally.add(row, before.get(row.submission))
    return tally


def view(rows, assignment, language="en"):
    """Return what the class page shows."""
    lines = StudentLines(assignment, language, compared=False)
    students = [lines.line(row, None) for row in rows]
    return view_class(tally_of(rows, assignment), students, assignment, language, facts=FACTS)
