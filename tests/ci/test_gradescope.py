"""The autograder for Gradescope: its archive, unpacked and run as its harness does, and results."""

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from grader.ci.gradescope import pinned, results
from grader.cli.main import main
from grader.model import Outcome
from grader.vgpu.build import default_cache_folder
from tests.test_samples import SUBMISSIONS

FORMATS = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
VISIBILITY = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "anyOf": [{"required": ["score"]}, {"required": ["tests"]}],
    "properties": {
        "score": {"type": "number"},
        "execution_time": {"type": "number"},
        "output": {"type": "string"},
        "output_format": FORMATS,
        "test_output_format": FORMATS,
        "test_name_format": FORMATS,
        "visibility": VISIBILITY,
        "stdout_visibility": VISIBILITY,
        "extra_data": {"type": "object"},
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "score": {"type": "number"},
                    "max_score": {"type": "number"},
                    "status": {"enum": ["passed", "failed"]},
                    "name": {"type": "string"},
                    "name_format": FORMATS,
                    "number": {"type": "string"},
                    "output": {"type": "string"},
                    "output_format": FORMATS,
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "visibility": VISIBILITY,
                    "extra_data": {"type": "object"},
                },
            },
        },
    },
}
"""Gradescope's "Autograder Specifications", the part that this project writes."""


def made(report, assignment, language="en"):
    data = results(report, assignment, language=language)
    jsonschema.validate(data, SCHEMA)
    return data, {test["extra_data"]["check"]: test for test in data["tests"]}


@pytest.mark.parametrize("language", ["en", "ru"])
def test_points_and_status_of_every_check_are_there(make_report, assignment, language):
    wrong = (Outcome.FAILED, "judge.missing", {}, [])
    data, tests = made(make_report(xor__truth_table=wrong), assignment, language)
    assert data["score"] == 18.5
    assert (tests["xor.truth-table"]["score"], tests["xor.truth-table"]["max_score"]) == (0, 1.5)
    assert tests["xor.truth-table"]["status"] == "failed"
    assert tests["xor.weights"]["status"] == "passed"
    assert sum(test.get("max_score", 0) for test in data["tests"]) == 20


@pytest.mark.parametrize("outcome", [Outcome.REVIEW, Outcome.NOT_RUN, Outcome.GRADER_ERROR])
def test_what_waits_is_neither_passed_nor_failed(make_report, assignment, outcome):
    waits = (outcome, "answers.to-read", {}, [])
    _, tests = made(make_report(linear_vram__explanation=waits), assignment)
    assert "status" not in tests["linear-vram.explanation"]
    assert tests["linear-vram.explanation"]["max_score"] == 1


def test_advice_has_no_points_and_no_status(make_report, assignment):
    wrong = (Outcome.FAILED, "judge.missing", {}, [])
    _, tests = made(make_report(parameters__any_network=wrong), assignment)
    assert not {"status", "score", "max_score"} & set(tests["parameters.any-network"])
    assert tests["parameters.any-network"]["output"].startswith("Advice")


def test_a_students_text_is_bounded_and_stays_text(make_report, assignment):
    text = "<script>\x1b[31m" + "x" * 100_000
    shown = {"kind": "counterexample", "source": text, "expected": "0", "actual": text}
    wrong = (Outcome.FAILED, "judge.missing", {}, [shown])
    data, tests = made(make_report(xor__truth_table=wrong), assignment)
    assert len(tests["xor.truth-table"]["output"]) <= 4000
    assert "\x1b" not in tests["xor.truth-table"]["output"]
    assert data["test_output_format"] == "text"


def test_the_pinned_versions_are_those_that_are_installed():
    pins = dict(line.split("==") for line in pinned())
    assert {"torch", "hypothesis", "ipython", "click"} <= set(pins)
    assert len(pins) == len(pinned())
    assert not any("+" in version for version in pins.values())


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a folder laid out as Gradescope's harness lays it out."""
    root = tmp_path_factory.mktemp("autograder")
    path = root / "autograder.zip"
    done = CliRunner().invoke(main, ["gradescope", "build", "--out", str(path), "--lang", "en"])
    assert done.exit_code == 0, done.output
    assert "Configure Autograder" in done.stdout
    for name in ("source", "submission", "results"):
        (root / name).mkdir()
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            archive.extract(entry, root / "source")
            (root / "source" / entry.filename).chmod(stat.S_IMODE(entry.external_attr >> 16))
    (root / "venv").symlink_to(Path(sys.prefix))
    shutil.copy(root / "source" / "run_autograder", root / "run_autograder")
    core = default_cache_folder() / "vgpu"
    if core.is_dir():  # it takes a minute to compile
        shutil.copytree(core, root / "cache" / "grader" / "vgpu")
    return root


def run(root, *files):
    shutil.rmtree(root / "submission")
    (root / "submission").mkdir()
    for name, data in files:
        (root / "submission" / name).write_bytes(data)
    environment = {"PATH": os.environ["PATH"], "AUTOGRADER_ROOT": str(root), "HOME": str(root)}
    done = subprocess.run(
        [str(root / "run_autograder")], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    data = json.loads((root / "results" / "results.json").read_bytes())
    jsonschema.validate(data, SCHEMA)
    return data


def test_the_archive_holds_what_grades_and_no_solution(root):
    source = root / "source"
    names = {path.relative_to(source).as_posix() for path in source.rglob("*")}
    assert {"setup.sh", "run_autograder", "requirements.txt", "assignment/assignment.py"} <= names
    assert not [name for name in names if "solution." in name or "handout" in name]
    subprocess.run(["bash", "-n", str(root / "source" / "setup.sh")], check=True)


def test_the_harness_gets_the_points_of_a_sample(root):
    path = SUBMISSIONS / "first-half" / "homework.ipynb"
    data = run(root, (path.name, path.read_bytes()))
    assert data["score"] == 7.0
    assert len(data["tests"]) == 28


def test_a_student_who_writes_results_changes_none(root):
    forged = (
        b"import json, pathlib\n"
        b"print(json.dumps({'score': 20}))\n"
        b"for root in ('/autograder', %r):\n"
        b"    try: pathlib.Path(root, 'results', 'results.json').write_text('{\"score\": 20}')\n"
        b"    except Exception as error: print(error)\n" % str(root)
    )
    data = run(root, ("homework.py", forged), ("results.json", b'{"score": 20}'))
    assert data["score"] == 0


def test_what_cannot_be_read_goes_to_a_person(root):
    data = run(root, ("homework.ipynb", b'{"nbformat": 4, "cells": [{]}'))
    assert data["score"] == 0
    assert data["extra_data"]["to_review"] == 20
    assert not [test for test in data["tests"] if test.get("status") == "failed"]
