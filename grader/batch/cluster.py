"""Grades many submissions on a Dask cluster: the same code per submission, the same results.

Submissions travel as data (they are read here, never there), reports and pages come back as bytes.
Each thread of a Dask worker keeps a warm server of its own. Dask runs the tasks of a lost worker
again elsewhere and gives work to workers that join. Needs the extra ``cluster``.
"""

import importlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import msgspec

from grader.batch.grading import Grading, Job, Settings, failed_report, settings_digest
from grader.batch.worker import Done
from grader.gradebook import Gradebook, GradebookError, result_key
from grader.model import Assignment, Report, Submission
from grader.sandbox.session import Server

_AHEAD = 4
"""Submissions given to the cluster for each of its threads; the rest wait here, as paths."""

_CONNECT_SECONDS = 20

Untyped: TypeAlias = Any
"""An object of `distributed`, which has no types."""

_kept = threading.local()


def grade_there(settings_data: bytes, submission_data: bytes) -> bytes:
    """Grade one submission in a Dask worker; return its report as JSON.

    Runs on the cluster. Both arguments are JSON: `Settings` and `Submission`.
    """
    settings = msgspec.json.decode(settings_data, type=Settings)
    submission = msgspec.json.decode(submission_data, type=Submission)
    if getattr(_kept, "settings", None) != settings:
        previous = getattr(_kept, "server", None)
        if previous is not None:
            previous.close()
        _kept.server = Server(unsafe=settings.unsafe)
        _kept.grading = Grading(settings, lambda: _kept.server)
        _kept.settings = settings
    return msgspec.json.encode(_kept.grading.grade(submission))


class Cluster:
    """A Dask cluster, with the interface of `grader.batch.local.LocalWorkers`.

    Args:
        settings: what decides the results; the assignment must be found on every worker.
        gradebook: read for results that may be taken again.
        assignment: the assignment.
        address: of the scheduler, as ``tcp://host:8786``.
    """

    def __init__(
        self, settings: Settings, gradebook: Gradebook, assignment: Assignment, *, address: str
    ) -> None:
        self._settings = settings
        self._gradebook = gradebook
        self._assignment = assignment
        self._address = address
        self._decided = settings_digest(settings, assignment)
        self._reader = Grading(settings, _no_server)

    def grade(self, jobs: Sequence[Job]) -> Iterator[Done]:
        """Yield each job's answer as it arrives.

        Raises:
            GradebookError: the extra is not installed, or the scheduler cannot be reached or was
                lost; what has arrived is kept, and the same command goes on from there.
        """
        try:
            distributed: Untyped = importlib.import_module("distributed")
        except ImportError as error:
            raise GradebookError("batch.no-distributed", {}) from error
        lost = (OSError, distributed.comm.CommClosedError, distributed.client.FutureCancelledError)
        try:
            with distributed.Client(self._address, timeout=_CONNECT_SECONDS) as client:
                yield from self._grade_with(distributed, client, jobs)
        except lost as error:
            values = {"address": self._address, "reason": str(error) or type(error).__name__}
            raise GradebookError("batch.scheduler-lost", values) from error

    def _grade_with(
        self, distributed: Untyped, client: Untyped, jobs: Sequence[Job]
    ) -> Iterator[Done]:
        settings_data = msgspec.json.encode(self._settings)
        waiting = iter(jobs)
        running: dict[Untyped, tuple[Job, str]] = {}
        arriving = distributed.as_completed()
        while True:
            for job in waiting:
                ready, submission, key = self._read(job)
                if ready is not None:
                    yield ready
                    continue
                data = msgspec.json.encode(submission)
                future = client.submit(grade_there, settings_data, data, pure=False, retries=1)
                running[future] = job, key
                arriving.add(future)
                if len(running) >= _AHEAD * max(1, sum(client.nthreads().values())):
                    break
            if not running:
                return
            future = next(arriving)
            job, key = running.pop(future)
            yield self._arrived(future, job, key)

    def _read(self, job: Job) -> tuple[Done | None, Submission | None, str]:
        submission = self._reader.read(job)
        if isinstance(submission, Report):
            key = result_key((self._decided, "refused", job.name))
            return Done(name=job.name, key=key, report=submission), None, key
        key = result_key((self._decided, submission.digest))
        known = self._gradebook.find_report(key)
        if known is not None:
            report = msgspec.structs.replace(known, submission=job.name)
            return Done(name=job.name, key=key, report=report, cached=True), None, key
        return None, submission, key

    def _arrived(self, future: Untyped, job: Job, key: str) -> Done:
        if future.status == "finished":
            report = msgspec.json.decode(future.result(), type=Report)
            return Done(name=job.name, key=key, report=report)
        if future.status in ("cancelled", "lost"):
            raise OSError("the scheduler was lost")
        report = failed_report(self._assignment, job.name, str(future.exception())[-2000:])
        return Done(name=job.name, key=result_key(("failed", key)), report=report)


def _no_server() -> Server:
    raise AssertionError("submissions are graded on the cluster only")
