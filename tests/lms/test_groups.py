"""Group work, from names of groups and members to an archive and back to the right rows.

Archives and worksheets are written here by the rules of the systems' own code: for Moodle
`mod/assign/classes/downloader.php` (4.1 and later), `download_submissions` of `locallib.php`
(before) and `col_team` of `gradingtable.php`, for Canvas `lib/content_zipper.rb`.
"""

import csv
import io
import json
import re
import unicodedata
import zipfile

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grader.lms.canvas_sheet import fill_gradebook
from grader.lms.grades import Grade
from grader.lms.handed_in import find_handed_in
from grader.lms.moodle import claim
from grader.lms.moodle_sheet import fill_worksheet
from grader.lms.names import folded
from grader.lms.reading import read_handed
from grader.lms.roster import attend, read_roster
from grader.lms.sheets import parse_sheet

HEADER = ["Identifier", "Full name", "Status", "Group", "Grade", "Maximum Grade"]
HEADER += ["Last modified (grade)", "Feedback comments"]
DEFAULT = "Default group"
PLAIN = st.text(
    st.one_of(
        st.characters(categories=["L", "N", "M", "So"]),
        st.sampled_from("_ -.+#&'()!=@\u200f\N{COMBINING BREVE}"),
    ),
    min_size=1,
    max_size=12,
)


def filed(name):
    """Return a name as Moodle puts it into a file's: underscores gone, then `clean_filename`."""
    cleaned = re.sub(r"[\x00-\x1f\x7f-\x9f&<>\"`|':\\/]", "", name.replace("_", " "))
    return "" if cleaned in (".", "..") else cleaned


def escaped(name):
    """Return a group's name after `format_string`, through which 4.1 and later send it."""
    return name.replace("&", "&amp;")


def is_usable(name):
    # Nobody can tell a group called "Participant" from a participant without a name.
    if folded(name) in ("participant", "участник"):
        return False
    return bool(filed(name).strip(" .")) and filed(name).strip() == filed(name)


NAMES = PLAIN.filter(is_usable)


def variants(name):
    """Return names that differ from `name` in case, spaces or composition, and it."""
    return [
        name,
        name.swapcase(),
        f"{name} {name}",
        f"{name}  {name}",
        name + "+",
        name + "#",
        unicodedata.normalize("NFD", name + "й"),
        unicodedata.normalize("NFC", name + "й"),
        name + "И",
    ]


@st.composite
def courses(draw):
    """Draw groups with their members: names alike on purpose, numbers that overlap."""
    base = draw(NAMES)
    pool = st.one_of(NAMES, st.sampled_from([v for v in variants(base) if is_usable(v)]))
    # Two groups of one name after Moodle's own cleaning cannot be told apart by anybody.
    groups = draw(st.lists(pool, min_size=1, max_size=4, unique_by=lambda g: key(escaped(g))))
    names = [*groups, DEFAULT] if draw(st.booleans()) else groups
    numbers = draw(st.lists(st.integers(1, 30), min_size=len(groups), max_size=4, unique=True))
    people = draw(st.lists(NAMES, min_size=len(names), max_size=8))
    ids = draw(st.lists(st.integers(1, 30), min_size=8, max_size=8, unique=True))
    members = [
        (str(number), person, names[at % len(names)])
        for at, (number, person) in enumerate(zip(ids, people, strict=False))
    ]
    named = dict(zip(map(str, numbers), groups, strict=False))
    # Nobody can tell a group from a participant of its name and number.
    assume(all(folded(named.get(number, "")) != folded(person) for number, person, _ in members))
    return dict(zip(groups, map(str, numbers), strict=False)), members


def key(name):
    return " ".join(unicodedata.normalize("NFC", filed(name)).split())


def write_zip(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return path


def worksheet(members):
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEADER)
    for number, person, group in members:
        writer.writerow([f"Participant {number}", person, "", group, "", "20.00", "-", ""])
    return parse_sheet(buffer.getvalue().encode(), "Grades.csv")


def sources(found):
    return {
        one.name: read_handed(one.path, one.members, name=one.name).cells[0].source
        for one in found.submissions
    }


def grades(found, points):
    """Return a grade for each submission; `points` by what its first cell holds."""
    origins = {one.name: one.origin for one in found.submissions}
    return [Grade(n, origins[n], points[text], 2000) for n, text in sources(found).items()]


