"""Blocks of device memory, and the pools in which free ones wait.

Source: `c10/cuda/CUDACachingAllocator.cpp`, PyTorch v2.13, `Block`, `BlockPool` and
`BlockComparatorSize`.
"""

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from grader.vgpu.statistics import PoolCounters

if TYPE_CHECKING:
    from grader.vgpu.expandable import ExpandableSegment

FreeKey = tuple[int, int, int, int, "Block"]


class Block:
    """A piece of a segment: in use by a tensor, or free.

    Attributes:
        ptr: address of the first byte.
        size: bytes, a multiple of 512.
        requested: bytes the tensor asked for; 0 while free.
        pool: the pool it belongs to.
        stream: the stream it was made on; only that stream takes it again.
        prev: the neighbour below in the same segment.
        next: the neighbour above in the same segment.
        allocated: whether a tensor holds it.
        mapped: whether memory stands behind it; False only in expandable segments.
        segment_number: when its segment was made, for ties between blocks of one size.
        expandable: the expandable segment it lies in.
        calls_when_freed: the pool's count of requests when it became free; tells its age to the
            garbage collection.
    """

    __slots__ = (
        "allocated",
        "calls_when_freed",
        "expandable",
        "mapped",
        "next",
        "pool",
        "prev",
        "ptr",
        "requested",
        "segment_number",
        "size",
        "stream",
    )

    def __init__(self, ptr: int, size: int, pool: "Pool", stream: int, segment_number: int) -> None:
        self.ptr = ptr
        self.size = size
        self.requested = 0
        self.pool = pool
        self.stream = stream
        self.prev: Block | None = None
        self.next: Block | None = None
        self.allocated = False
        self.mapped = True
        self.segment_number = segment_number
        self.expandable: ExpandableSegment | None = None
        self.calls_when_freed = 0

    def __repr__(self) -> str:
        state = "in use" if self.allocated else "free" if self.mapped else "unmapped"
        return f"Block(ptr={self.ptr:#x}, size={self.size}, {state})"

    @property
    def is_split(self) -> bool:
        """Whether it shares its segment with other blocks."""
        return self.prev is not None or self.next is not None

    def insert_before(self, other: "Block") -> None:
        """Become the lower neighbour of another block of the segment."""
        self.prev, self.next = other.prev, other
        if other.prev is not None:
            other.prev.next = self
        other.prev = self

    def insert_after(self, other: "Block") -> None:
        """Become the upper neighbour of another block of the segment."""
        self.prev, self.next = other, other.next
        if other.next is not None:
            other.next.prev = self
        other.next = self

    def renewed(self) -> "Block":
        """Return a new block in this one's place, so that each is handed out only once."""
        block = Block(self.ptr, self.size, self.pool, self.stream, self.segment_number)
        block.expandable = self.expandable
        block.prev, block.next = self.prev, self.next
        if block.prev is not None:
            block.prev.next = block
        if block.next is not None:
            block.next.prev = block
        return block

    def absorb(self, neighbour: "Block") -> None:
        """Take the place of a neighbour and of this block together."""
        if self.prev is neighbour:
            self.ptr = neighbour.ptr
            self.prev = neighbour.prev
            if self.prev is not None:
                self.prev.next = self
        else:
            self.next = neighbour.next
            if self.next is not None:
                self.next.prev = self
        self.size += neighbour.size


class Pool:
    """The free blocks of one of the two size classes, by stream, size, segment and address.

    Args:
        small: whether it is the pool for requests of at most 1 MiB.
        counters: what is counted for this pool.
        breaks_ties_by_segment: whether blocks of one size are ordered by the age of their segment
            before their address.
    """

    __slots__ = ("breaks_ties_by_segment", "calls", "counters", "free", "small", "unmapped")

    def __init__(
        self, *, small: bool, counters: PoolCounters, breaks_ties_by_segment: bool = True
    ) -> None:
        self.small = small
        self.counters = counters
        self.breaks_ties_by_segment = breaks_ties_by_segment
        self.free: list[FreeKey] = []
        self.unmapped: list[tuple[int, int, Block]] = []
        self.calls = 0

    def _key(self, block: Block) -> FreeKey:
        number = block.segment_number if self.breaks_ties_by_segment else 0
        return block.stream, block.size, number, block.ptr, block

    def insert(self, block: Block) -> None:
        """Let a block wait here."""
        block.calls_when_freed = self.calls
        insort(self.free, self._key(block))

    def remove(self, block: Block) -> None:
        """Take out a block that waits here."""
        del self.free[bisect_left(self.free, self._key(block)[:4])]

    def insert_unmapped(self, block: Block) -> None:
        """Let a block without memory wait here."""
        insort(self.unmapped, (block.stream, block.ptr, block))

    def remove_unmapped(self, block: Block) -> None:
        """Take out a block without memory."""
        del self.unmapped[bisect_left(self.unmapped, (block.stream, block.ptr))]

    def find_fit(self, size: int, stream: int) -> int | None:
        """Return the index of the smallest free block that is large enough on the stream."""
        index = bisect_left(self.free, (stream, size))
        if index == len(self.free) or self.free[index][0] != stream:
            return None
        return index

    def merge(self, block: Block, neighbour: Block | None) -> int:
        """Join a neighbour that is free too to a block, and return the bytes that it added.

        See `try_merge_blocks`: memory merges with memory, unmapped addresses with unmapped ones.
        """
        if neighbour is None or neighbour.allocated or block.mapped != neighbour.mapped:
            return 0
        if neighbour.mapped:
            self.remove(neighbour)
        else:
            self.remove_unmapped(neighbour)
        block.absorb(neighbour)
        return neighbour.size

    def waiting(self) -> list[Block]:
        """Return the free blocks in order."""
        return [key[4] for key in self.free]
