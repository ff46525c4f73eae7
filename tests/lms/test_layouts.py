"""Tests of the layouts in which learning-management systems hand submissions out."""

import csv
import io
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.batch.grading import Grading, Job, Settings
from grader.intake import Refused
from grader.intake.archive import is_skipped
from grader.intake.names import clean_name
from grader.lms import canvas, moodle
from grader.lms.handed_in import find_handed_in
from grader.lms.reading import read_handed
from grader.model import Report

CODE = "# Задача 3\nx = 1\n"
LETTERS = st.characters(categories=["L", "N"])
NAMES = st.text(st.one_of(LETTERS, st.sampled_from(" '-.")), min_size=1, max_size=20).filter(
    lambda name: name.strip() == name and not name.isdigit()
)
FILES = st.text(st.one_of(LETTERS, st.sampled_from("_ -()")), max_size=12).map(
    lambda stem: f"x{stem}.py"
)
NUMBERS = st.integers(1, 10**9).map(str)


def write_zip(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return path


def by_name(found):
    return {one.name: one for one in found.submissions}


# ------------------------------------------------------------------ Moodle


@given(
    name=NAMES,
    number=NUMBERS,
    file=FILES,
    form=st.sampled_from(
        [
            "{name}_{number}_assignsubmission_file/{file}",
            "{name}_{number}_assignsubmission_file_/{file}",
            "{name}_{number}_assignsubmission_file_{file}",
        ]
    ),
)
def test_every_form_of_moodles_names_reads_back(name, number, file, form):
    path = form.format(name=name, number=number, file=file)
    found = moodle.claim(path)
    assert (found.origin.id, found.path) == (number, file)
    assert found.origin.label == name or name.casefold() in ("participant", "участник")
    taken = moodle.feedback_name(found.origin, "report.html").split("_", 4)
    assert taken[1:] == [number, "assignsubmission", "file", "report.html"]


@given(inner=st.sampled_from(["{}/{}", "{}_{}"]), name=NAMES, number=NUMBERS)
def test_a_students_file_cannot_speak_for_another(inner, name, number):
    forged = f"{name}_{number}_assignsubmission_file_evil.py"
    found = moodle.claim(inner.format("Real One_77_assignsubmission_file", forged))
    assert (found.origin.id, found.origin.label, found.path) == ("77", "Real One", forged)


def test_moodles_archive_is_recognised_and_nothing_in_it_is_lost(tmp_path):
    path = write_zip(
        tmp_path / "DL-HW1-77.zip",
        {
            "Иванова Анна_101_assignsubmission_file/hw.py": CODE,
            "Иванова Анна_101_assignsubmission_onlinetext/onlinetext.html": "<p>",
            "Petrov P_102_assignsubmission_file_/work.zip": zipped({"a/b.py": CODE}),
            "Sidorov_103_assignsubmission_file_hw.rar": "Rar!",
            "Default group_assignsubmission_file/hw.py": CODE,
            "stray.txt": "?",
        },
    )
    found = find_handed_in([path])
    names = by_name(found)
    assert set(names) == {"Иванова Анна", "Petrov P", "Sidorov", "Default group"}
    assert names["Иванова Анна"].origin.files == [
        ("hw.py", "read"),
        ("onlinetext.html", "unopened"),
    ]
    assert found.unclaimed == ["DL-HW1-77.zip/stray.txt"]
    read = {n: cells(one) for n, one in names.items() if n != "Sidorov"}
    assert all(source == [CODE.strip()] for source in read.values())
    with pytest.raises(Refused) as caught:
        cells(names["Sidorov"])
    assert caught.value.code == "intake.unknown-format"
    assert caught.value.values["file"] == "hw.rar"


def zipped(entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def cells(one):
    read = read_handed(one.path, one.members, name=one.name)
    return [cell.source for cell in read.cells]


def test_an_unpacked_archive_is_the_same_class(tmp_path):
    entries = {
        "Иванова Анна_101_assignsubmission_file/hw.py": CODE,
        "Petrov_102_assignsubmission_file/a/hw.py": CODE,
    }
    packed = find_handed_in([write_zip(tmp_path / "x.zip", entries)])
    for name, text in entries.items():
        target = tmp_path / "unpacked" / name
        target.parent.mkdir(parents=True)
        target.write_text(text, "utf-8")
    unpacked = find_handed_in([tmp_path / "unpacked"])
    assert [(o.name, o.origin) for o in unpacked.submissions] == [
        (o.name, o.origin) for o in packed.submissions
    ]
    assert all(cells(one) == [CODE.strip()] for one in unpacked.submissions)


def test_names_packed_by_russian_windows_are_read(tmp_path):
    name = "Иванова Анна_101_assignsubmission_file/hw.py"
    path = write_zip(tmp_path / "x.zip", {name: CODE})
    raw, shown = name.encode("cp866"), name.encode()
    data = path.read_bytes()
    assert len(raw) < len(shown)
    info = zipfile.ZipInfo("q" * len(raw))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, CODE)
    data = buffer.getvalue().replace(b"q" * len(raw), raw)
    path.write_bytes(data)
    assert [one.name for one in find_handed_in([path]).submissions] == ["Иванова Анна"]


def test_anonymous_participants_and_namesakes_are_told_apart_by_number(tmp_path):
    path = write_zip(
        tmp_path / "x.zip",
        {
            "Participant_5_assignsubmission_file/a.py": CODE,
            "Участник_6_assignsubmission_file/a.py": CODE,
            "Li Wei_7_assignsubmission_file/a.py": CODE,
            "Li Wei_8_assignsubmission_file/a.py": CODE,
        },
    )
    names = set(by_name(find_handed_in([path])))
    assert names == {"Participant 5", "Участник 6", "Li Wei 7", "Li Wei 8"}


@pytest.mark.parametrize(
    ("attempt", "code"), [("last", "y"), ("first", "x"), ("2", "y"), ("9", "y")]
)
def test_of_several_attempts_the_last_counts_unless_another_is_named(tmp_path, attempt, code):
    name = "Ivanova_101_assignsubmission_file/a.py"
    paths = [write_zip(tmp_path / f"{source}.zip", {name: source}) for source in "xy"]
    [one] = find_handed_in(paths, attempt=attempt).submissions
    assert cells(one) == [code]
    assert one.origin.attempts == 2
    other = {"x": "y", "y": "x"}[code]
    assert (f"{other}.zip/a.py", "earlier-attempt") in one.origin.files


@pytest.mark.parametrize(
    "name", ["../../etc/x_1_assignsubmission_file/a.py", "/abs/a.py", "C:/a.py"]
)
def test_a_path_that_leads_out_of_an_archive_is_refused(tmp_path, name):
    entries = {name: CODE, "A_1_assignsubmission_file/a.py": CODE}
    path = write_zip(tmp_path / "x.zip", entries)
    with pytest.raises(Refused) as caught:
        find_handed_in([path], system="moodle")
    assert caught.value.code == "intake.unsafe-path"


@given(label=st.text(st.characters(exclude_characters="\0"), max_size=30), number=NUMBERS)
def test_a_name_is_one_harmless_path_component(tmp_path_factory, label, number):
    folder = tmp_path_factory.mktemp("names")
    try:
        path = write_zip(folder / "x.zip", {f"{label}_{number}_assignsubmission_file_a.py": CODE})
        found = find_handed_in([path], system="moodle")
    except (Refused, ValueError, UnicodeEncodeError):
        return
    for one in found.submissions:
        assert one.name not in ("", ".", "..", "gradebook.db")
        assert not set(one.name) & set('/\\:*?"<>|\0')
        assert (folder / one.name).parent == folder


# ------------------------------------------------------------------ Canvas


SLUGS = st.text(st.one_of(LETTERS, st.just("_")), min_size=1, max_size=20).filter(
    lambda slug: not any(c.isdecimal() for c in slug) and "LATE" not in slug and slug.isidentifier()
)


@given(
    name=SLUGS,
    number=NUMBERS,
    attachment=NUMBERS,
    late=st.sampled_from(["", "_LATE"]),
    file=st.text(st.one_of(LETTERS, st.sampled_from("_ -.")), min_size=1, max_size=12),
)
def test_every_form_of_canvass_names_reads_back(name, number, attachment, late, file):
    found = canvas.claim(f"{name}{late}_{number}_{attachment}_{file}")
    assert found.origin.label == name
    assert (found.origin.id, found.origin.late, found.path) == (number, bool(late), file)
    for entry in ("text", "link"):
        typed = canvas.claim(f"{name}{late}_{number}_{entry}.html")
        assert (typed.origin, typed.path) == (found.origin, f"{entry}.html")


@pytest.mark.parametrize("late", ["", "LATE_"])
def test_an_anonymous_canvas_submission_is_known_by_its_id(late):
    found = canvas.claim(f"{late}anon_Ab3dE_55_hw.py")
    assert (found.origin.id, found.origin.late, found.path) == ("anon_Ab3dE", bool(late), "hw.py")


def test_canvass_archive_is_recognised_by_its_own_name_too(tmp_path):
    entries = {"ivanovaanna_12_345_hw.py": CODE, "петров_LATE_13_346_hw.py": CODE}
    found = find_handed_in([write_zip(tmp_path / "dl-hw1_submissions.zip", entries)])
    assert set(by_name(found)) == {"ivanovaanna", "петров"}
    assert by_name(found)["петров"].origin.late
    [one] = find_handed_in([write_zip(tmp_path / "work.zip", entries)]).submissions
    assert one.origin.system == "folder"
    named = find_handed_in([tmp_path / "work.zip"], system="canvas")
    assert len(named.submissions) == 2


# ------------------------------------------------------------------ the others


METADATA = """
submission_11:
  :submitters:
  - :name: Ада Лавлейс
    :sid: '0001'
    :email: ada@x.edu
  - :name: "=Mallory"
    :sid: 2
  :created_at: 2022-06-25 13:16:26.100000000 Z
  :results: {tests: []}
submission_12:
  :submitters:
  - :name: Petrov
"""


def test_a_gradescope_export_tells_groups_and_times(tmp_path):
    folder = "assignment_9_export"
    path = write_zip(
        tmp_path / "x.zip",
        {
            f"{folder}/submission_metadata.yml": METADATA,
            f"{folder}/submission_11/hw.py": CODE,
            f"{folder}/submission_12/a/hw.py": CODE,
            f"{folder}/submission_13/hw.py": CODE,
        },
    )
    found = find_handed_in([path])
    group, alone, unknown = (one.origin for one in found.submissions)
    assert [student.id for student in group.students] == ["0001", "2"]
    assert group.label == "Ада Лавлейс, =Mallory"
    assert group.submitted.startswith("2022-06-25T13:16:26")
    assert (alone.label, unknown.id) == ("Petrov", "13")
    assert all(cells(one) == [CODE.strip()] for one in found.submissions)


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "!!python/object/apply:os.system ['true']"])
def test_metadata_that_are_none_are_refused(tmp_path, text):
    entries = {"submission_metadata.yml": text, "submission_1/a.py": CODE}
    with pytest.raises(Refused) as caught:
        find_handed_in([write_zip(tmp_path / "x.zip", entries)])
    assert caught.value.code == "intake.broken-metadata"


