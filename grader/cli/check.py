"""`grader check`: one submission, printed in the terminal.

The warm server takes longest to start, so it starts first: what the judge needs is imported, and
the inputs of its questions are made, while the server loads torch.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from grader.cli.main import GRADER_FAILED, NOT_PASSED, PASSED
from grader.cli.show import WrongUse, guarded, say
from grader.model import Assignment, LimitValues, Outcome, Points, Report, Submission, points
from grader.sandbox.layers import ALL
from grader.sandbox.protocol import REAL
from grader.sandbox.session import Server
from grader.vgpu.build import has_to_build

if TYPE_CHECKING:
    from grader.judge import Judge

_PAGE_ENDINGS = (".html", ".htm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the user asked for.

    Attributes:
        path: the submission: a notebook, a script, a folder or an archive.
        assignment: its name or folder.
        language: of everything that is printed.
        card: name of the card to imitate, or ``real``; empty for the notebook's own.
        profile: version of torch whose texts the virtual GPU shows; empty for the notebook's own.
        task: id of the one task to judge; None for all.
        limits: limits other than the assignment's, by field.
        html: file for the page; None for none.
        as_json: print `result.json` in place of the report.
        fail_under: points below which the exit code says so, as typed; None for "all checks".
    """

    path: Path
    assignment: str
    language: str
    card: str = ""
    profile: str = ""
    task: str | None = None
    limits: LimitValues = field(default_factory=dict)
    html: Path | None = None
    as_json: bool = False
    fail_under: str | None = None


def exit_code(report: Report, *, fail_under: Points | None = None) -> int:
    """Return the exit code of a report: checks of 0 points have no say.

    Args:
        report: what was found.
        fail_under: points that are enough; None if every automatic check has to pass. Points that
            wait for a person are not among those that count.
    """
    counted = [c.outcome for task in report.tasks for c in task.checks if c.possible > 0]
    if Outcome.GRADER_ERROR in counted:
        return GRADER_FAILED
    if fail_under is not None:
        return PASSED if report.points >= fail_under else NOT_PASSED
    if all(outcome in (Outcome.PASSED, Outcome.REVIEW) for outcome in counted):
        return PASSED
    return NOT_PASSED


def check_once(wanted: Wanted) -> int:
    """Check one submission and print the result; return the exit code."""

    def action() -> int:
        require_sensible(wanted)
        with start_server(wanted, once=True) as server:
            from grader.intake import read_submission

            assignment, enough = declared(wanted)
            judge = judge_of(wanted, assignment, server)
            submission = read_submission(wanted.path)
            report = judge.grade(submission)
            if os.environ.get("GITHUB_ACTIONS") == "true":
                _show_on_github(wanted, submission, report, assignment)
            else:
                show(wanted, report, assignment)
            _say_what_lacks(server, language=wanted.language)
        code = exit_code(report, fail_under=enough)
        if enough is not None and code == NOT_PASSED:
            shown = {"points": report.points, "enough": enough}
            from grader.reports.wording import shown_points

            values = {key: shown_points(value, wanted.language) for key, value in shown.items()}
            say("cli.too-few-points", values, language=wanted.language)
        return code

    return guarded(action, language=wanted.language)


def require_sensible(wanted: Wanted) -> None:
    """Refuse what can be seen to be a mistake before anything is started.

    Raises:
        WrongUse: with a message that says what and how else.
    """
    if not wanted.path.exists():
        raise WrongUse(*_not_there(wanted.path))
    page = wanted.html
    if page is not None and page.is_dir():
        raise WrongUse("cli.page-folder", {"path": str(page)})
    if page is not None and page.exists() and page.suffix.lower() not in _PAGE_ENDINGS:
        raise WrongUse("cli.page-over-file", {"path": str(page)})


