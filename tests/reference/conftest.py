"""What the tests of the reference share: the repository, and the solution run on real torch."""

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from grader.assignments import load_assignment
from grader.model import Assignment

REPOSITORY = Path(__file__).parent.parent.parent
FOLDER = REPOSITORY / "reference" / "intro_to_torch"


@pytest.fixture(scope="session")
def assignment() -> Assignment:
    return load_assignment("intro-to-torch")


@pytest.fixture(scope="session")
def oracle() -> Mapping[str, Any]:
    return runpy.run_path(str(FOLDER / "oracle.py"))


@pytest.fixture(scope="session")
def solution() -> Mapping[str, Any]:
    """Return the names that the solution leaves, having run it from top to bottom."""
    return runpy.run_path(str(FOLDER / "solution" / "homework.py"))