def hand_in_nbgrader(folder, assignments=("ps1",)):
    for student in ("anna", "боб_2"):
        for assignment in assignments:
            target = folder / "submitted" / student / assignment
            target.mkdir(parents=True)
            (target / "p1.py").write_text(CODE, "utf-8")
            (target / "timestamp.txt").write_text("2015-02-02 14:58:23.948203 America/Los_Angeles")
    return folder


def test_nbgraders_folder_is_recognised_from_submitted_down(tmp_path):
    course = hand_in_nbgrader(tmp_path)
    whole = find_handed_in([course / "submitted"])
    each = find_handed_in(sorted((course / "submitted").glob("*/ps1")))
    for found in (whole, each):
        assert set(by_name(found)) == {"anna", "боб_2"}
        assert by_name(found)["anna"].origin.submitted.startswith("2015-02-02 14:58:23")
        assert found.unclaimed == []
        assert all(cells(one) == [CODE.strip()] for one in found.submissions)
    (course / "nbgrader_config.py").write_text("")
    assert len(find_handed_in([course], system="nbgrader").submissions) == 2


def test_several_assignments_of_nbgrader_are_not_mixed(tmp_path):
    course = hand_in_nbgrader(tmp_path, ("ps1", "ps2"))
    with pytest.raises(Refused) as caught:
        find_handed_in([course / "submitted"])
    assert caught.value.code == "intake.several-assignments"
    assert len(find_handed_in(sorted((course / "submitted").glob("*/ps2"))).submissions) == 2


