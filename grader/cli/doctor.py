"""`grader doctor`: what this machine can do, and how to mend what it cannot."""

import importlib.metadata
import locale
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

import grader
from grader.cli.main import NOT_PASSED, PASSED
from grader.cli.show import guarded
from grader.devices import missing_device
from grader.messages import message
from grader.model import Assignment
from grader.reports.clean import clean
from grader.sandbox import layers
from grader.sandbox.session import Server, ServerFailed
from grader.vgpu.build import SUPPORTED_TORCH

_ICONS = {"good": ("✓", "green"), "note": ("!", "yellow"), "bad": ("✗", "red")}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at.

    Attributes:
        state: ``good``, ``note`` (works, with less), or ``bad`` (grading does not work).
        code: the message that says it.
        values: fills the message.
    """

    state: str
    code: str
    values: dict[str, str] = field(default_factory=dict)


def examine(*, language: str) -> int:
    """Print what this machine can do; the exit code is 0 if submissions can be checked here."""

    def action() -> int:
        return print_lines(machine_lines(), about="machine", language=language)

    return guarded(action, language=language)


def examine_assignment(name_or_folder: str, *, language: str) -> int:
    """Try an assignment and print what is found; the exit code is 0 if nothing is wrong."""

    def action() -> int:
        from grader.assignments import load_assignment

        assignment = load_assignment(name_or_folder)
        with Server(unsafe=True) as server:
            lines = _trial_lines(name_or_folder, assignment, server)
            return print_lines(lines, about="assignment", language=language)

    return guarded(action, language=language)


def _trial_lines(name_or_folder: str, assignment: Assignment, server: Server) -> Iterator[Line]:
    from grader.trial import try_assignment

    for remark in try_assignment(name_or_folder, assignment, server):
        state = "good" if remark.good else "note" if remark.mere_note else "bad"
        yield Line(state, remark.code, remark.values)


def print_lines(lines: Iterator[Line], *, about: str, language: str) -> int:
    """Print each line as it is found out, and what they come to; return the exit code.

    `about` is ``machine`` or ``assignment``.
    """
    out = Console(file=sys.stdout, highlight=False, markup=False)
    seen = []
    for line in lines:
        seen.append(line.state)
        icon, style = _ICONS[line.state]
        words = clean(message(line.code, line.values, language=language), most=3000)
        row = Table.grid(padding=(0, 1))  # so that long words stay beside the mark
        row.add_row(Text(icon, style=style), Text(words))
        out.print(row)
    worst = next((state for state in ("bad", "note") if state in seen), "good")
    out.print()
    out.print(Text(message(f"doctor.{about}-{worst}", language=language), style=_ICONS[worst][1]))
    return NOT_PASSED if worst == "bad" else PASSED


def machine_lines() -> Iterator[Line]:
    """Yield what there is to say about this machine, quick things first."""
    versions = {"grader": grader.__version__, "python": platform.python_version()}
    yield Line("good", "doctor.versions", {**versions, "system": platform.platform()})
    yield _locale_line()
    yield _torch_line()
    yield _compiler_line()
    try:
        with Server(unsafe=True) as server:
            server.wait()
            missing = missing_device(server)
            yield Line("good", "doctor.device") if missing is None else Line("note", *missing)
            yield from layer_lines(server.layers, server.missing)
    except ServerFailed as error:
        yield Line("bad", error.code, dict(error.values))
    if _has_gpu():
        yield Line("good", "doctor.gpu")


def layer_lines(active: tuple[str, ...], missing: dict[str, str]) -> Iterator[Line]:
    """Yield a line for each layer of isolation, and whether they suffice for others' work."""
    for name in layers.ALL:
        if name in active:
            yield Line("good", f"doctor.layer-{name}")
        else:
            reason = missing.get(name, "")
            yield Line("note", f"doctor.no-layer-{name}", {"reason": reason})
    if layers.can_grade_others(active):
        yield Line("good", "doctor.isolation-enough")
    else:
        yield Line("note", "doctor.isolation-weak")


def _locale_line() -> Line:
    encoding = (sys.stdout.encoding or locale.getpreferredencoding()).lower()
    named = next(
        (os.environ[n] for n in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(n)), ""
    )
    values = {"locale": named or "C", "encoding": encoding}
    return Line("good" if encoding.startswith("utf") else "note", _locale_code(encoding), values)


def _locale_code(encoding: str) -> str:
    return "doctor.locale" if encoding.startswith("utf") else "doctor.locale-not-utf8"


def _torch_line() -> Line:
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return Line("bad", "device.torch-missing", {"supported": SUPPORTED_TORCH})
    return Line("good", "doctor.torch", {"version": version})


def _compiler_line() -> Line:
    named = os.environ.get("CXX") or "g++"
    found = shutil.which(named)
    if found is None:
        return Line("note", "doctor.compiler-missing", {"name": named})
    return Line("good", "doctor.compiler", {"path": found})


def _has_gpu() -> bool:
    return Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None
