"""A second assignment needs no change of the grader: that of the documentation is used."""

from pathlib import Path
from textwrap import dedent

import pytest

from grader.assignments import load_assignment
from grader.intake import read_submission
from grader.judge import Judge

DOCUMENT = Path(__file__).parent.parent / "docs" / "writing-an-assignment.md"

RIGHT = """
# Task 1
import torch
w = torch.tensor([-1.0, -1.0])
b = torch.tensor(1.5)
neuron_nand = lambda x: (w @ x + b > 0).float()

# Question 1
#
# Every gate can be made of it.
"""
WRONG = """
# Task 1
import torch
w = torch.tensor([1.0, 1.0])
neuron_nand = lambda x: (w @ x - 1.5 > 0).float()
"""


def code_blocks(text):
    """Return the indented blocks of a document, in order."""
    blocks, lines = [], []
    for line in text.split("\n"):
        if line.startswith("    ") or (lines and not line.strip()):
            lines.append(line)
        elif lines:
            blocks.append(dedent("\n".join(lines)).strip() + "\n")
            lines = []
    return blocks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the files that the document shows."""
    small = DOCUMENT.read_text(encoding="utf-8").partition("## A small one")[2]
    declaration, oracle = code_blocks(small)[:2]
    target = tmp_path_factory.mktemp("universal_gates")
    (target / "assignment.py").write_text(declaration, encoding="utf-8")
    (target / "oracle.py").write_text(oracle, encoding="utf-8")
    return target


@pytest.fixture(scope="module")
def judge(folder, server_without_device):
    return Judge(load_assignment(str(folder)), server_without_device)


def test_the_example_of_the_documentation_can_be_loaded(folder):
    assignment = load_assignment(str(folder))
    assert assignment.name == "universal-gates"
    assert assignment.possible == 300


@pytest.mark.parametrize(("source", "points", "to_review"), [(RIGHT, 200, 100), (WRONG, 0, 0)])
def test_submissions_of_it_are_judged(judge, tmp_path, source, points, to_review):
    path = tmp_path / "homework.py"
    path.write_text(source, encoding="utf-8")
    report = judge.grade(read_submission(path))
    assert (report.points, report.to_review) == (points, to_review)
