"""The largest request that an allocator could serve now.

What counts is what stays once the cache is given back, as it is before a request fails: room for a
new segment beside the segments that hold a tensor, and the free parts of those.
"""

from typing import TYPE_CHECKING

from grader.vgpu.config import MIN_BLOCK, MIN_LARGE_ALLOCATION, SMALL_SEGMENT, SMALL_SIZE
from grader.vgpu.profiles import OutOfMemory

if TYPE_CHECKING:
    from grader.vgpu.allocator import CachingAllocator


def find_largest_fit(allocator: "CachingAllocator", stream: int = 0) -> int:
    """Return the largest request, in bytes, that would succeed on the stream; 0 where none would.

    Nothing is allocated or released. With expandable segments, where the answer depends on the
    order in which address ranges are tried, it is found by trial on a state that is put back.
    """
    if allocator.expandable.segments or allocator.config.expandable_segments:
        return _search(allocator, stream)
    found = max(_in_new_segment(allocator, _room(allocator)), _in_free_part(allocator, stream))
    return allocator.config.largest_request(found)


def _room(allocator: "CachingAllocator") -> int:
    """Return the bytes that new segments may take once the cache was given back."""
    pools = (allocator.small, allocator.large)
    cached = sum(key[1] for pool in pools for key in pool.free if not key[4].is_split)
    held = allocator.reserved() - cached
    room = allocator.memory.available_bytes() + cached
    if allocator.allowed_max is not None:
        room = min(room, allocator.allowed_max - held)
    if allocator.config.throw_on_cudamalloc_oom:
        room = min(room, allocator.fraction_limit() - held)
    return room


def _in_new_segment(allocator: "CachingAllocator", room: int) -> int:
    page = allocator.memory.PAGE
    room = room // page * page
    if room >= MIN_LARGE_ALLOCATION:
        return room
    if room >= -(-allocator.config.large_segment_size // page) * page:
        return MIN_LARGE_ALLOCATION - MIN_BLOCK
    return SMALL_SIZE if room >= SMALL_SEGMENT else 0


def _in_free_part(allocator: "CachingAllocator", stream: int) -> int:
    limit = allocator.config.max_split_size
    sizes = [
        min(key[1], SMALL_SIZE) if pool.small else key[1]
        for pool in (allocator.small, allocator.large)
        for key in pool.free
        if key[0] == stream and key[4].is_split and key[1] < limit
    ]
    return max(sizes, default=0)


def _search(allocator: "CachingAllocator", stream: int) -> int:
    state = allocator.state()
    on_free, allocator.memory.on_free = allocator.memory.on_free, None
    low, high = 0, allocator.memory.total // MIN_BLOCK
    try:
        while low < high:
            middle = (low + high + 1) // 2
            try:
                allocator.malloc(middle * MIN_BLOCK, stream)
                low = middle
            except OutOfMemory:
                high = middle - 1
            allocator.set_state(state)
    finally:
        allocator.memory.on_free = on_free
    return low * MIN_BLOCK