def test_a_folder_called_submitted_may_be_anybodys(tmp_path):
    folder = tmp_path / "submitted"
    folder.mkdir()
    (folder / "anna.py").write_text(CODE, "utf-8")
    [one] = find_handed_in([folder]).submissions
    assert (one.name, one.origin.system) == ("anna", "folder")


def test_cloned_repositories_are_named_by_a_table(tmp_path):
    for name in ("hw-anna", "hw-bob"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "hw.py").write_text(CODE, "utf-8")
    table = tmp_path / "grades.csv"
    table.write_text(
        "roster_identifier,github_username,student_repository_name,submission_timestamp\n"
        "Анна,anna1,hw-anna,2026-11-01 10:00:00 UTC\n,bob1,hw-bob,\n",
        "utf-8",
    )
    found = by_name(find_handed_in([table]))
    assert set(found) == {"Анна", "bob1"}
    assert found["Анна"].origin.submitted == "2026-11-01 10:00:00 UTC"
    assert cells(found["bob1"]) == [CODE.strip()]
    table.write_text("name,path\nx,../elsewhere\n", "utf-8")
    with pytest.raises(Refused) as caught:
        find_handed_in([table])
    assert caught.value.code == "sheet.no-clone"


def test_what_a_student_called_as_a_system_does_is_the_students(tmp_path):
    names = ("timestamp.txt", "submission_metadata.yml")
    entries = {f"Anna_1_assignsubmission_file/{name}": "x" for name in names}
    [one] = find_handed_in([write_zip(tmp_path / "x.zip", entries)]).submissions
    assert one.origin.files == [(name, "unopened") for name in names]
    entries = {f"e/submission_12/{name}": "x" for name in names}
    entries |= {"e/submission_metadata.yml": METADATA, "e/submission_12/hw.py": CODE}
    found = find_handed_in([write_zip(tmp_path / "y.zip", entries)])
    [one] = found.submissions
    assert {name for name, _ in one.origin.files} == {*names, "hw.py"}
    assert found.unclaimed == []
    inside = {name.removeprefix("e/"): text for name, text in entries.items()}
    [one] = find_handed_in([write_zip(tmp_path / "z.zip", inside)]).submissions
    assert one.origin.system == "gradescope"


