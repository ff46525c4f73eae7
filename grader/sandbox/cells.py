"""Runs one cell and reports what was seen: outcome, output, names, device, backward runs."""

import ast
import io
import sys
import time
from collections.abc import Callable
from typing import Literal

from grader.sandbox.device import Device
from grader.sandbox.limits import Stopwatch, TimeLimit
from grader.sandbox.names import NameTable
from grader.sandbox.output import BoundedWriter
from grader.sandbox.placeholders import MissingFinder, trace_placeholder
from grader.sandbox.protocol import CellDone, CellError, RunCell
from grader.sandbox.recorder import BackwardRecorder
from grader.sandbox.reserve import Reserve
from grader.sandbox.scripts import ScriptRunner
from grader.sandbox.shell import FileState, QuietShell
from grader.sandbox.untouched import Foreign, shield
from grader.sandbox.values import error_text, type_name

shield(globals())

Outcome = Literal["passed", "raised", "timeout", "memory"]

_clock = time.perf_counter
_settrace, _setprofile = sys.settrace, sys.setprofile
_getrecursionlimit, _setrecursionlimit = sys.getrecursionlimit, sys.setrecursionlimit
RECURSION_LIMIT = sys.getrecursionlimit()
_NO_HOST_MEMORY = ("can't allocate memory", "not enough memory")
_FOR_WANT_OF_MEMORY = frozenset({"RuntimeError", "OSError"})
"""Types of what may be raised with any words where a cell has filled the memory."""


class File:
    """A file of the submission: its namespace and how its cells run."""

    def __init__(self, shell: QuietShell) -> None:
        self.state = FileState(shell)
        self.names = NameTable(self.state.names)
        self.script = ScriptRunner(shell, self.state.names)


