"""One submission of a batch: read, judge, write its files. The same code for every scheduler."""

import functools
import hashlib
import importlib.metadata
import os
import platform
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from grader.assignments import assignment_digest, load_assignment
from grader.checks.inputs import make_ahead
from grader.gradebook import has_outcome, result_key
from grader.intake import Refused
from grader.judge import Judge
from grader.lms.containers import Member, digest_members
from grader.lms.reading import read_handed
from grader.model import (
    Assignment,
    CheckResult,
    Outcome,
    Report,
    Submission,
    TaskResult,
)
from grader.reports.html import make_templates_ahead
from grader.sandbox.protocol import REAL
from grader.sandbox.session import FORKS, Server, ServerFailed

RETRIES = 1
"""How often a submission is tried again elsewhere after its worker died."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What decides a run's results, as data that a worker can be sent.

    Attributes:
        assignment: name or folder.
        card: name of the card, empty for the one a submission's outputs name.
        profile: runtime profile, empty for the one those outputs show.
        language: of the pages.
        unsafe: whether to run without the locks that batch grading demands.
        limits: by name of the field of `grader.model.Limits`, in place of the assignment's.
    """

    assignment: str
    card: str = ""
    profile: str = ""
    language: str = "en"
    unsafe: bool = False
    limits: dict[str, int | float] = {}


@dataclass(frozen=True, slots=True)
class Job:
    """One submission to be graded.

    Attributes:
        name: its name in reports and paths.
        path: where it lies.
        members: its files inside of `path`; empty where `path` is the submission.
    """

    name: str
    path: Path
    members: tuple[Member, ...] = ()


FEW = 3
"""Submissions a worker for which the server is not warmed up."""

_NOT_THE_SUBMISSION = frozenset({"sandbox.too-weak", "sandbox.no-start"})
"""Failures of the sandbox that any submission would meet on this machine."""

_SERVER_IS_LOST = frozenset({"sandbox.no-start", "sandbox.server-died", "sandbox.too-weak"})


def start_server(
    settings: Settings, *, few: bool = False, shared: socket.socket | None = None
) -> Server:
    """Return a warm server for submissions that are graded with these settings.

    For a `few` of them, warming it up would cost more than it saves.

    Args:
        settings: what decides the results.
        few: whether there are but a few submissions.
        shared: this judge's end of a `door` to a server that another process has started.
    """
    return Server(unsafe=settings.unsafe, real=settings.card == REAL, once=few, shared=shared)


def can_share_server(settings: Settings) -> bool:
    """Whether judges of several processes can share a server."""
    return FORKS and settings.card != REAL


@functools.cache
def grader_digest() -> str:
    """Return a digest of the grader's own code, which decides results as much as its version."""
    return _code_digest(lambda path: path.suffix in {".py", ".cpp"} and "reports" not in path.parts)


@functools.cache
def pages_digest() -> str:
    """Return a digest of what pages are drawn with: code, templates and words."""
    return _code_digest(lambda path: not {"reports", "messages"}.isdisjoint(path.parts))


def _code_digest(wanted: Callable[[Path], bool]) -> str:
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if wanted(path.relative_to(root))):
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


def code_digest(settings: Settings, assignment: Assignment) -> str:
    """Return a digest of the code that decides a result; all workers of a run must agree in it."""
    return result_key(
        (
            grader_digest(),
            assignment_digest(assignment),
            repr(assignment.limits),
            repr(sorted(assignment.keys.items())),
            importlib.metadata.version("torch"),
            sys.version,
            settings.card,
            settings.profile,
            str(settings.unsafe),
        )
    )


def settings_digest(settings: Settings, assignment: Assignment) -> str:
    """Return a digest of everything but the submission that decides a result.

    The system and the user stand for the isolation that can be had.
    """
    user = str(os.getuid()) if hasattr(os, "getuid") else ""
    return result_key((code_digest(settings, assignment), platform.platform(), user))


_NOTHING = frozenset({"intake.empty", "intake.nothing-to-grade"})


