"""The cells of one submission, run in order in a child that may die and be replaced.

A death loses the cell that caused it: a new child replays the cells that had been well, without the
fatal one, and goes on. What was observed before stays observed; replayed cells are not observed
twice.
"""

import time
from types import TracebackType
from typing import Self

import msgspec

from grader.checks.view import ChildGone, Ran
from grader.model import Cell, Limits, Outcome
from grader.sandbox.protocol import CellDone, RunCell, Start
from grader.sandbox.session import ChildSession, Server

MOST_DEATHS = 6
"""Children that one submission may use up; after that its remaining cells do not run."""

_WALL_GRACE_SECONDS = 2.0


class Run:
    """One submission's life in children, a context manager.

    Attributes:
        anomalies: what the protocol noticed, for the instructor only.
    """

    def __init__(self, server: Server, start: Start, limits: Limits) -> None:
        self._server = server
        self._start = start
        self._limits = limits
        self._child: ChildSession | None = None
        self._well: list[Cell] = []
        self._full = False
        self._deaths = 0
        self._deadline = time.monotonic() + limits.submission_seconds
        self.anomalies: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end_child()

    @property
    def out_of_time(self) -> bool:
        """Whether the submission has used up its time."""
        return time.monotonic() >= self._deadline

    @property
    def exhausted(self) -> bool:
        """Whether no further cell runs: out of time, or too many deaths."""
        return self.out_of_time or self._deaths >= MOST_DEATHS

    def child(self) -> ChildSession | None:
        """Return a living child in which every well cell has run, or None if none can be had.

        Raises:
            ServerFailed: the warm server failed, which is ours.
        """
        while self._child is None:
            if self.exhausted:
                return None
            self._child = self._server.spawn(self._start, self._limits)
            self._full = False
            self._replay()
        return self._child

    def run(self, cell: Cell) -> tuple[Ran, Outcome | None]:
        """Run a cell; return what was observed, and how the child ended if it did.

        Raises:
            ServerFailed: the warm server failed, which is ours.
        """
        child = self.child()
        if child is None:
            return Ran(cell=cell, done=None), Outcome.TIMEOUT if self.out_of_time else None
        try:
            done = self._run_in(child, cell)
        except ChildGone as gone:
            self.bury()
            return Ran(cell=cell, done=None), gone.outcome
        filled, self._full = done.full and not self._full, done.full
        if filled and done.outcome in ("memory", "timeout"):
            # What it filled the memory with dies with the child, and its names with that.
            self.bury()
            return Ran(cell=cell, done=msgspec.structs.replace(done, bound=())), None
        self._well.append(cell)
        return Ran(cell=cell, done=done), None

    def bury(self) -> None:
        """Note that the child has died, so that the next use starts another."""
        self._deaths += 1
        self._end_child()

    def _run_in(self, child: ChildSession, cell: Cell) -> CellDone:
        limits = self._limits
        wall = max(limits.cell_wall_seconds, limits.device_cell_seconds)
        left = max(0.1, self._deadline - time.monotonic())
        return child.run_cell(
            RunCell(
                index=cell.index or 0,
                file=cell.file,
                source=cell.source,
                style=cell.style,
                cpu_seconds=min(limits.cell_cpu_seconds, left),
                device_seconds=min(limits.device_cell_seconds, left),
                line=cell.line or 1,
            ),
            seconds_wall=min(wall, left) + _WALL_GRACE_SECONDS,
        )

    def _replay(self) -> None:
        """Run the well cells in the new child; one that kills it now is well no more."""
        assert self._child is not None
        for position, cell in enumerate(self._well):
            try:
                self._full = self._run_in(self._child, cell).full
            except ChildGone:
                del self._well[position]
                self.bury()
                return

    def _end_child(self) -> None:
        if self._child is not None:
            self.anomalies.extend(self._child.anomalies)
            self._child.close()
            self._child = None
