"""Tests of grader.lms.roster and grader.lateness."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.batch.handing import origins_of
from grader.intake import Refused
from grader.lateness import apply_policy, read_time
from grader.lms.layout import Handed
from grader.lms.origin import Origin, Student
from grader.lms.roster import NOBODY_ABSENT, Attendance, attend, read_roster
from grader.lms.sheets import parse_sheet
from grader.model import CheckResult, Outcome, Policy, Report, TaskResult

UTC = datetime.UTC
DUE = datetime.datetime(2026, 11, 1, 12, tzinfo=UTC)


def handed(name, path, **origin):
    return Handed(name, path, Origin(system="moodle", **origin))


@pytest.mark.parametrize(
    "table",
    [
        "Identifier,Full name\nParticipant 101,Иванова Анна\nParticipant 102,Petrov\n",
        "Полное имя\nиванова  АННА\nPetrov\n",
        "First name;Last name\nАнна;Иванова\nP;Petrov\n",
        "name,email\nсовсем другое,a@x.edu\nPetrov,\n",
    ],
)
def test_whoever_is_on_the_roster_and_handed_in_nothing_is_named(tmp_path, table):
    one = handed(
        "Иванова Анна",
        tmp_path,
        id="101",
        label="Иванова Анна",
        students=[Student(email="a@x.edu")],
    )
    stranger = handed("Nobody", tmp_path, id="7", label="Nobody")
    found = attend(read_roster(parse_sheet(table.encode(), "roster.csv")), [one, stranger])
    assert len(found.absent) == 1
    assert "102" in found.absent[0] or "Petrov" in found.absent[0]
    assert found.strangers == ["Nobody"]


def test_namesakes_are_told_apart_by_number_and_numbers_by_name(tmp_path):
    table = "id,name,group\n7,Li Wei,\n8,Li Wei,\n9,Anna,Blue\n10,Bob,Blue\n11,Eve,🔥\n12,Ira,\n"
    people = read_roster(parse_sheet(table.encode(), "roster.csv"))
    found = attend(people, [handed("Li Wei 8", tmp_path, id="8", label="Li Wei")])
    assert found.absent == ["Li Wei", "Anna", "Bob", "Eve", "Ira"]
    # The group has the number of a participant who is not in it.
    found = attend(people, [handed("Blue", tmp_path, id="7", label="Blue")])
    assert found.absent == ["Li Wei", "Li Wei", "Eve", "Ira"]
    found = attend(people, [handed("🔥", tmp_path, id="12", label="🔥")])
    assert found.absent == ["Li Wei", "Li Wei", "Anna", "Bob", "Ira"]


@pytest.mark.parametrize("table", ["id\n0012\n", "login,id\n0012,x\n", "sid\n0012\n"])
def test_a_folder_may_be_called_by_a_number_of_the_roster(tmp_path, table):
    table = table.replace("login", "SIS Login ID")
    people = read_roster(parse_sheet(table.encode(), "roster.csv"))
    one = Handed("0012", tmp_path, Origin(system="folder", label="0012"))
    assert attend(people, [one]) == Attendance([], [], {})


def test_a_number_of_gradescopes_submission_is_nobodys_number(tmp_path):
    people = read_roster(parse_sheet(b"id,name\n11,Anna\n12,Bob\n", "roster.csv"))
    origin = Origin(system="gradescope", id="11", label="Bob", students=[Student(name="Bob")])
    assert attend(people, [Handed("Bob", tmp_path, origin)]).absent == ["Anna"]


def test_only_students_of_a_canvas_gradebook_are_absent(tmp_path):
    table = (
        "Student,ID,SIS Login ID,Section,HW (55)\n    Points Possible,,,,20\n"
        '"Ivanova, Anna",12,anna,A,\n"Petrov, P",13,petrov,A,\n"Student, Test",99,,A,\n'
    )
    one = Handed("ivanovaanna", tmp_path, Origin(system="canvas", id="12", label="ivanovaanna"))
    found = attend(read_roster(parse_sheet(table.encode(), "g.csv")), [one])
    assert (found.absent, found.strangers) == (["Petrov, P"], [])


def test_a_roster_may_name_several_groups_of_a_person(tmp_path):
    table = 'Full name,Groups\nA,"Lab 1, Team Blue"\nB,"Team, Blue"\nC,Team Blue\nD,Lab 1\n'
    people = read_roster(parse_sheet(table.encode(), "roster.csv"))
    found = attend(people, [handed("Team Blue", tmp_path, id="7", label="Team Blue")])
    assert found.absent == ["B", "D"]
    found = attend(people, [handed("Team, Blue", tmp_path, id="8", label="Team, Blue")])
    assert found.absent == ["A", "C", "D"]


def test_a_roster_gives_times(tmp_path):
    sheet = parse_sheet(b"name,submitted\nAnna,02.11.2026 10:00\n", "roster.csv")
    found = attend(read_roster(sheet), [handed("Anna", tmp_path, label="Anna")])
    assert found.submitted == {"Anna": "02.11.2026 10:00"}


def test_a_table_without_anybody_is_no_roster():
    with pytest.raises(Refused) as caught:
        read_roster(parse_sheet(b"height,weight\n1,2\n", "roster.csv"))
    assert caught.value.code == "sheet.no-column"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2015-02-02 14:58:23.948203 America/Los_Angeles", (2015, 2, 2, 22, 58, 23)),
        ("2022-06-25 13:16:26 -0600", (2022, 6, 25, 19, 16, 26)),
        ("2022-06-25T13:16:26.100Z", (2022, 6, 25, 13, 16, 26)),
        ("2026-11-01 10:00:00 UTC", (2026, 11, 1, 10, 0, 0)),
        ("1.11.2026 10:00", (2026, 11, 1, 10, 0, 0)),
        ("2026-11-01", (2026, 11, 1, 0, 0, 0)),
    ],
)
def test_times_are_read_as_systems_write_them(text, time):
    found = read_time(text, UTC)
    assert found is not None
    assert found.astimezone(UTC).replace(microsecond=0) == datetime.datetime(*time, tzinfo=UTC)


@given(text=st.text(max_size=40))
def test_a_time_in_no_known_form_is_none(text):
    found = read_time(text, UTC)
    assert found is None or found.tzinfo is not None


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-11-01 10:00 Mars/Base", ""])
def test_what_is_no_time_takes_nothing(text):
    policy = Policy(due=DUE)
    assert apply_policy(report(1000), policy, text).points == 1000


def report(earned):
    check = CheckResult(id="c", outcome=Outcome.PASSED, points=earned, possible=2000, code="x")
    task = TaskResult(id="t", outcome=Outcome.PASSED, points=earned, possible=2000, checks=[check])
    return Report(
        assignment="a", submission="s", card="", profile="", seconds=0.0, tasks=[task], cells=[]
    )


@pytest.mark.parametrize(
    ("minutes", "days", "percent"),
    [
        (0, 0, 0),
        (-60, 0, 0),
        (1, 1, 0),
        (1440, 1, 0),
        (1441, 2, 10),
        (2881, 3, 20),
        (99999, 70, 50),
    ],
)
def test_free_days_come_first_and_the_most_is_kept(minutes, days, percent):
    policy = Policy(due=DUE, late_days=1, percent_a_day=10, percent_most=50)
    time = (DUE + datetime.timedelta(minutes=minutes)).isoformat()
    late = apply_policy(report(1000), policy, time).late
    assert (late.days, late.percent) == (days, percent) if late else days == 0
    assert apply_policy(report(1000), policy, time).points == 1000 - 10 * percent


@given(
    earned=st.integers(0, 2000),
    hours=st.integers(-100, 10_000),
    a_day=st.integers(0, 100),
    most=st.integers(0, 100),
)
def test_a_penalty_never_takes_more_than_its_share_of_what_was_earned(earned, hours, a_day, most):
    policy = Policy(due=DUE, percent_a_day=a_day, percent_most=most)
    time = (DUE + datetime.timedelta(hours=hours)).isoformat()
    after = apply_policy(report(earned), policy, time)
    assert 0 <= earned - after.points <= earned * most / 100
    assert hours > 0 or after.points == earned


@pytest.mark.parametrize(
    "wrong",
    [
        {"due": datetime.datetime(2026, 11, 1)},  # noqa: DTZ001  # that is the mistake
        {"due": DUE, "late_days": -1},
        {"due": DUE, "percent_a_day": 101},
        {"due": DUE, "percent_most": -1},
    ],
)
def test_a_policy_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match=r"due|late_days|percent"):
        Policy(**wrong)


def origins(handed_in, attendance, known):
    return dict(origins_of(handed_in, attendance, known.get))


def test_a_time_that_a_roster_gave_stays_when_grading_again_without_it(tmp_path):
    one = handed("Anna", tmp_path, id="1", label="Anna")
    first = origins([one], Attendance([], [], {"Anna": "2026-11-02"}), {})
    assert first["Anna"].submitted == "2026-11-02"
    assert origins([one], NOBODY_ABSENT, first) == first
    other = handed("Anna", tmp_path, id="2", label="Anna")
    assert origins([other], NOBODY_ABSENT, first)["Anna"].submitted == ""
    again = origins([one], Attendance([], [], {"Anna": "2026-11-03"}), first)
    assert again["Anna"].submitted == "2026-11-03"
