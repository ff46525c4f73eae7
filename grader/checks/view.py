"""What a kind of question sees of a submission: a section's cells, and a child to ask.

A question object is declared in an assignment, has `check_ids`, and judges all checks of its task
at once, since they share the search for the answer:

    class Gate:
        check_ids = ("truth-table", "weights")

        def judge(self, task: Task, view: SectionView) -> list[Finding]: ...
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from grader.model import Cell, Finding, Outcome, Section, Task
from grader.sandbox.ending import ChildGone as ChildGone
from grader.sandbox.protocol import BoundName, CellDone

Reply = TypeVar("Reply", bound=msgspec.Struct)


class Child(Protocol):
    """The judge's side of a living child."""

    def ask(self, question: msgspec.Struct, reply: type[Reply], *, seconds: float = 10.0) -> Reply:
        """Send a question and return its reply.

        Raises:
            ChildGone: the child ended, or gave no reply in time and was ended.
            ProtocolError: it replied something else.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ran:
    """A code cell of the section with what was observed when it ran.

    `done` is None where the cell did not run (the child had ended and it was not replayed).
    """

    cell: Cell
    done: CellDone | None


@dataclass(frozen=True, slots=True)
class Card:
    """The card as the judge knows it.

    Attributes:
        name: its name.
        exact: whether its figures are exact or estimated.
        usable_bytes: the most that can be reserved on it.
        total_bytes: what it says that it has; 0 where that is not known.
        others: usable bytes of other known cards by name.
        profile: the runtime profile, as ``1.12``; empty for the installed torch's.
        named: the card that the submission's outputs name, empty where they name none.
    """

    name: str = ""
    exact: bool = False
    usable_bytes: int = 0
    total_bytes: int = 0
    others: Mapping[str, int] = field(default_factory=dict)
    profile: str = ""
    named: str = ""


Tried = dict[tuple[str, int], Any]
"""What is known of objects already, by name and number of inputs."""


@dataclass(frozen=True, slots=True)
class SectionView:
    """Everything a question may look at.

    Attributes:
        section: the section; its `cells` are code and text in order.
        ran: the code cells with their observations, in the order they ran.
        child: asks the submission's child, None where it cannot be asked any more.
        file: the file in whose namespace names are looked up.
        device: ``virtual``, ``real``, ``none`` or ``unavailable: CODE``.
        card: the card.
        samples: texts of the statement that never count as an answer.
        key: the answer key of this task's choice question, None where it is not at hand.
        earlier: names bound by earlier sections, for looking up what this section uses.
        ended: how the child ended in this section (timeout, memory, crashed), or None.
        ended_cell: index of the cell in which it ended.
        tried: what a search for gates learned of the section's objects, by name and number of
            inputs; views for several tasks of one cell share it, so that each asks only once.
    """

    section: Section
    ran: tuple[Ran, ...]
    child: Child | None
    file: str = ""
    device: str = "none"
    card: Card = field(default_factory=Card)
    samples: tuple[str, ...] = ()
    key: Any = None
    earlier: tuple[BoundName, ...] = ()
    ended: Outcome | None = None
    ended_cell: int | None = None
    tried: Tried = field(default_factory=dict)

    def bound(self) -> tuple[BoundName, ...]:
        """Return the names that this section bound, each once, in the order last bound."""
        names: dict[str, BoundName] = {}
        for ran in self.ran:
            for name in ran.done.bound if ran.done else ():
                names.pop(name.name, None)
                names[name.name] = name
        return tuple(names.values())

    def where(self, name: str) -> int:
        """Return the index of the last code cell that bound `name`, 0 if none did."""
        for ran in reversed(self.ran):
            if ran.done and any(bound.name == name for bound in ran.done.bound):
                return ran.cell.index or 0
        return 0


class Question(Protocol):
    """A kind of question.

    It may have an attribute `has_parts`, False where other tasks' answers are never parts of its
    own; without one they may be, and a section with its heading is cut less readily.
    """

    @property
    def check_ids(self) -> tuple[str, ...]:
        """Ids of the checks it judges."""
        ...

    def judge(self, task: Task, view: SectionView) -> list[Finding]:
        """Return one finding for each check of `task`."""
        ...


def graded_object(name: str, type_name: str, cell: int) -> Mapping[str, str]:
    """Return the values by which a finding tells which object was judged."""
    return {"graded_name": name, "graded_type": type_name, "graded_cell": str(cell)}
