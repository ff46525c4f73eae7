"""The declaration holds the contract: ids and points, titles in both languages, keys."""

import pytest

from grader.assignments import assignment_digest, load_assignment

CONTRACT = {
    "parameters": {"networks": 0, "answer": 200, "any-network": 0},
    "not": {"truth-table": 75, "weights": 25},
    "and": {"truth-table": 75, "weights": 25},
    "or": {"truth-table": 75, "weights": 25},
    "xor": {"truth-table": 150, "weights": 50},
    "linear-boundary": {"answer": 100},
    "linear-stack": {"answer": 100},
    "xor-expression": {"truth-table": 150, "three-neurons": 50},
    "gradients": {"graph": 50, "values": 150, "drawing": 100},
    "vram-limits": {
        "float32": 50,
        "float64": 50,
        "float16": 50,
        "int32": 50,
        "int64": 50,
        "comparison": 50,
    },
    "oom": {"out-of-memory": 100},
    "linear-vram": {"fills": 50, "forward": 50, "explanation": 100},
}


def test_ids_and_points_are_those_of_the_contract(assignment):
    declared = {
        task.id: {check.id: check.possible for check in task.checks} for task in assignment.tasks
    }
    assert declared == CONTRACT
    assert [task.id for task in assignment.tasks] == list(CONTRACT)
    assert assignment.possible == 2000


def test_every_title_and_hint_is_there_in_both_languages(assignment):
    words = [assignment.title]
    for task in assignment.tasks:
        words += [task.title, task.hint, *(check.title for check in task.checks)]
    for word in words:
        assert set(word) == {"en", "ru"}
        assert all(text.strip() for text in word.values())


def test_no_two_tasks_claim_the_same_name(assignment):
    names = [name for task in assignment.tasks for name in task.names]
    assert len(names) == len(set(names))


def test_the_keys_are_the_choices_of_the_solution(assignment, solution):
    assert set(assignment.keys) == {"linear-boundary", "linear-stack"}
    assert set(assignment.keys["linear-boundary"]) == solution["linear_boundary"]
    assert assignment.keys["linear-stack"] == solution["linear_stack"]


@pytest.mark.parametrize("task_id", ["linear-boundary", "linear-stack"])
def test_the_keys_choose_among_the_options_and_not_all_of_them(assignment, task_id):
    options = set(assignment.task(task_id).question.options)
    assert set(assignment.keys[task_id]) < options


def test_the_digest_is_that_of_the_files_and_stays(assignment):
    again = load_assignment("intro-to-torch")
    assert assignment_digest(again) == assignment_digest(assignment)
    assert len(assignment_digest(assignment)) == 64
