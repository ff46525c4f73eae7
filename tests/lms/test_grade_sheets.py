"""Tests of the sheets that take grades: Moodle's worksheet and Canvas's gradebook."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.intake import Refused
from grader.lms.canvas_sheet import fill_gradebook
from grader.lms.grades import Grade
from grader.lms.moodle import claim
from grader.lms.moodle_sheet import fill_worksheet
from grader.lms.origin import Origin
from grader.lms.sheets import parse_sheet

ENGLISH = (
    "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
    "Last modified (submission),Last modified (grade),Feedback comments\r\n"
)
RUSSIAN = (
    "Идентификатор,Полное имя,Состояние,Оценка,Максимальная оценка,"
    "Оценка может быть изменена,Последнее изменение (оценка)\r\n"
)


def moodle(number, name, points=1250):
    return Grade(name, Origin(system="moodle", id=number, label=name), points, 2000)


def english(*rows):
    return parse_sheet((ENGLISH + "".join(f"{row}\r\n" for row in rows)).encode(), "Grades.csv")


def anna(grade="", maximum="20.00", changeable="Yes", modified="-"):
    return (
        f"Participant 101,Иванова Анна,a@x.edu,Submitted,{grade},{maximum},{changeable},"
        f'"Monday, 2 November 2026, 11:05 PM",{modified},'
    )


OTHER = 'Participant 102,"=cmd()",b@x.edu,"No submission",,20.00,Yes,-,-,"said ""well"""'


def test_a_worksheet_reads_back_with_the_grade_and_nothing_else_changed():
    sheet = english(anna(), OTHER)
    filled = fill_worksheet(sheet, [moodle("101", "Иванова Анна")])
    read = parse_sheet(filled.sheet.encode(), "Grades.csv")
    grade = sheet.column("Grade")
    assert [row[grade] for row in read.rows] == ["12.50", ""]
    for before, after in zip(sheet.rows, read.rows, strict=True):
        assert before[:grade] + before[grade + 1 :] == after[:grade] + after[grade + 1 :]
    assert filled.rows == {"Иванова Анна": [("101", "Иванова Анна")]}


def test_a_russian_worksheet_is_filled_with_commas():
    text = RUSSIAN + 'Участник101,Иванова Анна,Ответ,,"20,00",Да,-\r\n'
    filled = fill_worksheet(
        parse_sheet(text.encode(), "Оценки.csv"), [moodle("101", "Иванова Анна")]
    )
    assert filled.sheet.rows[0][3] == "12,50"


@given(names=st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=5, unique=True))
def test_every_student_gets_their_own_grade_whatever_the_names(names):
    quoted = ['"' + name.replace('"', '""').replace("\0", "") + '"' for name in names]
    rows = [f"Participant {100 + at},{name},,,,20.00,Yes,-,-," for at, name in enumerate(quoted)]
    sheet = english(*rows)
    grades = [
        moodle(str(100 + at), row[1], points=at) for at, row in enumerate(sheet.rows) if row[1]
    ]
    if not grades:
        return
    filled = fill_worksheet(sheet, grades)
    read = parse_sheet(filled.sheet.encode(), "x")
    assert [row[4] for row in read.rows if row[1]] == [f"{g.points / 100:.2f}" for g in grades]


def test_a_number_alone_is_nobody_since_groups_have_numbers_too():
    sheet = english(anna(), "Participant 7,Petrov,,,,20.00,Yes,-,-,")
    filled = fill_worksheet(sheet, [moodle("101", "Иванова Анна"), moodle("7", "Team Blue")])
    assert filled.unlisted == ["Team Blue"]
    assert filled.sheet.rows[1][4] == ""


