"""Tests of grader.reports.clean and the tables that use it."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grader.reports.clean import clean, clean_line, csv_cell, read_csv_cell
from grader.reports.csv import render_csv


@given(text=st.text(alphabet=st.characters(categories=("L", "N", "P", "S")), max_size=200))
def test_ordinary_text_stays_as_it_is(text):
    assert clean(text) == text


@given(text=st.text(max_size=400))
def test_nothing_that_moves_a_cursor_or_turns_the_writing_is_left(text):
    cleaned = clean(f"\x1b[31m{text}\u202e\x1b]0;title\x07\x9b2J")
    assert not any(ord(c) < 32 and c not in "\n\t" for c in cleaned)
    assert not any(c in cleaned for c in "\x1b\x9b\x7f\u202e\u2066\u200b\ufeff")
    cleaned.encode()


@given(text=st.text(max_size=300))
def test_cleaning_twice_changes_nothing(text):
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize("size", [100, 10_000, 1_000_000])
def test_long_text_is_cut_and_keeps_both_ends(size):
    cut = clean("a" + "b" * size + "c", most=60)
    assert len(cut) <= 60
    assert cut[0] == "a"
    assert cut[-1] == "c"


@given(text=st.text(max_size=100))
def test_one_line_is_one_line(text):
    assert len(clean_line(text).splitlines()) <= 1


@given(start=st.sampled_from("=+-@\t\r"), rest=st.text(max_size=30))
def test_no_cell_starts_a_formula(start, rest):
    cell = csv_cell(start + rest)
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))


@given(
    rows=st.lists(
        st.lists(st.text(st.characters(exclude_categories=("C",))), min_size=2, max_size=2)
    )
)
def test_a_table_reads_back_as_it_was_written(rows):
    text = render_csv(["a", "b"], rows).decode()
    read = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert read == [["a", "b"], *rows]


@example(text="'=x")
@given(text=st.text(st.one_of(st.characters(), st.sampled_from("'=+-@ \t")), max_size=20))
def test_a_cell_reads_back_as_the_text_it_was_made_of(text):
    assert read_csv_cell(csv_cell(text)) == clean(text, most=2000)
