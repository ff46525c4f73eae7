"""The settings of the caching allocator: the text of `PYTORCH_CUDA_ALLOC_CONF`.

Source: `c10/core/AllocatorConfig.h` and `.cpp` and `c10/cuda/CUDAAllocatorConfig.h`, PyTorch v2.13,
`AcceleratorAllocatorConfig::parseArgs` and `CUDAAllocatorConfig::parseArgs`.
"""

import re
from collections.abc import Callable

from grader.vgpu.device_memory import MIB

MIN_BLOCK = 512
SMALL_SIZE = 1 * MIB
SMALL_SEGMENT = 2 * MIB
LARGE_SEGMENT = 20 * MIB
MIN_LARGE_ALLOCATION = 10 * MIB
ROUND_LARGE = 2 * MIB
UNLIMITED = (1 << 64) - 1

_INTERVALS = 16
_FIRST_INTERVAL_BITS = 20
_HOST_OPTIONS = frozenset(
    {
        "graph_capture_record_stream_reuse",
        "pinned_free_catch_all",
        "pinned_max_cached_size_mb",
        "pinned_max_round_threshold_mb",
        "pinned_num_register_threads",
        "pinned_reserve_segment_size_mb",
        "pinned_use_background_threads",
        "pinned_use_cuda_host_register",
        "release_lock_on_cudamalloc",
    }
)
_ENTRY = re.compile(r"([^,:\[\]]+):(\[[^\]]*\]|[^,\[\]:]+)(?:,|$)")


