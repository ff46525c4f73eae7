"""The judge's side of the warm server's process, and of the processes that it forks."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Collection

from grader.model import Limits
from grader.sandbox import control, launch
from grader.sandbox.account import KEY_BYTES
from grader.sandbox.ending import ServerFailed
from grader.sandbox.protocol import Library
from grader.sandbox.rlimits import LOG_BYTES

START_SECONDS = 120.0
_FORK_SECONDS = 60.0
"""How long the server may take for an answer; it may have a library to load first."""
_REAP_SECONDS = 10.0
_CLOSE_SECONDS = 5.0


class ServerGone(Exception):
    """The warm server ended, or does not answer."""


def door() -> tuple[socket.socket, socket.socket]:
    """Return the judge's and the server's end of a new connection between them."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class ForkServer:
    """A judge's connection to a warm server, which may be another process's.

    Args:
        connection: the judge's end; it is closed with this object.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._control = connection
        self._hello: control.Hello | None = None
        self._ended: dict[int, control.Ended] = {}

    def hello(self) -> control.Hello:
        """Return the server's first message, once it is warm.

        Raises:
            ServerFailed: it did not get warm.
        """
        if self._hello is None:
            try:
                message, _ = self._receive(START_SECONDS)
            except (ServerGone, TimeoutError) as error:
                reason = self._why(error)
                self.close()
                raise ServerFailed("sandbox.no-start", {"reason": reason}) from error
            if not isinstance(message, control.Hello):
                raise ServerFailed("sandbox.no-start", {"reason": type(message).__name__})
            self._hello = message
        return self._hello

    def fork(self, limits: Limits, libraries: Collection[Library] = ()) -> "ForkedProcess":
        """Return a new child's process.

        Args:
            limits: what the child may use.
            libraries: what the server is to have loaded.

        Raises:
            ServerGone: the server has ended.
            ServerFailed: the server cannot fork.
        """
        mine, theirs = socket.socketpair()
        log = _open_log()
        key = os.urandom(KEY_BYTES)
        waiting = _pipe_with(key)
        request = control.Fork(
            cpu_seconds=max(1, int(limits.submission_seconds)),
            memory_bytes=limits.memory_bytes,
            threads=limits.threads,
            libraries=tuple(libraries),
        )
        try:
            with theirs:
                fds = [theirs.fileno(), log, waiting]
                socket.send_fds(self._control, [control.encode(request)], fds)
            pid, pidfd = self._take_forked()
        except (OSError, ServerGone, ServerFailed) as error:
            mine.close()
            os.close(log)
            if isinstance(error, OSError):
                raise ServerGone(str(error)) from error
            raise
        finally:
            os.close(waiting)
        return ForkedProcess(self, mine, log, pid, pidfd, key)

    def find_end(self, pid: int, seconds: float) -> control.Ended | None:
        """Return how a child ended, None if it has not within `seconds`.

        Raises:
            ServerGone: the server has ended, and its children with it.
        """
        deadline = time.monotonic() + seconds
        while pid not in self._ended:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            try:
                message, _ = self._receive(left)
            except TimeoutError:
                return None
            if isinstance(message, control.Ended):
                self._ended[message.pid] = message
        return self._ended[pid]

    def forget(self, pid: int) -> None:
        """Drop what is known of a child that has ended."""
        self._ended.pop(pid, None)

    def close(self) -> None:
        """Leave the server, which ends every child of this judge that lives."""
        self._control.close()

    def _take_forked(self) -> tuple[int, int]:
        while True:
            try:
                message, descriptors = self._receive(_FORK_SECONDS)
            except TimeoutError as error:
                raise ServerGone("no answer in time") from error
            if isinstance(message, control.Forked):
                return message.pid, descriptors[0]
            if isinstance(message, control.Trouble):
                raise ServerFailed("sandbox.no-fork", {"reason": message.text})
            if isinstance(message, control.Ended):
                self._ended[message.pid] = message

    def _receive(self, seconds: float) -> tuple[control.FromServer, list[int]]:
        try:
            self._control.settimeout(max(seconds, 0.001))
            data, descriptors, _, _ = socket.recv_fds(self._control, control.MOST_BYTES, 1)
        except TimeoutError:
            raise
        except OSError as error:
            raise ServerGone(str(error)) from error
        if not data:
            raise ServerGone("the warm server has ended")
        return control.decode_for_judge(data), list(descriptors)

    def _why(self, error: Exception) -> str:
        return str(error) or type(error).__name__


class OwnForkServer(ForkServer):
    """A warm server's process, and its first judge's connection.

    Constructing returns before it is warm.
    """

    def __init__(self, plan: control.Plan) -> None:
        mine, theirs = door()
        super().__init__(mine)
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                launch.command("grader.sandbox.server", str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._complaints,
                stderr=self._complaints,
                env=launch.environment(),
                cwd="/",
                start_new_session=True,  # an interrupt at the keyboard is for the judge
            )
        with contextlib.suppress(OSError):  # it has ended; its first message will be missing
            self._control.sendall(control.encode(plan))

    def admit(self, theirs: socket.socket, uid: int) -> None:
        """Let one more judge be served; it need not be warm for that.

        Args:
            theirs: the server's end of a `door`.
            uid: as `control.Join.uid`.

        Raises:
            ServerGone: the server has ended.
        """
        message = control.encode(control.Join(uid=uid))
        try:
            socket.send_fds(self._control, [message], [theirs.fileno()])
        except OSError as error:
            raise ServerGone(str(error)) from error

    def close(self) -> None:
        """End the server, and with it every child that lives."""
        super().close()
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSE_SECONDS)
        self._complaints.close()

    def _why(self, error: Exception) -> str:
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return lines[-1][-500:] if lines else f"{error} (status {self._process.poll()})"


class ForkedProcess:
    """A forked child; implements `grader.sandbox.child_session.Process`."""

    def __init__(
        self,
        server: ForkServer,
        connection: socket.socket,
        log: int,
        pid: int,
        pidfd: int,
        key: bytes,
    ) -> None:
        self._server = server
        self._log = log
        self._pid = pid
        self._pidfd = pidfd
        self._ended = False
        self.connection = connection
        self.key = key

    def find_end(self, seconds: float) -> control.Ended | None:
        """Wait for its end; None if it lives on.

        Raises:
            ServerFailed: the server ended, and took the child with it.
        """
        try:
            ended = self._server.find_end(self._pid, seconds)
            if ended is None and self._has_exited():  # the server is busy loading a library
                ended = self._server.find_end(self._pid, _FORK_SECONDS)
            return ended
        except ServerGone as error:
            raise ServerFailed("sandbox.server-died", {"reason": str(error)}) from error

    def _has_exited(self) -> bool:
        """Whether it runs no more; it may have yet to be reaped."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def end(self) -> None:
        """Kill it through its pidfd, which cannot mean another process, and reap it."""
        if self._ended:
            return
        self._ended = True
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        with contextlib.suppress(ServerGone):
            self._server.find_end(self._pid, _REAP_SECONDS)
        self._server.forget(self._pid)
        self.connection.close()
        os.close(self._log)
        os.close(self._pidfd)

    def log_text(self) -> str:
        """Return what reached its descriptors 1 and 2, at most 64 KB."""
        if self._ended:
            return ""
        return os.pread(self._log, LOG_BYTES, 0).rstrip(b"\0").decode(errors="replace")


def _pipe_with(data: bytes) -> int:
    """Return the end of a pipe at which a few bytes wait."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    return reading


def _open_log() -> int:
    """Return a file in memory of a fixed size: a child cannot make it grow."""
    import fcntl

    log = os.memfd_create("log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(log, LOG_BYTES)
    fcntl.fcntl(log, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return log
