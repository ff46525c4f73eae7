"""The trial of an assignment: each way to break one is told, and a good one passes."""

import json

import pytest

from grader.assignments import load_assignment
from grader.messages import LANGUAGES, message
from grader.trial import try_assignment

DECLARATION = """
from grader.checks.gates import Gate
from grader.model import Assignment, Check, Heading, Task, points

def nand(x1, x2):
    return 1 - x1 * x2

NAND = Task(
    id="nand",
    title={"en": "NAND", "ru": "И-НЕ"},
    headings=(Heading("task", 1),),
    names=("neuron_nand",),
    question=Gate(function=nand, inputs=2),
    checks=(
        Check("truth-table", points(1), {"en": "Rows", "ru": "Строки"}),
        Check("weights", points(1), {"en": "Weights", "ru": "Веса"}),
    ),
)
ASSIGNMENT = Assignment(name="gates", title={"en": "Gates", "ru": "Элементы"}, tasks=(NAND,))
"""
RIGHT = """import torch
w = torch.tensor([-1.0, -1.0])
b = torch.tensor(1.5)
neuron_nand = lambda x: ((w * x).sum(-1) + b > 0).float()"""
WRONG = RIGHT.replace("1.5", "0.5")
EMPTY = "neuron_nand = None"


def notebook(source, heading="# Task 1"):
    text = {"cell_type": "markdown", "metadata": {}, "source": heading}
    code = {"cell_type": "code", "metadata": {}, "outputs": [], "source": source}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [text, code]})


@pytest.fixture
def remarks(tmp_path, server_without_device):
    """Return a function that writes an assignment and gives what its trial says, by code."""

    def tried(declaration=DECLARATION, *, solution=RIGHT, handout=EMPTY, heading="# Task 1"):
        (tmp_path / "assignment.py").write_text(declaration, encoding="utf-8")
        for folder, source in (("solution", solution), ("handout", handout)):
            if source is not None:
                (tmp_path / folder).mkdir()
                text = notebook(source, heading)
                (tmp_path / folder / "homework.ipynb").write_text(text, encoding="utf-8")
        assignment = load_assignment(str(tmp_path))
        found = list(try_assignment(str(tmp_path), assignment, server_without_device))
        for remark in found:
            for language in LANGUAGES:
                assert "{" not in message(remark.code, remark.values, language=language)
        return {remark.code: remark for remark in found}

    return tried


def test_a_good_assignment_has_nothing_wrong(remarks):
    found = remarks()
    assert all(remark.good for remark in found.values())
    assert set(found) == {"trial.declared", "trial.solution-right", "trial.handout-right"}


def test_a_solution_that_loses_points_is_told_with_the_check(remarks):
    found = remarks(solution=WRONG)
    assert found["trial.solution-wrong"].values["check"].startswith("nand.")
    assert "trial.solution-right" not in found


def test_a_handout_that_earns_points_is_told(remarks):
    assert "trial.handout-wrong" in remarks(handout=RIGHT)


def test_a_title_in_one_language_only_is_told(remarks):
    found = remarks(DECLARATION.replace(', "ru": "И-НЕ"', ""))
    assert found["trial.no-words"].values == {"what": "nand", "language": "ru"}


def test_a_name_that_neither_notebook_mentions_is_told(remarks):
    found = remarks(DECLARATION.replace('"neuron_nand"', '"nand_neuron"'))
    assert found["trial.name-nowhere"].values["name"] == "nand_neuron"


def test_a_name_of_two_tasks_is_told(remarks):
    twice = DECLARATION.replace("tasks=(NAND,)", "tasks=(NAND, replace(NAND, id='other'))")
    found = remarks("from dataclasses import replace\n" + twice)
    assert found["trial.name-twice"].values["name"] == "neuron_nand"


def test_a_code_that_no_message_has_is_told(remarks):
    found = remarks(DECLARATION + '\nCODE = "gate.wrong-raw"\n')
    assert found["trial.unknown-code"].values["code"] == "gate.wrong-raw"


def test_points_that_are_all_nothing_are_told(remarks):
    assert "trial.no-points" in remarks(DECLARATION.replace("points(1)", "points(0)"))


def test_points_that_do_not_come_to_what_the_statement_says_are_told(remarks):
    found = remarks(DECLARATION.replace("tasks=(NAND,)", "tasks=(NAND,), total=points(2.5)"))
    assert found["trial.wrong-total"].values == {"total": "2.5", "possible": "2"}


def test_points_that_come_to_what_the_statement_says_are_right(remarks):
    found = remarks(DECLARATION.replace("tasks=(NAND,)", "tasks=(NAND,), total=points(2)"))
    assert found["trial.declared"].values == {"tasks": "1", "checks": "2", "possible": "2"}


def test_a_task_without_a_section_in_the_solution_is_told(remarks):
    declaration = DECLARATION.replace('("neuron_nand",)', "()")
    found = remarks(declaration, solution="x = 1", heading="# Task 9")
    assert found["trial.no-section"].values["task"] == "nand"


def test_a_question_that_raises_is_told_as_such(remarks):
    broken = DECLARATION.replace("return 1 - x1 * x2", "return nothing")
    assert "nothing" in remarks(broken)["trial.raised"].values["text"]


def test_what_cannot_be_tried_is_a_note_and_no_fault(remarks):
    found = remarks(solution=None, handout=None)
    assert found["trial.no-solution"].mere_note
    assert found["trial.no-handout"].mere_note
    assert found["trial.declared"].good
