"""A judge with secrets, as a process: runs hostile submissions, and tells what was observed.

    python -m tests.sandbox.judging FOLDER LAYER...

Jobs and replies are JSON, a line each, on standard input and output. The process is started as
root or as an ordinary user, and uses its layers of isolation and no others. It holds what an attack
is after: an answer in memory, in its environment and behind an open file, a solution on the disk,
the work and the home of others, and sockets that listen.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

import msgspec

from grader.model import Limits
from grader.sandbox.launch import child_uid
from grader.sandbox.protocol import Start
from grader.sandbox.session import ChildGone, Server, ServerFailed, door
from tests.sandbox.cells import cell

MARK = "ANSWER" + "-" + "OF-THE-JUDGE"
"""Begins every secret; what follows is in no attack's source."""


class Job(msgspec.Struct):
    """A hostile submission.

    Attributes:
        cells: its cells.
        later: cells of another submission that runs after it.
        style: ``notebook`` or ``script``.
        inside: run it the naive way, by `exec` in a fork of the judge.
        memory_bytes: as in `Limits`.
        seconds: processor time of a cell.
        submission_seconds: as in `Limits`.
    """

    cells: list[str]
    later: list[str] = []
    style: str = "script"
    inside: bool = False
    memory_bytes: int = 256 << 20
    seconds: float = 10.0
    submission_seconds: float = 60.0


class Seen(msgspec.Struct):
    """What a submission did.

    Attributes:
        outcomes: of the cells that ended.
        text: what it printed, displayed, raised and wrote to its descriptors.
        gone: outcome and message code of its end, if it ended by itself or was ended.
        anomalies: for the instructor.
        left: processes that are still there.
        failed: what failed on our side.
    """

    outcomes: list[str] = []
    text: str = ""
    gone: list[str] = []
    anomalies: list[str] = []
    left: int = 0
    failed: str = ""


class Secrets:
    """What this judge knows and holds, and where."""

    def __init__(self, folder: Path) -> None:
        self.answer = os.environ["GRADER_ANSWER"]
        named = {
            "solution": folder / "reference" / "solution.py",
            "other": folder / "submissions" / "petrova" / "homework.py",
            "home": Path(os.environ["HOME"]) / "notes.txt",
            "gradebook": folder / "out" / "gradebook.db",
        }
        for path in named.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"ANSWER = {self.answer!r}\n")
            path.chmod(0o600)
        self.open_file = named["gradebook"].open("rb")
        os.set_inheritable(self.open_file.fileno(), True)
        self.drop = Path(tempfile.mkdtemp(dir=folder))
        self.drop.chmod(0o1777)
        self.listening = [self._listen(socket.AF_INET, ("127.0.0.1", 0))]
        self.abstract = f"grader-{self.drop.name}"
        self.listening.append(self._listen(socket.AF_UNIX, "\0" + self.abstract))
        self.listening.append(self._listen(socket.AF_UNIX, str(self.drop / "socket")))
        (self.drop / "socket").chmod(0o777)
        self.packets = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.packets.bind(f"\0{self.abstract}-packets")
        self.places = {name: str(path) for name, path in named.items()} | {
            "drop": str(self.drop),
            "judge": os.getpid(),
            "port": self.listening[0].getsockname()[1],
            "abstract": self.abstract,
            "address": id(self.answer),
            "package": str(Path(sys.modules["grader"].__file__ or "").parent),
        }

    def _listen(self, family: int, address: object) -> socket.socket:
        listening = socket.socket(family)
        listening.bind(address)
        listening.listen(16)
        return listening


_PRELUDE = """
import ctypes, os, sys
PLACES = {places!r}
MARK = {first!r} + {rest!r}
def won(what=""): print("WON", what)
def found(text):
    text = text if isinstance(text, str) else bytes(text).decode(errors="replace")
    if MARK in text: won(text[:200])
def system_call(number, *arguments):
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = library.syscall(ctypes.c_long(number), *passed)
    return result if result >= 0 else -ctypes.get_errno()
"""


