"""The levels of isolation that this machine offers, each as a judge in a process of its own."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from grader.sandbox import layers
from grader.vgpu import Unavailable, ensure
from tests.sandbox.judging import MARK, Job, Seen

ROOT = Path(__file__).parents[2]
ORDINARY_UID = 65534


@dataclass(frozen=True)
class Level:
    """A user and the layers that children hold.

    Attributes:
        name: of the level.
        root: whether the judge is root.
        layers: what it uses where the machine has it.
        filtered: under a filter of system calls as containers have one.
        closed: leave the interpreter in a folder that is closed to other users, where it is.
    """

    name: str
    root: bool
    layers: tuple[str, ...]
    closed: bool = False
    filtered: bool = False


def _without(*names: str) -> tuple[str, ...]:
    return tuple(name for name in layers.ALL if name not in names)


LEVELS = tuple(
    Level(f"{user}-{name}", user == "root", chosen)
    for user in ("root", "user")
    for name, chosen in (
        ("all", layers.ALL),
        ("no-namespaces", _without(layers.NAMESPACES)),
        ("no-landlock", _without(layers.LANDLOCK)),
    )
)
LEVELS += (Level("root-closed", True, _without(layers.NAMESPACES), closed=True),)
IS_ROOT = os.getuid() == 0
FILTERED = tuple(
    Level(f"{user}-filtered", user == "root", layers.ALL, filtered=True)
    for user in ("root", "user")
)
"""All layers are asked for, and namespaces cannot be had."""
OPEN = Level("open", IS_ROOT, (layers.PROCESS,))
"""No lock at all: here attacks work."""


class Missing(Exception):
    """The machine does not offer a level; the text says why."""


class JudgeProcess:
    """A judge at one level, a context manager.

    Raises:
        Missing: it cannot be had here.
    """

    def __init__(self, level: Level, folder: Path) -> None:
        if level.root and not IS_ROOT:
            raise Missing("the tests do not run as root")
        home = folder / "home"
        home.mkdir(parents=True)
        begin: list[str] = []
        if level.closed and not _closed_folders():
            raise Missing("the interpreter is open to everyone")
        if IS_ROOT and not level.root:
            begin = as_ordinary_user(folder, home)
        else:
            _copy_core(home / ".cache" / "grader")
            if IS_ROOT and not level.closed:
                begin = _in_the_open(folder)
        if level.filtered:
            begin += [sys.executable, "-m", "tests.sandbox.filtered"]
        self._process = subprocess.Popen(
            [*begin, sys.executable, "-m", "tests.sandbox.judging", str(folder), *level.layers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "LANG": "C.UTF-8",
                "GRADER_ANSWER": f"{MARK}-{os.urandom(8).hex()}",
            },
        )
        line = self._process.stdout.readline()
        if not line:
            self.__exit__()
            raise RuntimeError(f"the judge of {level.name} did not start")
        self.layers = tuple(json.loads(line))

    def __enter__(self) -> "JudgeProcess":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def run(self, job: Job) -> Seen:
        self._process.stdin.write(msgspec.json.encode(job) + b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Seen)


def as_ordinary_user(folder: Path, home: Path) -> list[str]:
    """Return the beginning of a command that runs as an ordinary user; `folder` becomes theirs.

    Raises:
        Missing: the system lets nobody do that.
    """
    _copy_core(home / ".cache" / "grader")
    begin = _in_the_open(folder)
    subprocess.run(["chown", "-R", str(ORDINARY_UID), folder], check=True)
    user = ["setpriv", f"--reuid={ORDINARY_UID}", f"--regid={ORDINARY_UID}", "--clear-groups"]
    return [*begin, *user]


def _copy_core(cache: Path) -> None:
    """Give the judge the native core of the virtual GPU, which takes half a minute to build."""
    with contextlib.suppress(Unavailable):
        core = ensure()
        shutil.copytree(core.parent, cache / "vgpu" / core.parent.name)


def _closed_folders() -> dict[Path, Path]:
    """Return what a judge needs and lies in a folder that is closed to others, with that folder."""
    needed = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT}
    closed = {
        path: [above for above in reversed(path.parents) if not above.stat().st_mode & 0o001]
        for path in sorted(needed)
    }
    return {path: above[0] for path, above in closed.items() if above}


def _in_the_open(folder: Path) -> list[str]:
    """Return the beginning of a command whose rest sees the interpreter and this checkout opened.

    Where they lie in a folder that is closed to others, as root's home is, the command sees an open
    one in its place, in a mount namespace of its own.

    Raises:
        Missing: the system lets nobody do that.
    """
    closed = _closed_folders()
    if not closed:
        return []
    stages = {path: folder.parent / f"{folder.name}-{n}" for n, path in enumerate(closed)}
    lines = [
        f"mkdir -p '{stages[path]}'; mount --bind '{path}' '{stages[path]}'" for path in closed
    ]
    lines += [f"mount -t tmpfs -o mode=755 none '{above}'" for above in set(closed.values())]
    lines += [f"mkdir -p '{path}'; mount --move '{stages[path]}' '{path}'" for path in closed]
    lines += [f"rmdir '{stages[path]}'" for path in closed]
    script = "\n".join(lines)
    shell = ["unshare", "--mount", "--propagation", "private", "sh", "-ec"]
    if subprocess.run([*shell, script, "sh"], capture_output=True, check=False).returncode:
        raise Missing("the interpreter is closed to other users, and nothing can be mounted here")
    return [*shell, script + '\nexec "$@"', "sh"]
