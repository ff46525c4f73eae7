"""Exports of a gradebook, which is made here without grading."""

import csv

import pytest

from grader.batch.exporting import export
from grader.gradebook import Gradebook, GradebookError, Review
from grader.intake import Refused
from grader.lms.origin import Origin, Student
from grader.model import CheckResult, Outcome, Report, TaskResult

ADA = Student(name="Ада, Лавлейс", id="0001", email="ada@x.edu")
MALLORY = Student(name="=HYPERLINK(1)", id="-2", email="@m")
SHEET = (
    "Identifier,Full name,Grade,Maximum Grade,Last modified (grade)\nParticipant 5,Anna,,20.00,-\n"
)


def report(name, outcome=Outcome.PASSED):
    points = 1250 if outcome is Outcome.PASSED else 0
    check = CheckResult(id="c", outcome=outcome, points=points, possible=2000, code="judge.missing")
    task = TaskResult(id="not", outcome=outcome, points=points, possible=2000, checks=[check])
    return Report(
        assignment="intro-to-torch",
        submission=name,
        card="",
        profile="",
        seconds=0.0,
        tasks=[task],
        cells=[],
    )


@pytest.fixture
def out(tmp_path):
    with Gradebook(tmp_path / "gradebook.db") as book:
        run = book.begin_run("intro-to-torch", "s")
        for one in (report("group"), report("Anna"), report("waiting", Outcome.REVIEW)):
            book.add_result(run, one, key=one.submission, source="p")
        book.set_origins(
            {
                "group": Origin(system="gradescope", id="11", students=[ADA, MALLORY]),
                "Anna": Origin(system="moodle", id="5", label="Anna"),
            }.items()
        )
        book.end_run(run, ["group", "Anna", "waiting"])
    return tmp_path


def rows(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("target", "number"), [("gradescope", "SID"), ("csv", "sid")])
def test_a_groups_grade_stands_in_the_row_of_each_student_and_no_cell_is_a_formula(
    out, target, number
):
    done = export(out, target)
    [path] = done.files
    found = {row[number]: row for row in rows(path)}
    assert {"0001", "'-2"} <= set(found)
    for key in ("0001", "'-2"):
        values = list(found[key].values())
        assert "12.50" in values
        assert not any(value.startswith(("=", "+", "-", "@")) for value in values)
    assert "Ада, Лавлейс" in found["0001"].values()


def test_what_waits_for_a_person_is_left_out_unless_it_is_asked_for(out):
    done = export(out, "csv")
    assert (done.count, done.waiting) == (2, ["waiting"])
    assert "waiting" not in {row["submission"] for row in rows(done.files[0])}
    done = export(out, "csv", unfinished=True)
    assert (done.count, done.waiting) == (3, [])
    [row] = [row for row in rows(done.files[0]) if row["submission"] == "waiting"]
    assert (row["points"], row["to_review"]) == ("0.00", "20.00")


def test_only_grades_that_came_from_a_system_go_back_to_it(out):
    sheet = out / "sheet.csv"
    sheet.write_text(SHEET, "utf-8")
    with pytest.raises(GradebookError) as caught:
        export(out, "moodle", sheet=sheet)
    assert caught.value.code == "sheet.no-page"
    assert not (out / "moodle-grades.csv").exists()
    (out / "Anna").mkdir()
    (out / "Anna" / "report.html").write_text("<p>", "utf-8")
    done = export(out, "moodle", sheet=sheet)
    assert (done.count, done.unlisted) == (1, [])
    assert "Participant 5,Anna,12.50" in (out / "moodle-grades.csv").read_text("utf-8")
    assert sheet.read_text("utf-8") == SHEET
    before = [path.read_bytes() for path in done.files]
    again = export(out, "moodle", sheet=sheet)
    assert [path.read_bytes() for path in again.files] == before


@pytest.mark.parametrize(
    ("target", "given", "code"),
    [
        ("moodle", False, "sheet.none"),
        ("canvas", False, "sheet.none"),
        ("canvas", True, "sheet.no-grades"),
    ],
)
def test_an_export_without_a_sheet_or_without_grades_is_refused(out, target, given, code):
    sheet = out / "sheet.csv"
    sheet.write_text(SHEET, "utf-8")
    with pytest.raises(Refused) as caught:
        export(out, target, sheet=sheet if given else None)
    assert caught.value.code == code


def test_whose_decision_lapsed_is_named_with_the_export(out):
    assert export(out, "csv").asked_again == []
    with Gradebook(out / "gradebook.db") as book:
        for name, points in (("Anna", 2000), ("group", 1250)):
            book.add_review(Review(name, "not", "c", "an-earlier-answer", points, ""))
    done = export(out, "csv")
    assert (done.count, done.asked_again) == (2, ["Anna"])


def test_a_run_that_was_interrupted_is_exported_only_when_that_is_asked_for(out):
    with Gradebook(out / "gradebook.db") as book:
        run = book.begin_run("intro-to-torch", "again")
        book.add_result(run, report("Anna"), key="Anna", source="p")
    with pytest.raises(GradebookError) as caught:
        export(out, "csv")
    assert caught.value.code == "gradebook.interrupted"
    assert not (out / "grades.csv").exists()
    assert export(out, "csv", unfinished=True).count == 1


def test_a_folder_without_a_gradebook_is_refused(tmp_path):
    with pytest.raises(GradebookError) as caught:
        export(tmp_path, "csv")
    assert caught.value.code == "gradebook.none"
