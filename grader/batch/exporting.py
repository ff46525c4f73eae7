"""`grader export`: an output folder's grades as a learning-management system takes them."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from grader.assignments import load_assignment
from grader.batch.alone import alone_in
from grader.batch.pages import PAGE, SubmissionPages, write_file
from grader.gradebook import Gradebook, GradebookError
from grader.intake import Refused
from grader.lms.canvas_sheet import fill_gradebook
from grader.lms.grades import Filled, Grade
from grader.lms.moodle import feedback_name
from grader.lms.moodle_sheet import fill_worksheet
from grader.lms.origin import Origin, Student
from grader.lms.sheets import read_sheet
from grader.model import Assignment, Report
from grader.reports.clean import csv_cell
from grader.reports.csv import render_csv
from grader.reports.json import decimal
from grader.reviews import lapsed

Target = Literal["moodle", "canvas", "gradescope", "csv"]

_EPOCH = (2026, 1, 1, 0, 0, 0)  # the same grades give the same archive


@dataclass(slots=True)
class Exported:
    """What an export wrote.

    Attributes:
        files: paths of the files.
        count: submissions whose grade is in them.
        waiting: submissions that wait for a person, whose grade is not.
        unlisted: submissions that the sheet has no row for.
        locked: submissions whose row the system does not let change.
        asked_again: submissions with a decision on an answer that has changed since.
    """

    files: list[Path] = field(default_factory=list)
    count: int = 0
    waiting: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)
    asked_again: list[str] = field(default_factory=list)


def export(
    out: Path,
    target: Target,
    *,
    sheet: Path | None = None,
    column: str = "",
    scale: bool = False,
    unfinished: bool = False,
) -> Exported:
    """Write the grades of an output folder's latest run into it, for a system to take.

    Args:
        out: the output folder.
        target: the system.
        sheet: the teacher's own worksheet or gradebook, which Moodle and Canvas need.
        column: the assignment's column in Canvas's gradebook.
        scale: whether to convert points to the sheet's maximum.
        unfinished: whether to write grades of which a part waits for a person, and those that an
            interrupted run has so far.

    Raises:
        GradebookError: there is no gradebook, or its latest run was interrupted.
        Refused: the sheet is missing, of another assignment, or changed since its download.
        OSError: a file cannot be written.
    """
    path = out / "gradebook.db"
    if not path.is_file():
        raise GradebookError("gradebook.none", {"path": str(path)})
    with alone_in(out), Gradebook(path) as gradebook:
        run = gradebook.latest_run()
        if run is None:
            raise GradebookError("gradebook.none", {"path": str(path)})
        if not (unfinished or gradebook.is_whole(run)):
            raise GradebookError("gradebook.interrupted", {"path": str(out)})
        assignment = load_assignment(gradebook.assignment_of(run))
        pages = SubmissionPages(
            assignment, language="en", reviews=gradebook.reviews(), origin_of=gradebook.origin
        )
        reports = [pages.reviewed(report) for report in gradebook.reports(run)]
        known = ((report.submission, gradebook.origin(report.submission)) for report in reports)
        origins = {name: origin for name, origin in known if origin is not None}
    exported = Exported(waiting=[r.submission for r in reports if r.to_review and not unfinished])
    ready = [report for report in reports if unfinished or not report.to_review]
    exported.count = len(ready)
    exported.asked_again = [
        one.submission for one in ready if lapsed(one, pages.reviews_of(one.submission))
    ]
    if target in ("moodle", "canvas"):
        grades = [_grade(report, origins, target) for report in ready]
        _fill(out, target, [g for g in grades if g is not None], exported, sheet, column, scale)
    else:
        table = _gradescope if target == "gradescope" else _plain
        header, rows = table(ready, origins, assignment)
        name = "gradescope-grades.csv" if target == "gradescope" else "grades.csv"
        write_file(out / name, render_csv(header, rows))
        exported.files.append(out / name)
    return exported


def _grade(report: Report, origins: dict[str, Origin], system: str) -> Grade | None:
    origin = origins.get(report.submission)
    if origin is None or origin.system != system:
        return None
    return Grade(report.submission, origin, report.points, report.possible)


def _fill(  # the options of one export
    out: Path,
    target: Target,
    grades: Sequence[Grade],
    exported: Exported,
    sheet: Path | None,
    column: str,
    scale: bool,  # noqa: FBT001
) -> None:
    if sheet is None:
        raise Refused("sheet.none", {"system": target.capitalize()})
    if not grades:
        raise Refused("sheet.no-grades", {"system": target.capitalize()})
    read = read_sheet(sheet)
    if target == "moodle":
        filled = fill_worksheet(read, grades, scale=scale)
        write_file(out / "moodle-feedback.zip", _feedback(out, filled))
        exported.files.append(out / "moodle-feedback.zip")
    else:
        filled = fill_gradebook(read, grades, column=column, scale=scale)
    write_file(out / f"{target}-grades.csv", filled.sheet.encode())
    exported.files.insert(0, out / f"{target}-grades.csv")
    exported.count = len(filled.rows)
    exported.unlisted, exported.locked = filled.unlisted, filled.locked


def _feedback(out: Path, filled: Filled) -> bytes:
    """Return the archive of pages that Moodle's import takes, a page for each row filled."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for submission, rows in filled.rows.items():
            page = out / submission / PAGE
            if not page.is_file():
                raise GradebookError("sheet.no-page", {"path": str(page), "folder": str(out)})
            data = page.read_bytes()
            for number, name in rows:
                origin = Origin(system="moodle", id=number, label=name)
                info = zipfile.ZipInfo(feedback_name(origin, PAGE), _EPOCH)
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, data)
    return buffer.getvalue()


