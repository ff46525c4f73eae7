"""The report in a terminal: what to fix first, and lines that stand where they belong."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from grader.assignments import load_assignment
from grader.messages import LANGUAGES, message
from grader.model import CellResult, CheckResult, Outcome, Report, TaskResult
from grader.reports.terminal import print_report

INPUTS = {"inputs": "(0, 1)", "actual": "1", "expected": "0"}


def report_of(tasks, cells=(), **facts):
    return Report(
        assignment="intro-to-torch",
        submission="homework",
        card="",
        profile="",
        seconds=0.1,
        tasks=list(tasks),
        cells=list(cells),
        **facts,
    )


def printed(report, *, language="en", width=60):
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False, markup=False)
    print_report(report, load_assignment("intro-to-torch"), language=language, console=console)
    return file.getvalue()


def shown(*, language="en", width=60, code="gate.wrong-row", values=INPUTS, evidence=()):
    checks = [
        CheckResult(
            id="truth-table",
            outcome=Outcome.FAILED,
            points=0,
            possible=75,
            code=code,
            values=values,
            evidence=list(evidence),
        ),
        CheckResult(
            id="weights", outcome=Outcome.NOT_RUN, points=0, possible=25, code="gate.waits"
        ),
    ]
    task = TaskResult(id="and", outcome=Outcome.FAILED, points=0, possible=100, checks=checks)
    return printed(report_of([task]), language=language, width=width)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_to_fix_first_names_the_command_that_says_more(language):
    more = message("cli.explain-more", {"code": "gate.wrong-row"}, language=language)
    assert more in shown(language=language, width=100)


def test_further_lines_of_a_check_stand_below_its_first():
    lines = [line.rstrip() for line in shown(width=50).splitlines()]
    first = next(i for i, line in enumerate(lines) if line.startswith("  ✗ "))
    assert lines[first + 1].startswith("    ")
    assert lines[first + 1].strip()


def failing(code, **values):
    check = CheckResult(
        id="truth-table", outcome=Outcome.FAILED, points=0, possible=75, code=code, values=values
    )
    task = TaskResult(id="and", outcome=Outcome.FAILED, points=0, possible=100, checks=[check])
    return report_of([task])


def test_an_error_of_many_lines_is_told_on_one():
    text = printed(failing("gate.raises", text="line one\n" * 20, graded_name="n"), width=100)
    assert "line one line one line one" in text


def test_no_escape_is_printed_where_there_is_no_terminal():
    assert "\x1b" not in shown()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", range(20, 90, 7))
def test_a_number_is_never_broken_over_two_lines(language, width):
    number = "7\u00a0599\u00a0030\u00a0272"
    values = {"dtype": "float16", "most_elements": number, "most_bytes": number}
    text = shown(language=language, width=width, code="memory.dtype-missing", values=values)
    assert text.count(number) == 4  # as what to fix first, and at its check


def test_no_line_ends_in_spaces_below_the_table():
    _, _, rest = shown(width=50).partition("0/1")
    assert [line for line in rest.splitlines() if line.strip()]
    assert not [line for line in rest.splitlines()[1:] if line != line.rstrip()]


def test_a_word_that_is_wider_than_the_screen_is_folded_and_kept_whole():
    word = "漢" * 40 + "x" * 50
    text = shown(width=30, code="gate.raises", values={"graded_name": word, "text": "E"})
    assert max(map(cell_len, text.splitlines())) <= 30
    assert text.replace("\n", "").replace(" ", "").count(word) == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_said_of_isolation_where_nothing_ran(language):
    none = message("cli.isolation-none", language=language)
    cell = CellResult(index=1, outcome=Outcome.PASSED, seconds=0.1, source="1")
    assert none not in printed(report_of([]), language=language, width=100)
    assert none in printed(report_of([], [cell]), language=language, width=100)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_expression_is_shown_as_it_was_read(language):
    tree = {"kind": "expression-tree", "text": "neuron(x1)\x1b[31m"}
    text = shown(language=language, width=100, code="expression.wrong-row", evidence=[tree])
    words = message("cli.read-as", {"expression": "neuron(x1)"}, language=language)
    assert f"      {words}\n" in text
