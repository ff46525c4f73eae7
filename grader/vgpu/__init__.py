"""A virtual GPU: `device="cuda"` on a CPU build of PyTorch, with the memory of a chosen card.

    import grader.vgpu as vgpu

    vgpu.install("Tesla T4")
    torch.zeros(1000, device="cuda")
    torch.cuda.memory_allocated()      # 4096, as on the card

Importing this package does not import torch; installing does. It stays installed for the life of
the process, so it belongs where nothing else is to be touched: the server that runs homework.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.vgpu.build import Unavailable, ensure
from grader.vgpu.cards import CARDS, Card, find_card
from grader.vgpu.log import DtypeLog, MemoryLog, Refusal
from grader.vgpu.profiles import PROFILES, Profile, find_profile

if TYPE_CHECKING:
    from grader.vgpu.device import Device

__all__ = [
    "CARDS",
    "PROFILES",
    "Card",
    "DtypeLog",
    "MemoryLog",
    "Profile",
    "Refusal",
    "Unavailable",
    "ensure",
    "find_card",
    "find_profile",
    "install",
    "is_deciding",
    "is_in_use",
    "is_installed",
    "memory_state",
    "nvidia_smi",
    "reset",
    "scratch",
    "take_key",
    "take_log",
]

REAL_LIMIT_BYTES = 64 << 20
"""Above this a tensor is accounted but not computed with."""
REAL_TOTAL_BYTES = 512 << 20
"""Together, tensors with values in memory take at most this."""


@dataclass(slots=True)
class _Installed:
    device: "Device"
    libraries: tuple[Any, ...]


_installed: _Installed | None = None


def install(
    card: str | Card = "Tesla T4",
    *,
    profile: str | None = None,
    core: Path | None = None,
    real_limit_bytes: int = REAL_LIMIT_BYTES,
    real_total_bytes: int = REAL_TOTAL_BYTES,
) -> None:
    """Give this process the virtual GPU; once, and before anything forks from it.

    Args:
        card: what to imitate: a key of `CARDS` or a card of one's own.
        profile: the version of PyTorch to be like, a name in `PROFILES`; None is the installed one.
        core: the native core as `ensure` returned it; without it, it is found or built here.
        real_limit_bytes: above this a tensor is accounted but not computed with.
        real_total_bytes: together, tensors with values in memory take at most this.

    Raises:
        Unavailable: it cannot work here; the reason code says why.
        ValueError: no such card or profile.
        RuntimeError: it is installed already; `reset` changes the card.
    """
    global _installed
    if _installed is not None:
        raise RuntimeError("the virtual GPU is installed in this process already; use reset()")
    chosen = find_card_named(card)
    path = core or ensure()

    from grader.vgpu import activation

    device, libraries = activation.activate(
        path,
        chosen,
        profile,
        real_limit_bytes=real_limit_bytes,
        real_total_bytes=real_total_bytes,
    )
    _installed = _Installed(device, libraries)


def is_installed() -> bool:
    """Tell whether this process has the virtual GPU."""
    return _installed is not None


def reset(
    card: str | Card = "Tesla T4", *, profile: str | None = None, seed: int | None = None
) -> None:
    """Begin anew with an empty card in this process, such as a forked child of the server.

    Args:
        card: what to imitate from now on.
        profile: the version of PyTorch to be like from now on; None is the installed one.
        seed: of the device's generator; None is PyTorch's default seed.

    Raises:
        ValueError: no such card or profile.
    """
    from grader.vgpu.device import find_profile_named

    _device().reset(find_card_named(card), find_profile_named(profile), seed=seed)


def take_key(descriptor: int) -> None:
    """Let the native core seal its account of the device with the 16 bytes at a descriptor.

    They never become an object of Python's, where student code would find them. Once in a process,
    before `reset`; a process forked from it seals nothing.

    Raises:
        RuntimeError: no key waits there, or there is one already.
    """
    _device().core.take_key(descriptor)


def take_log(mark: int = 0) -> MemoryLog:
    """Return what happened on the device since the last call or reset.

    Args:
        mark: stands in the sealed account, where there is one.
    """
    return _device().take_log(mark)


def is_in_use() -> bool:
    """Tell whether the device has done anything since `take_log`; the log goes on."""
    return _device().is_in_use()


def is_deciding() -> bool:
    """Tell whether the ledger is at work; a signal's handler that raises then would tear it."""
    return _device().lock.locked()


@contextmanager
def scratch() -> Iterator[None]:
    """Account device memory used inside apart, so that no figure outside moves.

    Afterwards allocated, reserved, peaks, every other statistic, the log and the generator's offset
    are as before.
    """
    with _device().scratch():
        yield


def nvidia_smi() -> str:
    """Return what the command nvidia-smi would print now."""
    from grader.vgpu import smi

    device = _device()
    with device.settled():
        used = device.ledger.memory.process_bytes()
    return smi.nvidia_smi(device.card, used)


def memory_state() -> tuple[int, int, int]:
    """Return bytes allocated, bytes reserved, and the largest single request that would succeed."""
    with _device().settled() as allocator:
        return allocator.allocated(), allocator.reserved(), allocator.largest_fit()


def find_card_named(card: str | Card) -> Card:
    """Return a card by its name.

    Raises:
        ValueError: there is none of that name.
    """
    if isinstance(card, Card):
        return card
    if card not in CARDS:
        raise ValueError(f"no card {card!r}: there are {', '.join(CARDS)}")
    return CARDS[card]


def _device() -> "Device":
    if _installed is None:
        raise RuntimeError("the virtual GPU is not installed in this process")
    return _installed.device
