"""`review.csv` filled in by persons: read, kept, shown, and asked again when the answer changed."""

import csv
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from grader.assignments import load_assignment
from grader.batch.grading import Grading, Job, Settings
from grader.batch.reviewing import read_decisions
from grader.batch.run import draw_again, grade_batch
from grader.intake import Refused
from grader.lms.handed_in import find_handed_in

SUBMISSIONS = Path(__file__).parents[2] / "submissions"
SETTINGS = Settings(assignment="intro-to-torch")
HEADER = "submission,task,check,answer,points,comment\n"
ASSIGNMENT = load_assignment("intro-to-torch")


def notebook(*, explanation="A single neuron draws a straight line.", gate="-1.5"):
    code = f"def neuron(x):\n    return float(x[0] + x[1] + {gate} > 0)\n"
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "## Задача 3"},
        {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {},
            "outputs": [],
            "source": code,
        },
        {"cell_type": "markdown", "metadata": {}, "source": f"## Вопрос 1\n\n{explanation}"},
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})


def read_rows(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path, rows):
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def result(out, name):
    return json.loads((out / name / "result.json").read_text("utf-8"))


def check_of(found, name):
    task_id, check_id = name.split(".")
    task = next(task for task in found["tasks"] if task["id"] == task_id)
    return next(check for check in task["checks"] if check["id"] == check_id)


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory):
    base = tmp_path_factory.mktemp("reviews")
    shutil.copytree(SUBMISSIONS / "one-row-off", base / "in" / "petrov")
    (base / "in" / "=ivanova.ipynb").write_text(notebook(), "utf-8")
    grade_batch([base / "in"], base / "out", SETTINGS, workers=1)
    return base


@pytest.fixture
def graded(handed_in, tmp_path):
    shutil.copytree(handed_in, tmp_path, dirs_exist_ok=True)
    return tmp_path


def wait_for(graded, name="=ivanova"):
    rows = read_rows(graded / "out" / "review.csv")
    mine = [
        row for row in rows if row["submission"].endswith(name) and row["task"] == "linear-boundary"
    ]
    assert mine
    return rows, mine


def test_a_filled_row_gives_points_and_a_comment(graded):
    rows, mine = wait_for(graded)
    assert mine[0]["page"].endswith(f"#{mine[0]['task']}.{mine[0]['check']}")
    mine[0]["points"], mine[0]["comment"] = "0,5", "=good, but short"
    taken = draw_again(
        graded / "out", language="en", reviews=write_rows(graded / "filled.csv", rows)
    ).taken
    assert (taken.held, taken.changed) == (1, 0)
    found = check_of(result(graded / "out", "=ivanova"), f"{mine[0]['task']}.{mine[0]['check']}")
    assert (found["points"], found["reviewed"], found["outcome"]) == (0.5, True, "partial")
    assert found["comment"] == "=good, but short"
    page = (graded / "out" / "=ivanova" / "report.html").read_text("utf-8")
    assert "A person decided: 0.5 / 1. =good, but short" in page
    assert len(read_rows(graded / "out" / "review.csv")) == len(rows) - 1


