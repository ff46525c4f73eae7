"""HTML pages: one self-contained file a submission and one for the class, drawn from reports."""

from grader.reports.html.class_view import RunFacts
from grader.reports.html.pages import ClassPage, render_report

__all__ = ["ClassPage", "RunFacts", "render_report"]
