"""Names that students chose, on their way through a batch."""

import csv
import json
import zipfile

from hypothesis import given
from hypothesis import strategies as st

from grader.batch.grading import Grading, Job, Settings
from grader.batch.run import grade_batch
from grader.lms.handed_in import find_handed_in
from grader.model import Report

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