def test_a_path_that_is_not_what_from_says_is_refused(tmp_path):
    (tmp_path / "a.py").write_text(CODE, "utf-8")
    packed = write_zip(tmp_path / "x.zip", {"Anna_1_assignsubmission_file/a.py": CODE})
    for path, system in (
        (tmp_path / "a.py", "moodle"),
        (packed, "canvas"),
        (tmp_path, "gradescope"),
    ):
        with pytest.raises(Refused) as caught:
            find_handed_in([path], system=system)
        assert caught.value.code == "intake.not-this-system"


# ------------------------------------------------------------------ names that stay


def moodle_zip(path, people, source=CODE):
    entries = {f"{name}_{number}_assignsubmission_file/a.py": source for number, name in people}
    return write_zip(path, entries)


def names_by_number(paths, **options):
    found = find_handed_in(paths, **options)
    return {one.origin.id: one.name for one in found.submissions}, {
        one.name: one.origin for one in found.submissions
    }


def test_names_that_only_case_spaces_or_composition_tell_apart_get_numbers(tmp_path):
    people = [
        ("1", "Team A"),
        ("2", "team a"),
        ("3", "Team  A"),
        ("4", "Мий"),
        ("5", "Мий"),
        ("6", "B"),
    ]
    names, _ = names_by_number([moodle_zip(tmp_path / "x.zip", people)])
    assert names == {
        "1": "Team A 1",
        "2": "team a 2",
        "3": "Team A 3",
        "4": "Мий 4",
        "5": "Мий 5",
        "6": "B",
    }


@pytest.mark.parametrize("packed", [True, False])
def test_a_name_that_begins_with_a_dot_hides_nobody(tmp_path, packed):
    entries = {
        ".NET_5_assignsubmission_file/hw.py": CODE,
        ".NET_5_assignsubmission_file/.ipynb_checkpoints/hw.py": CODE,
        ".hidden/hw.py": CODE,
    }
    path = write_zip(tmp_path / "x.zip", entries)
    if not packed:
        zipfile.ZipFile(path).extractall(tmp_path / "x")
        path = tmp_path / "x"
    [one] = find_handed_in([path]).submissions
    assert (one.name, one.origin.label) == ("NET", ".NET")
    assert one.origin.files == [("hw.py", "read")]


@pytest.mark.parametrize(
    "path", ["d/" * 120 + "hw.py", "/".join([*["я" * 84] * 3, "я" * 250 + ".py"])]
)
def test_folders_as_deep_and_long_as_moodle_lets_them_hide_no_class(tmp_path, path):
    entries = {f"Anna_1_assignsubmission_file/{path}": CODE, "B_2_assignsubmission_file/a.py": CODE}
    found = find_handed_in([write_zip(tmp_path / "x.zip", entries)])
    assert set(by_name(found)) == {"Anna", "B"}
    assert all(cells(one) == [CODE.strip()] for one in found.submissions)


