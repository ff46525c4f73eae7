"""Bounds that the kernel holds for a process; see man 2 getrlimit.

A child is a copy of the warm server, so its memory is bounded relative to what the server holds.
"""

from dataclasses import dataclass
from pathlib import Path

from grader.sandbox import kernel

ADDRESS_SLACK_BYTES = 256 << 20
"""Address space beyond the budget: guard pages, stacks, page tables' reach."""

LOG_BYTES = 64 << 10
"""Size of the file that takes what reaches descriptors 1 and 2."""

_OPEN_FILES = 64
_FILE_BYTES = 16 << 20
_STACK_BYTES = 8 << 20
_OWN_THREADS = 3
"""Threads that are not the student's: the first, and those of torch's backward passes."""


@dataclass(frozen=True, slots=True)
class HeldByServer:
    """What the warm server held when it was ready.

    Attributes:
        data_bytes: its private writable memory, ``VmData`` of /proc.
        address_bytes: its address space, ``VmSize``.
        touched_bytes: private memory in use, with its page tables.
    """

    data_bytes: int
    address_bytes: int
    touched_bytes: int


def held_by_this_process() -> HeldByServer:
    """Return what this process holds.

    Raises:
        OSError: /proc is not there.
    """
    return HeldByServer(
        data_bytes=kernel.status_bytes("VmData"),
        address_bytes=kernel.status_bytes("VmSize"),
        touched_bytes=touched_bytes("self"),
    )


def touched_bytes(pid: int | str) -> int:
    """Return the private memory that a process has in use, with its page tables.

    RLIMIT_DATA counts no page tables, and the reserved arena of the virtual GPU is wide enough to
    fill the machine with them, so the server looks at this figure while a child runs.

    Raises:
        OSError: there is no such process.
    """
    return kernel.status_bytes("RssAnon", "VmSwap", "VmPTE", pid=pid)


def thread_count(pid: int) -> int:
    """Return how many threads a process has.

    Raises:
        OSError: there is no such process.
    """
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def limit_memory(held: HeldByServer, budget_bytes: int) -> None:
    """Bound the memory that this process takes beyond what the server held.

    RLIMIT_DATA counts private writable pages wherever they are mapped, and what is made writable
    later, as the virtual GPU's arena is. RLIMIT_AS bounds the rest; a budget cannot lower it much,
    since libraries and the arena take address space that costs nothing.
    """
    _lower("DATA", held.data_bytes + budget_bytes)
    _lower("AS", held.address_bytes + budget_bytes + ADDRESS_SLACK_BYTES)
    _lower("STACK", _STACK_BYTES)
    _lower("MEMLOCK", 0)


def limit_time(cpu_seconds: int) -> None:
    """Bound processor time: SIGXCPU at the limit, SIGKILL a second later."""
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))


def limit_files(*, own_folder: bool) -> None:
    """Bound files: their number, and their size; without a folder only the log is written."""
    _lower("NOFILE", _OPEN_FILES)
    _lower("FSIZE", _FILE_BYTES if own_folder else LOG_BYTES)
    _lower("CORE", 0)
    _lower("MSGQUEUE", 0)


def most_threads(threads: int) -> int:
    """Return how many threads a child may have in all where a student may start so many."""
    return threads + _OWN_THREADS


def limit_threads(threads: int) -> None:
    """Bound threads; only for a user, or in a user namespace, of its own: all processes count.

    Elsewhere the server counts them while the child runs (`thread_count`).
    """
    _lower("NPROC", most_threads(threads))


def limit_signals_and_priority() -> None:
    """Bound queued signals, and allow no better priority."""
    _lower("SIGPENDING", 64)
    _lower("NICE", 0)
    _lower("RTPRIO", 0)


def _lower(name: str, value: int) -> None:
    import resource  # not on Windows

    which: int = getattr(resource, f"RLIMIT_{name}")
    _, hard = resource.getrlimit(which)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (bound, bound))
