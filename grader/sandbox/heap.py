"""Make forks of the warm server cheap: fewer pages to copy, nothing for a child to collect."""

import ctypes
import gc
from pathlib import Path

from grader.sandbox import kernel

_MADV_COLLAPSE = 25
_HUGE_PAGE = 2 << 20
_SMALL_OBJECTS_BYTES = 80 << 20
"""What Python's own allocator holds once torch is loaded, and pandas besides."""
_LARGEST_SMALL_BYTES = 512
_SMALLEST_ARENA_BYTES = 256 << 10
_kept: list[bytes] = []


def gather() -> None:
    """Let Python's small objects lie in one stretch, which huge pages can back from end to end.

    Python maps memory for them piece by piece, between the libraries that are loaded meanwhile. So
    the stretch is filled before anything is loaded, and emptied again but for an object in each
    piece, which stays mapped for it (`Objects/obmalloc.c`, CPython 3.11).
    """
    size = _LARGEST_SMALL_BYTES - b"".__sizeof__()
    filling: list[bytes] = [b""] * (_SMALL_OBJECTS_BYTES // _LARGEST_SMALL_BYTES)
    for place in range(len(filling)):
        filling[place] = bytes(size)
    _kept.extend(filling[:: _SMALLEST_ARENA_BYTES // _LARGEST_SMALL_BYTES // 2])


def settle() -> int:
    """Freeze all objects and back the heap with huge pages; return how many it took.

    Frozen objects are left out of later collections, which then touch, and so copy, nothing of the
    server's (`gc.freeze`). With huge pages a fork copies one table entry instead of 512, the
    largest single gain; needs kernel 6.1, see man 2 madvise, MADV_COLLAPSE.
    """
    gc.freeze()
    collapsed = 0
    for start, end in _writable_ranges():
        first = -(-start // _HUGE_PAGE) * _HUGE_PAGE
        for address in range(first, end - _HUGE_PAGE + 1, _HUGE_PAGE):
            result = kernel.libc().madvise(
                ctypes.c_void_p(address), ctypes.c_size_t(_HUGE_PAGE), _MADV_COLLAPSE
            )
            collapsed += result == 0
    return collapsed


def _writable_ranges() -> list[tuple[int, int]]:
    """Return the private writable memory of this process that no file backs."""
    ranges = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        named = len(fields) > 5 and fields[5] != "[heap]"
        if fields[1] == "rw-p" and not named:
            start, end = (int(part, 16) for part in fields[0].split("-"))
            ranges.append((start, end))
    return ranges
