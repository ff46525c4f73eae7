"""Runs one submission in a forked child: receives messages, runs cells, answers questions.

`preload` is called once in the warm server, before any fork; `run` in each child, once it is
locked in. Whatever stands here is in reach of the student's code: it carries observations, and the
judge decides what they are worth.
"""

import builtins
import contextlib
import gc
import getpass
import os
import pdb  # noqa: T100 - what a student left in is skipped
import random
import sys
import traceback
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol, get_args

import msgspec
import numpy
import torch

from grader.sandbox.asking import Asking
from grader.sandbox.cells import CellRunner
from grader.sandbox.device import Device, find_virtual_gpu
from grader.sandbox.forks import take_up
from grader.sandbox.gates import GateCaller, Targets
from grader.sandbox.gradients import read_gradients
from grader.sandbox.limits import Stopwatch
from grader.sandbox.networks import NetworkCounter, describe_networks
from grader.sandbox.placeholders import MissingFinder
from grader.sandbox.protocol import (
    CallGate,
    CallGates,
    CellDone,
    CountNetworks,
    DescribeNetworks,
    Failed,
    FromChild,
    FromJudge,
    Library,
    ListNames,
    Names,
    ReadGradients,
    ReadValues,
    Ready,
    RunCell,
    Start,
    Values,
)
from grader.sandbox.recorder import BackwardRecorder
from grader.sandbox.replaced import Replaced
from grader.sandbox.shell import QuietShell
from grader.sandbox.siblings import SiblingFinder
from grader.sandbox.untouched import Foreign, shield
from grader.sandbox.values import TensorNumbers, encode_value
from grader.sandbox.warming import REHEARSAL_CARD, put_off_compiler, rehearse, warm
from grader.sandbox.warming import load as load_library

shield(globals())

MOST_FAILURE_CHARACTERS = 2000
_format_exception = traceback.format_exception
_replace = msgspec.structs.replace
_modules = sys.modules


class Messages(Protocol):
    """The child's end of the pipe; see `grader.sandbox.wire.Channel`."""

    def receive(self) -> FromJudge:
        """Return the next message of the judge."""
        ...

    def send(self, message: FromChild) -> None:
        """Send a message to the judge."""
        ...


class _Preloaded:
    """What the warm server made for its children."""

    shell: QuietShell | None = None
    submission: "Submission | None" = None
    ours: tuple[tuple[str, Foreign], ...] = ()
    later: tuple[Library, ...] = get_args(Library)


def preload(*, once: bool = False) -> None:
    """Load and warm everything that a child needs; call it once, with one thread.

    Args:
        once: whether there will be one child, so that warming up would cost more than it saves.

    Raises:
        RuntimeError: a second thread runs afterwards, with which a fork is not safe.
    """
    torch.set_num_threads(1)
    shell = _Preloaded.shell = QuietShell.instance()
    virtual_gpu = find_virtual_gpu()
    warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
    put_off_compiler()
    if not once:
        warm(shell)
        gc.freeze()  # what is loaded stays; only the rehearsal is to be collected
        rehearsed = Submission(shell, virtual_gpu)
        rehearsed.begin(Start(seed=0, card=REHEARSAL_CARD))
        rehearse(shell, rehearsed.answer)
        del rehearsed
        gc.collect()
        if virtual_gpu is not None:
            virtual_gpu.reset()
    _Preloaded.ours = tuple(
        (name, module)
        for name, module in sys.modules.items()
        if name == "grader" or (name.startswith("grader.") and not name.startswith("grader.vgpu"))
    )
    _Preloaded.submission = Submission(shell, virtual_gpu)
    _Preloaded.submission.take_over()
    started = _other_threads()
    if started:
        raise RuntimeError(
            f"loading PyTorch and what it uses started threads ({', '.join(started)}), with which "
            "no process can be forked"
        )


def load(libraries: Collection[Library], *, cache: str = "") -> bool:
    """Load libraries for all later children, once; return whether one of them was new.

    What cannot be loaded is left to the children.

    Args:
        libraries: what to load.
        cache: folder for what they keep on disk; empty for none.
    """
    shell, new = _Preloaded.shell, [name for name in _Preloaded.later if name in libraries]
    if shell is None or not new:
        return False
    _Preloaded.later = tuple(name for name in _Preloaded.later if name not in new)
    os.environ["MPLCONFIGDIR"] = cache
    for library in new:
        with contextlib.suppress(Exception):
            load_library(library, shell)
    del os.environ["MPLCONFIGDIR"]
    return True


def _other_threads() -> list[str]:
    """Return the names that the system knows other threads of this process by."""
    names = []
    for task in Path("/proc/self/task").glob("*"):  # none where there is no such folder
        if task.name != str(os.getpid()):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                names.append((task / "comm").read_text("utf-8", "replace").strip())
    return names


def run(channel: Messages, start: Start, log_fd: int) -> None:
    """Serve the judge until it ends the child.

    Args:
        channel: where messages come from and go to.
        start: the first message.
        log_fd: what descriptors 1 and 2 write to; prints of student code do not go there.
    """
    del log_fd
    submission = _Preloaded.submission
    if submission is None:
        raise RuntimeError("preload() comes first")
    submission.begin(start)
    submission.hide()
    channel.send(Ready(device=submission.device.state, torch=str(torch.__version__)))
    while True:
        channel.send(submission.answer(channel.receive()))


