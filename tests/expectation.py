"""`expect.toml`: what grading a sample submission must give; see `submissions/README.md`."""

from pathlib import Path

import msgspec

from grader.model import Outcome, Report


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the sample is graded, where it is not graded as everything is."""

    card: str = ""
    profile: str = ""


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a sample must get.

    Attributes:
        points: earned.
        to_review: points that wait for a person.
        tasks: outcome by task; those that are not named are ``missing``.
        checks: outcome by ``task.check``, for those that the sample is about.
        codes: message code by ``task.check``, likewise.
        run: card and profile.
    """

    points: float
    to_review: float
    tasks: dict[str, Outcome] = {}
    checks: dict[str, Outcome] = {}
    codes: dict[str, str] = {}
    run: Run = Run()


def read_expectation(path: Path) -> Expectation:
    """Return the expectation in a file.

    Raises:
        msgspec.ValidationError: it has a key or an outcome that there is none of.
    """
    return msgspec.toml.decode(path.read_bytes(), type=Expectation)


def differences(expected: Expectation, report: Report) -> list[str]:
    """Return a line for everything in which a report is not as expected."""
    checks = {f"{task.id}.{check.id}": check for task in report.tasks for check in task.checks}
    facts = [
        ("points", expected.points, report.points / 100),
        ("to_review", expected.to_review, report.to_review / 100),
    ]
    for task in report.tasks:
        facts.append((task.id, expected.tasks.get(task.id, Outcome.MISSING), task.outcome))
    facts += [(name, outcome, checks[name].outcome) for name, outcome in expected.checks.items()]
    facts += [(name, code, checks[name].code) for name, code in expected.codes.items()]
    lines = [f"{name}: expected {want}, got {got}" for name, want, got in facts if want != got]
    if lines:
        lines += [
            f"    {name}: {check.outcome} {check.code} {check.values}"
            for name, check in checks.items()
            if check.outcome is not Outcome.MISSING
        ]
        lines += [f"    cell {cell.index}: {cell.error}" for cell in report.cells if cell.error]
    return lines
