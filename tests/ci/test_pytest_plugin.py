"""``pytest --submission``: an item a check, in the student's words."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from contextlib import nullcontext
from types import SimpleNamespace

import jsonschema
import pytest

import grader.ci.items  # before pytester notes which modules there are
import grader.cli.main  # likewise
from grader.model import Outcome

pytest_plugins = ["pytester"]

NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {},
    "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Hello"]},
        {
            "cell_type": "code",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": ["x = 1"],
        },
    ],
}


@pytest.fixture
def show(pytester, monkeypatch):
    """Return a function that runs pytest on a notebook whose report is given."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setenv("LC_ALL", "C")
    path = pytester.path / "homework.ipynb"
    path.write_text(json.dumps(NOTEBOOK, indent=1))
    pytester.makeini("[pytest]")

    def run(report, *options):
        def judge(*args, **rest):
            return SimpleNamespace(grade=lambda submission: report)

        monkeypatch.setattr(grader.ci.items, "Judge", judge)
        monkeypatch.setattr(grader.ci.items, "Server", lambda **_: nullcontext())
        options = ("--submission", str(path), "-p", "no:cacheprovider", *options)
        return pytester.runpytest_inprocess(*options)

    return run


def test_a_check_that_passed_passes_and_one_that_failed_fails(show, make_report):
    wrong = (Outcome.FAILED, "gate.constant", {"answer": "1"}, [])
    done = show(make_report(and__truth_table=wrong))
    done.assert_outcomes(passed=27, failed=1)
    assert done.ret == 1


def test_what_waits_for_a_person_or_another_check_or_is_advice_is_neutral(show, make_report):
    done = show(
        make_report(
            linear_vram__explanation=(Outcome.REVIEW, "answers.to-read", {}, []),
            and__weights=(Outcome.NOT_RUN, "gate.waits", {}, []),
            parameters__any_network=(Outcome.FAILED, "judge.missing", {}, []),
        )
    )
    done.assert_outcomes(passed=25, skipped=3)
    assert done.ret == 0


def test_a_failure_of_the_grader_is_an_error_that_is_said_to_be_ours(show, make_report):
    ours = (Outcome.GRADER_ERROR, "judge.grader-error", {}, [])
    done = show(make_report(and__truth_table=ours))
    done.assert_outcomes(passed=27, errors=1)
    done.stdout.fnmatch_lines(["*The grader failed here, not the submission*"])


def test_a_failure_shows_the_counterexample_and_not_our_code(show, make_report):
    shown = {"kind": "counterexample", "source": "gate(0, 1)", "expected": "0", "actual": "1"}
    done = show(make_report(and__truth_table=(Outcome.FAILED, "judge.missing", {}, [shown])))
    text = done.stdout.str()
    assert "paste this: gate(0, 1)" in text
    assert "expected 0, got 1" in text
    assert "items.py" not in text
    assert "Traceback" not in text


def test_node_ids_and_keywords_choose_checks(show, make_report, pytester):
    done = show(make_report(), f"{pytester.path / 'homework.ipynb'}::or")
    done.assert_outcomes(passed=2)
    show(make_report(), "-k", "xor and truth").assert_outcomes(passed=2, deselected=26)


def test_the_first_failure_ends_the_run_where_that_is_asked_for(show, make_report):
    wrong = (Outcome.FAILED, "judge.missing", {}, [])
    show(make_report(not__truth_table=wrong, and__truth_table=wrong), "-x").assert_outcomes(
        passed=3, failed=1
    )


def test_points_stand_in_the_properties_of_the_junit_file(show, make_report, pytester):
    wrong = (Outcome.FAILED, "judge.missing", {}, [])
    show(make_report(xor__truth_table=wrong), "--junitxml=report.xml")
    tree = ElementTree.parse(pytester.path / "report.xml")
    properties = {
        (case.get("classname"), case.get("name")): {
            one.get("name"): one.get("value") for one in case.iter("property")
        }
        for case in tree.iter("testcase")
    }
    assert properties["homework.ipynb.xor", "truth-table"] == {
        "points": "0",
        "possible": "1.5",
        "outcome": "failed",
        "code": "judge.missing",
    }
    assert sum(float(one["possible"]) for one in properties.values()) == 20


TEXT = {"type": "string"}
NUMBER = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}


def element(tag, attributes, *children):
    return {
        "type": "object",
        "properties": {
            "tag": {"const": tag},
            "attributes": {
                "type": "object",
                "properties": attributes,
                "required": [*attributes],
                "additionalProperties": False,
            },
            "children": {"type": "array", "items": {"anyOf": [*children] or [False]}},
        },
    }


