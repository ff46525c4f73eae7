"""`grader check`: one submission, printed in the terminal.

The warm server takes longest to start, so it starts first: what the judge needs is imported, and
the inputs of its questions are made, while the server loads torch.
"""

import sys
from pathlib import Path

from grader.cli.main import GRADER_FAILED, NOT_PASSED, PASSED, WRONG_USE
from grader.cli.show import guarded, say
from grader.model import LimitValues, Outcome, Report
from grader.sandbox.session import Server


def exit_code(report: Report) -> int:
    """Return the exit code of a report: checks of 0 points have no say."""
    counted = [c.outcome for task in report.tasks for c in task.checks if c.possible > 0]
    if Outcome.GRADER_ERROR in counted:
        return GRADER_FAILED
    if all(outcome in (Outcome.PASSED, Outcome.REVIEW) for outcome in counted):
        return PASSED
    return NOT_PASSED


def check_once(
    path: Path,
    *,
    assignment: str,
    language: str,
    card: str,
    profile: str,
    task: str | None,
    limits: LimitValues,
    html: Path | None,
    as_json: bool,
) -> int:
    """Check one submission and print the result; return the exit code."""

    def action() -> int:
        with Server(unsafe=True, once=True) as server:
            from grader.assignments import load_assignment
            from grader.checks.inputs import make_ahead
            from grader.intake import read_submission
            from grader.judge import Judge
            from grader.reports.json import encode_result
            from grader.reports.terminal import print_report

            declared = load_assignment(assignment).with_limits(limits)
            if task is not None and task not in {t.id for t in declared.tasks}:
                ids = ", ".join(t.id for t in declared.tasks)
                values = {"assignment": declared.name, "task": task, "tasks": ids}
                say("cli.unknown-task", values, language=language)
                return WRONG_USE
            submission = read_submission(path)
            judge = Judge(declared, server, card=card, profile=profile, only=task)
            make_ahead()
            report = judge.grade(submission)
        if html is not None:
            from grader.batch.pages import write_file
            from grader.reports.html import render_report

            write_file(html, render_report(report, declared, language=language).encode())
        if as_json:
            sys.stdout.buffer.write(encode_result(report) + b"\n")
        else:
            print_report(report, declared, language=language, page=html)
        return exit_code(report)

    return guarded(action, language=language)