@given(course=courses(), form=st.sampled_from(["/", "_/", "_"]))
def test_a_teams_grade_goes_to_its_members_rows_and_to_no_other(tmp_path_factory, course, form):
    groups, members = course
    prefixes = {group: f"{escaped(group)}_{number}" for group, number in groups.items()}
    prefixes[DEFAULT] = DEFAULT
    used = sorted({group for *_, group in members})
    texts = {group: f"x = {at}" for at, group in enumerate(used)}
    path = write_zip(
        tmp_path_factory.mktemp("teams") / "x.zip",
        {
            f"{cleaned(prefixes[group])}_assignsubmission_file{form}hw.py": text
            for group, text in texts.items()
        },
    )
    found = find_handed_in([path])
    assert sorted(sources(found).values()) == sorted(texts.values())
    points = {text: 100 * at + 25 for at, text in enumerate(texts.values())}
    filled = fill_worksheet(worksheet(members), grades(found, points))
    read = parse_sheet(filled.sheet.encode(), "x.csv")
    assert [row[4] for row in read.rows] == [
        f"{points[texts[group]] / 100:.2f}" for *_, group in members
    ]
    assert filled.unlisted == []


def cleaned(prefix):
    """Return the prefix as Moodle cleans it, number included."""
    name, underscore, number = prefix.rpartition("_")
    return f"{filed(name)}_{number}" if underscore else filed(prefix)


@given(course=courses())
def test_before_moodle_4_1_each_member_has_a_copy_under_both_names(tmp_path_factory, course):
    _, members = course
    path = write_zip(
        tmp_path_factory.mktemp("copies") / "x.zip",
        {
            f"{filed(f'{group}-{person}')}_{number}_assignsubmission_file_/hw.py": f"x = {number}"
            for number, person, group in members
        },
    )
    points = {f"x = {number}": 10 * int(number) for number, *_ in members}
    filled = fill_worksheet(worksheet(members), grades(find_handed_in([path]), points))
    assert [row[4] for row in filled.sheet.rows] == [
        f"{int(number) / 10:.2f}" for number, *_ in members
    ]


def test_groups_are_told_apart_by_more_than_their_letters():
    members = [
        ("1", "A", "C++"),
        ("2", "B", "C#"),
        ("3", "C", ""),
        ("4", "D", "🔥"),
        ("5", "E", "💧"),
    ]
    found = [("C++", "11"), ("C#", "12"), ("🔥", "13")]
    filled = fill_worksheet(worksheet(members), [team(*one, points=int(one[1])) for one in found])
    assert [row[4] for row in filled.sheet.rows] == ["0.11", "0.12", "", "0.13", ""]


def team(name, number, points=100):
    found = claim(f"{filed(name)}_{number}_assignsubmission_file/a.py")
    return Grade(name, found.origin, points, 2000)


def test_a_group_with_the_number_of_one_of_its_members_goes_to_all_of_them():
    members = [("7", "A", "Blue"), ("8", "B", "Blue"), ("9", "C", "")]
    filled = fill_worksheet(worksheet(members), [team("Blue", "7")])
    assert [row[4] for row in filled.sheet.rows] == ["1.00", "1.00", ""]
    filled = fill_worksheet(worksheet([("7", "A", "🔥"), ("8", "B", "🔥")]), [team("🔥", "7")])
    assert [row[4] for row in filled.sheet.rows] == ["1.00", "1.00"]


def test_groups_that_a_file_name_cannot_tell_apart_get_no_grade():
    members = [("1", "A", "a/b"), ("2", "B", "ab"), ("3", "C", "c")]
    filled = fill_worksheet(worksheet(members), [team("ab", "1"), team("c", "2")])
    assert [row[4] for row in filled.sheet.rows] == ["", "", "1.00"]
    assert filled.unlisted == ["ab"]


# ------------------------------------------------------------------ rosters


@given(course=courses(), missing=st.integers(0, 3))
def test_whoever_is_in_a_group_that_handed_in_is_not_absent(tmp_path_factory, course, missing):
    groups, members = course
    prefixes = {group: f"{escaped(group)}_{number}" for group, number in groups.items()}
    prefixes[DEFAULT] = DEFAULT
    used = sorted({group for *_, group in members})
    handed = used[: max(1, len(used) - missing)]
    path = write_zip(
        tmp_path_factory.mktemp("roster") / "x.zip",
        {f"{cleaned(prefixes[one])}_assignsubmission_file/hw.py": "x = 1" for one in handed},
    )
    found = attend(read_roster(worksheet(members)), find_handed_in([path]).submissions)
    assert found.absent == [person for _, person, group in members if group not in handed]
    assert found.strangers == []


# ------------------------------------------------------------------ Canvas


