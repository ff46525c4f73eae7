"""Memory that a cell cannot take: what follows a cell that has filled the rest needs some."""

import mmap

from grader.sandbox.untouched import shield

shield(globals())

RESERVE_BYTES = 64 << 20
ROOM_BYTES = 128 << 20
"""What the next cell needs at least: a thread's stack, what libraries load, a few tensors."""

_map = mmap.mmap
_FLAGS = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)


class Reserve:
    """A range of addresses that counts against the limit of memory, and that nobody writes to."""

    def __init__(self) -> None:
        self._held: mmap.mmap | None = None

    def take(self) -> None:
        """Hold it, if there is room."""
        self._held = self._held or _mapped(RESERVE_BYTES)

    def give_back(self) -> None:
        """Let others have it."""
        held, self._held = self._held, None
        if held is not None:
            held.close()

    def has_room(self) -> bool:
        """Tell whether it could be held, and beside it there were room for a cell."""
        found = _mapped(RESERVE_BYTES + ROOM_BYTES)
        if found is not None:
            found.close()
        return found is not None or not _FLAGS


def _mapped(size: int) -> mmap.mmap | None:
    """Return a range of addresses; None where there is no room, or no such thing (Windows)."""
    if not _FLAGS:
        return None
    try:
        return _map(-1, size, flags=_FLAGS)
    except (OSError, MemoryError):
        return None