CASE = element(
    "testcase",
    {"classname": TEXT, "name": TEXT, "time": NUMBER},
    element("properties", {}, element("property", {"name": TEXT, "value": TEXT})),
    element("failure", {"message": TEXT}),
    element("error", {"message": TEXT}),
    element("skipped", {"type": TEXT, "message": TEXT}),
)
COUNTS = dict.fromkeys(("errors", "failures", "skipped", "tests", "time"), NUMBER)
SUITE = element("testsuite", {"name": TEXT, "timestamp": TEXT, "hostname": TEXT, **COUNTS}, CASE)
JUNIT = element("testsuites", {"name": TEXT}, SUITE)
"""What Jenkins, GitLab and Gradle call JUnit's format, as far as pytest writes it."""


def as_data(node):
    children = [as_data(child) for child in node]
    return {"tag": node.tag, "attributes": dict(node.attrib), "children": children}


def test_the_junit_file_fits_its_schema(show, make_report, pytester):
    report = make_report(
        not__truth_table=(Outcome.FAILED, "judge.missing", {}, []),
        and__truth_table=(Outcome.GRADER_ERROR, "judge.grader-error", {}, []),
        linear_vram__explanation=(Outcome.REVIEW, "answers.to-read", {}, []),
    )
    show(report, "--junitxml=report.xml")
    root = ElementTree.parse(pytester.path / "report.xml").getroot()
    jsonschema.validate(as_data(root), JUNIT)
    kinds = {child.tag for case in root.iter("testcase") for child in case}
    assert kinds == {"properties", "failure", "error", "skipped"}


HOSTILE = "]]></failure><testcase name='x'/>\x1b[31m\x00\ud800\u202e\n::error::forged\n"


def test_a_students_text_cannot_forge_the_junit_file(show, make_report, pytester):
    shown = {"kind": "counterexample", "source": HOSTILE, "expected": "0", "actual": HOSTILE}
    wrong = (Outcome.FAILED, "judge.missing", {}, [shown])
    show(make_report(xor__truth_table=wrong), "--junitxml=report.xml")
    root = ElementTree.parse(pytester.path / "report.xml").getroot()
    assert len(list(root.iter("testcase"))) == 28
    assert len(list(root.iter("failure"))) == 1
    text = (pytester.path / "report.xml").read_text()
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_on_github_a_students_text_stands_between_stop_commands_tokens(
    show, make_report, monkeypatch
):
    shown = {"kind": "counterexample", "source": HOSTILE, "expected": "0", "actual": "1"}
    report = make_report(xor__truth_table=(Outcome.FAILED, "judge.missing", {}, [shown]))
    show(report)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    lines = [line for line in show(report).outlines if line]
    begins = [i for i, line in enumerate(lines) if line.startswith("::stop-commands::")]
    token = lines[begins[0]].removeprefix("::stop-commands::")
    end = lines.index(f"::{token}::")
    forged = [i for i, line in enumerate(lines) if line.startswith("::error")]
    assert forged
    assert all(begins[0] < i < end for i in forged)
    assert len(begins) == 1


def test_nothing_of_a_submission_is_imported(show, make_report, pytester):
    folder = pytester.mkdir("work")
    for name in ("__init__.py", "conftest.py", "test_it.py"):
        (folder / name).write_text("raise SystemExit('imported')")
    done = show(make_report(), "--submission", str(folder))
    done.assert_outcomes(passed=28)
    done = show(make_report(), "--submission", str(folder / "test_it.py"))
    done.assert_outcomes(passed=28)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--submission", "nothing.ipynb"), "There is no submission at nothing.ipynb"),
        (("--assignment", "intro-to-torsh"), "intro-to-torch"),
        (("--card", "Voodoo"), "Voodoo"),
    ],
)
def test_wrong_use_is_said_clearly(show, make_report, options, words):
    done = show(make_report(), *options)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert words in done.stderr.str()


def test_the_plugin_loads_nothing_without_a_submission():
    program = (
        "import sys, pytest; before = set(sys.modules); import grader.pytest_plugin;"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "['grader', 'grader.pytest_plugin']"


def test_workers_of_xdist_show_what_was_found_once(show, make_report):
    done = show(make_report(and__truth_table=(Outcome.FAILED, "judge.missing", {}, [])), "-n", "2")
    done.assert_outcomes(passed=27, failed=1)
