"""The student's page and the class page as text: sizes, hostile texts, what stays away."""

import html
import itertools
import re

import msgspec
import pytest

from grader.messages import LANGUAGES, message
from grader.model import CellResult, CheckResult, Outcome, Report, TaskResult
from grader.reports.html import render_report
from grader.reports.html.code import find_binding, view_code
from grader.reports.html.figures import view_evidence
from grader.reports.html.view import view_report
from grader.reports.summary import summarize
from grader.reports.wording import shown_bytes, shown_percent
from tests.reports.classes import draw_class

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202e\x00\"'&{{ 7*7 }}"


def hostile_report(assignment):
    """A report in which everything that a student can write is hostile."""
    task = assignment.task("and")
    evidence = [
        {"kind": "student-text", "where": "code", "text": HOSTILE + "[a](javascript:alert(3))"},
        {"kind": "counterexample", "source": HOSTILE, "expected": "0", "actual": HOSTILE},
        {
            "kind": "truth-table",
            "inputs": ["x1", "x2"],
            "rows": [[0.0, 0.0], [1.0, 1.0]],
            "expected": [0, 1],
            "actual": [HOSTILE, "nan"],
            "convention": "0/1",
            "form": "vector",
        },
        {
            "kind": "backward-graph",
            "role": "drawn",
            "nodes": [
                {"id": 0, "name": HOSTILE, "leaf": False, "value": "", "grad": ""},
                {"id": 1, "name": HOSTILE, "leaf": True, "value": HOSTILE, "grad": HOSTILE},
            ],
            "edges": [[0, 1, HOSTILE], [1, 0, ""], [0, 7, ""]],
        },
    ]
    check = CheckResult(
        id="truth-table",
        outcome=Outcome.FAILED,
        points=0,
        possible=75,
        code="gate.wrong-row",
        values=dict.fromkeys(("row", "expected", "actual", "inputs"), HOSTILE),
        evidence=evidence,
        cells=[1],
        comment=HOSTILE,
        reviewed=True,
        staff=[("judge.anomaly", {"text": "SECRET"})],
    )
    undecided = msgspec.structs.replace(check, id="weights", reviewed=False, comment="")
    cell = CellResult(
        index=1,
        outcome=Outcome.RAISED,
        seconds=0.1,
        error=HOSTILE,
        error_line=2,
        source=f"neuron = 1\n{HOSTILE}\n" + "y" * 100_000,
    )
    return Report(
        assignment=assignment.name,
        submission=f"=cmd|{HOSTILE}",
        card="",
        profile="",
        seconds=0.1,
        tasks=[
            TaskResult(
                id=task.id,
                outcome=Outcome.FAILED,
                points=0,
                possible=100,
                graded=(HOSTILE, HOSTILE, 1),
                checks=[check, undecided],
                cells=[1],
            )
        ],
        cells=[cell],
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_texts_stay_texts(assignment, language):
    report = hostile_report(assignment)
    page = render_report(report, assignment, language=language)
    both = page + draw_class([summarize(report)], assignment, language=language)
    assert "<script>alert" not in both
    assert "<img src=x" not in both
    assert not re.search(r"(href|src)=\"(?!#|data:image|%3D)", both)
    assert not any(character in both for character in "\x1b\u202e\x00")
    assert "49" not in re.findall(r"<h1>.*?</h1>", page)[0]
    assert html.escape("<script>alert(1)</script>") in page
    assert len(page.encode()) < 60_000


def test_hostile_texts_run_nothing_in_the_browser(browser, assignment, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render_report(hostile_report(assignment), assignment, language="en"), "utf-8")
    page = browser.new_page()
    said = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda line: said.append(line.text))
    page.on("request", lambda request: said.append(request.url))
    page.goto(path.as_uri())
    page.close()
    assert said == [path.as_uri()]


