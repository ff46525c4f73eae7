"""A fresh process for each submission, without locks: for systems where a fork is not safe.

Only for a student's own code on their own machine: on macOS and Windows, and on a real card, which
no locked process reaches. The next process gets warm while the present one works.
"""

import contextlib
import queue
import subprocess
import tempfile
import threading
from collections.abc import Collection
from typing import IO

import msgspec

from grader.model import Limits
from grader.sandbox import control, launch, layers
from grader.sandbox.ending import ServerFailed
from grader.sandbox.protocol import Library
from grader.sandbox.rlimits import LOG_BYTES

_CLOSE_SECONDS = 5.0
_PIECE_BYTES = 64 << 10
_PROBE_SECONDS = 120
_MOST_PIECES = 64
"""Pieces that wait to be read; a child that sends more has to wait."""


class FreshServer:
    """Starts processes ahead of their use; the counterpart of `forking.ForkServer`.

    Args:
        core: path of the virtual GPU's native core; empty for no virtual GPU.
        real: whether the processes use the machine's own card.
    """

    def __init__(self, *, core: str, real: bool = False) -> None:
        self._core = core
        self._real = real
        self._found: control.Found | None = None
        self._next = FreshProcess(core, real=real)

    def hello(self) -> control.Hello:
        """Return what is known: a process of its own, and after a look, whether there is a card."""
        reason = "this system gets a fresh process for each submission instead"
        found = control.Found(device="virtual" if self._core else "none")
        if self._real:
            reason = "a locked process cannot reach the card"
            found = self._found = self._found or _probe()
        return control.Hello(
            layers=(layers.PROCESS,),
            missing=dict.fromkeys(layers.ALL[1:], reason),
            device=found.device,
            torch=_torch_version(),
            seconds=0.0,
            card=found.card,
        )

    def fork(self, limits: Limits, libraries: Collection[Library] = ()) -> "FreshProcess":
        """Return a process for one submission, and start the next, which loads what it needs."""
        del limits, libraries  # nothing here could hold limits but the clock, watched elsewhere
        process, self._next = self._next, FreshProcess(self._core, real=self._real)
        return process

    def close(self) -> None:
        """End the process that waits."""
        self._next.end()


class FreshProcess:
    """A process with two pipes; implements `grader.sandbox.child_session.Process`."""

    key = b""

    def __init__(self, core: str, *, real: bool) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            launch.command("grader.sandbox.fresh_child", core, *launch.package_folders()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=launch.environment(real=real),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.connection = PipePair(self._process.stdout, self._process.stdin)

    def find_end(self, seconds: float) -> control.Ended | None:
        """Wait for its end; None if it lives on."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return control.Ended(pid=self._process.pid, status=status, cpu_seconds=0.0, peak_bytes=0)

    def end(self) -> None:
        """Kill and reap it."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSE_SECONDS)
        self.connection.close()
        self._log.close()

    def log_text(self) -> str:
        """Return the beginning of what it wrote to its standard error."""
        if self._log.closed:
            return ""
        self._log.seek(0)
        return self._log.read(LOG_BYTES).decode(errors="replace")


class PipePair:
    """Two pipes that behave like a socket with a timeout, on every system.

    Pipes cannot be polled on Windows, so a thread reads one and another writes the other; both end
    with the process at the far side.
    """

    def __init__(self, reading: IO[bytes], writing: IO[bytes]) -> None:
        self._reading = reading
        self._writing = writing
        self._seconds: float | None = None
        self._rest = b""
        self._arrived: queue.Queue[bytes] = queue.Queue(_MOST_PIECES)
        self._sent: queue.Queue[OSError | None] = queue.Queue()
        self._closed = threading.Event()
        threading.Thread(target=self._read_on, daemon=True).start()

    def settimeout(self, seconds: float | None, /) -> None:
        """Bound the time of the next `send` or `recv`."""
        self._seconds = seconds

    def send(self, data: memoryview, /) -> int:
        """Send all the bytes and return how many they are."""
        threading.Thread(target=self._write, args=(bytes(data),), daemon=True).start()
        try:
            error = self._sent.get(timeout=self._seconds)
        except queue.Empty:
            raise TimeoutError from None
        if error is not None:
            raise error
        return len(data)

    def recv(self, length: int, /) -> bytes:
        """Return at most `length` bytes, none at the end."""
        if not self._rest:
            try:
                self._rest = self._arrived.get(timeout=self._seconds)
            except queue.Empty:
                raise TimeoutError from None
        if not self._rest:
            self._arrived.put(b"")  # it stays at the end
        taken, self._rest = self._rest[:length], self._rest[length:]
        return taken

    def close(self) -> None:
        """Close both pipes; the process must have ended."""
        self._closed.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._arrived.get_nowait()
        for pipe in (self._writing, self._reading):
            with contextlib.suppress(OSError):
                pipe.close()

    def _write(self, data: bytes) -> None:
        try:
            self._writing.write(data)
            self._writing.flush()
        except (OSError, ValueError) as error:
            self._sent.put(error if isinstance(error, OSError) else BrokenPipeError())
        else:
            self._sent.put(None)

    def _read_on(self) -> None:
        piece = b"start"
        while piece and not self._closed.is_set():
            try:
                piece = self._reading.read1(_PIECE_BYTES)  # type: ignore[attr-defined]  # buffered
            except (OSError, ValueError):
                piece = b""
            self._put(piece)

    def _put(self, piece: bytes) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._arrived.put(piece, timeout=0.1)
                return


def _probe() -> control.Found:
    """Ask a process of its own whether PyTorch finds a card here.

    Raises:
        ServerFailed: it gave no answer; a broken driver may end or hold it.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            launch.command("grader.sandbox.real_probe", *launch.package_folders()),
            env=launch.environment(real=True),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerFailed("sandbox.no-start", {"reason": str(error)}) from error
    try:
        return msgspec.json.decode(done.stdout, type=control.Found)
    except msgspec.DecodeError as error:
        reason = done.stderr.decode(errors="replace")[-1000:].strip() or str(done.returncode)
        raise ServerFailed("sandbox.no-start", {"reason": reason}) from error


def _torch_version() -> str:
    """Return the version of torch without loading it."""
    import importlib.metadata

    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""