def _gradescope(
    reports: Sequence[Report], origins: dict[str, Origin], assignment: Assignment
) -> tuple[list[str], list[list[str]]]:
    """Return a table with the columns of Gradescope's scores, a row a student."""
    titles = {task.id: task.title["en"] for task in assignment.tasks}
    header = [
        *("Name", "SID", "Email", "Total Score", "Max Points", "Status"),
        *("Submission ID", "Submission Time"),
        *(f"{titles[task.id]} ({decimal(task.possible):g} pts)" for task in assignment.tasks),
    ]
    rows = []
    for report in reports:
        origin = origins.get(report.submission) or Origin(system="folder")
        earned = {task.id: f"{decimal(task.points):.2f}" for task in report.tasks}
        for student in origin.students or [Student(name=report.submission)]:
            rows.append(
                [
                    *map(csv_cell, (student.name, student.id, student.email)),
                    f"{decimal(report.points):.2f}",
                    f"{decimal(report.possible):.2f}",
                    "Ungraded" if report.to_review else "Graded",
                    csv_cell(origin.id),
                    csv_cell(origin.submitted),
                    *(earned.get(task.id, "") for task in assignment.tasks),
                ]
            )
    return header, rows


def _plain(
    reports: Sequence[Report], origins: dict[str, Origin], _: Assignment
) -> tuple[list[str], list[list[str]]]:
    """Return a table of totals with what is known of each student, a row a student."""
    header = ["submission", "system", "id", "name", "sid", "email", "points", "possible"]
    header += ["to_review", "late_points"]
    rows = []
    for report in reports:
        origin = origins.get(report.submission) or Origin(system="folder")
        for student in origin.students or [Student(name=origin.label)]:
            texts = [report.submission, origin.system, origin.id]
            texts += [student.name, student.id, student.email]
            late = report.late.points if report.late is not None else 0
            points = (report.points, report.possible, report.to_review, late)
            rows.append([*map(csv_cell, texts), *(f"{decimal(one):.2f}" for one in points)])
    return header, rows
