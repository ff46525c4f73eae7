"""Grades many submissions on a Dask cluster: the same code per submission, the same results.

Submissions travel as data (they are read here, never there), reports and pages come back as bytes.
Each thread of a Dask worker keeps a warm server of its own. Dask runs the tasks of a lost worker
again elsewhere and gives work to workers that join. Needs the extra ``cluster``.
"""

import importlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from grader.batch.desk import Desk, Done
from grader.batch.grading import FEW, Grading, Job, Settings, code_digest, failed_report
from grader.batch.pages import Drawn, SubmissionPages
from grader.gradebook import GradebookError, Review
from grader.lms.origin import Origin
from grader.model import Assignment, Report, Submission
from grader.sandbox.protocol import REAL
from grader.sandbox.session import ServerFailed

_AHEAD = 4
"""Submissions given to the cluster for each of its threads; the rest wait here, as paths."""

_CONNECT_SECONDS = 10

_IDLE_SECONDS = 5.0
"""After so long without a result it is asked whether there are workers at all."""

_POLL_SECONDS = 0.02

Untyped: TypeAlias = Any
"""An object of `distributed`, which has no types."""

_LOGGERS = ("distributed", "distributed.client", "tornado.application")
"""What Dask says of lost connections, with traces; the instructor gets one message instead."""

_kept = threading.local()

_card = threading.Lock()
"""Held while a submission runs on the machine's own card: two would take each other's memory."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One submission for the cluster.

    Attributes:
        code: digest of the code that must grade it, see `code_digest`.
        reviews: decisions of persons on it, for its page.
        origin: where it came from, where that is known.
        few: whether the run has but a few submissions.
    """

    settings: Settings
    code: str
    submission: Submission
    reviews: list[Review]
    origin: Origin | None
    few: bool = False


class Graded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What comes back: the report, and the files that were drawn from it."""

    report: Report
    files: dict[str, bytes]
    failure: str


class Trouble(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What comes back from a worker that cannot grade; `code` and `values` are a message."""

    code: str
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class NoWorkers:
    """The scheduler has no worker; the run goes on once one joins."""

    address: str


def grade_there(data: bytes) -> bytes:
    """Grade one submission in a Dask worker: a `Request` in, `Graded` or `Trouble` out."""
    request = msgspec.msgpack.decode(data, type=Request)
    try:
        return msgspec.msgpack.encode(_graded(request))
    except ServerFailed as error:
        return msgspec.msgpack.encode(Trouble(code=error.code, values=error.values))


def _graded(request: Request) -> Graded | Trouble:
    if getattr(_kept, "settings", None) != request.settings:
        if hasattr(_kept, "grading"):
            _kept.grading.close()
        _kept.grading = Grading(request.settings, few=request.few)
        _kept.settings = request.settings
    grading: Grading = _kept.grading
    if code_digest(request.settings, grading.assignment) != request.code:
        return Trouble(code="batch.other-code", values={})
    with _card if request.settings.card == REAL else nullcontext():
        try:
            report = grading.grade(request.submission)
        except Exception as error:  # noqa: BLE001  # ours, whatever it is; the batch goes on
            report = grading.failed(request.submission.name, error)
    pages = SubmissionPages(
        grading.assignment,
        language=request.settings.language,
        reviews=request.reviews,
        origin_of=lambda _: request.origin,
    )
    drawn = pages.draw(report)
    return Graded(report=report, files=drawn.files, failure=drawn.failure)


