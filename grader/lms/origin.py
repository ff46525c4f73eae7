"""Where a submission came from: what its system must be told to take the grade back."""

from typing import Literal

import msgspec

FileState = Literal["read", "unopened", "earlier-attempt"]


class Student(msgspec.Struct, frozen=True, kw_only=True):
    """One of those who handed a submission in; what the system does not tell is empty."""

    name: str = ""
    id: str = ""
    email: str = ""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a submission came from.

    Attributes:
        system: ``moodle``, ``canvas``, ``gradescope``, ``nbgrader``, ``git`` or ``folder``.
        id: the system's number of the participant, user or submission; empty where it has none.
        other_ids: what the number may be instead, where the name itself may end in `id`.
        label: the name as the system wrote it.
        students: who handed it in, where the system tells.
        submitted: when, ISO 8601 with the offset from UTC where it is known; empty where the system
            does not tell.
        late: whether the system marked it as late.
        attempt: which attempt it is, from 1.
        attempts: how many there are.
        files: each file with what became of it; of a plain path its own name, of a clone none.
    """

    system: str
    id: str = ""
    other_ids: list[str] = []
    label: str = ""
    students: list[Student] = []
    submitted: str = ""
    late: bool = False
    attempt: int = 1
    attempts: int = 1
    files: list[tuple[str, FileState]] = []
