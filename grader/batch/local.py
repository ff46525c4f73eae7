"""Grades many submissions on this machine: worker processes, each with a warm server of its own."""

import os
import selectors
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from grader.batch.desk import Desk, Done
from grader.batch.grading import RETRIES, Job, failed_report
from grader.batch.worker import Answer, Hello, JobLine, Stopped
from grader.model import Assignment
from grader.sandbox.session import ServerFailed

_LONGEST_LINE = 256 << 20


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: socket.socket
    job: Job | None = None
    buffer: bytearray = field(default_factory=bytearray)

    def give(self, job: Job) -> None:
        self.job = job
        members = [(member.key, member.path) for member in job.members]
        line = JobLine(name=job.name, path=str(job.path.absolute()), members=members)
        self.connection.sendall(msgspec.json.encode(line) + b"\n")

    def take(self) -> Done | None:
        """Return the next answer if it has arrived whole.

        Raises:
            EOFError: the worker has ended.
            ServerFailed: the worker says that this machine can grade nothing.
        """
        try:
            data = self.connection.recv(1 << 20)
        except ConnectionResetError as error:
            raise EOFError from error
        if not data or len(self.buffer) > _LONGEST_LINE:
            raise EOFError
        self.buffer += data
        if not data.endswith(b"\n"):
            return None
        line, self.buffer = bytes(self.buffer), bytearray()
        self.job = None
        answer = msgspec.json.decode(line, type=Answer | Stopped)
        if isinstance(answer, Stopped):
            raise ServerFailed(answer.code, answer.values)
        return answer.done

    def end(self) -> int:
        """Close the socket, wait for the process, and return its exit status."""
        self.connection.close()  # at which it ends by itself
        try:
            return self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker died while it had this job; it is tried again unless `last`."""

    job: Job
    number: int
    reason: str
    last: bool


class LocalWorkers:
    """Local workers.

    Args:
        hello: what each worker is told first.
        desk: takes the reports of submissions that no worker survives.
        assignment: the assignment, for those reports.
        count: how many workers.
    """

    def __init__(self, hello: Hello, desk: Desk, assignment: Assignment, *, count: int) -> None:
        self._hello = hello
        self._desk = desk
        self._assignment = assignment
        self._count = count

    def grade(self, jobs: Sequence[Job]) -> Iterator[Done | Lost]:
        """Yield each job's answer as it arrives, and each death of a worker.

        A job whose worker dies is tried once more by another, then reported as our failure.

        Raises:
            ServerFailed: this machine can grade nothing.
        """
        waiting = deque(jobs)
        tries: dict[str, int] = {}
        workers: list[_Worker] = []
        with selectors.DefaultSelector() as selector:
            try:
                for _ in range(min(self._count, len(jobs))):
                    workers.append(self._start(selector))
                for worker in workers:
                    _give_next(worker, waiting)
                while any(worker.job for worker in workers):
                    for event, _ in selector.select():
                        worker = event.data
                        yield from self._serve(worker, waiting, tries, workers, selector)
            finally:
                for worker in workers:
                    worker.connection.close()  # all of them now, so that they end side by side
                for worker in workers:
                    worker.end()

    def _serve(
        self,
        worker: _Worker,
        waiting: deque[Job],
        tries: dict[str, int],
        workers: list[_Worker],
        selector: selectors.BaseSelector,
    ) -> Iterator[Done | Lost]:
        try:
            done = worker.take()
        except EOFError:
            selector.unregister(worker.connection)
            workers.remove(worker)
            status = worker.end()
            job = worker.job
            if job is not None:
                tries[job.name] = number = tries.get(job.name, 0) + 1
                reason = _reason(status)
                last = number > RETRIES
                yield Lost(job=job, number=number, reason=reason, last=last)
                if last:
                    yield self._given_up(job, reason)
                else:
                    waiting.append(job)
            if waiting:
                workers.append(self._start(selector))
                _give_next(workers[-1], waiting)
            return
        if done is not None:
            _give_next(worker, waiting)
            yield done

    def _given_up(self, job: Job, reason: str) -> Done:
        report = failed_report(self._assignment, job.name, reason)
        return self._desk.finish(report, self._desk.key("failed", job.name))

    def _start(self, selector: selectors.BaseSelector) -> _Worker:
        mine, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [sys.executable, "-P", "-m", "grader.batch.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )
        worker = _Worker(process=process, connection=mine)
        mine.sendall(msgspec.json.encode(self._hello) + b"\n")
        selector.register(mine, selectors.EVENT_READ, worker)
        return worker


def _reason(status: int) -> str:
    """Say how a worker ended, in the system's words."""
    if status < 0:
        return f"signal {signal.Signals(-status).name}"
    return f"status {status}"


def _give_next(worker: _Worker, waiting: deque[Job]) -> None:
    if waiting:
        try:
            worker.give(waiting[0])
        except (BrokenPipeError, ConnectionResetError):
            worker.job = waiting[0]  # its death is seen at the next read
        waiting.popleft()