def test_a_number_stays_in_a_name_that_is_too_long(tmp_path):
    people = [(str(number), "я" * 120 + str(number)) for number in (1, 2)]
    names, _ = names_by_number([moodle_zip(tmp_path / "x.zip", people)])
    assert all(name.endswith(f" {number}") for number, name in names.items())


def test_whoever_had_a_name_keeps_it_when_a_namesake_hands_in(tmp_path):
    first = moodle_zip(tmp_path / "x.zip", [("7", "Li Wei")])
    names, known = names_by_number([first])
    assert names == {"7": "Li Wei"}
    both = moodle_zip(tmp_path / "x.zip", [("6", "Li Wei"), ("7", "Li Wei")])
    names, known = names_by_number([both], known=known)
    assert names == {"6": "Li Wei 6", "7": "Li Wei"}
    # And nobody inherits it, with the decisions that were made under it.
    other = moodle_zip(tmp_path / "x.zip", [("6", "Li Wei"), ("8", "Li Wei")])
    names, _ = names_by_number([other], known=known)
    assert names == {"6": "Li Wei 6", "8": "Li Wei 8"}


def test_a_name_is_the_same_whether_an_earlier_archive_has_a_namesake_or_not(tmp_path):
    first = moodle_zip(tmp_path / "1.zip", [("7", "Li Wei"), ("8", "Li Wei")])
    second = moodle_zip(tmp_path / "2.zip", [("7", "Li Wei")])
    names, _ = names_by_number([first, second])
    assert names == {"7": "Li Wei 7", "8": "Li Wei 8"}