def declared(wanted: Wanted) -> tuple[Assignment, Points | None]:
    """Return the assignment and the points that are enough, if any were named.

    Raises:
        AssignmentError: there is no such assignment.
        WrongUse: it has no such task, or not so many points.
    """
    from grader.assignments import load_assignment
    from grader.reports.wording import shown_points

    assignment = load_assignment(wanted.assignment).with_limits(wanted.limits)
    possible = assignment.possible
    if wanted.task is not None:
        ids = tuple(task.id for task in assignment.tasks)
        if wanted.task not in ids:
            raise WrongUse(*_unknown_task(wanted.task, ids, assignment.name))
        possible = assignment.task(wanted.task).possible
    if wanted.fail_under is None:
        return assignment, None
    shown = {
        "typed": wanted.fail_under,
        "possible": shown_points(possible, wanted.language),
    }
    try:
        enough = points(float(wanted.fail_under.replace(",", ".")))
    except (ValueError, OverflowError):
        raise WrongUse("cli.fail-under-unreadable", shown) from None
    if enough > possible:
        raise WrongUse("cli.fail-under-too-many", shown)
    return assignment, enough


def start_server(wanted: Wanted, *, once: bool) -> Server:
    """Start the warm server; say so first where its native core has yet to be compiled."""
    real = wanted.card == REAL
    if not real and has_to_build():
        say("cli.compiling", language=wanted.language)
    return Server(unsafe=True, real=real, once=once)  # one's own work on one's own machine


def judge_of(wanted: Wanted, assignment: Assignment, server: Server) -> "Judge":
    """Return the judge that was asked for, with the inputs of its questions made.

    Raises:
        DeviceError: there is no such card or profile.
    """
    from grader.checks.inputs import make_ahead
    from grader.judge import Judge

    judge = Judge(assignment, server, card=wanted.card, profile=wanted.profile, only=wanted.task)
    make_ahead()
    return judge


def show(wanted: Wanted, report: Report, assignment: Assignment) -> None:
    """Write the page if one was asked for, and print the report.

    Raises:
        WrongUse: the page cannot be written.
    """
    if wanted.html is not None:
        from grader.batch.pages import write_file
        from grader.messages import system_reason
        from grader.reports.html import render_report

        page = render_report(report, assignment, language=wanted.language)
        try:
            write_file(wanted.html, page.encode())
        except OSError as error:
            values = {"path": str(wanted.html), "reason": system_reason(error)}
            raise WrongUse("cli.page-unwritable", values) from error
    if wanted.as_json:
        from grader.reports.json import encode_result

        sys.stdout.buffer.write(encode_result(report) + b"\n")
    else:
        from grader.reports.terminal import print_report

        print_report(report, assignment, language=wanted.language, page=wanted.html)


def _show_on_github(
    wanted: Wanted, submission: Submission, report: Report, assignment: Assignment
) -> None:
    """Show the report in a step of a workflow, whose runner obeys what is printed outside a fence.

    With JSON on standard output, annotations go to standard error.
    """
    from grader.ci import github
    from grader.ci.places import find_places

    with nullcontext() if wanted.as_json else github.fenced(sys.stdout):
        show(wanted, report, assignment)
    github.publish(
        report,
        assignment,
        wanted.path,
        find_places(wanted.path, submission),
        language=wanted.language,
        out=sys.stderr if wanted.as_json else sys.stdout,
    )


def _say_what_lacks(server: Server, *, language: str) -> None:
    """Say in one line what this system cannot do, where there is something."""
    missing = [name for name in ALL if name not in server.layers]
    if missing:
        say("cli.lacks-isolation", {"layers": ", ".join(missing)}, language=language)


def _not_there(path: Path) -> tuple[str, Mapping[str, str]]:
    """Return the message for a path that does not exist, with the nearest name that does."""
    values = {"path": str(path)}
    try:
        beside = [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return "cli.not-there", values
    near = get_close_matches(path.name, beside, n=1)
    if near:
        return "cli.not-there-near", {**values, "near": str(path.parent / near[0])}
    notebooks = sorted(name for name in beside if name.endswith(".ipynb"))[:5]
    if notebooks:
        return "cli.not-there-others", {**values, "others": ", ".join(notebooks)}
    return "cli.not-there", values


def _unknown_task(task: str, ids: tuple[str, ...], assignment: str) -> tuple[str, dict[str, str]]:
    values = {"task": task, "tasks": ", ".join(ids), "assignment": assignment}
    near = get_close_matches(task, ids, n=1)
    if near:
        return "cli.unknown-task-near", {**values, "near": near[0]}
    return "cli.unknown-task", values
