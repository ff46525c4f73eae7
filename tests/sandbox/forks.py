"""A warm process that forks a child a connection, without any lock: for the child alone."""

import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import msgspec

from grader.sandbox.protocol import (
    Called,
    CallGate,
    CellDone,
    FromChild,
    Gradients,
    ReadGradients,
    Ready,
    RunCell,
    Start,
    Target,
)

ROOT = Path(__file__).parents[2]

_WARM = """
import gc, os, socket, sys, traceback
from grader.sandbox import child
from grader.sandbox.wire import Channel, Gone
listener = socket.socket(fileno=int(sys.argv[1]))
if sys.argv[2:]:
    import pathlib
    import grader.vgpu
    grader.vgpu.install(core=pathlib.Path(sys.argv[2]))
child.preload()
gc.freeze()
while True:
    connection, _ = listener.accept()
    if os.fork() == 0:
        listener.close()
        channel = Channel(connection.fileno())
        try:
            child.run(channel, channel.receive(), 1)
        except (Gone, ConnectionError):
            os._exit(0)
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
            os._exit(1)
    connection.close()
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
"""


class Warm:
    """The warm process; a context manager."""

    def __init__(self, folder: Path, *, core: Path | None = None) -> None:
        self._path = str(folder / "socket")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self._path)
        listener.listen(16)
        environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
                       "PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0",
                       "MPLCONFIGDIR": str(folder)}  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WARM, str(listener.fileno()), *([str(core)] if core else [])],
            pass_fds=[listener.fileno()],
            env=environment,
            cwd=folder,
        )
        listener.close()

    def __enter__(self) -> "Warm":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def child(self, **start: object) -> "Living":
        """Fork a child."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(60)
        connection.connect(self._path)
        return Living(connection, Start(**{"seed": 1, **start}))


class Living:
    """A living child, with short ways to ask."""

    def __init__(self, connection: socket.socket, start: Start) -> None:
        self._connection = connection
        self._cells = 0
        try:
            self.ready: Ready = self.ask(start)
        except BaseException:
            connection.close()
            raise

    def __enter__(self) -> "Living":
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def ask(self, message: object) -> FromChild:
        data = msgspec.msgpack.encode(message)
        self._connection.sendall(struct.pack("<I8s", len(data), b"question") + data)
        length, token = struct.unpack("<I8s", self._receive(12))
        assert token == b"question"
        return msgspec.msgpack.decode(self._receive(length), type=FromChild)

    def _receive(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            part = self._connection.recv(length - len(data))
            assert part, "the child has ended"
            data += part
        return bytes(data)

    def cell(self, source: str, **more: object) -> CellDone:
        self._cells += 1
        values = {
            "index": self._cells,
            "file": "homework.ipynb",
            "source": source,
            "style": "notebook",
            "cpu_seconds": 20.0,
            "device_seconds": 20.0,
        }
        done = self.ask(RunCell(**{**values, **more}))
        assert isinstance(done, CellDone), done
        return done

    def script(self, source: str, **more: object) -> CellDone:
        return self.cell(source, style="script", file="homework.py", **more)

    def call(self, name: str, rows: object, *, build: bool = False, **more: object) -> Called:
        target = Target(file="homework.ipynb", name=name, build=build)
        values = {"form": "vector", "rows": tuple(map(tuple, rows)), **more}
        called = self.ask(CallGate(target=target, **values))
        assert isinstance(called, Called), called
        return called

    def answers(self, name: str, rows: object, **more: object) -> list[object]:
        """The first value of each output, or its type where there is none."""
        return [
            float(output.values[0]) if output.values else output.type
            for output in self.call(name, rows, **more).outputs
        ]

    def gradients(self) -> Gradients:
        return self.ask(ReadGradients(file="homework.ipynb"))