def test_in_russian_the_table_opens_in_excel_with_russian_settings(graded):
    draw_again(graded / "out", language="ru")
    path = graded / "out" / "review.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    mine = next(row for row in rows if row["task"] == "linear-boundary")
    assert mine["possible"] == "1,00"
    mine["points"] = "1"
    with path.open("w", encoding="cp1251", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    assert draw_again(graded / "out", language="ru", reviews=path).taken.held == 1


def test_an_appeal_overrides_any_check_without_a_fingerprint(graded):
    before = result(graded / "out", "petrov")
    failed = next(
        (task["id"], check["id"], check["possible"])
        for task in before["tasks"]
        for check in task["checks"]
        if check["outcome"] == "failed" and check["possible"]
    )
    filled = graded / "appeal.csv"
    filled.write_text(f"{HEADER}petrov,{failed[0]},{failed[1]},,{failed[2]},right after all\n")
    grade_batch([graded / "in"], graded / "out", SETTINGS, workers=1, reviews=filled)
    after = result(graded / "out", "petrov")
    assert after["points"] == before["points"] + failed[2]
    assert check_of(after, f"{failed[0]}.{failed[1]}")["comment"] == "right after all"
    books = {row["submission"]: row for row in read_rows(graded / "out" / "gradebook.csv")}
    assert float(books["petrov"]["points"]) == after["points"]


def test_a_decision_survives_grading_again_until_the_answer_changes(graded):
    rows, mine = wait_for(graded)
    mine[0]["points"] = "1"
    name = f"{mine[0]['task']}.{mine[0]['check']}"
    filled = write_rows(graded / "filled.csv", rows)
    draw_again(graded / "out", language="en", reviews=filled)
    changed = graded / "in" / "=ivanova.ipynb"
    changed.write_text(notebook(gate="-0.5"), "utf-8")
    grade_batch([graded / "in"], graded / "out", SETTINGS, workers=1)
    assert check_of(result(graded / "out", "=ivanova"), name)["points"] == 1
    changed.write_text(notebook(explanation="I do not know."), "utf-8")
    grade_batch([graded / "in"], graded / "out", SETTINGS, workers=1)
    assert check_of(result(graded / "out", "=ivanova"), name)["outcome"] == "review"
    _, again = wait_for(graded)
    asked = next(row for row in again if f"{row['task']}.{row['check']}" == name)
    assert asked["earlier"] == "1.00"
    assert asked["points"] == ""
    taken = draw_again(graded / "out", language="en", reviews=filled).taken
    assert (taken.held, taken.changed) == (0, 1)


def test_one_submission_is_graded_again_and_the_others_stay(graded):
    (graded / "in" / "=ivanova.ipynb").write_text(notebook(gate="-0.5"), "utf-8")
    before = result(graded / "out", "petrov")
    done = grade_batch([graded / "in"], graded / "out", SETTINGS, workers=1, only="=ivanova")
    assert done.count == 2
    assert done.cached == 0
    assert result(graded / "out", "=ivanova")["cells"][0]["outcome"] == "passed"
    assert result(graded / "out", "petrov") == before


def test_filled_rows_are_never_written_over(graded):
    rows, mine = wait_for(graded)
    mine[0]["points"] = "1"
    path = write_rows(graded / "out" / "review.csv", rows)
    for action in (
        lambda: grade_batch([graded / "in"], graded / "out", SETTINGS, workers=1),
        lambda: draw_again(graded / "out", language="en"),
    ):
        with pytest.raises(Refused) as caught:
            action()
        assert caught.value.code == "sheet.untaken"
        assert read_rows(path) == rows
    assert draw_again(graded / "out", language="en", reviews=path).taken.held == 1
    assert not any(row["points"] for row in read_rows(path))


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("ivanov,not,truth-table,,1,", "sheet.unknown-near"),
        ("nobody at all,not,truth-table,,1,", "sheet.unknown"),
        ("ivanova,knot,truth-table,,1,", "sheet.unknown-near"),
        ("ivanova,not,truthtable,,1,", "sheet.unknown-near"),
        ("ivanova,not,truth-table,,0.8,", "sheet.too-many-points"),
        ("ivanova,not,truth-table,,01.May,", "sheet.no-points"),
        ("ivanova,not,truth-table,,-1,", "sheet.no-points"),
        ("ivanova,not,truth-table,,,well", "sheet.comment-alone"),
        ("ivanova,not,truth-table,,0.5,\nivanova,not,truth-table,,0.25,", "sheet.twice"),
    ],
)
def test_a_row_that_cannot_be_meant_is_refused_with_its_number(tmp_path, row, code):
    path = tmp_path / "review.csv"
    path.write_text(f"{HEADER}ivanova,or,weights,,,\n{row}\n", "utf-8")
    with pytest.raises(Refused) as caught:
        read_decisions(path, ASSIGNMENT, ["ivanova"])
    assert caught.value.code == code
    assert int(caught.value.values["row"]) == 2 + row.count("\n") + 1


def test_what_excel_saves_in_russian_is_read(tmp_path):
    path = tmp_path / "review.csv"
    text = "submission;task;check;answer;points;comment\r\nИванова;not;truth-table;;0,75;верно\r\n"
    path.write_bytes(text.encode("cp1251"))
    [found] = read_decisions(path, ASSIGNMENT, ["Иванова"])
    assert (found.points, found.comment) == (75, "верно")


def test_a_decision_stays_with_its_student_when_a_namesake_hands_in(tmp_path):
    archive, out = tmp_path / "class.zip", tmp_path / "out"

    def hand_in(numbers):
        with zipfile.ZipFile(archive, "w") as packed:
            for number in numbers:
                name = f"Li Wei_{number}_assignsubmission_file/hw.ipynb"
                packed.writestr(name, notebook())

    hand_in([7])
    grade_batch([archive], out, SETTINGS, workers=1)
    filled = tmp_path / "filled.csv"
    filled.write_text(f"{HEADER}Li Wei,linear-boundary,answer,,1,\n", "utf-8")
    draw_again(out, language="en", reviews=filled)
    hand_in([6, 7])
    grade_batch([archive], out, SETTINGS, workers=1)
    rows = read_rows(out / "gradebook.csv")
    decided = {row["submission"]: row["linear-boundary.outcome"] for row in rows}
    assert decided == {"Li Wei": "passed", "Li Wei 6": "review"}


@pytest.mark.parametrize("packed", [False, True])
def test_a_decision_on_an_unreadable_file_holds_for_that_file_only(tmp_path, packed):
    def excerpts(content):
        if packed:
            handed_in = tmp_path / "class.zip"
            with zipfile.ZipFile(handed_in, "w") as archive:
                archive.writestr("Anna_1_assignsubmission_file/work.rar", content)
        else:
            handed_in = tmp_path / "in"
            handed_in.mkdir(exist_ok=True)
            (handed_in / "anna.ipynb").write_bytes(content)
        [one] = find_handed_in([handed_in]).submissions
        report = Grading(SETTINGS).read(Job(one.name, one.path, one.members))
        return {check.excerpt for task in report.tasks for check in task.checks}

    first, second = excerpts(b"Rar! one"), excerpts(b"Rar! two")
    assert len(first) == len(second) == 1
    assert first != second
    assert excerpts(b"Rar! one") == first
