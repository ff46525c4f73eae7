"""Finding and loading assignments: what an instructor's mistake is told as."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from grader.assignments import (
    AssignmentError,
    assignment_digest,
    known_names,
    load_assignment,
)
from grader.messages import has_message

HEAD = """
from dataclasses import dataclass
from grader.model import Assignment, Check, Heading, Task, points
from . import oracle

@dataclass(frozen=True)
class Riddle:
    check_ids = ("truth-table", "weights")

    def judge(self, task, view):
        return []

WORDS = {"en": "x", "ru": "x"}

def task(task_id="gate", checks=("truth-table",), question=Riddle()):
    return Task(
        id=task_id, title=WORDS, headings=(Heading("task", 1),), question=question,
        checks=tuple(Check(check, points(1), WORDS) for check in checks),
    )
"""
GOOD = 'ASSIGNMENT = Assignment(name="riddles", title=oracle.TITLE, tasks=(task(),))'


@pytest.fixture
def folder(tmp_path):
    """Return a function that writes an assignment and gives its folder."""

    def write(body, *, head=HEAD, keys=None, oracle='TITLE = {"en": "Riddles", "ru": "Загадки"}'):
        (tmp_path / "assignment.py").write_text(head + dedent(body), encoding="utf-8")
        (tmp_path / "oracle.py").write_text(oracle, encoding="utf-8")
        if keys is not None:
            (tmp_path / "solution").mkdir(exist_ok=True)
            (tmp_path / "solution" / "keys.toml").write_text(keys, encoding="utf-8")
        return str(tmp_path)

    return write


def failure(name_or_folder):
    with pytest.raises(AssignmentError) as caught:
        load_assignment(name_or_folder)
    error = caught.value
    for language in ("en", "ru"):
        assert has_message(error.code, language)
        assert has_message(f"{error.code}.explain", language)
    assert "{" not in str(error)
    return error


def test_a_folder_is_loaded_with_its_sibling_and_its_keys(folder):
    loaded = load_assignment(folder(GOOD, keys='gate = ["A", "B"]'))
    assert loaded.title["ru"] == "Загадки"
    assert loaded.keys == {"gate": ["A", "B"]}


def test_without_a_solution_there_are_no_keys(folder):
    assert load_assignment(folder(GOOD)).keys == {}


def test_loading_leaves_sys_path_as_it_was(folder):
    before = list(sys.path)
    load_assignment(folder(GOOD))
    assert sys.path == before
    assert "oracle" not in sys.modules
    assert "assignment" not in sys.modules


def test_a_changed_file_is_read_again_and_has_another_digest(folder):
    first = load_assignment(folder(GOOD))
    digest = assignment_digest(first)
    second = load_assignment(folder(GOOD, oracle='TITLE = {"en": "Enigmas", "ru": "Тайны"}'))
    assert second.title["en"] == "Enigmas"
    assert assignment_digest(second) != digest


def test_a_changed_key_has_another_digest(folder):
    digest = assignment_digest(load_assignment(folder(GOOD, keys='gate = "A"')))
    assert assignment_digest(load_assignment(folder(GOOD, keys='gate = "B"'))) != digest


def test_the_assignment_that_comes_with_the_grader_is_known():
    assert "intro-to-torch" in known_names()


def test_a_name_with_a_slip_is_told_what_may_be_meant():
    error = failure("intro-to-torhc")
    assert error.code == "assignment.unknown-name-near"
    assert error.values["near"] == "intro-to-torch"


def test_an_unknown_name_is_told_what_is_known():
    error = failure("calculus")
    assert error.code == "assignment.unknown-name"
    assert "intro-to-torch" in error.values["known"]


@pytest.mark.parametrize("name", ["", "..", "../reference/intro", "a/../b", "\0", "x" * 5000])
def test_a_name_that_is_no_name_is_unknown_and_nothing_worse(name):
    assert failure(name).code.startswith(("assignment.unknown-name", "assignment.no-declaration"))


def test_a_folder_without_a_declaration_is_named(tmp_path):
    error = failure(str(tmp_path))
    assert error.code == "assignment.no-declaration"
    assert error.values["path"] == str(tmp_path)


def test_a_syntax_error_is_told_with_file_and_line(folder):
    path = folder("ASSIGNMENT = (\n", head="\n\n")
    error = failure(path)
    assert error.code == "assignment.syntax"
    assert error.values["path"].endswith("assignment.py")
    assert error.values["line"] == "3"


def test_a_syntax_error_of_a_sibling_is_told_there(folder):
    error = failure(folder(GOOD, oracle="TITLE =\n"))
    assert error.code == "assignment.syntax"
    assert error.values["path"].endswith("oracle.py")


def test_an_exception_is_told_with_the_line_that_raised(folder):
    error = failure(folder("\nnothing / 2\n", head=""))
    assert error.code == "assignment.raises"
    assert error.values["line"] == "2"
    assert "NameError" in error.values["text"]


def test_a_file_that_declares_nothing_is_told_so(folder):
    assert failure(folder("x = 1")).code == "assignment.nothing-declared"


def test_a_declaration_of_another_type_is_told_so(folder):
    assert failure(folder("ASSIGNMENT = {}")).code == "assignment.nothing-declared"


def declared(tasks):
    return f'ASSIGNMENT = Assignment(name="riddles", title=WORDS, tasks=({tasks},))'


def test_a_task_id_may_stand_once(folder):
    error = failure(folder(declared("task(), task()")))
    assert (error.code, error.values["task"]) == ("assignment.duplicate-task", "gate")


def test_a_check_id_may_stand_once_in_a_task(folder):
    error = failure(folder(declared("task(checks=('weights', 'weights'))")))
    assert (error.code, error.values["check"]) == ("assignment.duplicate-check", "weights")


def test_a_check_that_the_question_does_not_judge_is_told_with_the_nearest(folder):
    error = failure(folder(declared("task(checks=('truth_table',))")))
    assert (error.code, error.values["near"]) == ("assignment.unknown-check-near", "truth-table")


def test_a_check_that_is_like_no_other_is_told_with_those_that_are(folder):
    error = failure(folder(declared("task(checks=('zzz',))")))
    assert (error.code, error.values["known"]) == (
        "assignment.unknown-check",
        "truth-table, weights",
    )


def test_a_question_that_judges_nothing_is_refused(folder):
    error = failure(folder(declared("task(question='what?')")))
    assert (error.code, error.values["type"]) == ("assignment.no-question", "str")


def test_keys_of_tasks_that_are_not_there_are_refused(folder):
    error = failure(folder(GOOD, keys='gaet = "A"'))
    assert (error.code, error.values["task"]) == ("assignment.unknown-key", "gaet")


@pytest.mark.parametrize("text", ["gate = ", "\udcff"])
def test_keys_that_cannot_be_read_are_refused(folder, text):
    path = folder(GOOD, keys="")
    keys = Path(path) / "solution" / "keys.toml"
    keys.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert failure(path).code == "assignment.bad-keys"
