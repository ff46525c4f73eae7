"""Tests of grader.lms.sheets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.intake import Refused
from grader.lms.sheets import parse_sheet

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=5),
    delimiter=st.sampled_from(",;\t"),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe"]),
)
def test_a_sheet_is_written_as_it_was_read(rows, delimiter, mark):
    def quoted(cell):
        return '"' + cell.replace('"', '""') + '"'

    lines = [delimiter.join(map(quoted, row)) for row in [["Identifier", "Grade", "x"], *rows]]
    text = "".join(line + "\r\n" for line in lines)
    encoding = "utf-16-le" if mark == b"\xff\xfe" else "utf-8"
    sheet = parse_sheet(mark + text.encode(encoding), "sheet.csv")
    filled = [tuple(row) for row in rows if any(cell.strip() for cell in row)]
    assert list(sheet.rows) == filled
    again = parse_sheet(sheet.encode(), "sheet.csv")
    assert again == sheet or [again.header, again.rows] == [sheet.header, sheet.rows]
    assert (again.mark, again.delimiter, again.encoding) == (mark, delimiter, encoding)


def test_a_sheet_of_russian_windows_is_read():
    data = "Идентификатор;Оценка\r\nУчастник 12;1,5\r\n".encode("cp1251")
    sheet = parse_sheet(data, "sheet.csv")
    assert sheet.header == ("Идентификатор", "Оценка")
    assert sheet.encode() == data


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "sheet.empty"),
        (b"a,b\r\n1,2,3\r\n", "sheet.ragged"),
        (b'a,b\r\n"1,2\r\n', "sheet.broken"),
        (b"\xff\xfea", "sheet.not-text"),
        (b"a\0b,c\r\n", "sheet.not-text"),
    ],
)
def test_what_is_no_table_is_refused(data, code):
    with pytest.raises(Refused) as caught:
        parse_sheet(data, "sheet.csv")
    assert caught.value.code == code


def test_the_row_that_is_wrong_is_named_as_a_spreadsheet_counts():
    with pytest.raises(Refused) as caught:
        parse_sheet(b"a,b\r\n1,2\r\n\r\n3,4,5\r\n", "sheet.csv")
    assert caught.value.values["row"] == "4"


@given(
    count=st.integers(1, 40),
    filled=st.dictionaries(
        st.integers(0, 39), st.tuples(st.just("1,5"), st.sampled_from(["", "x"]))
    ),
    stray=st.integers(0, 2),
)
def test_what_excel_drops_and_adds_at_the_end_of_rows_changes_nothing(count, filled, stray):
    """Excel saves rows in blocks of 16, each as wide as what is filled in it."""
    rows = [["anna", f"task{at}", *filled.get(at, ("", ""))] for at in range(count)]
    table = [["submission", "task", "points", "comment"], *rows]
    lines = []
    for start in range(0, len(table), 16):
        block = table[start : start + 16]
        width = max((at for row in block for at, cell in enumerate(row, 1) if cell), default=0)
        empty = [""] * (stray if start else 0)
        lines += [";".join([*row[:width], *empty]) for row in block]
    text = "".join(line + "\r\n" for line in lines)
    assert list(parse_sheet(text.encode(), "review.csv").rows) == [tuple(row) for row in rows]