def test_a_file_keeps_its_name_when_one_of_the_same_stem_comes(tmp_path):
    def names(*folders):
        found = find_handed_in([tmp_path / folder for folder in folders], known=known)
        known.update({one.name: one.origin for one in found.submissions})
        return {f"{one.path.parent.name}/{one.path.name}": one.name for one in found.submissions}

    known = {}
    for path in ("in/anna.py", "in/boris.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("x = 1", "utf-8")
    assert names("in") == {"in/anna.py": "anna", "in/boris.py": "boris"}
    (tmp_path / "in" / "anna.ipynb").write_text("{}", "utf-8")  # sorts before anna.py
    given = {"in/anna.ipynb": "anna-2", "in/anna.py": "anna", "in/boris.py": "boris"}
    assert names("in") == given
    assert names("in") == given


def test_files_of_one_name_in_several_folders_never_change_names(tmp_path):
    """As in ``grade students/*/hw.ipynb``."""
    paths = [tmp_path / f"s{number}" / "hw.py" for number in range(1, 13)]
    for path in paths:
        path.parent.mkdir()
        path.write_text(f"x = '{path.parent.name}'", "utf-8")
    known, first = {}, None
    for _ in range(3):
        found = find_handed_in(paths, known=known)
        known.update({one.name: one.origin for one in found.submissions})
        names = {one.path: one.name for one in found.submissions}
        assert len(set(names.values())) == len(paths)
        first = first or names
        assert names == first


def test_names_that_differ_in_case_only_are_never_both_kept(tmp_path):
    known = {}
    for names in (["alice.py"], ["Alice.py"], ["Alice.py", "alice.py"]):
        for old in tmp_path.glob("*.py"):
            old.unlink()
        for name in names:
            (tmp_path / name).write_text("x = 1", "utf-8")
        found = find_handed_in([tmp_path], known=known)
        known.update({one.name: one.origin for one in found.submissions})
        given = [one.name.casefold() for one in found.submissions]
        assert len(set(given)) == len(given)


def test_a_folder_graded_again_keeps_its_names(tmp_path):
    for name in ("anna.py", "anna.ipynb"):
        (tmp_path / name).write_text(CODE, "utf-8")
    found = find_handed_in([tmp_path])
    known = {one.name: one.origin for one in found.submissions}
    again = find_handed_in([tmp_path], known=known)
    assert [one.name for one in again.submissions] == [one.name for one in found.submissions]


# ------------------------------------------------------------------ names, and back


FOLDER_NAMES = st.text(st.one_of(LETTERS, st.sampled_from("_ -.'=@")), min_size=1, max_size=20)


@given(
    students=st.lists(FOLDER_NAMES, min_size=1, max_size=4, unique_by=lambda name: clean_name(name))
)
def test_nbgraders_students_keep_their_names_as_they_are(tmp_path_factory, students):
    students = [name for name in students if name.strip(" .") and not is_skipped(name)]
    folder = tmp_path_factory.mktemp("nb") / "submitted"
    folder.mkdir()
    for at, student in enumerate(students):
        (folder / student / "ps1").mkdir(parents=True)
        (folder / student / "ps1" / "p1.py").write_text(f"x = {at}", "utf-8")
        (folder / student / "ps1" / "timestamp.txt").write_text("2026-11-02 10:00:00 UTC")
    found = find_handed_in([folder], system="nbgrader" if students else None)
    assert {one.origin.id: cells(one) for one in found.submissions} == {
        student: [f"x = {at}"] for at, student in enumerate(students)
    }
    assert all(one.origin.submitted == "2026-11-02 10:00:00 UTC" for one in found.submissions)
    assert found.unclaimed == []


@given(
    names=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20), max_size=5)
)
def test_every_clone_is_handed_in_once_whatever_the_names(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("git")
    for at in range(len(names)):
        (folder / f"hw-{at}").mkdir()
        (folder / f"hw-{at}" / "hw.py").write_text(f"x = {at}", "utf-8")
    with (folder / "grades.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "path"])
        writer.writerows([name, f"hw-{at}"] for at, name in enumerate(names))
    found = find_handed_in([folder / "grades.csv"])
    assert [cells(one) for one in found.submissions] == [[f"x = {at}"] for at in range(len(names))]
    labels = [name.strip() or f"hw-{at}" for at, name in enumerate(names)]
    assert [one.origin.label for one in found.submissions] == labels
    assert len({one.name.casefold() for one in found.submissions}) == len(names)


# ------------------------------------------------------------------ folders nobody may look into


@pytest.fixture
def lock(monkeypatch):
    """Return what takes a folder's permissions away, also from root, who needs none."""
    locked = []

    def refusing(call):
        def refused(path=".", *more, **named):
            where = Path(os.fsdecode(path)) if not isinstance(path, int) else Path()
            if any(one in where.parents or (call is scandir and one == where) for one in locked):
                raise PermissionError(13, "Permission denied", str(where))
            return call(path, *more, **named)

        return refused

    scandir = os.scandir
    for name in ("scandir", "stat", "lstat", "open"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    return locked.append


def read_all(folder):
    """Return, by name, the sources that are read or the report's note."""
    grading = Grading(Settings(assignment="intro-to-torch"))
    found = {}
    for one in find_handed_in([folder]).submissions:
        read = grading.read(Job(one.name, one.path, one.members))
        if isinstance(read, Report):
            assert {task.outcome for task in read.tasks} == {"review"}
            found[one.name] = read.notes
        else:
            found[one.name] = [cell.source for cell in read.cells]
    return found


def denied(file):
    return [("intake.unreadable", {"file": file, "detail": "EACCES"})]


def test_a_folder_that_may_not_be_read_goes_to_a_person_and_stops_nobody(tmp_path, lock):
    for path in ("anna/hw.py", "anna/data/x.py", "ivan/hw.py", "olga/hw.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x = 1\n")
    (tmp_path / "link.py").symlink_to(tmp_path / "ivan" / "hw.py")
    lock(tmp_path / "anna" / "data")
    lock(tmp_path / "ivan")
    assert read_all(tmp_path) == {
        "anna": denied("anna/data"),
        "ivan": denied("ivan"),
        "link": [("intake.not-a-file", {"file": "link.py"})],
        "olga": ["x = 1"],
    }


def test_a_folder_that_may_not_be_read_hides_no_class_of_moodles(tmp_path, lock):
    own = "{}_{}_assignsubmission_file"
    names = ("Anna", "Ivan", "Olga")
    anna, ivan, olga = (tmp_path / own.format(who, at) for at, who in enumerate(names))
    for folder in (anna, anna / "data", ivan, olga):
        folder.mkdir()
        (folder / "hw.py").write_text("x = 1\n")
    lock(anna / "data")
    lock(ivan)
    assert read_all(tmp_path) == {
        "Anna": ["x = 1"],
        "Ivan": denied(own.format("Ivan", 1)),
        "Olga": ["x = 1"],
    }
    anna_handed = by_name(find_handed_in([tmp_path]))["Anna"]
    read = read_handed(anna_handed.path, anna_handed.members, name="Anna")
    assert denied("data")[0] in read.notes
