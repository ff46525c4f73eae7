"""The commands of docs/lms.md, as a new instructor would type them."""

import csv
import json
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from grader.lms.sheets import read_sheet
from grader.vgpu.build import default_cache_folder

ROOT = Path(__file__).parent.parent
SUBMISSIONS = ROOT / "submissions"
HEADER = (
    "Identifier,Full name,Status,Grade,Maximum Grade,Grade can be changed,"
    "Last modified (submission),Last modified (grade),Feedback comments\r\n"
)
PEOPLE = {101: "Иванова Анна", 102: "Petrov Pavel", 104: "Кузнецов Олег"}


def commands():
    text = (ROOT / "docs" / "lms.md").read_text("utf-8")
    first = text.split("\n## ")[1]
    return [line.strip() for line in first.splitlines() if line.startswith("    grader ")]


def download(folder):
    """Write what Moodle's two downloads would be."""
    with zipfile.ZipFile(folder / "DL-HW1-77.zip", "w") as archive:
        for name, sample in (
            ("Иванова Анна_101", "questions-in-words"),
            ("Petrov Pavel_102", "one-row-off"),
        ):
            data = (SUBMISSIONS / sample / "homework.ipynb").read_bytes()
            archive.writestr(f"{name}_assignsubmission_file/homework.ipynb", data)
    rows = [
        f'Participant {number},{name},Submitted,,20.00,Yes,"Monday, 23 November 2026",-,\r\n'
        for number, name in PEOPLE.items()
    ]
    (folder / "Grades-DL-HW1-77.csv").write_bytes((HEADER + "".join(rows)).encode())


def run(line, folder):
    words = shlex.split(line)
    assert words[0] == "grader"
    done = subprocess.run(
        [sys.executable, "-m", "grader.cli", *words[1:], "--lang", "en"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(default_cache_folder().parent),  # to compile nothing anew
        },
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def fill_reviews(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    written = [row for row in rows if row["submission"] == "Иванова Анна"]
    assert len(written) == 2
    written[0] |= {"points": "1", "comment": "Right, and well said."}
    written[1] |= {"points": "0,5", "comment": "What about the bias?"}
    rows.append(
        {
            **dict.fromkeys(rows[0], ""),
            "submission": "Petrov Pavel",
            "task": "and",
            "check": "truth-table",
            "points": "0.75",
            "comment": "The handout's own example was wrong here.",
        }
    )
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)


def follow_the_document(folder):
    """Run its commands in a folder, where `said.json` keeps what they print."""
    folder.mkdir()
    download(folder)
    lines = commands()
    assert 3 <= len(lines) <= 5
    said = [run(lines[0], folder)]
    shutil.copy(folder / "hw1" / "Petrov Pavel" / "result.json", folder / "before.json")
    fill_reviews(folder / "hw1" / "review.csv")
    said += [run(line, folder) for line in lines[1:]]
    (folder / "said.json").write_text(json.dumps(said), "utf-8")


@pytest.fixture
def done(once):
    folder = once.made("course", follow_the_document)
    before, said = (
        json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("before", "said")
    )
    return folder, before, said


def test_who_handed_in_nothing_is_named(done):
    _, _, said = done
    assert "1 on the roster handed in nothing: Кузнецов Олег" in said[0]


def test_reviews_and_the_appeal_are_in_the_worksheet(done):
    folder, before, said = done
    assert "3 decisions of persons taken" in said[1]
    sheet = read_sheet(folder / "hw1" / "moodle-grades.csv")
    grades = {row[1]: row[3] for row in sheet.rows}
    assert grades == {
        "Иванова Анна": "1.50",
        "Petrov Pavel": f"{before['points'] + 0.75:.2f}",
        "Кузнецов Олег": "",
    }
    original = read_sheet(folder / "Grades-DL-HW1-77.csv")
    assert [row[:3] + row[4:] for row in sheet.rows] == [r[:3] + r[4:] for r in original.rows]


def test_the_feedback_zip_has_a_page_for_each_under_moodles_names(done):
    folder, _, _ = done
    with zipfile.ZipFile(folder / "hw1" / "moodle-feedback.zip") as archive:
        names = archive.namelist()
        pages = [archive.read(name).decode() for name in names]
    parts = [name.split("_", 4) for name in names]
    assert [(p[1], p[2], p[3], p[4]) for p in parts] == [
        (number, "assignsubmission", "file", "report.html") for number in ("102", "101")
    ]
    assert any("What about the bias?" in page for page in pages)
    assert any("The handout&#39;s own example was wrong here." in page for page in pages)
    assert all("A person decided" in page for page in pages)


def test_what_was_decided_survives_grading_again(done):
    folder, before, _ = done
    after = json.loads((folder / "hw1" / "Petrov Pavel" / "result.json").read_text("utf-8"))
    assert after["points"] == before["points"] + 0.75
    with (folder / "hw1" / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        points = {row["submission"]: row["points"] for row in csv.DictReader(file)}
    assert points["Иванова Анна"] == "1.50"
