"""The files that courses copy: they are well formed, and their steps run as plain shell."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from grader.vgpu.build import default_cache_folder
from tests.test_samples import REPOSITORY, SUBMISSIONS

ACTION = yaml.safe_load((REPOSITORY / "action.yml").read_text("utf-8"))
STEPS = {step["id"]: step for step in ACTION["runs"]["steps"]}
WORKFLOW = yaml.safe_load((REPOSITORY / "docs/ci/github-workflow.yml").read_text("utf-8"))
GITLAB = yaml.safe_load((REPOSITORY / "docs/ci/gitlab-ci.yml").read_text("utf-8"))


def run_step(name, folder, values):
    """Run a step as GitHub's runner does; return the process and the step's outputs as text."""
    output = folder / f"{name}.output"
    output.touch()
    step = STEPS[name]
    shown = {
        key: re.sub(r"\$\{\{ (.*?) \}\}", lambda found: values[found.group(1)], text)
        for key, text in step.get("env", {}).items()
    }
    environment = {
        **os.environ,
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTION_PATH": str(REPOSITORY),
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(folder / f"{name}.md"),
        "RUNNER_TEMP": str(folder),
        **shown,
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done, output.read_text()


@pytest.fixture
def values(tmp_path):
    """Return what the steps before `check` leave, with this environment in place of a fresh one."""
    done, output = run_step("place", tmp_path, {})
    assert done.returncode == 0, done.stderr
    found = dict(line.split("=", 1) for line in output.splitlines())
    assert re.fullmatch("[0-9a-f]{32}", found["key"])
    environment = Path(found["environment"])
    environment.mkdir()
    for part in Path(sys.prefix).iterdir():
        (environment / part.name).symlink_to(part)
    (environment / "cache").symlink_to(default_cache_folder().parent)
    inputs = {f"inputs.{name}": one.get("default", "") for name, one in ACTION["inputs"].items()}
    return inputs | {"steps.place.outputs.environment": str(environment)}


def test_the_actions_steps_give_points_annotations_and_a_summary(tmp_path, values):
    data = (SUBMISSIONS / "one-row-off" / "homework.ipynb").read_bytes()
    (tmp_path / "homework.ipynb").write_bytes(data)
    done, output = run_step("check", tmp_path, values | {"inputs.submission": "homework.ipynb"})
    assert done.returncode == 1, done.stderr
    assert re.search(r"^points<<(end-\w+)\n0\n\1$", output, re.MULTILINE)
    assert re.search(r"^::error file=homework.ipynb,line=\d+,title=", done.stdout, re.MULTILINE)
    assert "| The OR neuron |" in (tmp_path / "check.md").read_text("utf-8")


def test_a_submissions_name_is_no_shell_and_no_option(tmp_path, values):
    name = "--help; touch forged $(touch forged).ipynb"
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
    (tmp_path / name).write_text(json.dumps(notebook))
    done, _ = run_step("check", tmp_path, values | {"inputs.submission": name})
    assert "Usage" not in done.stdout
    assert not (tmp_path / "forged").exists()


def test_what_was_installed_is_kept_whatever_the_submission_gets():
    names = list(STEPS)
    assert names.index("install") < names.index("save") < names.index("check")
    restored, saved = STEPS["cache"]["with"], STEPS["save"]["with"]
    assert saved["path"] == restored["path"]
    assert saved["key"] == "${{ steps.cache.outputs.cache-primary-key }}"
    assert STEPS["save"]["if"] == STEPS["install"]["if"]
    assert GITLAB["homework"]["cache"]["when"] == "always"


def test_no_step_puts_an_expression_into_its_script():
    scripts = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]
    scripts += [step.get("run", "") for step in WORKFLOW["jobs"]["check"]["steps"]]
    assert not [script for script in scripts if "${{" in script]


def test_the_workflow_names_inputs_and_outputs_that_there_are():
    steps = WORKFLOW["jobs"]["check"]["steps"]
    used = next(step for step in steps if step.get("id") == "grade")
    assert set(used["with"]) <= set(ACTION["inputs"])
    read = re.findall(r"steps\.grade\.outputs\.([\w-]+)", json.dumps(steps))
    assert set(read) == set(ACTION["outputs"])


def test_nothing_depends_on_github_classroom():
    texts = [json.dumps(part) for part in (ACTION, WORKFLOW, GITLAB)]
    assert "classroom" not in "".join(texts).lower()


def test_gitlabs_script_writes_the_junit_file_that_it_hands_in(tmp_path):
    job = GITLAB["homework"]
    assert job["artifacts"]["reports"]["junit"] == "report.xml"
    assert job["artifacts"]["when"] == "always"
    data = (SUBMISSIONS / "one-row-off" / "homework.ipynb").read_bytes()
    (tmp_path / "homework.ipynb").write_bytes(data)
    (script,) = job["script"]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "CI_PROJECT_DIR": str(tmp_path),
        "SUBMISSION": GITLAB["variables"]["SUBMISSION"],
    }
    done = subprocess.run(["bash", "-ec", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert 'tests="28"' in (tmp_path / "report.xml").read_text("utf-8")
