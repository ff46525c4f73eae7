"""An output folder is never homework, wherever it lies."""

import pytest

from grader.batch.grading import Settings
from grader.batch.run import grade_batch
from grader.gradebook import GradebookError
from tests.batch.faults import RIGHT, hand_in, outcomes, write_assignment


@pytest.fixture
def settings(tmp_path):
    return Settings(assignment=write_assignment(tmp_path / "short"))


@pytest.mark.parametrize(
    ("layout", "file", "below"),
    [
        ("class", "anna.py", "reports"),
        ("class", "Anna_7_assignsubmission_file/hw.py", "our/reports"),
        ("submitted", "anna/hw1/hw.py", "reports"),  # nbgrader
    ],
)
def test_an_output_folder_among_the_submissions_is_none_of_them(
    tmp_path, settings, layout, file, below
):
    handed_in = tmp_path / layout
    (handed_in / file).parent.mkdir(parents=True)
    (handed_in / file).write_text(RIGHT)
    out = handed_in / below
    out.mkdir(parents=True)  # an empty one is not a student who handed in nothing
    for known in (0, 1):
        done = grade_batch([handed_in], out, settings, workers=1)
        assert (done.count, done.cached, done.unclaimed) == (1, known, [])
        assert [*outcomes(out).values()] == [(1.0, "passed")]


def test_a_student_has_the_name_that_the_output_folder_has_too(tmp_path, settings):
    out = hand_in(tmp_path / "in", reports=RIGHT) / "reports"
    for _ in range(2):
        grade_batch([tmp_path / "in"], out, settings, workers=1)
        assert outcomes(out) == {"reports": (1.0, "passed")}


def test_an_output_folder_behind_a_link_is_none_of_the_submissions(tmp_path, settings):
    handed_in = hand_in(tmp_path / "in", anna=RIGHT)
    (tmp_path / "elsewhere").mkdir()
    (handed_in / "reports").symlink_to(tmp_path / "elsewhere")
    for _ in range(2):
        assert grade_batch([handed_in], handed_in / "reports", settings, workers=1).count == 1


@pytest.mark.parametrize("out", [".", "../in", "anna", "anna/part", "anna/new"])
def test_an_output_folder_that_is_graded_is_refused_before_anything_is_written(
    tmp_path, settings, monkeypatch, out
):
    handed_in = tmp_path / "in"
    (handed_in / "anna" / "part").mkdir(parents=True)
    (handed_in / "anna" / "part" / "hw.py").write_text(RIGHT)
    monkeypatch.chdir(handed_in)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(GradebookError, match=r"^batch\.out-is-graded") as caught:
        grade_batch([handed_in], handed_in / out, settings, workers=1)
    assert caught.value.values["out"] == str(handed_in / out)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_clone_is_no_output_folder(tmp_path, settings):
    hand_in(tmp_path / "clone", hw=RIGHT)
    table = tmp_path / "class.csv"
    table.write_text("path,name\nclone,Anna\n")
    with pytest.raises(GradebookError, match=r"^batch\.out-is-graded"):
        grade_batch([table], tmp_path / "clone", settings, workers=1)
    assert grade_batch([table], tmp_path / "out", settings, workers=1).count == 1
