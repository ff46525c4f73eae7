"""The random numbers of a CUDA device: which value each element of a tensor gets.

PyTorch draws with cuRAND's Philox4x32-10 inside a grid of threads. Thread `i` uses subsequence
`i`, the generator's offset is the place in it, and the four numbers of one call go to elements that
lie a whole grid apart. So the values depend on the seed, the offset and, for tensors larger than
the grid, on the number of the card's multiprocessors.

Sources: `aten/src/ATen/native/cuda/DistributionTemplates.h`, PyTorch v2.13,
`calc_execution_policy` and `distribution_elementwise_grid_stride_kernel`; cuRAND's
`curand_philox4x32_x.h`, `curand_uniform.h` and `curand_normal.h`; Salmon and others, "Parallel
random numbers: as easy as 1, 2, 3", SC 2011.

This is the clear model in numpy; it agrees with real cards up to the last bits of logarithm and
sine.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

DEFAULT_SEED = 67280421310721
BLOCK_THREADS = 256
DRAWN_AT_ONCE = 4
WIDE_RANGE = 1 << 28
"""From this range on an integer takes 64 random bits (`random_from_to_kernel`)."""

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ROUNDS = 10
_2_POW_32_INVERSE = np.float32(2.0**-32)
_2_PI = np.float32(6.2831855)


def philox4x32(counter: tuple[Any, Any, Any, Any], seed: int) -> tuple[Words, Words, Words, Words]:
    """Return the four 32-bit words of Philox4x32-10 for counters of four 32-bit words each."""
    key = (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF)
    c0, c1, c2, c3 = (np.asarray(word, np.uint64) for word in counter)
    for _ in range(_ROUNDS):
        first, second = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (second >> _HALF) ^ c1 ^ np.uint64(key[0]),
            second & _LOW,
            (first >> _HALF) ^ c3 ^ np.uint64(key[1]),
            first & _LOW,
        )
        key = ((key[0] + _WEYL[0]) & 0xFFFFFFFF, (key[1] + _WEYL[1]) & 0xFFFFFFFF)
    return c0, c1, c2, c3


class CudaGenerator:
    """A generator on a CUDA device.

    Args:
        seed: as given to `manual_seed`.
        multi_processor_count: of the card.
        max_threads_per_multi_processor: of the card.

    Attributes:
        seed: the seed, 0 to 2**64 - 1.
        offset: how many numbers each subsequence has given, a multiple of 4.
    """

    def __init__(
        self,
        seed: int = DEFAULT_SEED,
        *,
        multi_processor_count: int = 40,
        max_threads_per_multi_processor: int = 1024,
    ) -> None:
        blocks = multi_processor_count * (max_threads_per_multi_processor // BLOCK_THREADS)
        self._most_threads = blocks * BLOCK_THREADS
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> None:
        """Start anew; a negative seed counts from 2**64 down, as in PyTorch."""
        self.seed = seed & 0xFFFFFFFFFFFFFFFF
        self.offset = 0

    def _draw(self, count: int, each: int) -> npt.NDArray[np.uint64]:
        """Return words (rounds, 4, threads) for count elements, `each` of them from one call."""
        threads = min(self._most_threads, -(-count // BLOCK_THREADS) * BLOCK_THREADS)
        rounds = (count - 1) // (threads * each) + 1
        thread = np.arange(threads, dtype=np.uint64)
        place = np.arange(rounds, dtype=np.uint64)[:, None]
        place += np.uint64(self.offset // DRAWN_AT_ONCE)
        zero = np.zeros((rounds, threads), np.uint64)
        words = philox4x32(
            ((place & _LOW) + zero, (place >> _HALF) + zero, thread + zero, zero), self.seed
        )
        self.offset += rounds * DRAWN_AT_ONCE
        return np.stack(words, axis=1)

    def uniform(self, count: int) -> npt.NDArray[np.float32]:
        """Return the values of `torch.rand(count)` for float32, in [0, 1)."""
        if count == 0:
            return np.empty(0, np.float32)
        values = _uniform(self._draw(count, DRAWN_AT_ONCE))
        # cuRAND's interval is (0, 1], PyTorch's [0, 1): the end is turned into the start.
        values[values == 1] = 0
        return values.reshape(-1)[:count]

    def normal(self, count: int) -> npt.NDArray[np.float32]:
        """Return the values of `torch.randn(count)` for float32 (Box-Muller on pairs of words)."""
        if count == 0:
            return np.empty(0, np.float32)
        words = self._draw(count, DRAWN_AT_ONCE)
        values = np.empty(words.shape, np.float32)
        for first in (0, 2):
            radius = np.sqrt(np.float32(-2) * np.log(_uniform(words[:, first])))
            angle_step = _2_POW_32_INVERSE * _2_PI
            angle = words[:, first + 1].astype(np.float32) * angle_step + angle_step / np.float32(2)
            values[:, first] = np.sin(angle) * radius
            values[:, first + 1] = np.cos(angle) * radius
        return values.reshape(-1)[:count]

    def integers(self, count: int, low: int, high: int) -> npt.NDArray[np.int64]:
        """Return the values of `torch.randint(low, high, (count,))`.

        Raises:
            ValueError: high is not above low.
        """
        if high <= low:
            raise ValueError(f"low={low} must be below high={high}")
        if count == 0:
            return np.empty(0, np.int64)
        if high - low >= WIDE_RANGE:
            words = self._draw(count, DRAWN_AT_ONCE // 2)
            bits = words[:, 0::2] << _HALF | words[:, 1::2]
        else:
            bits = self._draw(count, DRAWN_AT_ONCE)
        # The sum wraps as the device's does; low may be negative.
        values = bits % np.uint64(high - low) + np.uint64(low & 0xFFFFFFFFFFFFFFFF)
        return values.view(np.int64).reshape(-1)[:count]


def _uniform(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
    """Return 32-bit words as float32 in (0, 1] (`_curand_uniform`)."""
    half = _2_POW_32_INVERSE / np.float32(2)
    values: npt.NDArray[np.float32] = words.astype(np.float32) * _2_POW_32_INVERSE + half
    return values
