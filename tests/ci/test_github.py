"""GitHub's annotations, summary and outputs, and what a student's text can do to them: nothing."""

import io
import json
import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from grader.ci import github
from grader.ci.places import Place, code_cell_lines, find_places
from grader.cli.main import main
from grader.intake import read_submission
from grader.model import Outcome
from grader.reports.json import as_result, encode_result

HOSTILE = "</pre>\n\n::error::forged\n##[error]forged\n# Big\n![x](http://x) <script>%0A@all|`"


def hostile(make_report):
    shown = {"kind": "counterexample", "source": HOSTILE, "expected": "0", "actual": HOSTILE}
    raised = (Outcome.FAILED, "gate.raises", {"error": HOSTILE, "text": HOSTILE}, [shown])
    return make_report(xor__truth_table=raised)


def notebook(cells):
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"a": [1]}, "cells": cells}


def cell(kind, *source):
    return {"cell_type": kind, "metadata": {}, "source": [*source]}


def test_a_cell_stands_at_the_line_where_its_json_begins(tmp_path):
    cells = [cell("code", "x = 1\n", "y = 2"), cell("markdown", "text"), cell("code", "x = 1")]
    path = tmp_path / "homework.ipynb"
    path.write_text(json.dumps(notebook(cells), indent=1), encoding="utf-8")
    places = find_places(path, read_submission(path))
    lines = path.read_text("utf-8").splitlines()
    assert sorted(places) == [1, 2]
    for place in places.values():
        assert lines[place.line - 1].strip() == "{"
        assert lines[place.line].strip() == '"cell_type": "code",'
    assert places[1].line < places[2].line


def test_cells_of_a_folder_stand_in_their_own_files(tmp_path):
    for name in ("a", "b"):
        data = json.dumps(notebook([cell("code", "x = 1")]), indent=1)
        (tmp_path / f"{name}.ipynb").write_text(data)
    (tmp_path / "c.py").write_text("x = 1\n\n# %%\ny = 2\n")
    places = find_places(tmp_path, read_submission(tmp_path))
    assert [place.path.name for place in places.values()][:2] == ["a.ipynb", "b.ipynb"]
    assert places[1].line == places[2].line > 1
    assert places[max(places)].path.name == "c.py"


@pytest.mark.parametrize("data", [b"", b"{", b'{"cells": 3}', b"\xff", b'{"cells": [{}]}'])
def test_a_broken_notebook_has_no_lines(data):
    assert code_cell_lines(data) == []


def commands(report, assignment, tmp_path, language="en"):
    path = tmp_path / "homework.ipynb"
    places = {1: Place(path, 7)}
    return github.annotations(
        report, assignment, path, places, language=language, folder=str(tmp_path)
    )


def test_an_annotation_names_the_file_the_line_and_the_cell(make_report, assignment, tmp_path):
    wrong = (Outcome.FAILED, "judge.missing", {}, [])
    (line,) = commands(make_report(xor__truth_table=wrong), assignment, tmp_path)
    assert line.startswith("::error file=homework.ipynb,line=7,title=XOR made of neurons%2C code")
    assert "cell 1::" in line


def test_what_waits_for_a_person_is_a_notice_and_never_an_error(make_report, assignment, tmp_path):
    waits = (Outcome.REVIEW, "answers.to-read", {}, [])
    (line,) = commands(make_report(linear_vram__explanation=waits), assignment, tmp_path)
    assert line.startswith("::notice ")


def test_a_failure_of_the_grader_is_a_warning(make_report, assignment, tmp_path):
    ours = (Outcome.GRADER_ERROR, "judge.grader-error", {}, [])
    (line,) = commands(make_report(xor__truth_table=ours), assignment, tmp_path)
    assert line.startswith("::warning ")


def test_the_task_that_lost_most_points_comes_first(make_report, assignment, tmp_path):
    wrong = (Outcome.FAILED, "judge.missing", {}, [])
    report = make_report(not__weights=wrong, xor__truth_table=wrong)
    first, second = commands(report, assignment, tmp_path)
    assert "XOR" in first
    assert "NOT" in second


def test_what_all_checks_of_a_task_say_is_said_once(make_report, assignment, tmp_path):
    wrong = (Outcome.FAILED, "judge.missing", {}, [])
    report = make_report(xor__truth_table=wrong, xor__weights=wrong)
    (line,) = commands(report, assignment, tmp_path)
    assert line.endswith("::Nothing was found that answers this task.")


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_students_text_forges_no_annotation(make_report, assignment, tmp_path, language):
    lines = commands(hostile(make_report), assignment, tmp_path, language)
    assert len(lines) == 1
    assert "\n" not in lines[0]
    assert "%250A" in lines[0]


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_students_text_is_only_text_in_the_summary(make_report, assignment, language):
    page = github.summary(hostile(make_report), assignment, language=language)
    rest = re.sub(r"<pre>[^<]*</pre>", "", page)
    assert "<" not in rest
    assert "forged" not in rest.replace("&#", "") or "::error" not in rest
    for mark in ("[x]", "`", "@all", "# Big"):
        assert mark not in rest
    assert page.count("<pre>") == page.count("</pre>") == 1


