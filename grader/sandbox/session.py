"""The judge's side of the warm server and of each child."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import NoReturn, Self, TypeVar

import msgspec

from grader.checks.view import ChildGone
from grader.model import Limits, Outcome
from grader.sandbox import wire
from grader.sandbox.protocol import (
    CellDone,
    Failed,
    FromChild,
    ProtocolError,
    Ready,
    RunCell,
    Start,
)
from grader.sandbox.server import Config, Exited, Hello, Spawn, Spawned
from grader.vgpu.build import Unavailable, ensure

START_SECONDS = 120.0
_LOG_BYTES = 64 << 10

Reply = TypeVar("Reply", bound=msgspec.Struct)


class ServerFailed(Exception):
    """The warm server failed, which is ours; `code` and `values` are a message."""

    def __init__(self, code: str, values: Mapping[str, str]) -> None:
        super().__init__(f"{code}: {dict(values)}")
        self.code = code
        self.values = dict(values)


class ChildFailed(Exception):
    """Our own code in the child failed; the text is for the instructor."""


class Server:
    """A warm server, a context manager; it starts while the caller goes on.

    Args:
        unsafe: serve even where the machine cannot isolate.
        device: whether children get a virtual GPU.
    """

    def __init__(self, *, unsafe: bool = False, device: bool = True) -> None:
        self._unsafe = unsafe
        self._config = _device_config() if device else Config()
        self._hello: Hello | None = None
        self._exits: dict[int, Exited] = {}
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PYTHONHASHSEED": "0",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
        }
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [sys.executable, "-s", "-P", "-m", "grader.sandbox.server", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        self._control.send(msgspec.json.encode(self._config))

    def wait(self) -> Hello:
        """Wait until the server is warm.

        Raises:
            ServerFailed: it did not start.
        """
        if self._hello is None:
            self._control.settimeout(START_SECONDS)
            try:
                data = self._control.recv(1 << 16)
            except OSError as error:
                raise ServerFailed("sandbox.no-start", {"reason": str(error)}) from error
            if not data:
                status = str(self._process.wait())
                raise ServerFailed("sandbox.no-start", {"reason": f"status {status}"})
            self._hello = msgspec.json.decode(data, type=Hello)
        return self._hello

    @property
    def layers(self) -> tuple[str, ...]:
        """The active locks."""
        return self.wait().layers

    @property
    def device(self) -> str:
        """``virtual``, ``none`` or ``unavailable: CODE``."""
        return self.wait().device

    @property
    def torch(self) -> str:
        """Version of torch."""
        return self.wait().torch

    def spawn(self, start: Start, limits: Limits) -> "ChildSession":
        """Return a living child.

        Raises:
            ServerFailed: the server gives none.
        """
        self.wait()
        mine, theirs = socket.socketpair()
        log = os.memfd_create("log", os.MFD_CLOEXEC)
        request = Spawn(
            memory_bytes=limits.memory_bytes,
            cpu_seconds=int(limits.submission_seconds) + 1,
            threads=limits.threads,
        )
        try:
            with theirs:
                data = msgspec.json.encode(request)
                socket.send_fds(self._control, [data], [theirs.fileno(), log])
            while True:
                message, fds = self._receive(10.0)
                if isinstance(message, Spawned):
                    break
                self._exits[message.pid] = message
        except OSError as error:
            raise ServerFailed("sandbox.server-died", {"reason": str(error)}) from error
        mine.settimeout(0)
        child = ChildSession(self, mine, log, message.pid, fds[0])
        child.begin(start, limits)
        return child

    def _receive(self, seconds: float) -> tuple[Spawned | Exited, list[int]]:
        self._control.settimeout(seconds)
        data, fds, _, _ = socket.recv_fds(self._control, 1 << 16, 1)
        if not data:
            raise ConnectionResetError("the warm server has ended")
        return msgspec.json.decode(data, type=Spawned | Exited), list(fds)

    def wait_exit(self, pid: int) -> Exited | None:
        """Return how a child ended, None if the server does not tell."""
        try:
            while pid not in self._exits:
                message, _ = self._receive(5.0)
                if isinstance(message, Exited):
                    self._exits[message.pid] = message
        except OSError:
            return None
        return self._exits.pop(pid)

    def close(self) -> None:
        """End the server and whatever lives in it."""
        self._control.close()
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class ChildSession:
    """One living child; implements `grader.checks.view.Child`."""

    def __init__(
        self, server: Server, connection: socket.socket, log: int, pid: int, pidfd: int
    ) -> None:
        self._server = server
        self._connection = connection
        self._log = log
        self._pid = pid
        self._pidfd = pidfd
        self._closed = False
        self._deadline = float("inf")
        self.anomalies: list[str] = []
        self.device = "none"

    def begin(self, start: Start, limits: Limits) -> None:
        """Send the first message and wait until the child is ready."""
        self._deadline = time.monotonic() + limits.submission_seconds + 5
        self.device = self.ask(start, Ready, seconds=30.0).device

    def ask(self, question: msgspec.Struct, reply: type[Reply], *, seconds: float = 10.0) -> Reply:
        """Send a question and return its reply; see `grader.checks.view.Child`."""
        deadline = min(time.monotonic() + seconds, self._deadline)
        try:
            wire.send_frame(self._connection, wire.frame(question), deadline)
            message: FromChild = wire.decode(wire.read_frame(self._connection, deadline))
        except wire.Late as late:
            self.close()
            raise ChildGone(Outcome.TIMEOUT) from late
        except wire.Gone as gone:
            raise ChildGone(self._why_gone()) from gone
        except ProtocolError as error:
            return self._violated(str(error))
        if isinstance(message, reply):
            return message
        if isinstance(message, Failed):
            raise ChildFailed(message.text)
        return self._violated(f"{type(message).__name__} instead of {reply.__name__}")

    def run_cell(self, cell: RunCell, *, seconds_wall: float) -> CellDone:
        """Run a cell; raises as `ask` does."""
        done = self.ask(cell, CellDone, seconds=seconds_wall)
        if done.index != cell.index:
            return self._violated(f"cell {done.index} reported for cell {cell.index}")
        return done

    def _violated(self, text: str) -> NoReturn:
        self.anomalies.append(text)
        self.close()
        raise ChildGone(Outcome.CRASHED, text)

    def _why_gone(self) -> Outcome:
        exited = self._end()
        if exited is None:
            return Outcome.CRASHED
        if exited.status == -signal.SIGXCPU:
            return Outcome.TIMEOUT
        return Outcome.CRASHED

    def close(self) -> None:
        """Kill the child and free everything."""
        self._end()

    def _end(self) -> Exited | None:
        if self._closed:
            return None
        self._closed = True
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        exited = self._server.wait_exit(self._pid)
        self._connection.close()
        os.close(self._log)
        os.close(self._pidfd)
        return exited


def _device_config() -> Config:
    try:
        return Config(core=str(ensure()))
    except Unavailable as error:
        return Config(unavailable=error.reason_code)