class Cluster:
    """A Dask cluster, with the interface of `grader.batch.local.LocalWorkers`.

    Args:
        settings: what decides the results; the assignment must be found on every worker.
        desk: where results are looked up and handed on.
        assignment: the assignment.
        address: of the scheduler, as ``tcp://host:8786``.
    """

    def __init__(
        self, settings: Settings, desk: Desk, assignment: Assignment, *, address: str
    ) -> None:
        self._settings = settings
        self._desk = desk
        self._assignment = assignment
        self._address = address
        self._code = code_digest(settings, assignment)
        self._reader = Grading(settings)
        self._few = False

    def grade(self, jobs: Sequence[Job]) -> Iterator[Done | NoWorkers]:
        """Yield each job's answer as it arrives, and once that there are no workers.

        Raises:
            GradebookError: the extra is not installed, the address is none, a worker has another
                version, or the scheduler cannot be reached or was lost; what has arrived is kept,
                and the same command goes on from there.
            ServerFailed: the workers can grade nothing.
        """
        self._few = len(jobs) <= FEW
        try:
            distributed: Untyped = importlib.import_module("distributed")
        except ImportError as error:
            raise GradebookError("batch.no-distributed", {}) from error
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        gone = (distributed.comm.CommClosedError, distributed.client.FutureCancelledError)
        try:
            with self._connect(distributed) as client:
                yield from self._grade_with(distributed, client, jobs)
        except gone as error:
            raise self._gone() from error
        except OSError as error:
            values = {"address": self._address, "reason": str(error) or type(error).__name__}
            raise GradebookError("batch.scheduler-lost", values) from error

    def _gone(self) -> GradebookError:
        return GradebookError("batch.scheduler-gone", {"address": self._address})

    def _connect(self, distributed: Untyped) -> Untyped:
        try:
            return distributed.Client(self._address, timeout=_CONNECT_SECONDS)
        except ValueError as error:
            raise GradebookError("batch.no-address", {"address": self._address}) from error

    def _grade_with(
        self, distributed: Untyped, client: Untyped, jobs: Sequence[Job]
    ) -> Iterator[Done | NoWorkers]:
        waiting = iter(jobs)
        running: dict[Untyped, tuple[Job, str]] = {}
        arriving = distributed.as_completed()
        while True:
            for job in waiting:
                read = self._read(job)
                if isinstance(read, Done):
                    yield read
                    continue
                future = client.submit(grade_there, self._request(read), pure=False, retries=1)
                running[future] = job, self._desk.key(read.digest)
                arriving.add(future)
                if len(running) >= _AHEAD * max(1, sum(client.nthreads().values())):
                    break
            if not running:
                return
            yield from self._until_ready(client, arriving)
            future = next(arriving)
            job, key = running.pop(future)
            yield self._arrived(future, job, key)

    def _until_ready(self, client: Untyped, arriving: Untyped) -> Iterator[NoWorkers]:
        """Wait for a result; yield once where none comes because there are no workers."""
        asked = time.monotonic()
        told = False
        while not arriving.has_ready():
            time.sleep(_POLL_SECONDS)
            if not told and time.monotonic() - asked > _IDLE_SECONDS:
                asked = time.monotonic()
                told = not client.nthreads()
                if told:
                    yield NoWorkers(self._address)

    def _read(self, job: Job) -> Done | Submission:
        submission = self._reader.read(job)
        if isinstance(submission, Report):
            return self._desk.finish(submission, self._desk.key("refused", job.name))
        return self._desk.find(job.name, self._desk.key(submission.digest)) or submission

    def _request(self, submission: Submission) -> bytes:
        return msgspec.msgpack.encode(
            Request(
                settings=self._settings,
                code=self._code,
                submission=submission,
                reviews=list(self._desk.pages.reviews_of(submission.name)),
                origin=self._desk.pages.origin_of(submission.name),
                few=self._few,
            )
        )

    def _arrived(self, future: Untyped, job: Job, key: str) -> Done:
        if future.status in ("cancelled", "lost"):
            raise self._gone()
        if future.status != "finished":
            reason = str(future.exception())[-2000:]
            report = failed_report(self._assignment, job.name, reason)
            return self._desk.finish(report, self._desk.key("failed", job.name))
        answer = msgspec.msgpack.decode(future.result(), type=Graded | Trouble)
        if isinstance(answer, Trouble):
            raise _as_error(answer)
        return self._desk.finish(answer.report, key, Drawn(answer.files, answer.failure))


def _as_error(trouble: Trouble) -> Exception:
    if trouble.code == "batch.other-code":
        return GradebookError(trouble.code, trouble.values)
    return ServerFailed(trouble.code, trouble.values)
