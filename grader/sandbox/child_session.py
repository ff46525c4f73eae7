"""The judge's side of one living child: it asks with a deadline, and ends the child."""

import secrets
import time
from types import TracebackType
from typing import NoReturn, Protocol, Self, TypeVar

import msgspec

from grader.model import Limits, Outcome
from grader.sandbox import wire
from grader.sandbox.audit import Audit
from grader.sandbox.control import CHILD_FAILED, Ended
from grader.sandbox.ending import (
    ChildFailed,
    ChildGone,
    ServerFailed,
    read_ending,
    tells_of_memory,
)
from grader.sandbox.protocol import (
    CellDone,
    Failed,
    Library,
    ProtocolError,
    Ready,
    RunCell,
    Start,
)

READY_SECONDS = 120.0
"""A fresh process still has to load torch, and to start CUDA for a real card."""
_END_SECONDS = 0.25
"""How long a child whose messages have ended may take to be gone itself."""

Reply = TypeVar("Reply", bound=msgspec.Struct)


class Process(Protocol):
    """A process of a child, however it was started."""

    @property
    def connection(self) -> wire.Connection:
        """Where its messages come from and go to."""
        ...

    @property
    def key(self) -> bytes:
        """What the virtual GPU's account is sealed with; empty where it has no key."""
        ...

    def find_end(self, seconds: float) -> Ended | None:
        """Wait for its end; None if it lives on.

        Raises:
            ServerFailed: what it was forked from ended, and took it along.
        """
        ...

    def end(self) -> None:
        """Kill and reap it, and free what belongs to it; may be called again."""
        ...

    def log_text(self) -> str:
        """Return what reached its descriptors 1 and 2, bounded."""
        ...


