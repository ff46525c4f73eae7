"""HTML pages: one self-contained file a submission and one for the class, drawn from reports."""

from grader.reports.html.class_view import RunFacts
from grader.reports.html.pages import ClassPage, make_templates_ahead, render_report

__all__ = ["ClassPage", "RunFacts", "make_templates_ahead", "render_report"]