def test_what_only_the_instructor_may_see_is_not_in_the_students_page(assignment):
    page = render_report(hostile_report(assignment), assignment, language="en")
    assert "SECRET" not in page
    assert "something unexpected" not in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_of_all_samples_are_small_and_name_every_check(pages, reports, assignment, language):
    for name in reports:
        page = (pages / language / name / "report.html").read_text("utf-8")
        assert len(page.encode()) < 60_000, name
        assert "<script" not in page
        assert "0 / 0<" not in page
        for task in assignment.tasks:
            for check in task.checks:
                assert html.escape(check.title[language]) in page, (name, check.id)


def test_code_is_shown_only_for_cells_that_a_failed_or_waiting_check_names(reports, assignment):
    passed = view_report(reports["perfect"], assignment, "en")
    assert {t.anchor for t in passed.ordered if t.cells} <= {"linear-vram"}
    failed = view_report(reports["and-or-swapped"], assignment, "en")
    shown = {task.anchor: task for task in failed.ordered if task.cells}
    assert set(shown) == {"and", "or"}
    (cell,) = shown["and"].cells
    assert "neuron_and" in "".join(text for _, text in cell.lines[cell.marked - 1])


def test_what_is_to_be_fixed_comes_first_and_open(reports, assignment):
    view = view_report(reports["and-or-swapped"], assignment, "en")
    assert [task.anchor for task in view.ordered][:2] == ["and", "or"]
    assert [task.opened for task in view.ordered] == [True, True] + [False] * 10
    assert view.fix_anchor == "and.truth-table"
    assert [task.anchor for task in view.tasks] == [task.id for task in assignment.tasks]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_a_file_that_was_not_read_says_nothing_of_rights_it_ran_with(
    assignment, reports, language
):
    ran = msgspec.structs.replace(reports["perfect"], isolation=[], figures="")
    none = message("cli.isolation-none", language=language)
    assert view_report(ran, assignment, language).facts == (none,)
    refused = msgspec.structs.replace(ran, cells=[])
    assert view_report(refused, assignment, language).facts == ()


def test_the_task_of_what_to_fix_first_is_open_where_another_part_of_it_waits(assignment, reports):
    report = reports["square-scan"]
    (task,) = [task for task in report.tasks if task.id == "vram-limits"]
    lacking = msgspec.structs.replace(task.checks[0], outcome=Outcome.MISSING, points=0)
    changed = msgspec.structs.replace(task, checks=[lacking, *task.checks[1:]])
    passed = reports["perfect"].tasks[0]
    view = view_report(msgspec.structs.replace(report, tasks=[passed, changed]), assignment, "en")
    assert changed.outcome is Outcome.REVIEW
    assert (view.fix_anchor, view.ordered[0].anchor) == ("vram-limits.float32", "vram-limits")
    assert view.ordered[0].opened


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_stopped_cell_that_no_check_tells_of_is_told(assignment, reports, language):
    report = reports["perfect"]
    stopped = CellResult(
        index=90, outcome=Outcome.TIMEOUT, seconds=30, error="TimeLimit: the time limit of the cell"
    )
    changed = msgspec.structs.replace(report, cells=[*report.cells, stopped])
    (note,) = view_report(changed, assignment, language).notes
    assert "90" in note
    assert message("outcome.timeout", language=language) in note
    assert "TimeLimit" not in note
    assert view_report(report, assignment, language).notes == ()


def test_code_is_shown_once_and_with_the_line_that_ran_backward(reports, assignment):
    view = view_report(reports["cells-that-fail"], assignment, "en")
    for task in view.ordered:
        if task.cells:
            figures = [f for c in task.checks for f in view_evidence(c.evidence, "en")]
            assert not [figure for figure in figures if figure.kind == "text"], task.anchor
    other = view_report(reports["another-expression"], assignment, "en")
    (cell,) = next(task for task in other.ordered if task.anchor == "gradients").cells
    assert "backward" in "".join(text for _, text in cell.lines[cell.marked - 1])


