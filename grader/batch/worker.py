"""A worker process of a batch: takes jobs from a socket, a JSON line each, and sends reports back.

Started by `grader.batch.local` as ``python -m grader.batch.worker FD``. It is a judge: student code
runs only in the children of its warm server. It ends when the parent's end of the socket closes.
"""

import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from grader.batch.grading import (
    Grading,
    Job,
    Settings,
    failed_report,
    grader_digest,
    settings_digest,
)
from grader.batch.pages import SubmissionPages
from grader.gradebook import Gradebook, result_key
from grader.model import Report
from grader.sandbox.session import Server


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """First line to a worker.

    Attributes:
        settings: what decides the results.
        out: the output folder: its gradebook is read for results that may be taken again, and
            each submission's files are written there.
    """

    settings: Settings
    out: str


class JobLine(msgspec.Struct, frozen=True, kw_only=True):
    """One submission for the worker."""

    name: str
    path: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's answer to a `JobLine`.

    Attributes:
        key: of the result.
        report: the report.
        cached: whether it was taken from the gradebook.
        drawn: whether the submission's files are written.
    """

    name: str
    key: str
    report: Report
    cached: bool = False
    drawn: bool = False


class LazyServer:
    """A warm server that starts when the first submission needs it."""

    def __init__(self, *, unsafe: bool) -> None:
        self._unsafe = unsafe
        self._server: Server | None = None

    def get(self) -> Server:
        """Return the server, started."""
        if self._server is None:
            self._server = Server(unsafe=self._unsafe)
        return self._server

    def close(self) -> None:
        """End the server if it was started."""
        if self._server is not None:
            self._server.close()


class Worker:
    """Answers job lines.

    Args:
        hello: what decides the results, and where they go.
        gradebook: the gradebook, which only the parent writes.
        server: the warm server.
    """

    def __init__(self, hello: Hello, gradebook: Gradebook, server: LazyServer) -> None:
        self._gradebook = gradebook
        self._grading = Grading(hello.settings, server.get)
        self._decided = settings_digest(hello.settings, self._grading.assignment)
        self._pages = SubmissionPages(
            Path(hello.out),
            self._grading.assignment,
            language=hello.settings.language,
            code=grader_digest(),
            reviews=gradebook.reviews(),
        )

    def answer(self, line: JobLine) -> Done:
        """Return the report of a submission, whose files are written."""
        try:
            done = self._graded(Job(name=line.name, path=Path(line.path)))
        except Exception:  # noqa: BLE001  # ours, whatever it is: shown as ours; the batch goes on
            report = failed_report(
                self._grading.assignment, line.name, traceback.format_exc(limit=-8)
            )
            key = result_key((self._decided, "failed", line.name))
            done = Done(name=line.name, key=key, report=report)
        drawn_from = self._pages.drawn_from(done.name, done.key)
        if not (
            self._gradebook.is_drawn(done.name, drawn_from) and self._pages.are_there(done.name)
        ):
            self._pages.draw(done.report)
        return msgspec.structs.replace(done, drawn=True)

    def _graded(self, job: Job) -> Done:
        submission = self._grading.read(job)
        if isinstance(submission, Report):
            key = result_key((self._decided, "refused", job.name))
            return Done(name=job.name, key=key, report=submission)
        key = result_key((self._decided, submission.digest))
        known = self._gradebook.find_report(key)
        if known is not None:
            report = msgspec.structs.replace(known, submission=job.name)
            return Done(name=job.name, key=key, report=report, cached=True)
        return Done(name=job.name, key=key, report=self._grading.grade(submission))


def work(lines: Iterator[bytes], out: IO[bytes]) -> None:
    """Answer every job line until there are no more."""
    hello = msgspec.json.decode(next(lines), type=Hello)
    server = LazyServer(unsafe=hello.settings.unsafe)
    with Gradebook(Path(hello.out) / "gradebook.db") as gradebook:
        worker = Worker(hello, gradebook, server)
        try:
            for line in lines:
                done = worker.answer(msgspec.json.decode(line, type=JobLine))
                out.write(msgspec.json.encode(done) + b"\n")
                out.flush()
        finally:
            server.close()


def main() -> None:
    """Serve the socket whose descriptor is the only argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends workers by closing the socket
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        reader, writer = connection.makefile("rb"), connection.makefile("wb")
        try:
            work(iter(reader.readline, b""), writer)
        except (BrokenPipeError, ConnectionResetError, StopIteration):
            return


if __name__ == "__main__":
    main()