def refused_report(
    assignment: Assignment, name: str, refused: Refused, *, digest: str = ""
) -> Report:
    """Return the report of a file that cannot be read: a person opens it, with the reason.

    Only where nothing was handed in is everything missing; a report in PDF is something.

    Args:
        assignment: the assignment.
        name: of the submission.
        refused: why it cannot be read.
        digest: of the file; a decision on it holds for this file only.
    """
    nothing = refused.code in _NOTHING and not refused.values.get("holds")
    outcome = Outcome.MISSING if nothing else Outcome.REVIEW
    excerpt = ""
    if outcome is Outcome.REVIEW:
        excerpt = f"{refused.values.get('file', '')} [{digest}]"
    return _empty_report(assignment, name, outcome, refused.code, refused.values, excerpt=excerpt)


def failed_report(assignment: Assignment, name: str, reason: str) -> Report:
    """Return the report of a submission on which the grader itself failed."""
    return _empty_report(
        assignment, name, Outcome.GRADER_ERROR, "judge.grader-error", {}, staff=reason
    )


def _empty_report(
    assignment: Assignment,
    name: str,
    outcome: Outcome,
    code: str,
    values: dict[str, str],
    *,
    staff: str = "",
    excerpt: str = "",
) -> Report:
    note: list[tuple[str, dict[str, str]]] = [("judge.traceback", {"text": staff})] if staff else []
    tasks = [
        TaskResult(
            id=task.id,
            outcome=outcome,
            points=0,
            possible=task.possible,
            checks=[
                CheckResult(
                    id=check.id,
                    outcome=outcome,
                    points=0,
                    possible=check.possible,
                    code=code if staff else "judge.refused",
                    excerpt=excerpt,
                    staff=note if position == 0 else [],
                )
                for position, check in enumerate(task.checks)
            ],
        )
        for task in assignment.tasks
    ]
    return Report(
        assignment=assignment.name,
        submission=name,
        card="",
        profile="",
        seconds=0.0,
        tasks=tasks,
        cells=[],
        notes=[(code, values)],
    )


class Grading:
    """Reads and judges submissions one after another in children of a warm server.

    The server starts when the first submission is judged.

    Args:
        settings: what decides the results.
        few: whether there are so few that the server need not be warmed up.
        share: asks for a server that is shared, and returns the judge's end of a `door` to it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        few: bool = False,
        share: Callable[[], socket.socket] | None = None,
    ) -> None:
        self._few = few
        self._share = share
        self.assignment = load_assignment(settings.assignment).with_limits(settings.limits)
        self._settings = settings
        self._server: Server | None = None

    def read(self, job: Job) -> Submission | Report:
        """Return the submission as data, or its report where it is none."""
        try:
            # By its job's name a result is found again, also where a number made that longer.
            read = read_handed(job.path, job.members, name=job.name)
            return replace(read, name=job.name)
        except Refused as refused:
            digest = digest_members(job.path, job.members)
            return refused_report(self.assignment, job.name, refused, digest=digest)

    def grade(self, submission: Submission) -> Report:
        """Return the report of a submission.

        Where the sandbox failed, or a child ended for want of memory, a second try decides: the
        machine may have been short of memory while others were graded beside it.

        Raises:
            ServerFailed: no child can be started, or the sandbox failed twice.
        """
        try:
            report = self._judge(submission)
        except ServerFailed as failed:
            if failed.code in _SERVER_IS_LOST:
                self.close()
            if failed.code == "sandbox.too-weak":
                raise
            return self._judge(submission)
        return self._judge(submission) if has_outcome(report, {Outcome.MEMORY}) else report

    def failed(self, name: str, error: Exception) -> Report:
        """Return the report of a submission on which the grader failed; the batch goes on.

        Raises:
            ServerFailed: it is `error`, and any submission would meet it on this machine.
        """
        if isinstance(error, ServerFailed) and error.code in _NOT_THE_SUBMISSION:
            raise error
        reason = "".join(traceback.format_exception(error, limit=-8))
        return failed_report(self.assignment, name, reason)

    def close(self) -> None:
        """End the server if it was started."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _judge(self, submission: Submission) -> Report:
        if self._server is None:
            share, self._share = self._share, None  # once; where it failed, an own one follows
            shared = None if share is None else share()
            self._server = start_server(self._settings, few=self._few, shared=shared)
            make_ahead()  # while the server gets warm
            make_templates_ahead(self._settings.language)
        judge = Judge(
            self.assignment,
            self._server,
            card=self._settings.card,
            profile=self._settings.profile,
        )
        return judge.grade(submission)