class Submission:
    """The living state of one submission: its files, its device, what runs around it.

    It is made before the fork, and whatever does not depend on the submission done there: each
    page that a child writes to is copied for it.

    Args:
        shell: runs cells.
        virtual_gpu: the package of that name, None where there is none.
    """

    def __init__(self, shell: QuietShell, virtual_gpu: Foreign) -> None:
        self.device = Device()
        self._shell = shell
        self._virtual_gpu: Foreign = virtual_gpu
        self._numbers = TensorNumbers()
        self._stopwatch = Stopwatch(self.device.is_deciding)
        self._recorder = BackwardRecorder(self._numbers, self.device)
        self._missing = MissingFinder()
        self._siblings = SiblingFinder()
        self._cells = CellRunner(
            shell,
            stopwatch=self._stopwatch,
            missing=self._missing,
            device=self.device,
            recorder=self._recorder,
        )
        self._asking = Asking(self._stopwatch, self.device)
        targets = Targets(self._names_of)
        self._gates = GateCaller(targets, self._asking)
        self._counter = NetworkCounter(targets, self._asking)
        self._answers: dict[type, Callable[[Foreign], FromChild]] = {
            RunCell: self._run_cell,
            ListNames: self._list_names,
            CallGate: self._gates.answer,
            CallGates: self._gates.answer_all,
            DescribeNetworks: self._describe_networks,
            CountNetworks: self._count_networks,
            ReadGradients: self._read_gradients,
            ReadValues: self._read_values,
        }
        self._replaced: Replaced | None = None

    def take_over(self) -> None:
        """Change this process for good, as far as it may still load libraries afterwards."""
        self._stopwatch.install()
        self._recorder.install()
        self._cells.prepare()
        _answer_input()
        _skip_breakpoints()
        self._replaced = Replaced()

    def begin(self, start: Start) -> None:
        """Become the state of the submission that `start` tells of."""
        self.device.begin(self._virtual_gpu, start)
        for path, source in start.files.items():
            self._siblings.add(path, source)
        self._cells.output_bytes = start.output_bytes
        self._shell.nvidia_smi = self.device.nvidia_smi
        self._shell.write_file = self._siblings.add
        _seed(start.seed)

    def hide(self) -> None:
        """Change imports and forks of this process, in which nothing but student code follows."""
        take_up()
        for library in get_args(Library):
            if self._siblings.find_spec(library) is not None:  # a file of the student's own
                _forget_module(library)
        self._siblings.install()
        _hide_ourselves(self._missing)

    def answer(self, message: FromJudge) -> FromChild:
        """Return the reply to a message; our own failures are replies too."""
        try:
            handler = self._answers.get(type(message))
            if handler is None:
                return Failed(text=f"no answer to {type(message).__name__}")
            return handler(message)
        except BaseException as error:  # noqa: BLE001 - a late interrupt or exit of the student's
            text = "".join(_format_exception(error))[-MOST_FAILURE_CHARACTERS:]
            return Failed(text=text.encode("utf-8", "replace").decode())

    def _run_cell(self, cell: RunCell) -> CellDone:
        self._asking.begin_cell()
        self._gates.begin_cell()
        done = self._cells.run(cell)
        if self._replaced is None:
            return done
        imported = tuple(name for name in _Preloaded.later if name in _modules)
        return _replace(done, replaced=self._replaced.names(), imported=imported)

    def _names_of(self, file: str) -> dict[str, Foreign]:
        return self._cells.file(file).state.names

    def _list_names(self, question: ListNames) -> Names:
        return Names(names=self._cells.file(question.file).names.living(question.names))

    def _describe_networks(self, question: DescribeNetworks) -> FromChild:
        return describe_networks(question.names, self._names_of(question.file), self._numbers)

    def _count_networks(self, question: CountNetworks) -> FromChild:
        return self._counter.answer(question, self._names_of(question.target.file))

    def _read_gradients(self, question: ReadGradients) -> FromChild:
        return read_gradients(self._names_of(question.file), self._numbers, self.device)

    def _read_values(self, question: ReadValues) -> Values:
        names = self._names_of(question.file)
        return Values(
            values=tuple(
                encode_value(name, names[name]) for name in question.names if name in names
            )
        )


def _forget_module(name: str) -> None:
    for known in list(_modules):
        if known == name or known.startswith(f"{name}."):
            del _modules[known]


def _hide_ourselves(missing: MissingFinder) -> None:
    """Give student code that imports the grader, or hypothesis, a placeholder.

    The modules of the virtual GPU stay: operators import them while the student's code runs. The
    names were listed before the fork, and the modules stay alive: a walk through `sys.modules`
    touches, and so copies, a page for nearly each of its names.
    """
    for name, _ in _Preloaded.ours:
        sys.modules.pop(name, None)
    missing.install(hidden=("grader", "hypothesis"))


def _answer_input() -> None:
    """Answer every `input()` with an empty line."""

    def empty_line(prompt: object = "") -> str:
        sys.stdout.write(f"{prompt}\n")
        return ""

    builtins.input = empty_line
    getpass.getpass = lambda prompt="", stream=None: empty_line(prompt)


def _skip_breakpoints() -> None:
    """Let a cell go on where its author left a breakpoint: a debugger would ask until the limit."""

    def go_on(*_: object, **__: object) -> None:
        return None

    sys.breakpointhook = pdb.set_trace = go_on


def _seed(seed: int) -> None:
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)  # the device's was seeded when it was reset
