"""The virtual GPU's own count of what a cell did on it, as the judge reads it.

The log of the device is Python's, in reach of the student's code. Beside it the native core counts
what passes through it (`grader/vgpu/native/account.h`) and seals that with a key that only it and
the judge know. Where every thread waited for the others, least and most are equal.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from grader.vgpu.log import name_dtype

KEY_BYTES = 16
MOST_BYTES = 8 << 10

_HEAD = struct.Struct("<3Qd9Q")
_USE = struct.Struct("<9Q")
_SEAL_BYTES = 8
_ALL = (1 << 64) - 1


class NotGenuine(ValueError):
    """The bytes are no account that was sealed with the key."""


@dataclass(frozen=True, slots=True)
class Range:
    """What a number is at least and at most."""

    least: int
    most: int

    def holds(self, number: int) -> bool:
        """Tell whether a number may be the one."""
        return self.least <= number <= self.most


NOTHING = Range(0, 0)


@dataclass(frozen=True, slots=True)
class Use:
    """The tensors of one dtype that were asked for; see `grader.vgpu.DtypeLog`."""

    allocations: Range = NOTHING
    largest_bytes: Range = NOTHING
    refusals: Range = NOTHING
    largest_refused_bytes: Range = NOTHING


@dataclass(frozen=True, slots=True)
class Account:
    """One stretch of the device's life, between two readings.

    Attributes:
        mark: what the reading was asked for with.
        reading: its number, from 1; the first is when the device is set up.
        setups: how often the device was set up since it has its key.
        lowest_fraction: the smallest part of the card that the allocator was limited to so far.
        linear_calls: how often a linear layer was applied, or tried.
        linear_refused: how often that ended in a refusal.
        refusals: requests refused, a kernel's own among them.
        peak_bytes: held by living tensors at one time: rounded requests at least; at most with
            what the allocator may leave beside each.
        pinned_before_bytes: of segments that held a living tensor when the stretch began, at most.
        least_refused_bytes: the smallest sum of a request that was surely refused and what was then
            pinned at most; None where none was.
        most_doubtful_bytes: the largest such sum of what was perhaps refused; 0 where nothing was.
        by_dtype: per element type, such as "float32".
    """

    mark: int
    reading: int
    setups: int
    lowest_fraction: float
    linear_calls: int
    linear_refused: int
    refusals: Range
    peak_bytes: Range
    pinned_before_bytes: int
    least_refused_bytes: int | None
    most_doubtful_bytes: int
    by_dtype: Mapping[str, Use]


def read_account(data: bytes, key: bytes) -> Account:
    """Return the account that was sealed with a key.

    Raises:
        NotGenuine: it was not, or is none.
    """
    uses = len(data) - _HEAD.size - _SEAL_BYTES
    if uses < 0 or uses % _USE.size or len(data) > MOST_BYTES:
        raise NotGenuine(f"an account of {len(data)} bytes")
    sealed, seal = data[:-_SEAL_BYTES], data[-_SEAL_BYTES:]
    if siphash(key, sealed).to_bytes(_SEAL_BYTES, "little") != seal:
        raise NotGenuine("a wrong seal")
    mark, reading, setups, fraction, calls, refused, *numbers = _HEAD.unpack_from(sealed)
    least_refused = numbers[5]
    return Account(
        mark=mark,
        reading=reading,
        setups=setups,
        lowest_fraction=fraction,
        linear_calls=calls,
        linear_refused=refused,
        refusals=Range(*numbers[0:2]),
        peak_bytes=Range(*numbers[2:4]),
        pinned_before_bytes=numbers[4],
        least_refused_bytes=None if least_refused == _ALL else least_refused,
        most_doubtful_bytes=numbers[6],
        by_dtype={
            name_dtype(code): Use(*map(Range, ends[::2], ends[1::2]))
            for code, *ends in _USE.iter_unpack(sealed[_HEAD.size :])
        },
    )


def siphash(key: bytes, data: bytes) -> int:
    """Return SipHash-2-4 of some bytes, a number of 64 bits.

    Aumasson and Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012.

    Args:
        key: 16 bytes.
        data: any bytes.
    """
    k0, k1 = struct.unpack("<2Q", key)
    v0, v1 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    v2, v3 = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573
    whole = len(data) - len(data) % 8
    last = data[whole:].ljust(7, b"\0") + bytes([len(data) & 0xFF])
    for (word,) in struct.iter_unpack("<Q", data[:whole] + last):
        v0, v1, v2, v3 = _rounds(2, v0, v1, v2, v3 ^ word)
        v0 ^= word
    v0, v1, v2, v3 = _rounds(4, v0, v1, v2 ^ 0xFF, v3)
    return v0 ^ v1 ^ v2 ^ v3


def _rounds(count: int, v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    for _ in range(count):
        v0 = (v0 + v1) & _ALL
        v1 = ((v1 << 13 | v1 >> 51) & _ALL) ^ v0
        v0 = (v0 << 32 | v0 >> 32) & _ALL
        v2 = (v2 + v3) & _ALL
        v3 = ((v3 << 16 | v3 >> 48) & _ALL) ^ v2
        v0 = (v0 + v3) & _ALL
        v3 = ((v3 << 21 | v3 >> 43) & _ALL) ^ v0
        v2 = (v2 + v1) & _ALL
        v1 = ((v1 << 17 | v1 >> 47) & _ALL) ^ v2
        v2 = (v2 << 32 | v2 >> 32) & _ALL
    return v0, v1, v2, v3
