"""The counters behind `torch.cuda.memory_stats`.

PyTorch keeps nine quantities, each for the small pool, the large pool and both together, and
each with four figures: current, peak, and the sums of all increases and decreases
(`c10/core/CachingDeviceAllocator.h`, PyTorch v2.13, `Stat` and `DeviceStats`).
"""

from typing import Any

POOL_NAMES = ("all", "small_pool", "large_pool")
METRIC_NAMES = (
    "allocation",
    "segment",
    "active",
    "inactive_split",
    "allocated_bytes",
    "reserved_bytes",
    "active_bytes",
    "inactive_split_bytes",
    "requested_bytes",
)
OVERSIZE_NAMES = ("oversize_allocations", "oversize_segments")
EVENT_NAMES = (
    "num_alloc_retries",
    "num_ooms",
    "num_sync_all_streams",
    "num_device_alloc",
    "num_device_free",
    "num_oom_rejections",
)

CounterState = tuple[int, int, int, int]


class Counter:
    """One quantity; what happens to it happens to the whole it is a part of as well.

    Attributes:
        current: the value now.
        peak: the largest value since the last `reset_peak`.
        allocated: the sum of all increases since the last `reset_accumulated`.
        freed: the sum of all decreases since then.
        whole: the counter of both pools together, or None where this is that counter.
    """

    __slots__ = ("allocated", "current", "freed", "peak", "whole")

    def __init__(self, whole: "Counter | None" = None) -> None:
        self.current = self.peak = self.allocated = self.freed = 0
        self.whole = whole

    def increase(self, amount: int) -> None:
        """Add to the value, and to the whole's."""
        self.current = current = self.current + amount
        if current > self.peak:
            self.peak = current
        self.allocated += amount
        whole = self.whole
        if whole is not None:
            # Written out, not called: this is the innermost step of every allocation.
            whole.current = current = whole.current + amount
            if current > whole.peak:
                whole.peak = current
            whole.allocated += amount

    def decrease(self, amount: int) -> None:
        """Take from the value, and from the whole's."""
        self.current -= amount
        self.freed += amount
        whole = self.whole
        if whole is not None:
            whole.current -= amount
            whole.freed += amount

    def change(self, amount: int) -> None:
        """Increase or decrease by the sign of the amount; nothing is counted for 0."""
        if amount > 0:
            self.increase(amount)
        elif amount < 0:
            self.decrease(-amount)

    def state(self) -> CounterState:
        """Return current, peak, allocated and freed."""
        return self.current, self.peak, self.allocated, self.freed

    def set_state(self, state: CounterState) -> None:
        """Put back what `state` returned."""
        self.current, self.peak, self.allocated, self.freed = state

    def as_dict(self) -> dict[str, int]:
        """Return the four figures under the names that `torch.cuda.memory_stats` shows."""
        return {
            "current": self.current,
            "peak": self.peak,
            "allocated": self.allocated,
            "freed": self.freed,
        }


class PoolCounters:
    """The counters of one pool, or (without a whole) of both together.

    Active differs from allocated only for blocks that wait for another stream's event. On this
    device streams finish at once, so the two are one counter under two names.
    """

    __slots__ = (
        "allocated_bytes",
        "allocation",
        "inactive_split",
        "inactive_split_bytes",
        "requested_bytes",
        "reserved_bytes",
        "segment",
    )

    def __init__(self, whole: "PoolCounters | None" = None) -> None:
        for name in self.__slots__:
            setattr(self, name, Counter(None if whole is None else getattr(whole, name)))

    allocation: Counter
    allocated_bytes: Counter
    requested_bytes: Counter
    inactive_split: Counter
    inactive_split_bytes: Counter
    segment: Counter
    reserved_bytes: Counter

    def find(self, metric: str) -> Counter:
        """Return the counter of one of `METRIC_NAMES`."""
        if metric == "active":
            return self.allocation
        if metric == "active_bytes":
            return self.allocated_bytes
        counter = getattr(self, metric)
        assert isinstance(counter, Counter)
        return counter

    def counters(self) -> list[Counter]:
        """Return every counter once."""
        return [getattr(self, name) for name in self.__slots__]


StatisticsState = tuple[tuple[CounterState, ...], tuple[int, ...]]


class Statistics:
    """Everything one device's allocator counts."""

    def __init__(self) -> None:
        self.all = PoolCounters()
        self.small = PoolCounters(self.all)
        self.large = PoolCounters(self.all)
        self.oversize_allocations = Counter()
        self.oversize_segments = Counter()
        self.num_alloc_retries = self.num_ooms = self.num_sync_all_streams = 0
        self.num_device_alloc = self.num_device_free = self.num_oom_rejections = 0

    def _counters(self) -> list[Counter]:
        pools = (self.all, self.small, self.large)
        counters = [counter for pool in pools for counter in pool.counters()]
        return [*counters, self.oversize_allocations, self.oversize_segments]

    def reset_peak(self) -> None:
        """Let every peak be what is current (`resetPeakStats`)."""
        for counter in self._counters():
            counter.peak = counter.current

    def reset_accumulated(self) -> None:
        """Let every sum and every event count start from 0 (`resetAccumulatedStats`)."""
        for counter in self._counters():
            counter.allocated = counter.freed = 0
        for name in EVENT_NAMES:
            setattr(self, name, 0)

    def state(self) -> StatisticsState:
        """Return all figures, for `set_state`."""
        counters = tuple(counter.state() for counter in self._counters())
        return counters, tuple(getattr(self, name) for name in EVENT_NAMES)

    def set_state(self, state: StatisticsState) -> None:
        """Put back what `state` returned."""
        counters, events = state
        for counter, figures in zip(self._counters(), counters, strict=True):
            counter.set_state(figures)
        for name, count in zip(EVENT_NAMES, events, strict=True):
            setattr(self, name, count)

    def as_dict(self) -> dict[str, Any]:
        """Return the nested dictionary of `torch._C._cuda_memoryStats`, without max_split_size."""
        pools = zip(POOL_NAMES, (self.all, self.small, self.large), strict=True)
        nested: dict[str, Any] = {name: {} for name in METRIC_NAMES}
        for pool_name, pool in pools:
            for metric in METRIC_NAMES:
                nested[metric][pool_name] = pool.find(metric).as_dict()
        for name in OVERSIZE_NAMES:
            nested[name] = getattr(self, name).as_dict()
        for name in EVENT_NAMES:
            nested[name] = getattr(self, name)
        return nested
