"""Random lives of an allocator: what must hold after every step, whatever happened before."""

from collections import Counter as Tally
from itertools import pairwise

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from grader.vgpu.allocator import CachingAllocator, Config, DeviceMemory, OutOfMemory
from grader.vgpu.profiles import PROFILES

MIB = 1 << 20
TOTAL, OVERHEAD, UNUSABLE = 192 * MIB + 12345, 10 * MIB, 2 * MIB
CONFIGS = (
    "",
    "max_split_size_mb:32",
    "max_split_size_mb:24,max_non_split_rounding_mb:30",
    "roundup_power2_divisions:4",
    "roundup_power2_divisions:[1:2,4:8,>:1]",
    "large_segment_size_mb:32",
    "garbage_collection_threshold:0.5",
    "throw_on_cudamalloc_oom:True,per_process_memory_fraction:0.7",
    "expandable_segments:True",
)
SIZES = st.one_of(
    st.integers(1, 4096),
    st.integers(1, 2 * MIB),
    st.integers(1, 40 * MIB),
    st.sampled_from([512, 513, MIB, MIB + 1, 10 * MIB - 512, 10 * MIB, 10 * MIB + 1, 200 * MIB]),
)
STREAMS = st.sampled_from([0, 0, 0, 1])


class AllocatorLife(RuleBasedStateMachine):
    @initialize(conf=st.sampled_from(CONFIGS), version=st.sampled_from(sorted(PROFILES)))
    def start(self, conf, version):
        self.memory = DeviceMemory(TOTAL, OVERHEAD, unusable=UNUSABLE)
        self.allocator = CachingAllocator(self.memory, Config(conf), profile=PROFILES[version])
        self.expandable = "expandable" in conf
        self.segment = (32 if "large_segment" in conf else 20) * MIB
        self.blocks = []
        self.accumulated_from = 0

    @rule(nbytes=SIZES, stream=STREAMS)
    def malloc(self, nbytes, stream):
        try:
            block = self.allocator.malloc(nbytes, stream)
        except OutOfMemory as error:
            if "preemptively" not in str(error):
                # Up to 10 MiB the driver is asked for a segment that is larger than the request.
                needed = self.segment if MIB < nbytes < 10 * MIB else nbytes
                assert self.allocator.largest_fit(stream) < needed
                assert not any(
                    not block.is_split and block.expandable is None
                    for pool in (self.allocator.small, self.allocator.large)
                    for block in pool.waiting()
                ), "refused while a cached segment could have gone back to the driver"
            return
        assert block.size >= block.requested == nbytes
        assert block.size % 512 == 0
        assert block.ptr % 512 == 0
        self.blocks.append(block)

    @precondition(lambda self: self.blocks)
    @rule(data=st.data())
    def free(self, data):
        index = data.draw(st.integers(0, len(self.blocks) - 1))
        self.allocator.free(self.blocks.pop(index))

    @rule()
    def empty_cache(self):
        self.allocator.empty_cache()
        if not self.blocks:
            assert self.allocator.reserved() == 0

    @rule(fraction=st.sampled_from([0.3, 0.6, 1.0]))
    def limit(self, fraction):
        self.allocator.set_memory_fraction(fraction)

    @rule()
    def reset_peak(self):
        self.allocator.reset_peak()
        stats = self.allocator.nested_stats()
        for name in ("allocation", "reserved_bytes", "inactive_split_bytes"):
            for figures in stats[name].values():
                assert figures["peak"] == figures["current"]

    @rule()
    def reset_accumulated(self):
        self.allocator.reset_accumulated()
        self.accumulated_from = None
        assert self.allocator.nested_stats()["allocation"]["all"]["allocated"] == 0

    @rule(sizes=st.lists(SIZES, max_size=6), empty=st.booleans(), data=st.data())
    def probe_and_forget(self, sizes, empty, data):
        before = self.describe()
        state = self.allocator.state()
        victims = [block for block in self.blocks if data.draw(st.booleans())]
        strangers = []
        for block in victims:
            self.allocator.free(block)
        for nbytes in sizes:
            try:
                strangers.append(self.allocator.malloc(nbytes))
            except OutOfMemory:
                break
        if empty:
            self.allocator.empty_cache()
        revived = self.allocator.set_state(state)
        assert {id(block) for block in revived} == {id(block) for block in victims}
        assert not any(self.allocator.owns(block) for block in strangers)
        assert self.describe() == before

    @rule(stream=STREAMS)
    def ask_for_the_largest_fit(self, stream):
        before = self.describe()
        fit = self.allocator.largest_fit(stream)
        assert self.describe() == before
        state = self.allocator.state()
        self.allocator.empty_cache()
        if fit:
            assert self.allocator.malloc(fit, stream).requested == fit
            self.allocator.set_state(state)
            self.allocator.empty_cache()
        try:
            self.allocator.malloc(fit + 1, stream)
        except OutOfMemory:
            pass
        else:
            raise AssertionError(f"{fit + 1} bytes succeeded, the largest fit was {fit}")
        self.allocator.set_state(state)

    def describe(self):
        blocks = [
            (id(b), b.ptr, b.size, b.requested, b.allocated, id(b.prev), id(b.next), b.mapped)
            for b in self.allocator.blocks()
        ]
        pools = [
            (list(pool.free), list(pool.unmapped), pool.calls)
            for pool in (self.allocator.small, self.allocator.large)
        ]
        return self.allocator.nested_stats(), self.memory.state(), blocks, pools

    @invariant()
    def blocks_tile_their_segments_without_overlap(self):
        chains = Tally()
        segments = self.memory.segments
        for block in self.allocator.blocks():
            for below, above in ((block.prev, block), (block, block.next)):
                if below is not None and above is not None:
                    assert below.next is above
                    assert above.prev is below
                    assert below.ptr + below.size == above.ptr
            first = block
            while first.prev is not None:
                first = first.prev
            if block.expandable is None:
                chains[first.ptr] += block.size
        assert chains.keys() == segments.keys()
        for address, size in chains.items():
            assert 0 <= segments[address] - size < 2 * MIB
        ordered = sorted(segments.items())
        for (address, size), (following, _) in pairwise(ordered):
            assert address + size <= following

    @invariant()
    def free_neighbours_are_merged(self):
        for block in self.allocator.blocks():
            above = block.next
            if above is not None and not block.allocated and not above.allocated:
                assert block.mapped != above.mapped

    @invariant()
    def blocks_in_use_are_exactly_those_handed_out(self):
        in_use = {id(block) for block in self.allocator.blocks() if block.allocated}
        assert in_use == {id(block) for block in self.blocks}
        assert self.allocator.live == {block.ptr: block for block in self.blocks}
        assert all(self.allocator.owns(block) for block in self.blocks)

    @invariant()
    def statistics_are_the_sums_over_the_blocks(self):
        stats = self.allocator.nested_stats()
        for name, pool in (
            ("small_pool", self.allocator.small),
            ("large_pool", self.allocator.large),
        ):
            mine = [block for block in self.allocator.blocks() if block.pool is pool]
            live = [block for block in mine if block.allocated]
            idle = [b for b in mine if not b.allocated and b.is_split and b.expandable is None]
            expected = {
                "allocation": len(live),
                "active": len(live),
                "allocated_bytes": sum(block.size for block in live),
                "active_bytes": sum(block.size for block in live),
                "requested_bytes": sum(block.requested for block in live),
                "reserved_bytes": sum(block.size for block in mine),
                "inactive_split": len(idle),
                "inactive_split_bytes": sum(block.size for block in idle),
                "segment": sum(b.prev is None and b.expandable is None for b in mine),
            }
            assert {key: stats[key][name]["current"] for key in expected} == expected
        limit = self.allocator.config.max_split_size
        oversize = [block for block in self.blocks if block.size >= limit]
        assert stats["oversize_allocations"]["current"] == len(oversize)

    @invariant()
    def pools_add_up_and_peaks_bound_what_is_current(self):
        for name, figures in self.allocator.nested_stats().items():
            if not isinstance(figures, dict) or "all" not in figures:
                continue
            both = (figures["small_pool"], figures["large_pool"])
            for key in ("current", "allocated", "freed"):
                assert figures["all"][key] == sum(part[key] for part in both), name
            for part in (figures["all"], *both):
                assert 0 <= part["current"] <= part["peak"]
                if self.accumulated_from is not None:
                    assert part["allocated"] - part["freed"] == part["current"]

    @invariant()
    def the_card_holds_what_is_reserved(self):
        assert (
            0
            <= self.memory.used - self.allocator.reserved()
            < 2 * MIB * (1 + len(self.memory.segments))
        )
        assert self.memory.used <= self.memory.usable
        assert self.memory.free_bytes() == TOTAL - OVERHEAD - self.memory.used
        if self.allocator.allowed_max == int(TOTAL * 1.0):
            assert self.allocator.reserved() <= self.allocator.allowed_max


AllocatorLife.TestCase.settings = settings(
    max_examples=250, stateful_step_count=50, deadline=None, derandomize=True, database=None
)
TestAllocatorLife = AllocatorLife.TestCase