class Config:
    """What of `PYTORCH_CUDA_ALLOC_CONF` matters to the native allocator.

    Args:
        text: the setting, such as ``max_split_size_mb:128,expandable_segments:True``; None or an
            empty text leaves every default.

    Raises:
        ValueError: an unknown key, a value that is no number or out of its range.
        NotImplementedError: the backend cudaMallocAsync, which is not modelled.
    """

    __slots__ = (
        "expandable_segments",
        "garbage_collection_threshold",
        "large_segment_size",
        "max_non_split_rounding_size",
        "max_split_size",
        "per_process_memory_fraction",
        "rounds_plainly",
        "roundup_power2_divisions",
        "text",
        "throw_on_cudamalloc_oom",
    )

    def __init__(self, text: str | None = None) -> None:
        self.text = text or ""
        self.large_segment_size = LARGE_SEGMENT
        self.max_split_size = UNLIMITED
        self.max_non_split_rounding_size = LARGE_SEGMENT
        self.roundup_power2_divisions = [0] * _INTERVALS
        self.garbage_collection_threshold = 0.0
        self.expandable_segments = False
        self.per_process_memory_fraction = 1.0
        self.throw_on_cudamalloc_oom = False
        self._read(re.sub(r"\s+", "", self.text))
        self.rounds_plainly = max(self.roundup_power2_divisions) <= 1

    def _read(self, text: str) -> None:
        position = 0
        while position < len(text):
            entry = _ENTRY.match(text, position)
            if entry is None:
                raise ValueError(
                    f"PYTORCH_CUDA_ALLOC_CONF: expected key:value at {text[position:]!r}"
                )
            self._set(entry[1], entry[2])
            position = entry.end()

    def _set(self, key: str, value: str) -> None:
        readers: dict[str, Callable[[str], None]] = {
            "large_segment_size_mb": self._read_large_segment,
            "max_split_size_mb": self._read_max_split,
            "max_non_split_rounding_mb": self._read_max_rounding,
            "garbage_collection_threshold": self._read_threshold,
            "roundup_power2_divisions": self._read_divisions,
            "expandable_segments": self._read_expandable,
            "per_process_memory_fraction": self._read_fraction,
            "throw_on_cudamalloc_oom": self._read_throw,
            "backend": self._read_backend,
        }
        if key in readers:
            readers[key](value)
        elif key not in _HOST_OPTIONS:
            known = ", ".join(sorted({*readers, *_HOST_OPTIONS}))
            raise ValueError(
                f"Unrecognized key '{key}' in PYTORCH_CUDA_ALLOC_CONF; the keys are {known}"
            )

    def _read_large_segment(self, value: str) -> None:
        megabytes = _number("large_segment_size_mb", value)
        if megabytes <= 0:
            raise ValueError("CachingAllocator option large_segment_size_mb must be > 0")
        self.large_segment_size = megabytes * MIB

    def _read_max_split(self, value: str) -> None:
        self.max_split_size = self._at_least_a_segment("max_split_size_mb", value)

    def _read_max_rounding(self, value: str) -> None:
        self.max_non_split_rounding_size = self._at_least_a_segment(
            "max_non_split_rounding_mb", value
        )

    def _at_least_a_segment(self, key: str, value: str) -> int:
        megabytes, least = _number(key, value), self.large_segment_size // MIB
        if megabytes < least:
            raise ValueError(f"CachingAllocator option {key} too small, must be >= {least}")
        return min(megabytes, UNLIMITED // MIB) * MIB

    def _read_threshold(self, value: str) -> None:
        threshold = _ratio("garbage_collection_threshold", value)
        if not 0.0 < threshold < 1.0:
            raise ValueError("garbage_collect_threshold is invalid, set it in (0.0, 1.0)")
        self.garbage_collection_threshold = threshold

    def _read_expandable(self, value: str) -> None:
        self.expandable_segments = _switch("expandable_segments", value)

    def _read_throw(self, value: str) -> None:
        self.throw_on_cudamalloc_oom = _switch("throw_on_cudamalloc_oom", value)

    def _read_fraction(self, value: str) -> None:
        fraction = _ratio("per_process_memory_fraction", value)
        if not 0.0 <= fraction <= 1.0:
            raise ValueError("per_process_memory_fraction is invalid, set it in [0.0, 1.0]")
        self.per_process_memory_fraction = fraction

    def _read_backend(self, value: str) -> None:
        if value == "cudaMallocAsync":
            raise NotImplementedError(
                "The virtual GPU models the native allocator only, not cudaMallocAsync."
            )
        if value != "native":
            raise ValueError(
                f"Unknown allocator backend, options are native and cudaMallocAsync, not {value!r}"
            )

    def _read_divisions(self, value: str) -> None:
        divisions = self.roundup_power2_divisions
        if not value.startswith("["):
            divisions[:] = [_power_of_two(value)] * _INTERVALS
            return
        last = -1
        for part in value.strip("[]").split(","):
            interval, _, count_text = part.partition(":")
            count = _power_of_two(count_text)
            if interval == ">":
                for index in range(last + 1, _INTERVALS):
                    divisions[index] = count
                continue
            index = min(_power_of_two(interval, least=1).bit_length() - 1, _INTERVALS - 1)
            # The first interval named also stands for all smaller ones.
            start = 0 if last < 0 else index
            divisions[start : index + 1] = [count] * (index + 1 - start)
            last = index

    def divisions(self, size: int) -> int:
        """Return into how many steps the power-of-two interval of a size is cut; 0 or 1: none."""
        index = size.bit_length() - 1 - _FIRST_INTERVAL_BITS
        return self.roundup_power2_divisions[max(0, min(index, _INTERVALS - 1))]

    def round_size(self, size: int) -> int:
        """Return the bytes of the block for a request (`DeviceCachingAllocator::round_size`).

        Args:
            size: bytes asked for, at least 1.
        """
        if size < MIN_BLOCK:
            return MIN_BLOCK
        divisions = self.divisions(size)
        if divisions > 1 and size > MIN_BLOCK * divisions:
            return _round_up_to_division(size, divisions)
        return -(-size // MIN_BLOCK) * MIN_BLOCK

    def largest_request(self, size: int) -> int:
        """Return the largest request whose block is at most this large; 0 where there is none."""
        if size < MIN_BLOCK:
            return 0
        if self.rounds_plainly:
            return size // MIN_BLOCK * MIN_BLOCK
        low, high = 1, size
        while low < high:
            middle = (low + high + 1) // 2
            if self.round_size(middle) <= size:
                low = middle
            else:
                high = middle - 1
        return low

    def allocation_size(self, size: int) -> int:
        """Return the bytes asked of the driver for a block (`get_allocation_size`)."""
        if size <= SMALL_SIZE:
            return SMALL_SEGMENT
        if size < MIN_LARGE_ALLOCATION:
            return self.large_segment_size
        return -(-size // ROUND_LARGE) * ROUND_LARGE


def _round_up_to_division(size: int, divisions: int) -> int:
    """Round up to a step between two powers of two (`roundup_power2_next_division`)."""
    if size & (size - 1) == 0:
        return size
    floor = 1 << (size.bit_length() - 1)
    step = floor >> (divisions.bit_length() - 1)
    if step == 0:
        return floor << 1
    return -(-size // step) * step


def _number(key: str, value: str) -> int:
    if not value.isdecimal():
        raise ValueError(f"CachingAllocator option {key} must be a whole number, not {value!r}")
    return int(value)


def _ratio(key: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"CachingAllocator option {key} must be a number, not {value!r}") from None


def _switch(key: str, value: str) -> bool:
    if value not in {"True", "False"}:
        raise ValueError(f"Expected 'True' or 'False' for {key} but got '{value}'")
    return value == "True"


def _power_of_two(value: str, *, least: int = 0) -> int:
    number = _number("roundup_power2_divisions", value)
    if number < least or number & (number - 1):
        raise ValueError(
            "For roundups, the divisions and intervals have to be powers of 2 "
            f"(a division may be 0), not {value!r}"
        )
    return number
