"""Reports made by hand, for what no sample shows, and the one warm server for commands."""

from contextlib import nullcontext

import pytest

from grader.assignments import load_assignment
from grader.model import CheckResult, Outcome, Report, TaskResult, task_outcome


@pytest.fixture(scope="session")
def assignment():
    return load_assignment("intro-to-torch")


@pytest.fixture
def make_report(assignment):
    """Return a function that makes a report in which all passed but the checks that are named."""

    def make(**results):
        tasks = []
        for task in assignment.tasks:
            checks = []
            for check in task.checks:
                given = results.get(f"{task.id}.{check.id}".replace("-", "_").replace(".", "__"))
                outcome, code, values, evidence = given or (Outcome.PASSED, "gate.all-rows", {}, [])
                points = check.possible if outcome is Outcome.PASSED else 0
                checks.append(
                    CheckResult(
                        id=check.id,
                        outcome=outcome,
                        points=points,
                        possible=check.possible,
                        code=code,
                        values=values,
                        evidence=evidence,
                        cells=[1],
                    )
                )
            tasks.append(
                TaskResult(
                    id=task.id,
                    outcome=task_outcome([c.outcome for c in checks if c.possible] or [outcome]),
                    points=sum(check.points for check in checks),
                    possible=task.possible,
                    checks=checks,
                    cells=[1],
                )
            )
        return Report(
            assignment=assignment.name,
            submission="ivanova",
            card="Tesla T4",
            profile="",
            seconds=0.1,
            tasks=tasks,
            cells=[],
        )

    return make


@pytest.fixture
def shared_server(server, monkeypatch):
    """Let every command use the one server in place of starting its own."""
    for module in ("grader.cli.check", "grader.ci.items"):
        monkeypatch.setattr(f"{module}.Server", lambda **_: nullcontext(server))
    return server
