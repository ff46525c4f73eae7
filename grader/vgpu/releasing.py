"""How an allocator gives segments back to the driver.

Source: `c10/cuda/CUDACachingAllocator.cpp`, PyTorch v2.13; each function names the method it
follows.
"""

from bisect import bisect_left
from typing import TYPE_CHECKING

from grader.vgpu.blocks import Block, FreeKey, Pool
from grader.vgpu.config import UNLIMITED

if TYPE_CHECKING:
    from grader.vgpu.allocator import CachingAllocator


def _release(allocator: "CachingAllocator", block: Block) -> None:
    """Give back one segment that is one free block, taken out of its pool (`release_block`)."""
    allocator.memory.free(block.ptr)
    block.pool.counters.segment.decrease(1)
    block.pool.counters.reserved_bytes.decrease(block.size)
    if block.size >= allocator.config.max_split_size:
        allocator.statistics.oversize_segments.decrease(1)
    allocator.statistics.num_device_free += 1


def release_cached(allocator: "CachingAllocator") -> None:
    """Give back every segment that is one free block (`release_cached_blocks`)."""
    allocator.statistics.num_sync_all_streams += 1
    for pool in (allocator.large, allocator.small):
        kept: list[FreeKey] = []
        released: list[Block] = []
        expandable: list[Block] = []
        for key in pool.free:
            block = key[4]
            if block.expandable is None and not block.is_split:
                released.append(block)
                continue
            kept.append(key)
            if block.expandable is not None:
                expandable.append(block)
        pool.free = kept
        for block in released:
            _release(allocator, block)
        for block in expandable:
            allocator.expandable.release(block)


def release_enough(allocator: "CachingAllocator", pool: Pool, size: int, stream: int) -> bool:
    """Give back oversize blocks until a request fits (`release_available_cached_blocks`).

    Only where max_split_size_mb is set: blocks above it are never split, so they are all whole
    segments. One that is large enough alone goes first, else the largest ones together.
    """
    least = allocator.config.max_split_size
    if least == UNLIMITED:
        return False
    wanted = max(size, least)
    index = pool.find_fit(wanted, stream)
    if index is not None and pool.free[index][4].expandable is None:
        _release(allocator, pool.free.pop(index)[4])
        return True
    index = bisect_left(pool.free, (stream, wanted))
    total = 0
    while index > 0 and total < wanted:
        index -= 1
        block = pool.free[index][4]
        if block.stream != stream or block.size < least:
            break
        if block.expandable is None:
            total += block.size
            del pool.free[index]
            _release(allocator, block)
    return total >= wanted


def collect_garbage(allocator: "CachingAllocator", allowed_max: int) -> None:
    """Give back segments unused for long (`garbage_collect_cached_blocks`).

    Only above the threshold of the allowed memory; each round takes those that are at least as
    old, in requests since they were freed, as the average, until enough is reclaimed.
    """
    threshold = int(allocator.config.garbage_collection_threshold * allowed_max)
    target = allocator.reserved() - threshold
    if target <= 0:
        return
    pool = allocator.large
    ages = {
        block: pool.calls - block.calls_when_freed for block in pool.waiting() if not block.is_split
    }
    total_age, count = sum(ages.values()), len(ages)
    reclaimed = 0
    progress = True
    while reclaimed < target and progress and count > 0:
        least_age = total_age / count
        progress = False
        for block in pool.waiting():
            if block.is_split or block.expandable is not None or ages[block] < least_age:
                continue
            progress = True
            reclaimed += block.size
            total_age -= ages[block]
            count -= 1
            pool.remove(block)
            _release(allocator, block)