def test_a_groups_grade_goes_to_each_of_its_members():
    text = (
        "Identifier,Full name,Status,Group,Grade,Maximum Grade,Last modified (grade)\n"
        "Participant 1,A,,Team Blue,,20.00,-\nParticipant 2,B,,Team Red,,20.00,-\n"
        "Participant 3,C,,Team Blue,,20.00,-\n"
    )
    filled = fill_worksheet(parse_sheet(text.encode(), "x.csv"), [moodle("2", "Team Blue")])
    assert [row[4] for row in filled.sheet.rows] == ["12.50", "", "12.50"]
    assert filled.rows == {"Team Blue": [("1", "A"), ("3", "C")]}


def test_an_anonymous_worksheet_is_filled_by_number():
    text = "Identifier,Status,Grade,Maximum Grade,Last modified (grade)\nParticipant 5,,,20.00,-\n"
    filled = fill_worksheet(parse_sheet(text.encode(), "x.csv"), [moodle("5", "Participant 5")])
    assert filled.sheet.rows[0][2] == "12.50"


@pytest.mark.parametrize("word", ["Participant", "участник"])
def test_who_was_anonymous_is_found_by_number_when_names_are_revealed(word):
    filled = fill_worksheet(english(anna()), [moodle("101", f"{word} 101")])
    assert filled.sheet.rows[0][4] == "12.50"


@pytest.mark.parametrize("name", ["Participant", "Blue-Participant"])
def test_anonymous_members_of_groups_are_found_by_number(name):
    text = (
        "Identifier,Status,Group,Grade,Maximum Grade,Last modified (grade)\n"
        "Participant 5,,Blue,,20.00,-\nParticipant 6,,Blue,,20.00,-\n"
    )
    found = claim(f"{name}_5_assignsubmission_file_/a.py")
    filled = fill_worksheet(
        parse_sheet(text.encode(), "x.csv"), [Grade("x", found.origin, 1250, 2000)]
    )
    assert [row[3] for row in filled.sheet.rows] == ["12.50", ""]


def test_two_submissions_never_fill_one_row():
    text = (
        "Identifier,Full name,Group,Grade,Maximum Grade,Last modified (grade)\n"
        "Participant 1,A,Blue,,20.00,-\nParticipant 2,B,Red,,20.00,-\n"
    )
    grades = [moodle("7", "Blue"), moodle("8", "Blue", points=1), moodle("9", "Red")]
    filled = fill_worksheet(parse_sheet(text.encode(), "x.csv"), grades)
    assert [row[3] for row in filled.sheet.rows] == ["", "12.50"]
    assert filled.unlisted == ["Blue", "Blue"]


@pytest.mark.parametrize("encoding", ["cp1251", "utf-8", "utf-16"])
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_moodle_gets_commas_and_utf_8_whatever_a_spreadsheet_saved(encoding, delimiter):
    text = RUSSIAN.replace(",", delimiter)
    text += delimiter.join(["Участник101", "Иванова, Анна", "Ответ", "", "20,00", "Да", "-"])
    sheet = parse_sheet(text.encode(encoding), "Оценки.csv")
    filled = fill_worksheet(sheet, [moodle("101", "Иванова, Анна")])
    lines = filled.sheet.encode().decode("utf-8").splitlines()
    assert lines[0] == RUSSIAN.strip()
    assert lines[1] == 'Участник101,"Иванова, Анна",Ответ,"12,50","20,00",Да,-'


def test_a_locked_row_stays_as_it_is():
    modified = '"Monday, 2 November 2026"'
    sheet = english(anna(grade="3.00", changeable="No", modified=modified))
    filled = fill_worksheet(sheet, [moodle("101", "Иванова Анна")])
    assert filled.sheet.rows == sheet.rows
    assert filled.locked == ["Иванова Анна"]


def test_a_grade_that_the_site_gave_is_replaced():
    sheet = english(anna(grade="3.00", modified='"Monday, 2 November 2026"'))
    filled = fill_worksheet(sheet, [moodle("101", "Иванова Анна")])
    assert filled.sheet.rows[0][4] == "12.50"


