"""The caching allocator of PyTorch for one device, without PyTorch.

Source of every rule: `c10/cuda/CUDACachingAllocator.cpp`, PyTorch v2.13, class
`DeviceCachingAllocator`; the method is named where one is followed. Checked step by step against
recordings of the real allocator (`tests/vgpu/data/allocator_traces.jsonl.gz`).
"""

from collections.abc import Callable
from typing import Any

from grader.vgpu.blocks import Block, Pool
from grader.vgpu.config import (
    MIN_BLOCK,
    SMALL_SIZE,
    UNLIMITED,
    Config,
)
from grader.vgpu.device_memory import DeviceMemory
from grader.vgpu.expandable import ExpandableSegments
from grader.vgpu.largest_fit import find_largest_fit
from grader.vgpu.profiles import DEFAULT_PROFILE, OutOfMemory, Profile, Shortage, format_size
from grader.vgpu.releasing import collect_garbage, release_cached, release_enough
from grader.vgpu.state import AllocatorState, put_state, take_state
from grader.vgpu.statistics import Statistics

__all__ = [
    "AllocatorState",
    "Block",
    "CachingAllocator",
    "Config",
    "DeviceMemory",
    "OutOfMemory",
    "format_size",
]


class _Rejected(Exception):
    """`throw_on_cudamalloc_oom` refused before the driver was asked."""