def test_words_in_backticks_are_code_and_whatever_they_hold_is_escaped(assignment, reports):
    page = render_report(reports["backward-forgotten"], assignment, language="en")
    assert '<code translate="no">backward</code>' in page
    report = hostile_report(assignment)
    hint = "`<b>` and `one"
    task = msgspec.structs.replace(
        report.tasks[0],
        checks=[msgspec.structs.replace(report.tasks[0].checks[1], values={"actual": hint})],
    )
    page = render_report(msgspec.structs.replace(report, tasks=[task]), assignment, language="en")
    assert "`&lt;b&gt;` and `one" in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_person_decided_is_not_said_to_be_waiting(assignment, reports, language):
    report = reports["questions-in-words"]
    (task,) = [task for task in report.tasks if task.id == "linear-boundary"]
    waiting = task.checks[0]
    assert waiting.outcome is Outcome.REVIEW
    decided = msgspec.structs.replace(
        waiting, outcome=Outcome.PARTIAL, points=50, reviewed=True, comment="Half."
    )
    changed = msgspec.structs.replace(task, outcome=Outcome.PARTIAL, checks=[decided], points=50)
    view = view_report(msgspec.structs.replace(report, tasks=[changed]), assignment, language)
    waits = message(waiting.code, waiting.values, language=language)
    assert waits not in view.fix_text
    assert view.fix_text.endswith("Half.")
    (check,) = view.tasks[0].checks
    assert (check.text, check.person) == ("", view.fix_text)


def test_gradients_stand_in_the_order_of_their_names():
    rows = [["b", "4", True, "2", "2"], ["a", "2", True, "4", "4"]]
    (table,) = view_evidence([{"kind": "gradient-table", "rows": rows}], "en")
    assert [row[0] for row in table.rows] == ["a", "b"]


def test_a_region_without_a_usable_answer_is_explained(reports, assignment):
    told = message("page.plane-unknown", language="en")
    assert told in render_report(reports["nan-gate"], assignment, language="en")
    assert told not in render_report(reports["and-or-swapped"], assignment, language="en")


def test_failed_advice_looks_like_advice_and_has_no_points(reports, assignment):
    report = reports["and-or-swapped"]
    task = report.tasks[0]
    advice = msgspec.structs.replace(task.checks[0], outcome=Outcome.FAILED)
    changed = msgspec.structs.replace(task, checks=[advice, *task.checks[1:]])
    view = view_report(msgspec.structs.replace(report, tasks=[changed]), assignment, "en")
    assert advice.possible == 0
    assert (view.tasks[0].checks[0].look, view.tasks[0].checks[0].points) == ("advice", "")


def plane_of(rule, side=21):
    step = 2 / (side - 1)
    answers = "".join(
        rule(-0.5 + step * column, -0.5 + step * row)
        for row in range(side)
        for column in range(side)
    )
    data = {"kind": "decision-regions", "low": -0.5, "high": 1.5, "side": side, "answers": answers}
    (plane,) = view_evidence([data], "en")
    return plane


@pytest.mark.parametrize("side", [9, 21])
@pytest.mark.parametrize(
    ("a", "b", "c"), [(1, 1, 1.5), (-1, -1, -0.4), (1, 0, 0.52), (0, -1, -0.33)]
)
def test_a_linear_gate_has_one_decision_line_where_it_changes(a, b, c, side):
    plane = plane_of(lambda x, y: "1" if a * x + b * y > c else "0", side)
    assert plane.line is not None
    for x, y in plane.line:
        drawn = a * (-0.5 + 2 * (x - 24) / 190) + b * (1.5 - 2 * (y - 6) / 190)
        assert abs(drawn - c) < 2 / (side - 1)


@pytest.mark.parametrize(
    "rule",
    [
        lambda x, y: "1" if (x > 0.5) != (y > 0.5) else "0",
        lambda x, y: "1" if 0.5 < x + y < 1.5 else "0",
        lambda x, y: "1",
        lambda x, y: "0",
        lambda x, y: "?",
    ],
    ids=["quadrants", "strip", "always one", "never one", "no answers"],
)
def test_regions_without_a_single_straight_border_have_no_line(rule):
    assert plane_of(rule).line is None