class ChildSession:
    """A child in which one submission runs, a context manager.

    Implements `grader.checks.view.Child`.

    Attributes:
        anomalies: what broke the protocol, or contradicts what the device did; for the instructor
            only.
        device: ``virtual``, ``none`` or ``unavailable: CODE``.
    """

    def __init__(
        self,
        process: Process,
        start: Start,
        limits: Limits,
        *,
        imported: set[Library] | None = None,
    ) -> None:
        """Send the first message and wait until the child is ready.

        Args:
            process: the child.
            start: the first message.
            limits: what it may use.
            imported: takes the names of the libraries that cells import.

        Raises:
            ServerFailed: it does not get ready; no student code has run yet.
        """
        self._process = process
        self._limits = limits
        self._imported = set() if imported is None else imported
        self._gone: ChildGone | None = None
        self._log = ""
        self._deadline = time.monotonic() + limits.submission_seconds
        self.anomalies: list[str] = []
        try:
            ready = self._exchange(start, time.monotonic() + READY_SECONDS)
        except (wire.Gone, wire.Late, ProtocolError) as error:
            self.close()
            reason = self._log[-1000:] or type(error).__name__
            raise ServerFailed("sandbox.child-not-ready", {"reason": reason}) from error
        if not isinstance(ready, Ready):
            self.close()
            reason = ready.text if isinstance(ready, Failed) else type(ready).__name__
            raise ServerFailed("sandbox.child-not-ready", {"reason": reason})
        self.device = ready.device
        due = ready.device == "virtual" and process.key
        self._audit = Audit(process.key, start.card) if due else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, question: msgspec.Struct, reply: type[Reply], *, seconds: float = 10.0) -> Reply:
        """Send a question and return its reply.

        Args:
            question: one of `protocol.FromJudge`.
            reply: the type of its reply.
            seconds: time on the clock; what is left of the submission's time bounds it too.

        Raises:
            ChildGone: the child ended, broke the protocol, or gave no reply in time and was ended.
            ChildFailed: our own code in the child failed.
            ServerFailed: the warm server ended, and the child with it.
        """
        if self._gone is not None:
            raise self._gone
        now = time.monotonic()
        deadline = min(now + seconds, self._deadline)
        try:
            message = self._exchange(question, deadline)
        except wire.Late:
            self._end_late(seconds, whole=deadline == self._deadline)
        except wire.Gone:
            self._end_gone()
        except ProtocolError as error:
            self._end_tampered(str(error))
        if isinstance(message, reply):
            return message
        if isinstance(message, Failed):
            raise ChildFailed(message.text[:4000])
        return self._end_tampered(f"the child sent {type(message).__name__} for {reply.__name__}")

    def run_cell(self, cell: RunCell, *, seconds_wall: float) -> CellDone:
        """Run a cell and return what was observed.

        Args:
            cell: the cell.
            seconds_wall: time on the clock after which the child is ended; the child itself
                interrupts the cell earlier.

        Raises:
            ChildGone: as `ask`.
        """
        mark = secrets.randbits(63)
        marked = msgspec.structs.replace(cell, mark=mark)
        try:
            done = self.ask(marked, CellDone, seconds=seconds_wall)
        except ChildFailed as error:
            self._end_failed(f"the child reports a failure of its own: {error}")
        if done.index != cell.index:
            self._end_tampered(f"the child sent cell {done.index} for cell {cell.index}")
        self._imported.update(done.imported)
        if self._audit is not None:
            contradiction = self._audit.find_contradiction(done.device, mark)
            if done.device is not None and self._audit.limited:
                device = msgspec.structs.replace(done.device, limited=True)
                done = msgspec.structs.replace(done, device=device)
            if contradiction is not None:
                self.anomalies.append(contradiction)
                self._audit = None  # what follows would contradict it too
        return done

    def log_text(self) -> str:
        """Return what the child wrote to its descriptors 1 and 2, for staff; at most 64 KB."""
        return self._log or self._process.log_text()

    def close(self) -> None:
        """End the child; nothing of it survives."""
        if self._gone is None:
            self._gone = ChildGone(Outcome.CRASHED, "sandbox.ended.closed")
            try:
                wire.ensure_silent(self._process.connection)
            except ProtocolError as error:
                self.anomalies.append(str(error))
        self._log = self._log or self._process.log_text()
        self._process.end()

    def _exchange(self, question: msgspec.Struct, deadline: float) -> object:
        connection = self._process.connection
        wire.ensure_silent(connection)
        token = wire.new_token()
        wire.send_frame(connection, wire.frame(question, token), deadline)
        return wire.decode(wire.read_frame(connection, token, deadline))

    def _end(self, gone: ChildGone) -> NoReturn:
        self._gone = gone
        self.close()
        raise gone from None

    def _end_late(self, seconds: float, *, whole: bool) -> NoReturn:
        if whole:
            values = {"seconds": f"{self._limits.submission_seconds:g}"}
            self._end(ChildGone(Outcome.TIMEOUT, "sandbox.ended.submission-wall", values))
        values = {"seconds": f"{seconds:g}"}
        self._end(ChildGone(Outcome.TIMEOUT, "sandbox.ended.wall", values))

    def _end_gone(self) -> NoReturn:
        """The messages have ended: because the process has, or because it closed its end."""
        ended = self._process.find_end(_END_SECONDS)
        if ended is None:
            self._end_tampered("the child closed its end of the messages and went on")
        log = self._process.log_text()
        if ended.status == CHILD_FAILED:
            self._end_failed(f"what serves the judge in the child ended: {log[-400:]}")
        self._end(read_ending(ended, log=log, cpu_seconds=self._limits.submission_seconds))

    def _end_failed(self, what: str) -> NoReturn:
        """Our own code failed beside a cell: it was left no memory, or something was done to it."""
        if tells_of_memory(what.rstrip().rpartition("\n")[2]):
            self._end(ChildGone(Outcome.MEMORY, "sandbox.ended.memory"))
        self._end_tampered(what)

    def _end_tampered(self, what: str) -> NoReturn:
        self.anomalies.append(what[:500])
        self._end(ChildGone(Outcome.CRASHED, "sandbox.ended.tampered"))
