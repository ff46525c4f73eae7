"""A worker process of a batch: takes jobs from a socket, a JSON line each, and sends reports back.

Started by `grader.batch.local` as ``python -m grader.batch.worker FD [DOOR]``. It is a judge:
student code runs only in the children of a warm server. That is the parent's, to which the second
socket leads once the worker has sent `Wanted`, or one of its own. It ends, and with it whatever it
started, as soon as the parent's end of the socket closes.
"""

import functools
import gc
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from grader.batch.desk import Desk, Done
from grader.batch.grading import Grading, Job, Settings
from grader.gradebook import Gradebook
from grader.lms.containers import Member
from grader.model import Report
from grader.sandbox.launch import child_uid
from grader.sandbox.session import ServerFailed


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """First line to a worker; paths are bytes, since not every name of a file is text.

    Attributes:
        settings: what decides the results.
        gradebook: read for results that may be taken again; only the parent writes it.
        run: the run's id there.
        out: the output folder, where each submission's files are written.
        few: whether there are but a few submissions.
    """

    settings: Settings
    gradebook: bytes
    run: int
    out: bytes
    few: bool = False


class JobLine(msgspec.Struct, frozen=True, kw_only=True):
    """One submission for the worker; where it lies is bytes, as in `Hello`."""

    name: str
    path: bytes
    members: list[tuple[bytes, str]] = []

    def job(self) -> Job:
        """Return the job."""
        members = tuple(Member(os.fsdecode(key), path) for key, path in self.members)
        return Job(name=self.name, path=Path(os.fsdecode(self.path)), members=members)


class Stopped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A worker's last line: this machine can grade nothing; `code` and `values` say why."""

    code: str
    values: dict[str, str]


class Wanted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The worker has something to judge, and wants to share the parent's warm server.

    Attributes:
        uid: user that its children become where the server is root's.
    """

    uid: int


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A worker's line for a `JobLine`."""

    done: Done


class Worker:
    """Answers job lines.

    Args:
        grading: judges submissions.
        desk: where results are looked up and handed on.
    """

    def __init__(self, grading: Grading, desk: Desk) -> None:
        self._grading = grading
        self._desk = desk

    def answer(self, line: JobLine) -> Done:
        """Return the result of a submission, whose files are written.

        Raises:
            ServerFailed: for a reason that any submission would meet.
        """
        try:
            return self._graded(line.job())
        except Exception as error:  # noqa: BLE001  # ours, whatever it is; the batch goes on
            report = self._grading.failed(line.name, error)
            return self._desk.finish(report, self._desk.key("failed", line.name))

    def _graded(self, job: Job) -> Done:
        submission = self._grading.read(job)
        if isinstance(submission, Report):
            return self._desk.finish(submission, self._desk.key("refused", job.name))
        key = self._desk.key(submission.digest)
        known = self._desk.find(job.name, key)
        return known or self._desk.finish(self._grading.grade(submission), key)


def work(lines: Iterator[bytes], out: IO[bytes], door: socket.socket | None) -> None:
    """Answer every job line until there are no more.

    Args:
        lines: what the parent sends.
        out: where answers go.
        door: this judge's end of a `door` to the parent's server; None where it shares none.
    """

    def send(line: Answer | Stopped | Wanted) -> None:
        out.write(msgspec.json.encode(line) + b"\n")
        out.flush()

    hello = msgspec.json.decode(next(lines), type=Hello)

    def share(connection: socket.socket) -> socket.socket:
        send(Wanted(uid=child_uid()))
        return connection

    grading = Grading(
        hello.settings,
        few=hello.few,
        share=None if door is None else functools.partial(share, door),
    )
    with Gradebook(Path(os.fsdecode(hello.gradebook))) as gradebook:
        out_folder = Path(os.fsdecode(hello.out))
        desk = Desk(hello.settings, grading.assignment, gradebook, hello.run, out_folder)
        worker = Worker(grading, desk)
        try:
            for number, line in enumerate(lines):
                send(Answer(done=worker.answer(msgspec.json.decode(line, type=JobLine))))
                if number == 0:
                    gc.collect()
                    gc.freeze()  # what is loaded by now stays: nothing to look through again
        except ServerFailed as error:
            send(Stopped(code=error.code, values=error.values))
        finally:
            grading.close()


def _end_with_parent(connection: socket.socket) -> None:
    """End this process when the parent closes its end, even amid a submission.

    The children, and a server of its own, end when their connections to this process close.
    """
    poll = select.poll()
    poll.register(connection, 0)  # the end of the other side is always reported
    poll.poll()
    os._exit(1)


def main() -> None:
    """Serve the socket whose descriptor is the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends workers by closing the socket
    door = socket.socket(fileno=int(sys.argv[2])) if len(sys.argv) > 2 else None
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
        reader, writer = connection.makefile("rb"), connection.makefile("wb")
        try:
            work(iter(reader.readline, b""), writer, door)
        except (BrokenPipeError, ConnectionResetError, StopIteration):
            return


if __name__ == "__main__":
    main()