@given(
    names=st.lists(NAMES, min_size=1, max_size=4),
    ids=st.lists(st.integers(1, 10**6), min_size=8, max_size=8, unique=True),
    late=st.booleans(),
)
def test_a_canvas_group_goes_to_the_row_of_who_stands_for_it(tmp_path_factory, names, ids, late):
    def stem(name, number):
        name = re.sub(r"_(\d+)_", r"\1", name).lower()
        return re.sub(r"[^\w]", "", "_".join(filter(None, [name, "LATE" * late, str(number)])))

    names = [name for name in names if re.sub(r"[^\w]|_", "", name)]
    people = list(zip(names, ids, strict=False))
    # A name that ends in somebody's number has a test of its own.
    ends = [re.search(r"(?:^|_)(\d+)$", stem(name, 0)[:-2]) for name in names]
    assume(not any(end and int(end[1]) in ids for end in ends))
    path = write_zip(
        tmp_path_factory.mktemp("canvas") / "hw_submissions.zip",
        {f"{stem(name, at)}_{10**7 + at}_hw.py": f"x = {at}" for name, at in people},
    )
    if not people:
        return
    found = find_handed_in([path])
    assert all(one.origin.late is late for one in found.submissions)
    head = "Student,ID,SIS Login ID,Section,HW (1)\n    Points Possible,,,,20\n"
    rows = "".join(f'"Member, {at}",{at},,,\n' for at in sorted(ids))
    points = {f"x = {at}": at % 2000 for _, at in people}
    sheet = parse_sheet((head + rows).encode(), "g.csv")
    filled = fill_gradebook(sheet, grades(found, points))
    expected = {str(at): f"{(at % 2000) / 100:.2f}" for _, at in people}
    assert {row[1]: row[4] for row in filled.sheet.rows if row[1] and row[4]} == expected


@pytest.mark.parametrize("file", ["hw.py", "1_hw.py"])
def test_canvas_groups_whose_names_end_in_a_number_are_not_taken_for_each_other(tmp_path, file):
    people = {"lab1_1": 55, "lab2_1": 56, "anna": 1, "team_9": 58}
    path = write_zip(
        tmp_path / "hw_submissions.zip",
        {f"{name}_{at}_{700 + at}_{file}": f"x = {at}" for name, at in people.items()},
    )
    found = find_handed_in([path])
    assert len(set(sources(found).values())) == len(people)
    head = "Student,ID,SIS Login ID,Section,HW (1)\n    Points Possible,,,,20\n"
    rows = "Anna,1,,,\n" + "".join(f'"Member, {at}",{at},,,\n' for at in (55, 56, 57, 58))
    points = {f"x = {at}": at for at in people.values()}
    filled = fill_gradebook(parse_sheet((head + rows).encode(), "g.csv"), grades(found, points))
    given = {row[1]: row[4] for row in filled.sheet.rows if row[1]}
    wanted = {str(at): f"{at / 100:.2f}" for at in people.values()} | {"57": ""}
    # Where both numbers are somebody's, nobody gets the grade of a stranger.
    assert all(given[at] in ("", wanted[at]) for at in given)
    assert given["58"] == wanted["58"]
    assert given["1"] == wanted["1"]


# ------------------------------------------------------------------ Gradescope


def metadata(groups):
    """Return the metadata of an export; JSON is YAML."""
    return json.dumps(
        {
            f"submission_{number}": {
                ":submitters": [
                    {":name": name, ":sid": sid, ":email": f"{sid}@x.edu"} for name, sid in members
                ]
            }
            for number, members in groups.items()
        },
        ensure_ascii=False,
    )


@given(
    names=st.lists(NAMES, min_size=2, max_size=8),
    size=st.integers(1, 3),
    number=st.integers(1, 10**6),
)
def test_every_submitter_of_a_gradescope_group_is_known(tmp_path_factory, names, size, number):
    people = [(name, f"s{at}") for at, name in enumerate(names)]
    groups = {
        str(number + at): people[at * size : (at + 1) * size]
        for at in range((len(people) + size - 1) // size)
    }
    folder = "assignment_9_export"
    entries = {f"{folder}/submission_{one}/hw.py": f"x = {one}" for one in groups}
    entries[f"{folder}/submission_metadata.yml"] = metadata(groups)
    found = find_handed_in([write_zip(tmp_path_factory.mktemp("gs") / "x.zip", entries)])
    assert found.unclaimed == []
    known = {
        one.origin.id: [(student.name, student.id) for student in one.origin.students]
        for one in found.submissions
    }
    assert known == groups
    assert set(sources(found).values()) == {f"x = {one}" for one in groups}
    table = "name,sid\n" + "".join(f'"{sid}",{sid}\n' for _, sid in people) + "gone,s99\n"
    attendance = attend(read_roster(parse_sheet(table.encode(), "r.csv")), found.submissions)
    assert (attendance.absent, attendance.strangers) == (["gone"], [])


@pytest.mark.parametrize("known", [True, False])
def test_a_later_export_of_gradescope_has_later_attempts(tmp_path, known):
    sid = "s1" if known else None
    paths = []
    for number in ("11", "12"):
        entries = {
            "submission_metadata.yml": metadata({number: [("Ada", sid), ("Bob", "s2")]}).replace(
                '"None@x.edu"', "null"
            ),
            f"submission_{number}/hw.py": f"x = {number}",
        }
        paths.append(write_zip(tmp_path / f"{number}.zip", entries))
    found = find_handed_in(paths)
    assert sorted(sources(found).values()) == (["x = 12"] if known else ["x = 11", "x = 12"])
