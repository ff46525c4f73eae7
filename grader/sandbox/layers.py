"""The layers of isolation: their names, and which of them grading other people's work needs.

What each protects from is in the message catalogue under ``doctor.layer-NAME``, for reports and
`grader doctor`, and in `docs/threat-model.md`.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

PROCESS = "process"
"""A process of its own without the judge's memory, environment or descriptors."""
LIMITS = "limits"
"""Bounds of memory, processor time, files and threads that the kernel enforces."""
SECCOMP = "seccomp"
"""A short list of allowed system calls."""
LANDLOCK = "landlock"
"""No file but the interpreter's and the libraries'."""
NAMESPACES = "namespaces"
"""A root of its own with a small private folder, no network, no other processes."""
USER = "user"
"""Another user than root."""

ALL = (PROCESS, LIMITS, USER, SECCOMP, LANDLOCK, NAMESPACES)


@dataclass(frozen=True, slots=True)
class Isolation:
    """What holds a child here.

    Attributes:
        active: names of the layers that hold.
        missing: why each of the others does not, as short text of the system.
    """

    active: tuple[str, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def enough_for_others(self) -> bool:
        """Whether other people's work may be run: the system calls and the files are locked."""
        return can_grade_others(self.active)


def can_grade_others(active: Collection[str]) -> bool:
    """Tell whether these layers are enough to run other people's work."""
    return SECCOMP in active and (LANDLOCK in active or NAMESPACES in active)