def test_the_summary_is_within_what_github_takes(make_report, assignment):
    shown = {"kind": "counterexample", "source": "<\n" * 9999, "expected": "<", "actual": "<"}
    wrong = (Outcome.FAILED, "judge.missing", {}, [shown] * 300)
    page = github.summary(make_report(xor__truth_table=wrong), assignment, language="en")
    assert len(page.encode()) <= 1024 * 1024
    assert "too long" in page


def test_outputs_are_decimals_between_ends_that_nobody_can_guess(make_report):
    waits = (Outcome.REVIEW, "answers.to-read", {}, [])
    text = github.outputs(make_report(xor__weights=waits))
    assert re.findall(r"^([a-z-]+)<<(end-[0-9a-f]{32})\n(.*)\n\2$", text, re.MULTILINE)
    values = dict(re.findall(r"^([a-z-]+)<<end-[0-9a-f]{32}\n(.*)\n", text, re.MULTILINE))
    assert values == {"points": "19.5", "possible": "20", "to-review": "0.5"}
    assert text != github.outputs(make_report(xor__weights=waits))


def test_what_is_printed_inside_a_fence_stands_between_its_tokens():
    out = io.StringIO()
    with github.fenced(out):
        out.write("::error::forged")
    begin, forged, end = out.getvalue().splitlines()
    assert begin.removeprefix("::stop-commands::") == end.strip(":")
    assert forged == "::error::forged"
    assert len(end.strip(":")) == 32


def test_json_keeps_its_meaning_without_the_older_form_of_commands(make_report):
    report = hostile(make_report)
    data = encode_result(report)
    assert b"##[" not in data
    assert json.loads(data) == json.loads(json.dumps(as_result(report)))
    assert not [line for line in data.decode().splitlines() if line.lstrip().startswith("::")]


def test_everything_goes_where_the_runner_wants_it(make_report, assignment, tmp_path):
    files = {name: tmp_path / name for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    files["GITHUB_OUTPUT"].write_text("earlier=1\n")
    environment = {name: str(path) for name, path in files.items()}
    out = io.StringIO()
    github.publish(
        hostile(make_report),
        assignment,
        tmp_path / "homework.ipynb",
        {},
        language="en",
        out=out,
        environment=environment | {"GITHUB_WORKSPACE": str(tmp_path)},
    )
    assert out.getvalue().startswith("::error file=homework.ipynb,line=1,")
    assert files["GITHUB_OUTPUT"].read_text().startswith("earlier=1\npoints<<end-")
    assert files["GITHUB_STEP_SUMMARY"].read_text().startswith("## ")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_check_tells_github_and_nothing_that_is_printed_is_obeyed(
    tmp_path, shared_server, monkeypatch, options
):
    path = tmp_path / "homework.ipynb"
    forged = "print('::error::forged'); print('##[error]forged')"
    answer = "def neuron(x): raise ValueError('::error::forged\\n::error::forged ##[error]x')"
    cells = [cell("code", forged), cell("markdown", "# Task 3"), cell("code", answer)]
    path.write_text(json.dumps(notebook(cells), indent=1), encoding="utf-8")
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    done = CliRunner().invoke(main, ["check", str(path), "--lang", "en", *options])
    assert done.exit_code == 1
    where = done.stderr if options else done.stdout
    obeyed = []
    token = ""
    for line in done.output.splitlines():
        if token:
            token = "" if line == f"::{token}::" else token
        elif line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        elif line.lstrip().startswith("::") or "##[" in line:
            obeyed.append(line)
    assert obeyed
    assert all(line in where and line.split(" ")[1].startswith("file=") for line in obeyed)
    assert "points<<end-" in (tmp_path / "GITHUB_OUTPUT").read_text()
    assert "forged" in (tmp_path / "GITHUB_STEP_SUMMARY").read_text()


@pytest.mark.parametrize(
    "named", ["x\n::set-output name=points::20\n", "##[set-output name=points;]20"]
)
@pytest.mark.parametrize("module", ["grader.cli", "pytest"])
def test_the_name_of_a_file_that_cannot_be_read_is_not_obeyed(tmp_path, named, module):
    folder = tmp_path / "handed-in"
    folder.mkdir()
    (folder / f"{named}.ipynb").write_text("{")
    arguments = {"grader.cli": ["check"], "pytest": ["-p", "no:cacheprovider", "--submission"]}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments[module], folder.name],
        cwd=tmp_path,
        env={**os.environ, "GITHUB_ACTIONS": "true"},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (2, 4)
    assert "set-output" in done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    assert not [line for line in lines if line.lstrip().startswith("::") or "##[" in line]
