"""The class page as plain values: what needs the instructor, and in which words."""

import dataclasses
import tracemalloc

import pytest

from grader.messages import LANGUAGES, message
from grader.model import CellResult, Outcome, Report
from grader.reports.html import ClassPage
from grader.reports.summary import summarize
from tests.reports.classes import FACTS, draw_class, view


def report_of(name, *outcomes):
    cells = [
        CellResult(index=index, outcome=outcome, seconds=1.0)
        for index, outcome in enumerate(outcomes, 1)
    ]
    return Report(
        assignment="intro-to-torch",
        submission=name,
        card="",
        profile="",
        seconds=1.0,
        tasks=[],
        cells=cells,
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_did_not_run_to_its_end_is_told_by_what_happened(assignment, language):
    slow, hungry = Outcome.TIMEOUT, Outcome.MEMORY
    reports = [
        report_of("both", slow, Outcome.PASSED, hungry, slow),
        report_of("slow", slow),
        report_of("well", Outcome.PASSED, Outcome.RAISED),
    ]
    (group,) = view(list(map(summarize, reports)), assignment, language).needs
    assert [(need.count, [name for name, _ in need.names]) for need in group.needs] == [
        (2, ["both", "slow"]),
        (1, ["both"]),
    ]
    words = message("outcome.timeout", language=language)
    assert group.needs[0].title.lower() == words


@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_to_read_name_the_file_that_lists_them(reports, assignment, language):
    rows = [summarize(reports["questions-in-words"])]
    (group,) = view(rows, assignment, language).needs
    assert group.about is not None
    assert group.about[0] == "review.csv"
    page = draw_class(rows, assignment, language=language)
    assert '<a href="review.csv">review.csv</a>' in page
    # a few names stand there at once, without a part to be opened
    assert f'<a href="{group.needs[0].names[0][1]}">questions-in-words</a>' in page
    assert "<details" not in page[page.index('class="need"') : page.index('class="histogram"')]


def test_the_marks_of_a_submission_are_named_by_task_for_who_does_not_see_them(reports, assignment):
    (line,) = view([summarize(reports["and-or-swapped"])], assignment).students
    assert "not right: The AND neuron, The OR neuron" in line.said
    assert "not found: 10" in line.said
    told = view([summarize(reports["and-or-swapped"])], assignment).order
    places = [told.index(task.title["en"]) for task in assignment.tasks]
    assert places == sorted(places)


def test_memory_hardly_grows_with_the_class(reports, assignment, tmp_path):
    row = summarize(reports["and-or-swapped"])
    held = []
    for count in (200, 2000):
        with (tmp_path / "lines").open("w+b") as lines:
            tracemalloc.start()
            page = ClassPage(assignment, language="en", lines=lines, compared=True)
            for number in range(count):
                one = dataclasses.replace(row, submission=f"student-{number}")
                page.add(one, one)
            size = sum(len(piece) for piece in page.draw(FACTS))
            held.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert size > 500_000
    assert held[1] - held[0] < 300 * (2000 - 200)
