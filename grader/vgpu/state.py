"""The whole state of an allocator: taken, and put back exactly.

The judge's probes of a student's objects run on the student's device; their memory must not show in
any figure afterwards. Taking and putting back cost a fraction of a microsecond a block.
"""

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from grader.vgpu.blocks import Block, FreeKey
from grader.vgpu.device_memory import MemoryState
from grader.vgpu.expandable import ExpandableSegment
from grader.vgpu.statistics import StatisticsState

if TYPE_CHECKING:
    from grader.vgpu.allocator import CachingAllocator

_block_state = attrgetter(
    "ptr",
    "size",
    "requested",
    "prev",
    "next",
    "allocated",
    "mapped",
    "calls_when_freed",
)


@dataclass(frozen=True, slots=True)
class AllocatorState:
    """What `CachingAllocator.state` remembers; good for any number of `set_state`."""

    memory: MemoryState
    statistics: StatisticsState
    blocks: list[tuple[Block, tuple[Any, ...]]]
    live: dict[int, Block]
    free: tuple[list[FreeKey], list[FreeKey]]
    unmapped: tuple[list[tuple[int, int, Block]], list[tuple[int, int, Block]]]
    calls: tuple[int, int]
    expandable: list[ExpandableSegment]
    next_segment: int
    allowed_max: int | None


def take_state(allocator: "CachingAllocator") -> AllocatorState:
    """Return all that changes in an allocator."""
    pools = (allocator.small, allocator.large)
    blocks = [key[4] for pool in pools for key in pool.free]
    blocks += [key[2] for pool in pools for key in pool.unmapped]
    blocks += allocator.live.values()
    return AllocatorState(
        memory=allocator.memory.state(),
        statistics=allocator.statistics.state(),
        blocks=[(block, _block_state(block)) for block in blocks],
        live=dict(allocator.live),
        free=(list(pools[0].free), list(pools[1].free)),
        unmapped=(list(pools[0].unmapped), list(pools[1].unmapped)),
        calls=(pools[0].calls, pools[1].calls),
        expandable=list(allocator.expandable.segments),
        next_segment=allocator.next_segment,
        allowed_max=allocator.allowed_max,
    )


def put_state(allocator: "CachingAllocator", state: AllocatorState) -> list[Block]:
    """Put back what `take_state` returned; see `CachingAllocator.set_state`."""
    live = allocator.live
    revived = [block for ptr, block in state.live.items() if live.get(ptr) is not block]
    allocator.memory.set_state(state.memory)
    allocator.statistics.set_state(state.statistics)
    for block, figures in state.blocks:
        (
            block.ptr,
            block.size,
            block.requested,
            block.prev,
            block.next,
            block.allocated,
            block.mapped,
            block.calls_when_freed,
        ) = figures
    allocator.live = dict(state.live)
    pools = (allocator.small, allocator.large)
    for pool, free, unmapped, calls in zip(
        pools, state.free, state.unmapped, state.calls, strict=True
    ):
        pool.free, pool.unmapped, pool.calls = list(free), list(unmapped), calls
    allocator.expandable.segments = list(state.expandable)
    allocator.next_segment = state.next_segment
    allocator.allowed_max = state.allowed_max
    return revived
