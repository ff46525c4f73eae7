"""Names that students chose, on their way through a batch."""

import csv
import json
import os
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.batch.grading import Grading, Job, Settings
from grader.batch.run import grade_batch
from grader.intake.names import path_text
from grader.lms.handed_in import find_handed_in
from grader.lms.reading import read_handed
from grader.model import Report
from tests.batch.faults import RIGHT, outcomes, write_assignment

SETTINGS = Settings(assignment="intro-to-torch")
NAMES = (
    *("index.html", "gradebook.db", "review.csv", "CON", "con.txt", "LPT1.x", "=cmd|'C calc'!A0"),
    *("@SUM(1)", "-rf", "..", ".", "~", "$(id)", "%2e%2e", "<script>alert(1)</script>", "anna"),
    *("ANNA", "Ё", "Е\N{COMBINING DIAERESIS}", "\u202eevil", "a\u200bnna", "a" * 240, "A" * 240),
)


def archive(path, names):
    with zipfile.ZipFile(path, "w") as packed:
        for number, name in enumerate(names):
            file = f"{name}_{number}_assignsubmission_file/hw.py"
            packed.writestr(file, f"x = {number}\n")
    return path


@given(names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=6))
def test_a_report_has_the_name_of_its_job(tmp_path_factory, names):
    path = archive(tmp_path_factory.mktemp("names") / "x.zip", names)
    grading = Grading(SETTINGS)
    handed = find_handed_in([path]).submissions
    assert len({one.name.casefold() for one in handed}) == len(names)
    for one in handed:
        read = grading.read(Job(one.name, one.path, one.members))
        assert (read.submission if isinstance(read, Report) else read.name) == one.name


def test_no_name_stops_a_class_or_leaves_its_folder(tmp_path):
    names = [
        "index.html",
        "con.txt",
        "=cmd|'C calc'!A0",
        "..",
        "anna",
        "ANNA",
        "a" * 240,
        "A" * 240,
    ]
    path = archive(tmp_path / "class.zip", names)
    out = tmp_path / "out"
    before = set(tmp_path.iterdir())
    done = grade_batch([path], out, SETTINGS, workers=1)
    assert done.count == len(names)
    assert set(tmp_path.iterdir()) == {*before, out}
    pages = {page.parent.name for page in out.glob("*/report.html")}
    assert len(pages) == len(names)
    with (out / "gradebook.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = [row["submission"] for row in csv.DictReader(file)]
    assert len(cells) == len(names)
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    results = [json.loads(one.read_text("utf-8")) for one in out.glob("*/result.json")]
    assert {one["submission"] for one in results} == pages


NO_TEXT = os.fsdecode(b"\xff")
RAW = st.binary(min_size=1, max_size=8).filter(lambda raw: not {*raw} & {*b"\0/%"})


@pytest.mark.parametrize(
    ("layout", "path", "name"),
    [
        ("files", "{}.py", "\ufffd"),
        ("folders", "{0}/{0}.py", "\ufffd"),
        ("moodle", "{0}_assignsubmission_file/{0}.py", "%FF"),
        ("submitted", "{0}/hw1/{0}.py", "%FF"),  # nbgrader
    ],
)
def test_names_that_are_no_text_stop_no_class(tmp_path, layout, path, name):
    handed_in, out = tmp_path / NO_TEXT / layout, tmp_path / f"out{NO_TEXT}"
    for own in ("good", NO_TEXT):
        file = handed_in / path.format(own)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{RIGHT}# {path_text(own)}\n", "utf-8")
    settings = Settings(assignment=write_assignment(tmp_path / "short"))
    for known in (0, 2):
        assert grade_batch([handed_in], out, settings, workers=1).cached == known
    assert outcomes(out) == dict.fromkeys(("good", name), (1.0, "passed"))


def test_a_student_of_nbgraders_whose_folders_name_is_no_text_is_named(tmp_path):
    folder = tmp_path / "submitted" / NO_TEXT
    (folder / "hw1").mkdir(parents=True)
    (folder / "hw1" / "hw.py").write_text(RIGHT)
    [one] = find_handed_in([folder]).submissions
    assert (one.name, one.origin.id) == ("%FF", "%FF")


@given(names=st.sets(RAW, min_size=2, max_size=2))
def test_paths_that_differ_differ_as_text(names):
    texts = {path_text(os.fsdecode(name)) for name in names}
    assert len(texts) == len(names)
    assert all(text.encode() for text in texts)


def test_no_file_takes_the_place_of_another_whose_name_is_no_text_either(tmp_path):
    for number, name in enumerate((b"\xe0.py", b"\xe1.py")):
        (tmp_path / os.fsdecode(name)).write_text(f"x = {number}\n")
    read = read_handed(tmp_path, (), name="anna")
    assert [(cell.file, cell.source) for cell in read.cells] == [
        ("%E0.py", "x = 0"),
        ("%E1.py", "x = 1"),
    ]
