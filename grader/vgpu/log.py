"""What happened on the device since somebody last asked: sizes, refusals, peaks.

The log is read a cell at a time by what judges the memory tasks. A million births in a cell must
cost it neither memory nor much time, so it keeps aggregates only.
"""

import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field

KEPT_REFUSALS = 16
TIMELINE_POINTS = 64


def dtype_names() -> dict[int, str]:
    """Return the names of element types by PyTorch's number of the type (`c10::ScalarType`)."""
    names = [
        *("uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"),
        *("complex32", "complex64", "complex128", "bool", "qint8", "quint8", "qint32", "bfloat16"),
    ]
    later = {23: "float8_e5m2", 24: "float8_e4m3fn", 25: "float8_e5m2fnuz", 26: "float8_e4m3fnuz"}
    return {**dict(enumerate(names)), 27: "uint16", 28: "uint32", 29: "uint64", **later}


def name_dtype(code: int) -> str:
    """Return the name of an element type by that number, ``dtype42`` where it has none here."""
    return _NAMES.get(code, f"dtype{code}")


_NAMES = dtype_names()


@dataclass(frozen=True, slots=True)
class DtypeLog:
    """The tensors of one dtype that were asked for.

    Attributes:
        largest_bytes: of the largest single tensor that was allocated (elements times their size).
        allocations: how many were allocated.
        largest_refused_bytes: of the largest single tensor that was refused.
        refusals: how many were refused.
        largest_beside_bytes: what other live tensors held when the largest one was allocated.
    """

    largest_bytes: int = 0
    allocations: int = 0
    largest_refused_bytes: int = 0
    refusals: int = 0
    largest_beside_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """One request that the device refused.

    Attributes:
        requested_bytes: of the tensor.
        dtype: its element type, such as "float32"; "" where a kernel asked for itself.
        allocated_bytes: held by live tensors at that moment.
        reserved_bytes: held by the allocator at that moment.
        held_dtype_bytes: of the largest live tensor of the same dtype at that moment.
    """

    requested_bytes: int
    dtype: str
    allocated_bytes: int
    reserved_bytes: int
    held_dtype_bytes: int


@dataclass(frozen=True, slots=True)
class MemoryLog:
    """What happened on the device in one stretch, such as a cell; sizes in bytes.

    Attributes:
        fits_before: the largest single request that would have succeeded when the stretch began,
            the cache emptied and live tensors kept.
        by_dtype: per element type that was asked for, such as "float32".
        refusals: the first of them, at most `KEPT_REFUSALS`.
        refusal_count: all of them.
        linear_calls: how often a linear layer was applied, or tried, to a tensor on the device.
        linear_refused: how often that ended in a refusal.
        timeline: (births so far, allocated, reserved), at most `TIMELINE_POINTS` of them.
        account: the same by the native core's own count, sealed; empty where there is no key.
    """

    allocated_before: int
    reserved_before: int
    allocated_after: int
    reserved_after: int
    peak_allocated: int
    peak_reserved: int
    fits_before: int
    by_dtype: Mapping[str, DtypeLog] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    refusal_count: int = 0
    linear_calls: int = 0
    linear_refused: int = 0
    timeline: tuple[tuple[int, int, int], ...] = ()
    account: bytes = b""


class Tally:
    """The growing form of a `DtypeLog`."""

    __slots__ = ("allocations", "beside", "largest", "largest_refused", "refusals")

    def __init__(self) -> None:
        self.largest = self.allocations = self.beside = 0
        self.largest_refused = self.refusals = 0

    def freeze(self) -> DtypeLog:
        """Return what was counted."""
        return DtypeLog(
            largest_bytes=self.largest,
            allocations=self.allocations,
            largest_refused_bytes=self.largest_refused,
            refusals=self.refusals,
            largest_beside_bytes=self.beside,
        )


class Timeline:
    """Points of a curve, thinned to every second one whenever they become too many.

    The highest point since the last kept one is kept too, so that a peak never disappears.
    """

    __slots__ = ("_highest", "_points", "_stride", "next_step")

    def __init__(self) -> None:
        self._points: list[tuple[int, int, int]] = []
        self._highest: tuple[int, int, int] | None = None
        self._stride = 1
        self.next_step = 0

    def add(self, step: int, allocated: int, reserved: int) -> None:
        """Add a point; steps grow."""
        self._points.append((step, allocated, reserved))
        if self._highest is None or allocated > self._highest[1]:
            self._highest = (step, allocated, reserved)
        if len(self._points) >= TIMELINE_POINTS - 2:
            self._points = self._points[::2]
            self._stride *= 2
        self.next_step = step + self._stride

    def raise_highest(self, step: int, allocated: int, reserved: int) -> None:
        """Remember a new peak, whether or not it is a point."""
        self._highest = (step, allocated, reserved)

    def freeze(self, last: tuple[int, int, int]) -> tuple[tuple[int, int, int], ...]:
        """Return the points, the peak among them, ended by the last one."""
        points = list(self._points)
        if self._highest is not None and self._highest not in points:
            bisect.insort(points, self._highest)
        if not points or points[-1][1:] != last[1:]:
            points.append(last)
        return tuple(points)
