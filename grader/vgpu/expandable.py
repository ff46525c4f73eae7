"""Expandable segments: address ranges as large as the card into which memory is mapped as needed.

Off unless `PYTORCH_CUDA_ALLOC_CONF` says ``expandable_segments:True``. Source:
`c10/cuda/CUDACachingAllocator.cpp`, PyTorch v2.13, `ExpandableSegment`, `find_expandable_block`,
`map_block`, `unmap_block` and `try_allocate_expandable_block`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from grader.vgpu.blocks import Block, Pool
from grader.vgpu.config import SMALL_SEGMENT
from grader.vgpu.device_memory import DeviceMemory
from grader.vgpu.statistics import Statistics


@dataclass(frozen=True, slots=True)
class ExpandableSegment:
    """One address range.

    Attributes:
        ptr: its first address.
        size: bytes of addresses, an eighth more than the card has memory.
        granule: bytes that are mapped at a time.
    """

    ptr: int
    size: int
    granule: int


class ExpandableSegments:
    """All expandable segments of one device.

    Args:
        memory: where the pages come from.
        statistics: what is counted.
        take_segment_number: returns the next number of a segment.
    """

    def __init__(
        self,
        memory: DeviceMemory,
        statistics: Statistics,
        take_segment_number: Callable[[], int],
    ) -> None:
        self._memory = memory
        self._statistics = statistics
        self._take_segment_number = take_segment_number
        self.segments: list[ExpandableSegment] = []

    def take_block(self, pool: Pool, size: int, stream: int, large_segment: int) -> Block | None:
        """Return a free block with memory behind at least this many bytes, or None.

        The block is no longer in the pool. Where memory gives out half-way, what was mapped stays
        mapped, as in PyTorch.
        """
        first = self._find(pool, size, stream) or self._make(pool, stream, large_segment)
        if not first.mapped and not self._map(first, min(first.size, size)):
            return None
        while first.size < size:
            rest = first.next
            assert rest is not None
            if not self._map(rest, min(size - first.size, rest.size)):
                return None
            # Mapping merges with the mapped memory below, and the merged block is the new one.
            first = rest
        pool.remove(first)
        return first

    @staticmethod
    def _find(pool: Pool, size: int, stream: int) -> Block | None:
        for block_stream, _, block in pool.unmapped:
            if block_stream != stream:
                continue
            below = block.prev
            start = below if below is not None and not below.allocated else block
            found = 0
            reached: Block | None = start
            while found < size and reached is not None and not reached.allocated:
                found += reached.size
                reached = reached.next
            if found >= size:
                return start
        return None

    def _make(self, pool: Pool, stream: int, large_segment: int) -> Block:
        granule = SMALL_SEGMENT if pool.small else large_segment
        addresses = self._memory.total + self._memory.total // 8
        size = -(-addresses // granule) * granule
        segment = ExpandableSegment(self._memory.reserve_addresses(size), size, granule)
        self.segments.append(segment)
        block = Block(segment.ptr, size, pool, stream, self._take_segment_number())
        block.mapped = False
        block.expandable = segment
        pool.insert_unmapped(block)
        return block

    def _map(self, block: Block, size: int) -> bool:
        segment, pool = block.expandable, block.pool
        assert segment is not None
        granules = -(-size // segment.granule)
        for taken in range(granules):
            if not self._memory.take(segment.granule):
                for _ in range(taken):
                    self._memory.give_back(segment.granule)
                return False
        mapped = granules * segment.granule
        pool.remove_unmapped(block)
        if mapped < block.size:
            rest = _part_of(block, block.ptr + mapped, block.size - mapped)
            rest.mapped = False
            rest.insert_after(block)
            pool.insert_unmapped(rest)
            block.size = mapped
        block.mapped = True
        pool.merge(block, block.prev)
        pool.merge(block, block.next)
        pool.insert(block)
        pool.counters.reserved_bytes.increase(mapped)
        self._statistics.num_device_alloc += 1
        return True

    def release(self, block: Block) -> None:
        """Unmap what of a free block covers whole granules, and drop a segment left empty."""
        self._unmap(block)
        if not block.mapped and not block.is_split:
            assert block.expandable is not None
            self.segments.remove(block.expandable)
            block.pool.remove_unmapped(block)

    def _unmap(self, block: Block) -> None:
        segment, pool = block.expandable, block.pool
        assert segment is not None
        first = -(-(block.ptr - segment.ptr) // segment.granule)
        last = (block.ptr + block.size - segment.ptr) // segment.granule
        if first >= last:
            return
        for _ in range(first, last):
            self._memory.give_back(segment.granule)
        pool.remove(block)
        start = segment.ptr + first * segment.granule
        size = (last - first) * segment.granule
        before, after = start - block.ptr, block.ptr + block.size - start - size
        if before:
            lower = _part_of(block, block.ptr, before)
            lower.insert_before(block)
            pool.insert(lower)
        if after:
            upper = _part_of(block, start + size, after)
            upper.insert_after(block)
            pool.insert(upper)
        block.ptr, block.size, block.mapped = start, size, False
        pool.merge(block, block.prev)
        pool.merge(block, block.next)
        pool.insert_unmapped(block)
        pool.counters.reserved_bytes.decrease(size)
        self._statistics.num_device_free += 1


def _part_of(block: Block, ptr: int, size: int) -> Block:
    part = Block(ptr, size, block.pool, block.stream, block.segment_number)
    part.expandable = block.expandable
    return part
