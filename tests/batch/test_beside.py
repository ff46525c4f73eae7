"""What a batch leaves in its folder beside each submission's files."""

from hypothesis import given
from hypothesis import strategies as st

from grader.batch.pages import _beside
from grader.gradebook import Gradebook
from grader.model import Report

NAMES = st.sets(st.text(st.sampled_from("aбA_é\U0001f600 "), min_size=1, max_size=3), max_size=9)


def report(name, points=0):
    return Report(
        assignment="a",
        submission=name,
        card="",
        profile="",
        seconds=float(points),
        tasks=[],
        cells=[],
    )


@given(now=NAMES, before=NAMES)
def test_each_report_stands_beside_that_of_the_same_name_in_the_previous_run(
    now, before, tmp_path_factory
):
    path = tmp_path_factory.mktemp("book") / "gradebook.db"
    with Gradebook(path) as book:
        first = book.begin_run("a", "1")
        for name in before:
            book.add_result(first, report(name, 1), key=f"1{name}", source="p")
        book.end_run(first, before)
        run = book.begin_run("a", "2")
        for name in now:
            book.add_result(run, report(name, 2), key=f"2{name}", source="p")
        found = [
            (one.submission, one.seconds, None if old is None else (old.submission, old.seconds))
            for one, old in _beside(book, run, first)
        ]
        alone = list(_beside(book, run, None))
    expected = [(name, 2.0, (name, 1.0) if name in before else None) for name in sorted(now)]
    assert found == expected
    assert [old for _, old in alone] == [None] * len(now)