class CachingAllocator:
    """Hands out blocks of a card's memory and counts them as PyTorch does.

    Args:
        memory: the card's memory.
        config: the settings of `PYTORCH_CUDA_ALLOC_CONF`.
        profile: the version of PyTorch to be like, where versions differ.
        device: the device's index, for messages.
        process_info: makes the sentence of the out-of-memory error about this process; by default
            the one that PyTorch writes where NVML knows what the process uses.

    Attributes:
        live: the blocks in use, by address.
        expandable: the segments that grow, where they are switched on.
        next_segment: number of the next segment.
        allowed_max: the limit by `set_memory_fraction` in bytes, or None.
    """

    def __init__(
        self,
        memory: DeviceMemory,
        config: Config | None = None,
        *,
        profile: Profile = DEFAULT_PROFILE,
        device: int = 0,
        process_info: Callable[[], str] | None = None,
    ) -> None:
        self.memory = memory
        self.config = config or Config()
        self.profile = profile
        self.device = device
        self.process_info = process_info or self._process_sentence
        self.statistics = Statistics()
        ties = profile.breaks_ties_by_segment
        self.small, self.large = (
            Pool(small=True, counters=self.statistics.small, breaks_ties_by_segment=ties),
            Pool(small=False, counters=self.statistics.large, breaks_ties_by_segment=ties),
        )
        self.live: dict[int, Block] = {}
        self.allowed_max: int | None = None
        self.next_segment = 0
        self.expandable = ExpandableSegments(memory, self.statistics, self._take_segment_number)
        self.set_memory_fraction(self.config.per_process_memory_fraction)

    # What is asked of it.

    def allocated(self) -> int:
        """Return the bytes of all blocks in use (`torch.cuda.memory_allocated`)."""
        return self.statistics.all.allocated_bytes.current

    def reserved(self) -> int:
        """Return the bytes of all segments (`torch.cuda.memory_reserved`)."""
        return self.statistics.all.reserved_bytes.current

    def owns(self, block: Block) -> bool:
        """Tell whether a block is in use here; one from a state left behind is not."""
        return self.live.get(block.ptr) is block

    def nested_stats(self) -> dict[str, Any]:
        """Return what `torch._C._cuda_memoryStats` does."""
        limit = self.config.max_split_size
        return {**self.statistics.as_dict(), "max_split_size": -1 if limit == UNLIMITED else limit}

    def reset_peak(self) -> None:
        """Let peaks start from what is current (`torch.cuda.reset_peak_memory_stats`)."""
        self.statistics.reset_peak()

    def reset_accumulated(self) -> None:
        """Let sums start from 0 (`torch.cuda.reset_accumulated_memory_stats`)."""
        self.statistics.reset_accumulated()

    def blocks(self) -> list[Block]:
        """Return all blocks that have memory, free and in use, by address."""
        found = [*self.small.waiting(), *self.large.waiting(), *self.live.values()]
        return sorted(found, key=lambda block: block.ptr)

    def set_memory_fraction(self, fraction: float) -> None:
        """Limit the segments to a part of the card (`set_per_process_memory_fraction`).

        Raises:
            ValueError: the fraction is outside 0 to 1.
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f"invalid fraction:{fraction}. Please set within [0, 1].")
        self.allowed_max = int(fraction * self.memory.total) if fraction < 1.0 else None

    def memory_fraction(self) -> float:
        """Return the fraction set by `set_memory_fraction`."""
        return 1.0 if self.allowed_max is None else self.allowed_max / self.memory.total

    # The life of a block.

    def malloc(self, nbytes: int, stream: int = 0) -> Block | None:
        """Return a block for a tensor; None for 0 bytes, which take no memory.

        A request takes the smallest free block that is large enough, else a new segment. Where the
        driver has no memory left, cached segments go back to it, first those that suffice, then
        all, before the request fails (`malloc`).

        Args:
            nbytes: bytes asked for, at least 0.
            stream: number of the stream that will use the block.

        Raises:
            OutOfMemory: there is no memory for the request. Cached segments were given back.
        """
        if nbytes <= 0:
            return None
        config = self.config
        if config.rounds_plainly:
            size = (nbytes + (MIN_BLOCK - 1)) & -MIN_BLOCK
        else:
            size = config.round_size(nbytes)
        pool = self.small if size <= SMALL_SIZE else self.large
        block = self._take_free(pool, size, stream)
        if block is None:
            block = self._take_new(pool, size, nbytes, stream)
        remaining = block.size - size
        if pool.small or config.expandable_segments:
            split = remaining >= MIN_BLOCK
        else:
            split = size < config.max_split_size and remaining > SMALL_SIZE
        block = self._settle(block, size, split=split)
        block.requested = nbytes
        counters = pool.counters
        counters.allocation.increase(1)
        counters.allocated_bytes.increase(block.size)
        counters.requested_bytes.increase(nbytes)
        if block.size >= config.max_split_size:
            self.statistics.oversize_allocations.increase(1)
        return block

    def _settle(self, block: Block, size: int, *, split: bool) -> Block:
        """Mark a block as in use, the rest of it being free again (`alloc_found_block`)."""
        counters = block.pool.counters
        was_split = block.prev is not None or block.next is not None
        if split:
            rest = block
            block = Block(rest.ptr, size, rest.pool, rest.stream, rest.segment_number)
            block.expandable = rest.expandable
            block.insert_before(rest)
            rest.ptr += size
            rest.size -= size
            rest.pool.insert(rest)
            if block.expandable is None:
                if was_split:
                    counters.inactive_split_bytes.decrease(size)
                else:
                    counters.inactive_split_bytes.increase(rest.size)
                    counters.inactive_split.increase(1)
        else:
            block = block.renewed()
            if was_split and block.expandable is None:
                counters.inactive_split_bytes.decrease(block.size)
                counters.inactive_split.decrease(1)
        block.allocated = True
        self.live[block.ptr] = block
        return block

    def free(self, block: Block) -> None:
        """Take a block back, joined to its free neighbours (`free` and `free_block`).

        Raises:
            ValueError: the block is not in use here.
        """
        if self.live.get(block.ptr) is not block:
            raise ValueError(f"{block!r} is not in use in this allocator")
        del self.live[block.ptr]
        block.allocated = False
        pool, size = block.pool, block.size
        counters = pool.counters
        counters.allocation.decrease(1)
        counters.allocated_bytes.decrease(size)
        counters.requested_bytes.decrease(block.requested)
        block.requested = 0
        if size >= self.config.max_split_size:
            self.statistics.oversize_allocations.decrease(1)
        splits = split_bytes = 0
        for neighbour in (block.prev, block.next):
            merged = pool.merge(block, neighbour)
            if merged:
                splits -= 1
                split_bytes -= merged
        pool.insert(block)
        if block.expandable is None:
            if block.prev is not None or block.next is not None:
                splits += 1
                split_bytes += block.size
            counters.inactive_split.change(splits)
            counters.inactive_split_bytes.change(split_bytes)

    def empty_cache(self) -> None:
        """Give all segments without a tensor back to the driver (`emptyCache`)."""
        release_cached(self)

    # Where a block comes from.

    def _take_free(self, pool: Pool, size: int, stream: int) -> Block | None:
        """Take the best free block out of the pool (`get_free_block`)."""
        config = self.config
        if self.allowed_max is not None and config.garbage_collection_threshold > 0.0:
            pool.calls += 1
        index = pool.find_fit(size, stream)
        if index is not None and pool.free[index][4].expandable is not None:
            index = self._prefer_expandable(pool, index, stream)
        if index is None:
            return None
        block = pool.free[index][4]
        if size < config.max_split_size:
            if block.size >= config.max_split_size:
                return None
        elif block.size >= size + config.max_non_split_rounding_size:
            return None
        del pool.free[index]
        return block

    def _prefer_expandable(self, pool: Pool, index: int, stream: int) -> int | None:
        """Return the index of the block that expandable segments prefer to the smallest.

        While they are in use, that is the one with the least room to grow; once they were switched
        off, the smallest one outside them.
        """
        free = pool.free
        following = range(index + 1, len(free))
        if self.config.expandable_segments:
            for other in following:
                candidate = free[other][4]
                if (
                    free[other][0] != stream
                    or free[index][4].expandable is None
                    or _room_to_grow(candidate) >= _room_to_grow(free[index][4])
                ):
                    break
                index = other
            return index
        for other in following:
            if free[other][0] != stream:
                return None
            if free[other][4].expandable is None:
                return other
        return None

    def _take_new(self, pool: Pool, size: int, nbytes: int, stream: int) -> Block:
        allocation_size = self.config.allocation_size(size)
        if self.allowed_max is not None and self.config.garbage_collection_threshold > 0.0:
            collect_garbage(self, self.allowed_max)
        try:
            block = self._make_segment(pool, size, allocation_size, stream)
            if block is None and release_enough(self, pool, size, stream):
                block = self._make_segment(pool, size, allocation_size, stream)
            if block is None:
                release_cached(self)
                self.statistics.num_alloc_retries += 1
                block = self._make_segment(pool, size, allocation_size, stream)
        except _Rejected:
            raise OutOfMemory(self.profile.rejection(nbytes)) from None
        if block is None:
            raise OutOfMemory(self._describe_shortage(allocation_size))
        return block

    def _take_segment_number(self) -> int:
        number = self.next_segment
        self.next_segment += 1
        return number

    def _make_segment(
        self, pool: Pool, size: int, allocation_size: int, stream: int
    ) -> Block | None:
        """Return a block over a new segment, or None where there is no room (`alloc_block`)."""
        total = self.reserved() + allocation_size
        if self.allowed_max is not None and total > self.allowed_max:
            return None
        config = self.config
        if config.throw_on_cudamalloc_oom and total > self.fraction_limit():
            self.statistics.num_oom_rejections += 1
            raise _Rejected
        if config.expandable_segments:
            return self.expandable.take_block(pool, size, stream, config.large_segment_size)
        ptr = self.memory.malloc(allocation_size)
        if ptr is None:
            return None
        pool.counters.segment.increase(1)
        pool.counters.reserved_bytes.increase(allocation_size)
        if allocation_size >= config.max_split_size:
            self.statistics.oversize_segments.increase(1)
        self.statistics.num_device_alloc += 1
        return Block(ptr, allocation_size, pool, stream, self._take_segment_number())

    def fraction_limit(self) -> int:
        """Return the most bytes of segments under `throw_on_cudamalloc_oom`."""
        return int(self.config.per_process_memory_fraction * self.memory.total)

    def _process_sentence(self) -> str:
        used = format_size(self.memory.process_bytes())
        return f"Including non-PyTorch memory, this process has {used} memory in use. "

    def _describe_shortage(self, allocation_size: int) -> str:
        self.statistics.num_ooms += 1
        return self.profile.out_of_memory(
            Shortage(
                requested=allocation_size,
                device=self.device,
                total=self.memory.total,
                free=self.memory.free_bytes(),
                process=self.process_info(),
                allowed=self.allowed_max,
                allocated=self.allocated(),
                reserved=self.reserved(),
            )
        )

    # What the grader asks of it, and PyTorch's does not offer.

    def largest_fit(self, stream: int = 0) -> int:
        """Return the largest request, in bytes, that would succeed now; 0 where none would.

        See `grader.vgpu.largest_fit`. Nothing is allocated or released.
        """
        return find_largest_fit(self, stream)

    def state(self) -> AllocatorState:
        """Return all that changes, for `set_state`: blocks keep their identity."""
        return take_state(self)

    def set_state(self, state: AllocatorState) -> list[Block]:
        """Put everything back as it was when the state was taken.

        Blocks handed out since are not in use here any more (`owns` tells).

        Returns:
            The blocks that were in use then and had been freed since. They are in use again; who
            knows that their tensors are gone frees them once more.
        """
        return put_state(self, state)


def _room_to_grow(block: Block) -> int:
    """Return the bytes of a free block and of the unmapped addresses above it."""
    above = block.next
    return block.size + (above.size if above is not None and not above.mapped else 0)
