"""The memory of one card as the driver hands it out: `cudaMalloc` and `cudaFree`."""

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class MemoryState:
    """What `DeviceMemory.state` remembers."""

    used: int
    next_address: int
    next_virtual: int
    segments: dict[int, int]
    holes: tuple[tuple[int, int], ...]


class DeviceMemory:
    """A budget of bytes, given out in pages of 2 MiB at addresses that never overlap.

    The driver maps physical pages of 2 MiB, so a request takes whole pages and is never refused
    because of fragmentation, only because no pages are left: on a Tesla T4 a single request gets
    all that `cudaMemGetInfo` reports as free, less `unusable` bytes.

    Args:
        total: bytes of the card, as `cudaGetDeviceProperties` reports them.
        overhead: bytes that driver and context hold from the start.
        base: the first address given out, a multiple of 2 MiB.
        unusable: bytes that are reported as free and never given.
        virtual_base: the first address of expandable segments.
        idle: the part of `overhead` that no process holds.

    Attributes:
        on_free: called with address and bytes of each segment that goes back to the driver.
    """

    PAGE = 2 * MIB

    def __init__(
        self,
        total: int,
        overhead: int,
        base: int = 0x7F0000000000,
        unusable: int = 0,
        virtual_base: int = 0x10000000000,
        idle: int = 0,
    ) -> None:
        if not 0 <= overhead + unusable <= total:
            raise ValueError(
                f"overhead={overhead} and unusable={unusable} do not fit into total={total} bytes"
            )
        self.total = total
        self.overhead = overhead
        self.idle = idle
        self.unusable = unusable
        self.base = base
        self.used = 0
        self.on_free: Callable[[int, int], None] | None = None
        self._next_address = base
        self._next_virtual = virtual_base
        self._segments: dict[int, int] = {}
        self._holes: list[tuple[int, int]] = []

    @property
    def usable(self) -> int:
        """The most that can be in use by segments at one time, in bytes."""
        return (self.total - self.overhead - self.unusable) // self.PAGE * self.PAGE

    @property
    def segments(self) -> dict[int, int]:
        """Bytes of each segment by its address, as given out by `malloc`."""
        return dict(self._segments)

    def free_bytes(self) -> int:
        """Return what `cudaMemGetInfo` reports as free."""
        return self.total - self.overhead - self.used

    def process_bytes(self) -> int:
        """Return what this process holds on the card, as nvidia-smi and NVML count it."""
        return self.overhead - self.idle + self.used

    def available_bytes(self) -> int:
        """Return the most that can still be given out, in whole pages."""
        return max(0, self.free_bytes() - self.unusable) // self.PAGE * self.PAGE

    def take(self, size: int) -> bool:
        """Take physical pages without an address (`cuMemCreate`); False where too few are left."""
        size = -(-size // self.PAGE) * self.PAGE
        if size > self.free_bytes() - self.unusable:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """Give back what `take` took."""
        self.used -= -(-size // self.PAGE) * self.PAGE

    def reserve_addresses(self, size: int) -> int:
        """Return the start of fresh addresses without memory (`cuMemAddressReserve`)."""
        address = self._next_virtual
        self._next_virtual += size
        return address

    def malloc(self, size: int) -> int | None:
        """Return the address of a new segment, or None where the driver refuses."""
        if not self.take(size):
            return None
        size = -(-size // self.PAGE) * self.PAGE
        address = self._place(size)
        self._segments[address] = size
        return address

    def _place(self, size: int) -> int:
        for index, (address, length) in enumerate(self._holes):
            if length > size:
                self._holes[index] = (address + size, length - size)
                return address
            if length == size:
                del self._holes[index]
                return address
        address = self._next_address
        self._next_address += size
        return address

    def free(self, address: int) -> None:
        """Give a segment back to the driver.

        Raises:
            KeyError: no segment starts at this address.
        """
        size = self._segments.pop(address)
        self.used -= size
        self._add_hole(address, size)
        if self.on_free is not None:
            self.on_free(address, size)

    def _add_hole(self, address: int, size: int) -> None:
        holes = self._holes
        index = bisect_left(holes, (address, 0))
        if index < len(holes) and address + size == holes[index][0]:
            size += holes.pop(index)[1]
        if index > 0 and sum(holes[index - 1]) == address:
            index -= 1
            before, length = holes.pop(index)
            address, size = before, length + size
        insort(holes, (address, size))

    def state(self) -> MemoryState:
        """Return all that changes, for `set_state`."""
        return MemoryState(
            used=self.used,
            next_address=self._next_address,
            next_virtual=self._next_virtual,
            segments=dict(self._segments),
            holes=tuple(self._holes),
        )

    def set_state(self, state: MemoryState) -> None:
        """Put back what `state` returned, and report to `on_free` what is a segment no more."""
        gone = [
            (address, size)
            for address, size in self._segments.items()
            if address not in state.segments
        ]
        self.used = state.used
        self._next_address = state.next_address
        self._next_virtual = state.next_virtual
        self._segments = dict(state.segments)
        self._holes = list(state.holes)
        if self.on_free is not None:
            for address, size in gone:
                self.on_free(address, size)
