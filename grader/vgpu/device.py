"""The device of this process: its ledger of memory, its log, what the native core asks of it."""

import gc
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch

from grader.vgpu.allocator import CachingAllocator, Config, DeviceMemory, OutOfMemory
from grader.vgpu.blocks import Block
from grader.vgpu.cards import Card
from grader.vgpu.log import KEPT_REFUSALS, MemoryLog, Refusal, Tally, Timeline, name_dtype
from grader.vgpu.profiles import PROFILES, Profile

Native: TypeAlias = Any
"""The native core, which has no stubs."""

DEFAULT_SEED = 67280421310721
"""The seed of a generator that nobody seeded: `c10/core/GeneratorImpl.h`, PyTorch v2.13."""

_INTERNAL = -1
"""In place of an element type: memory that a kernel takes for itself."""

_SLOTS = 16
_SCRATCH_SLOT = _SLOTS - 1
_NO_FORK = (
    "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must "
    "use the 'spawn' start method"
)

_numbers = itertools.count(1)


class LedgerLock:
    """The lock of a ledger; no garbage is collected while it is held.

    A finalizer of the student's would ask the ledger, and wait for itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._collects = False

    def __enter__(self) -> None:
        self._lock.acquire()
        self._collects = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._collects:
            gc.enable()
        self._lock.release()

    def locked(self) -> bool:
        """Tell whether anybody holds it."""
        return self._lock.locked()


class Ledger:
    """One account of the card's memory: an allocator at an address range of its own."""

    def __init__(
        self, card: Card, profile: Profile, addresses: tuple[int, int], config: Config
    ) -> None:
        base, length = addresses
        self.memory = DeviceMemory(
            card.total_memory,
            card.overhead,
            base,
            card.unusable,
            virtual_base=base + length // 2,
            idle=card.idle,
        )
        self.allocator = CachingAllocator(self.memory, config, profile=profile)
        self.workspace_set = next(_numbers)
        self.workspace_bytes = card.cublas_workspace if profile.workspace_in_allocator else 0


class _Stretch:
    """What the log gathers between two readings."""

    def __init__(self, allocator: CachingAllocator) -> None:
        self.allocated_before = allocator.allocated()
        self.reserved_before = allocator.reserved()
        self.fits_before = allocator.largest_fit()
        self.tallies: dict[int, Tally] = {}
        self.refusals: list[Refusal] = []
        self.refusal_count = 0
        self.births = 0
        self.peak_allocated = self.allocated_before
        self.peak_reserved = self.reserved_before
        self.timeline = Timeline()
        self.timeline.add(0, self.allocated_before, self.reserved_before)


