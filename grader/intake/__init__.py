"""Bytes of a submission become cells and sections; nothing is imported, unpickled or extracted."""

from grader.intake.bounds import Bounds, Refused
from grader.intake.entries import Entry, find_submissions
from grader.intake.reading import read_submission, read_submission_bytes
from grader.intake.sections import cut_sections

__all__ = [
    "Bounds",
    "Entry",
    "Refused",
    "cut_sections",
    "find_submissions",
    "read_submission",
    "read_submission_bytes",
]