def test_points_are_converted_only_when_that_is_asked_for():
    sheet = english(anna(maximum="100.00"))
    with pytest.raises(Refused) as caught:
        fill_worksheet(sheet, [moodle("101", "Иванова Анна")])
    assert caught.value.code == "sheet.other-maximum"
    filled = fill_worksheet(sheet, [moodle("101", "Иванова Анна")], scale=True)
    assert filled.sheet.rows[0][4] == "62.50"


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([anna(grade="3.00")], "sheet.changed"),
        ([anna(), anna()], "sheet.no-identifier"),
        (["1.01E+05,Иванова Анна,,,,20.00,Yes,-,-,"], "sheet.no-identifier"),
        (["Participant 999,Somebody,,,,20.00,Yes,-,-,"], "sheet.other-assignment"),
        (["Participant 101,Somebody Else,,,,20.00,Yes,-,-,"], "sheet.other-assignment"),
        ([anna(maximum="twenty")], "sheet.no-maximum"),
        ([anna(), 'Participant 102,B,,,дек.50,20.00,Yes,-,"2 November",'], "sheet.no-maximum"),
    ],
)
def test_a_worksheet_that_cannot_be_trusted_is_refused(rows, code):
    with pytest.raises(Refused) as caught:
        fill_worksheet(english(*rows), [moodle("101", "Иванова Анна")])
    assert caught.value.code == code


# ------------------------------------------------------------------ Canvas


CANVAS = (
    "Student,ID,SIS Login ID,Section,Homework 1 (55),Homework 2 (56),Current Score (read only)\n"
    "    Points Possible,,,,20,10,(read only)\n"
    '"Иванова, Анна",12,anna,A,,3,50\n'
    '"=Petrov, P",13,petrov,A,EX,,\n'
    '"Student, Test",,,A,,,\n'
)


def canvas(number, points=1250):
    return Grade(f"s{number}", Origin(system="canvas", id=number), points, 2000)


def test_canvass_gradebook_reads_back_with_the_grade_and_nothing_else_changed():
    sheet = parse_sheet(CANVAS.encode(), "gradebook.csv")
    filled = fill_gradebook(sheet, [canvas("12"), canvas("13"), canvas("99")], column="55")
    read = parse_sheet(filled.sheet.encode(), "gradebook.csv")
    assert [row[4] for row in read.rows] == ["20", "12.50", "EX", ""]
    assert [row[:4] + row[5:] for row in read.rows] == [r[:4] + r[5:] for r in sheet.rows]
    assert (filled.locked, filled.unlisted) == (["s13"], ["s99"])


@pytest.mark.parametrize(
    ("change", "column", "code"),
    [
        (("", ""), "", "sheet.which-assignment"),
        (("", ""), "57", "sheet.which-assignment"),
        (("", ""), "Homework 2 (56)", "sheet.other-maximum"),
        ((",12,", ",1.2E+01,"), "55", "sheet.no-identifier"),
        ((",13,", ",12,"), "55", "sheet.no-identifier"),
        (("    Points Possible,", "nobody,"), "55", "sheet.no-row"),
        ((",12,", ",77,"), "55", "sheet.other-assignment"),
        (("Student,", "Pupil,"), "55", "sheet.no-column"),
    ],
)
def test_a_gradebook_that_cannot_be_trusted_is_refused(change, column, code):
    sheet = parse_sheet(CANVAS.replace(*change, 1).encode(), "gradebook.csv")
    with pytest.raises(Refused) as caught:
        fill_gradebook(sheet, [canvas("12")], column=column)
    assert caught.value.code == code


def test_grades_of_anonymous_submissions_are_refused_in_words():
    sheet = parse_sheet(CANVAS.encode(), "gradebook.csv")
    with pytest.raises(Refused) as caught:
        fill_gradebook(sheet, [canvas("anon_Ab3dE"), canvas("anon_Xy9")], column="55")
    assert caught.value.code == "sheet.anonymous"