def test_a_gate_that_answers_minus_and_plus_one_is_drawn_as_right(reports):
    report = reports["minus-plus"]
    (check,) = [c for t in report.tasks if t.id == "and" for c in t.checks if c.id == "truth-table"]
    assert check.outcome is Outcome.PASSED
    table, plane = view_evidence(check.evidence, "en")
    assert table.right == (True,) * 4
    assert [row[-2:] for row in table.rows] == [("-1", "-1")] * 3 + [("1", "1")]
    assert not any(corner.wrong for corner in plane.corners)
    assert [label for _, _, label in plane.ticks] == ["0", "1"]


def test_a_graph_is_drawn_level_by_level_with_gradients_on_its_edges():
    nodes = [
        {"id": 0, "name": "AddBackward0", "leaf": False, "value": "", "grad": ""},
        {"id": 1, "name": "a", "leaf": True, "value": "2", "grad": "3"},
        {"id": 2, "name": "b", "leaf": True, "value": "3", "grad": "2"},
    ]
    data = {
        "kind": "backward-graph",
        "role": "recorded",
        "nodes": nodes,
        "edges": [[0, 1, ""], [0, 2, ""]],
    }
    (drawn,) = view_evidence([data], "ru")
    root, left, right = drawn.boxes
    assert root.y < left.y == right.y
    assert left.x + left.width / 2 < right.x - right.width / 2
    assert [arrow.text for arrow in drawn.arrows] == ["3", "2"]


def test_a_graph_that_would_be_too_wide_has_its_root_on_the_left():
    nodes = [{"id": 0, "name": "root", "leaf": False, "value": "", "grad": ""}]
    nodes += [{**nodes[0], "id": n, "name": f"AccumulateGrad{n}"} for n in range(1, 9)]
    edges = [[0, n, ""] for n in range(1, 9)]
    data = {"kind": "backward-graph", "role": "recorded", "nodes": nodes, "edges": edges}
    (drawn,) = view_evidence([data], "en")
    root, *leaves = drawn.boxes
    assert drawn.width < 400
    assert all(root.x + root.width / 2 < leaf.x - leaf.width / 2 for leaf in leaves)
    tops = sorted(leaf.y for leaf in leaves)
    assert all(b - a > leaves[0].height for a, b in itertools.pairwise(tops))


def test_long_lines_and_long_cells_are_cut_and_the_marked_line_is_kept():
    code = view_code("cell", "a = 1\n" + "x" * 100_000 + "\nb = 2", marked=3)
    assert sum(len(text) for line in code.lines for _, text in line) < 1000
    assert code.marked == 3
    assert "".join(text for _, text in code.lines[2]) == "b = 2"


def test_the_last_line_that_binds_the_graded_object_is_found():
    assert find_binding("class N:\n  pass\nn = N()\nn == 3\nprint(n)", ("n", "Other")) == 3
    assert find_binding("print(1)", ("n",)) == 0


def test_sizes_are_written_in_the_readers_language():
    assert shown_bytes(15_200_157_696, "en") == "14.16\u00a0GiB"
    assert shown_bytes(15_200_157_696, "ru") == "14,16\u00a0ГиБ"


def test_a_share_reads_0_or_100_percent_only_where_that_is_true():
    assert [shown_percent(part, 10**9) for part in (0, 1, 10**9 - 1, 10**9)] == [0, 1, 99, 100]


@pytest.mark.parametrize("rows", [1, 2000], ids=["kept", "too large to keep"])
def test_numbers_of_any_size_are_drawn(reports, assignment, rows):
    report = reports["perfect"]
    task = next(task for task in report.tasks if task.id == "parameters")
    check = next(check for check in task.checks if check.evidence)
    for number in (7, 2**70):
        table = {
            "kind": "parameter-table",
            "name": "net",
            "total": number,
            "trainable": number,
            "expected": number,
            "rows": [[f"{place}.weight", [number, 1], number, True] for place in range(rows)],
        }
        evidence = [{**check.evidence[0], **table}]
        changed = msgspec.structs.replace(
            report,
            tasks=[
                msgspec.structs.replace(
                    task, checks=[msgspec.structs.replace(check, evidence=evidence)]
                )
            ],
        )
        page = html.unescape(render_report(changed, assignment, language="en"))
        assert str(number) in re.sub(r"[\s\u00a0]", "", page)