class Device:
    """The virtual GPU of this process.

    Args:
        core: the loaded native core.
        card: what to imitate.
        profile: the version of PyTorch to be like.
    """

    def __init__(self, core: Native, card: Card, profile: Profile) -> None:
        self.core = core
        self.lock = LedgerLock()
        self.live: dict[int, tuple[Callable[[Block], None], Block, int, int]] = {}
        self.forked = False
        core.install(self.birth, OutOfMemory, *_placement())
        self.base, span = core.arena()
        self._slot_bytes = span // _SLOTS
        self._slot = -1
        self._scratch: Ledger | None = None
        self._begin(card, profile)
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        self.forked = True
        self.lock = LedgerLock()

    # A card and its ledger.

    def reset(self, card: Card, profile: Profile, *, seed: int | None = None) -> None:
        """Begin anew in this process, which from now on is the one that has the GPU."""
        unused = self.forked and self._is_unused(card, profile)
        self.forked = False
        self.core.drop_workspaces(self.ledger.workspace_set)
        if self._scratch is not None:
            self.core.drop_workspaces(self._scratch.workspace_set)
        if unused:  # a fork of a server that only made it ready
            self.core.begin_epoch()
            self.core.read_account(0)
        else:
            self._begin(card, profile)
        self.generator.manual_seed(DEFAULT_SEED if seed is None else seed)

    def _is_unused(self, card: Card, profile: Profile) -> bool:
        """Tell whether the ledger is that of this card, and nothing was ever asked of it."""
        same = self.card is card and self.profile is profile and self._scratch is None
        return same and not self.is_in_use() and not self.ledger.allocator.reserved()

    def _begin(self, card: Card, profile: Profile) -> None:
        self.card, self.profile = card, profile
        if self._slot < 0 or self.core.live_blocks():
            # Tensors of the ledger before keep their addresses to themselves.
            self._slot = (self._slot + 1) % _SCRATCH_SLOT
        self.core.begin_epoch()
        self.live.clear()
        self._scratch = None
        self.ledger = self._main = Ledger(
            card, profile, self._addresses(self._slot), self._config()
        )
        major, minor = card.capability
        self.core.set_architecture(
            card.multi_processor_count, card.max_threads_per_multi_processor, 10 * major + minor
        )
        self.core.use_workspaces(self.ledger.workspace_set, self.ledger.workspace_bytes)
        self.generator = self.core.default_generator()
        self.core.read_account(0)
        self._stretch: _Stretch | None = _Stretch(self.ledger.allocator)

    def _addresses(self, slot: int) -> tuple[int, int]:
        """Return start and length of a part of the reserved range."""
        return self.base + slot * self._slot_bytes, self._slot_bytes

    @staticmethod
    def _config() -> Config:
        text = os.environ.get("PYTORCH_CUDA_ALLOC_CONF") or os.environ.get("PYTORCH_ALLOC_CONF")
        return Config(text)

    # What the native core calls.

    def birth(self, nbytes: int, code: int, dead: Iterable[int] | None) -> int:
        """Return the address for a new storage, after the deaths that came before it.

        Raises:
            OutOfMemory: the card has no room.
            RuntimeError: this process was forked from the one that has the GPU.
        """
        if self.forked:
            raise RuntimeError(_NO_FORK)
        with self.lock:
            if dead is not None:
                self._bury(dead)
            allocator = self.ledger.allocator
            try:
                block = allocator.malloc(nbytes)
            except OutOfMemory:
                self._note_refusal(nbytes, code)
                raise
            if block is None:
                raise RuntimeError(f"a storage of {nbytes} bytes takes no memory")
            self.live[block.ptr] = (allocator.free, block, nbytes, code)
            stretch = self._stretch
            if stretch is not None:
                self._note_birth(stretch, allocator, block, nbytes, code)
            return block.ptr

    def _note_birth(
        self, stretch: _Stretch, allocator: CachingAllocator, block: Block, nbytes: int, code: int
    ) -> None:
        stretch.births += 1
        counters = allocator.statistics.all
        allocated = counters.allocated_bytes.current
        if code != _INTERNAL:
            tally = stretch.tallies.get(code)
            if tally is None:
                tally = stretch.tallies[code] = Tally()
            tally.allocations += 1
            if nbytes > tally.largest:
                tally.largest = nbytes
                tally.beside = allocated - block.size
        if allocated > stretch.peak_allocated:
            stretch.peak_allocated = allocated
            reserved = counters.reserved_bytes.current
            stretch.timeline.raise_highest(stretch.births, allocated, reserved)
        reserved = counters.reserved_bytes.current
        if reserved > stretch.peak_reserved:
            stretch.peak_reserved = reserved
        if stretch.births >= stretch.timeline.next_step:
            stretch.timeline.add(stretch.births, allocated, reserved)

    def _note_refusal(self, nbytes: int, code: int) -> None:
        stretch = self._stretch
        if stretch is None:
            return
        stretch.refusal_count += 1
        if code != _INTERNAL:
            tally = stretch.tallies.setdefault(code, Tally())
            tally.refusals += 1
            tally.largest_refused = max(tally.largest_refused, nbytes)
        if len(stretch.refusals) < KEPT_REFUSALS:
            held = max((size for _, _, size, its in self.live.values() if its == code), default=0)
            allocator = self.ledger.allocator
            stretch.refusals.append(
                Refusal(
                    requested_bytes=nbytes,
                    dtype=self._dtype_name(code),
                    allocated_bytes=allocator.allocated(),
                    reserved_bytes=allocator.reserved(),
                    held_dtype_bytes=held,
                )
            )

    def _dtype_name(self, code: int) -> str:
        return "" if code == _INTERNAL else name_dtype(code)

    def _bury(self, dead: Iterable[int]) -> None:
        live = self.live
        for address in dead:
            entry = live.pop(address, None)
            if entry is not None:
                entry[0](entry[1])

    # What torch.cuda and the grader ask.

    @contextmanager
    def settled(self) -> Iterator[CachingAllocator]:
        """Give the allocator once it knows of every death; nothing changes meanwhile."""
        with self.lock:
            self.settle()
            yield self.ledger.allocator

    def settle(self) -> None:
        """Tell the allocator of every death so far; the lock is held."""
        self.core.settle(self._bury)

    def is_in_use(self) -> bool:
        """Tell whether anything was asked for, or given back, since the log was taken.

        Without the lock: a signal's handler asks, and the thread that it interrupts may hold it.
        """
        stretch, allocator = self._stretch, self._main.allocator
        if stretch is None:
            return True  # a scratch ledger is in use, to read what is on the device
        before = stretch.allocated_before, stretch.reserved_before
        changed = before != (allocator.allocated(), allocator.reserved())
        return bool(stretch.births or stretch.refusal_count or changed)

    def take_log(self, mark: int = 0) -> MemoryLog:
        """Return what happened since the last call, and begin a new stretch.

        Args:
            mark: stands in the sealed account, with the number of the reading.
        """
        with self.lock:
            self.settle()
            account, calls, refused = self.core.read_account(mark)
            allocator = self._main.allocator
            stretch = self._stretch or _Stretch(allocator)
            allocated, reserved = allocator.allocated(), allocator.reserved()
            log = MemoryLog(
                allocated_before=stretch.allocated_before,
                reserved_before=stretch.reserved_before,
                allocated_after=allocated,
                reserved_after=reserved,
                peak_allocated=stretch.peak_allocated,
                peak_reserved=stretch.peak_reserved,
                fits_before=stretch.fits_before,
                by_dtype={
                    self._dtype_name(code): tally.freeze()
                    for code, tally in stretch.tallies.items()
                },
                refusals=tuple(stretch.refusals),
                refusal_count=stretch.refusal_count,
                linear_calls=calls,
                linear_refused=refused,
                timeline=stretch.timeline.freeze((stretch.births, allocated, reserved)),
                account=account,
            )
            self._stretch = _Stretch(allocator)
        return log

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Account what is allocated inside on a ledger that the student's code never sees."""
        if self.ledger is not self._main:
            raise RuntimeError("a scratch ledger is already in use")
        state = self.generator.get_state()
        with self.lock:
            self.settle()
            if self._scratch is None:
                addresses = self._addresses(_SCRATCH_SLOT)
                self._scratch = Ledger(self.card, self.profile, addresses, Config(None))
            stretch, self._stretch = self._stretch, None
            self._use(self._scratch)
            self.core.begin_scratch()
        try:
            yield
        finally:
            with self.lock:
                self.settle()
                self.core.end_scratch()
                self._stretch = stretch
                self._use(self._main)
            self.generator.set_state(state)

    def _use(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.core.use_workspaces(ledger.workspace_set, ledger.workspace_bytes)

    def clear_workspaces(self) -> None:
        """Give the cuBLAS workspaces back; each thread takes a new one when it needs one."""
        self.core.drop_workspaces(self.ledger.workspace_set)
        self.ledger.workspace_set = next(_numbers)
        self._use(self.ledger)

    def free_bytes(self) -> int:
        """Return what the driver reports as free."""
        with self.settled():
            return self.ledger.memory.free_bytes()


def _placement() -> tuple[Callable[..., bool], Callable[..., None]]:
    from grader.vgpu import placement

    return placement.mixes_scalars, placement.check_devices


def find_profile_named(name: str | None) -> Profile:
    """Return a profile by its name; None is the installed torch's.

    Raises:
        ValueError: there is none of that name.
    """
    if name is None:
        name = ".".join(torch.__version__.split(".")[:2])
    if name not in PROFILES:
        raise ValueError(f"no profile {name!r}: there are {', '.join(PROFILES)}")
    return PROFILES[name]