class CellRunner:
    """Runs cells; one for the life of the child.

    Attributes:
        output_bytes: what is kept of a cell's output.
    """

    def __init__(
        self,
        shell: QuietShell,
        *,
        stopwatch: Stopwatch,
        missing: MissingFinder,
        device: Device,
        recorder: BackwardRecorder,
    ) -> None:
        self._shell = shell
        self.output_bytes = 0
        self._stopwatch = stopwatch
        self._missing = missing
        self._device = device
        self._recorder = recorder
        self._reserve = Reserve()
        self._spacious: bool | None = None
        self._full = False
        self._files: dict[str, File] = {}
        self._ahead: File | None = None

    def prepare(self) -> None:
        """Make a file for the first notebook ahead, and let the shell work on it."""
        self._ahead = File(self._shell)
        self._ahead.state.enter()

    def file(self, name: str) -> File:
        """Return the file of that name, a fresh one if no cell of it has run."""
        if name not in self._files:
            self._files[name] = File(self._shell)
        return self._files[name]

    def run(self, cell: RunCell) -> CellDone:
        """Run a cell."""
        notebook = cell.style == "notebook"
        if notebook and self._ahead is not None:
            self._files.setdefault(cell.file, self._ahead)
            self._ahead = None
        file = self.file(cell.file)
        writer = BoundedWriter(self.output_bytes)
        shell = self._shell
        shell.commands = []
        shell.cell_tree = None
        file.state.enter(notebook=notebook)
        file.names.before_cell()
        self._device.begin_cell(cell.mark)
        self._recorder.begin_cell()
        if self._spacious is None:
            self._spacious = self._reserve.has_room()
        self._reserve.take()
        start = _clock()
        try:
            outcome, error, tree = self._run_watched(cell, file, writer)
        finally:
            self._reserve.give_back()
        seconds = _clock() - start
        file.state.leave()
        before = cell.line - 1 if cell.style == "script" else 0
        filled, self._full = self._has_filled()
        if filled and outcome == "raised" and error and error.type in _FOR_WANT_OF_MEMORY:
            outcome = "memory"  # torch says "std::bad_alloc", and half a sentence for want of room
        stopped_at = error.line + before if error is not None and error.line else None
        backward, backward_count = self._recorder.take()
        return CellDone(
            index=cell.index,
            outcome=outcome,
            output=writer.text(),
            output_bytes=writer.total_bytes,
            error=error,
            seconds=seconds,
            bound=file.names.after_cell(tree, stopped_at),
            placeholders=self._missing.take_met(),
            commands=tuple(text.encode("utf-8", "replace").decode() for text in shell.commands),
            device=self._device.take_log(),
            backward=backward,
            backward_count=backward_count,
            full=self._full,
        )

    def _has_filled(self) -> tuple[bool, bool]:
        """Return whether the memory has become full, and whether it is.

        Where the limit is so low that there never was room, no cell is blamed for that.
        """
        full = bool(self._spacious) and not self._reserve.has_room()
        return full and not self._full, full

    def _run_watched(
        self, cell: RunCell, file: File, writer: BoundedWriter
    ) -> tuple[Outcome, CellError | None, ast.AST | None]:
        notebook = cell.style == "notebook"
        run = self._run_notebook if notebook else self._run_script
        result: tuple[Outcome, CellError | None, ast.AST | None]
        saved = sys.stdout, sys.stderr, sys.stdin
        sys.stdout = sys.stderr = writer
        sys.stdin = io.StringIO("")
        try:
            with self._stopwatch.limit(cell.cpu_seconds, self._further_seconds(cell)):
                result = run(cell, file)
        except TimeLimit as error:
            # It came between the student's code and the end of the watch.
            result = (*judge_end(error, ""), self._shell.cell_tree)
        except MemoryError as error:
            # The same, of a cell that left no room for it.
            self._reserve.give_back()
            result = (*judge_end(error, ""), self._shell.cell_tree)
        finally:
            self._shell.started = None
            sys.stdout, sys.stderr, sys.stdin = saved
            _settrace(None)
            _setprofile(None)
            if _getrecursionlimit() < RECURSION_LIMIT:
                _setrecursionlimit(RECURSION_LIMIT)
            close_figures()
        if self._stopwatch.rang and result[0] != "timeout":
            result = ("timeout", result[1], result[2])
        return result

    def _further_seconds(self, cell: RunCell) -> Callable[[], float]:
        def further() -> float:
            return cell.device_seconds - cell.cpu_seconds if self._device.in_use() else 0.0

        return further

    def _run_notebook(
        self, cell: RunCell, file: File
    ) -> tuple[Outcome, CellError | None, ast.AST | None]:
        del file
        shell = self._shell

        def begin(tree: ast.AST) -> None:
            self._missing.enter_cell(shell.latest_file, tree, cell.source)

        shell.started = begin
        # The exception lives no longer than this call, except where IPython itself keeps it.
        run_cell: Foreign = shell.run_cell
        result = run_cell(cell.source, store_history=True)
        outcome, error = judge_end(
            result.error_before_exec or result.error_in_exec, shell.latest_file
        )
        return outcome, error, shell.cell_tree

    def _run_script(
        self, cell: RunCell, file: File
    ) -> tuple[Outcome, CellError | None, ast.AST | None]:
        script = file.script

        def begin(tree: ast.AST) -> None:
            self._missing.enter_cell(cell.file, tree, cell.source)

        try:
            script.run(cell, begin)
        except BaseException as raised:  # noqa: BLE001 - whatever the student's code raises
            outcome, error = judge_end(raised, cell.file, before=cell.line - 1)
            return outcome, error, script.tree
        return "passed", None, script.tree


def judge_end(
    raised: BaseException | None, filename: str, *, before: int = 0
) -> tuple[Outcome, CellError | None]:
    """Return how a cell ended.

    Args:
        raised: what it raised; None if nothing. `SystemExit` ends a cell well.
        filename: what frames of the cell carry.
        before: lines of the file before the cell.
    """
    if raised is None or isinstance(raised, SystemExit):
        return "passed", None
    error = CellError(
        type=type_name(raised),
        text=error_text(raised),
        line=_line_of(raised, filename, before),
        placeholder=trace_placeholder(raised),
    )
    if isinstance(raised, TimeLimit):
        return "timeout", error
    if isinstance(raised, MemoryError) or (
        type(raised) is RuntimeError and any(mark in error.text for mark in _NO_HOST_MEMORY)
    ):
        return "memory", error
    return "raised", error


def _line_of(raised: BaseException, filename: str, before: int) -> int | None:
    """Return the last line of the cell that the traceback passes, from 1."""
    line = None
    trace = raised.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == filename and trace.tb_lineno > before:
            line = trace.tb_lineno - before
        trace = trace.tb_next
    if line is None and isinstance(raised, SyntaxError) and type(raised.lineno) is int:
        return max(1, raised.lineno)
    return line


def close_figures() -> None:
    """Close the figures of a cell, as notebooks do once they have shown them."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    if helpers is not None and helpers.Gcf.figs:
        helpers.Gcf.destroy_all()
