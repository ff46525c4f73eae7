"""Grades many submissions on this machine: worker processes that share one warm server."""

import contextlib
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
from grader.batch.grading import (
    RETRIES,
    Job,
    Settings,
    can_share_server,
    failed_report,
    start_server,
)
from grader.batch.worker import Answer, Hello, JobLine, Stopped, Wanted
from grader.model import Assignment
from grader.sandbox.session import Server, ServerFailed, door

_LONGEST_LINE = 256 << 20


class _SharedServer:
    """The warm server that workers share; started when it is first wanted."""

    def __init__(self, settings: Settings, *, few: bool) -> None:
        self._settings = settings
        self._few = few
        self._server: Server | None = None
        self._can_be = can_share_server(settings)

    def start(self) -> None:
        """Start it where workers can share one; it gets warm while the caller goes on."""
        if self._can_be and self._server is None:
            with contextlib.suppress(OSError):  # a worker meets it too, and says so
                self._server = start_server(self._settings, few=self._few)

    def make_door(self) -> tuple[socket.socket, socket.socket] | None:
        """Return a worker's end and the server's, None where workers cannot share a server."""
        return door() if self._can_be else None

    def admit(self, theirs: socket.socket, uid: int) -> None:
        """Serve one more worker; one that cannot be served starts a server of its own."""
        self.start()
        if self._server is not None:
            with contextlib.suppress(ServerFailed, OSError):
                self._server.admit(theirs, uid)

    def close(self) -> None:
        """End it if it was started."""
        if self._server is not None:
            self._server.close()
            self._server = None


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: socket.socket
    door: socket.socket | None
    job: Job | None = None
    buffer: bytearray = field(default_factory=bytearray)

    def give(self, job: Job) -> None:
        self.job = job
        members = [(os.fsencode(member.key), member.path) for member in job.members]
        line = JobLine(name=job.name, path=os.fsencode(job.path.absolute()), members=members)
        self.connection.sendall(msgspec.json.encode(line) + b"\n")

    def take(self) -> list[Done | Wanted]:
        """Return what has arrived whole.

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
        if b"\n" not in data:
            return []
        *lines, self.buffer = self.buffer.split(b"\n")
        taken: list[Done | Wanted] = []
        for line in lines:
            answer = msgspec.json.decode(line, type=Answer | Stopped | Wanted)
            if isinstance(answer, Stopped):
                raise ServerFailed(answer.code, answer.values)
            taken.append(answer if isinstance(answer, Wanted) else answer.done)
        return taken

    def close(self) -> None:
        """Close the sockets; the process ends by itself then."""
        self.connection.close()
        self.close_door()

    def close_door(self) -> None:
        """Close the server's end here; a server that has it keeps it, else the worker sees that."""
        if self.door is not None:
            self.door.close()
            self.door = None

    def end(self) -> int:
        """Close the sockets, wait for the process, and return its exit status."""
        self.close()
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
        ahead: whether to start the server before a worker wants it, since one surely will.
    """

    def __init__(
        self, hello: Hello, desk: Desk, assignment: Assignment, *, count: int, ahead: bool = False
    ) -> None:
        self._hello = hello
        self._desk = desk
        self._assignment = assignment
        self._count = count
        self._ahead = ahead
        self._server = _SharedServer(hello.settings, few=hello.few)

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
                if self._ahead:
                    self._server.start()
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
                    worker.close()  # all of them now, so that they end side by side
                for worker in workers:
                    worker.end()
                self._server.close()

    def _serve(
        self,
        worker: _Worker,
        waiting: deque[Job],
        tries: dict[str, int],
        workers: list[_Worker],
        selector: selectors.BaseSelector,
    ) -> Iterator[Done | Lost]:
        try:
            taken = worker.take()
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
        for line in taken:
            if isinstance(line, Done):
                worker.job = None
                _give_next(worker, waiting)
                yield line
            elif worker.door is not None:
                self._server.admit(worker.door, line.uid)
                worker.close_door()

    def _given_up(self, job: Job, reason: str) -> Done:
        report = failed_report(self._assignment, job.name, reason)
        return self._desk.finish(report, self._desk.key("failed", job.name))

    def _start(self, selector: selectors.BaseSelector) -> _Worker:
        mine, theirs = socket.socketpair()
        handed, servers_end = [theirs], None
        made = self._server.make_door()
        if made is not None:
            handed.append(made[0])
            servers_end = made[1]
        descriptors = [one.fileno() for one in handed]
        with contextlib.ExitStack() as stack:
            for one in handed:
                stack.enter_context(one)
            process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [sys.executable, "-P", "-m", "grader.batch.worker", *map(str, descriptors)],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )
        worker = _Worker(process=process, connection=mine, door=servers_end)
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
