"""A worker process of a batch: takes jobs from a socket, one JSON line each, and sends reports back.

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

from grader.batch.grading import Grading, Job, Settings, failed_report, settings_digest
from grader.gradebook import Gradebook, result_key
from grader.model import Report
from grader.sandbox.session import Server


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """First line to a worker.

    Attributes:
        settings: what decides the results.
        gradebook: path of the gradebook, read for results that may be taken again.
    """

    settings: Settings
    gradebook: str


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
        seconds: time on the clock.
    """

    name: str
    key: str
    report: Report
    cached: bool = False


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


def work(lines: Iterator[bytes], out: IO[bytes]) -> None:
    """Answer every job line until there are no more."""
    hello = msgspec.json.decode(next(lines), type=Hello)
    server = LazyServer(unsafe=hello.settings.unsafe)
    encode = msgspec.json.Encoder().encode
    with Gradebook(Path(hello.gradebook)) as gradebook:
        grading = Grading(hello.settings, server.get)
        decided = settings_digest(hello.settings, grading.assignment)
        try:
            for line in lines:
                job = msgspec.json.decode(line, type=JobLine)
                done = _answer(job, grading, gradebook, decided)
                out.write(encode(done) + b"\n")
                out.flush()
        finally:
            server.close()


def _answer(line: JobLine, grading: Grading, gradebook: Gradebook, decided: str) -> Done:
    job = Job(name=line.name, path=Path(line.path))
    try:
        submission = grading.read(job)
        if isinstance(submission, Report):
            key = result_key((decided, "refused", job.name))
            return Done(name=job.name, key=key, report=submission)
        key = result_key((decided, submission.digest))
        known = gradebook.find_report(key)
        if known is not None:
            report = msgspec.structs.replace(known, submission=job.name)
            return Done(name=job.name, key=key, report=report, cached=True)
        return Done(name=job.name, key=key, report=grading.grade(submission))
    except Exception:  # noqa: BLE001  # ours, whatever it is: shown as ours, and the batch goes on
        reason = traceback.format_exc(limit=-8)
        report = failed_report(grading.assignment, job.name, reason)
        return Done(name=job.name, key=result_key((decided, "failed", job.name)), report=report)


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