class Judging:
    """Runs jobs with one warm server that it shares with another judge, as in a batch."""

    def __init__(self, folder: Path, layers: tuple[str, ...]) -> None:
        self._secrets = Secrets(folder)
        self._first = Server(unsafe=True, use_layers=layers)
        mine, theirs = door()
        with theirs:
            self._first.admit(theirs, child_uid() + 1)
        self._server = Server(unsafe=True, use_layers=layers, shared=mine)
        places = self._secrets.places
        self._prelude = _PRELUDE.format(places=places, first=MARK[:9], rest=MARK[9:])

    def layers(self) -> list[str]:
        return list(self._server.layers)

    def run(self, job: Job) -> Seen:
        if job.inside:
            return self._run_inside(job)
        seen = Seen()
        for cells in (job.cells, job.later):
            if cells:
                self._run_in_child(job, cells, seen)
        seen.left = len(_descendants(self._server_pid())) - self._idle
        return seen

    def wait(self) -> None:
        self._server.wait()
        self._idle = len(_descendants(self._server_pid()))

    def _server_pid(self) -> int:
        return self._first._process._process.pid

    def _run_in_child(self, job: Job, cells: list[str], seen: Seen) -> None:
        limits = Limits(
            memory_bytes=job.memory_bytes, submission_seconds=job.submission_seconds, threads=8
        )
        try:
            child = self._server.spawn(Start(seed=1, card="Tesla T4"), limits)
        except ServerFailed as error:
            seen.failed = str(error)
            return
        with child:
            try:
                for index, source in enumerate([self._prelude, *cells]):
                    done = child.run_cell(
                        cell(source, index, style=job.style, seconds=job.seconds),
                        seconds_wall=2 * job.seconds + 1,
                    )
                    if index:
                        seen.outcomes.append(done.outcome)
                    error = f"{done.error.type}: {done.error.text}" if done.error else ""
                    seen.text += f"{done.output}\n{error}\n"
            except ChildGone as gone:
                seen.gone = [gone.outcome.value, gone.detail]
        seen.text += child.log_text()
        seen.anomalies += child.anomalies

    def _run_inside(self, job: Job) -> Seen:
        """Run a submission as a grader without a sandbox would: in a fork of its own."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            sys.stdout = os.fdopen(1, "w", buffering=1)
            try:
                _run_plainly([self._prelude, *job.cells, *job.later], job.style)
            except BaseException as error:  # noqa: BLE001 - hostile code may raise anything
                print(type(error).__name__, error)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            text = pipe.read().decode(errors="replace")
        _, status = os.waitpid(pid, 0)
        return Seen(text=text, gone=[str(status)] if status else [])

    def close(self) -> None:
        self._server.close()
        self._first.close()


def _run_plainly(cells: list[str], style: str) -> None:
    if style == "script":
        names = {"__name__": "__main__"}
        for source in cells:
            exec(compile(source, "homework.py", "exec"), names)
        return
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    for source in cells:
        shell.run_cell(source, store_history=True)


def _descendants(pid: int) -> list[int]:
    """Return all processes that come from a process; those that were given away included."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = (int(fields[1]), int(fields[3]))
    found, more = {pid}, True
    while more:
        news = {
            child for child, (parent, session) in parents.items()
            if child not in found and (parent in found or session in found)
        }  # fmt: skip
        found |= news
        more = bool(news)
    return sorted(found)


def main(folder: str, *layers: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    judging = Judging(Path(folder), layers)
    try:
        judging.wait()
        print(json.dumps(judging.layers()), flush=True)
        for line in sys.stdin.buffer:
            seen = judging.run(msgspec.json.decode(line, type=Job))
            sys.stdout.buffer.write(msgspec.json.encode(seen) + b"\n")
            sys.stdout.buffer.flush()
    finally:
        judging.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
