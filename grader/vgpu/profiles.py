"""What differs between the versions of PyTorch whose behaviour the device can show.

The rules of the allocator have been the same from 1.12 to 2.13. What differs is the text of the
out-of-memory error and its class, the figures `torch.cuda.memory_stats` reports, the order of
free blocks of equal size, and where cuBLAS takes its workspace from. Source:
`c10/cuda/CUDACachingAllocator.cpp`, `DeviceCachingAllocator::malloc` and `BlockComparatorSize`,
and `aten/src/ATen/cuda/CublasHandlePool.cpp`, `getCurrentCUDABlasHandle`, of v1.12.1 and v2.13.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from grader.vgpu.device_memory import GIB, KIB, MIB
from grader.vgpu.statistics import EVENT_NAMES, METRIC_NAMES, OVERSIZE_NAMES


class OutOfMemory(Exception):
    """The device has no memory left for a request; the text is that of PyTorch's own error."""


def format_size(size: int) -> str:
    """Return a number of bytes as PyTorch's messages write it (`format_size`)."""
    if size <= KIB:
        return f"{size} bytes"
    if size <= MIB:
        return f"{size / KIB:.2f} KiB"
    if size <= GIB:
        return f"{size / MIB:.2f} MiB"
    return f"{size / GIB:.2f} GiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """The figures of an out-of-memory error, in bytes.

    Attributes:
        requested: what was asked of the driver: the size of the segment, not of the tensor.
        device: the device's index.
        total: memory of the card.
        free: what the driver reports as free.
        process: what the sentence about this process says, or "" where nothing is known.
        allowed: the limit set by `set_per_process_memory_fraction`, or None.
        allocated: in tensors.
        reserved: in segments.
    """

    requested: int
    device: int
    total: int
    free: int
    process: str
    allowed: int | None
    allocated: int
    reserved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How one version of PyTorch behaves where versions differ.

    Attributes:
        name: the version, "1.12" or "2.13".
        exception: name of the class of the out-of-memory error: in 1.12 a plain RuntimeError.
        out_of_memory: makes the text of that error.
        rejection: makes the text of the error by ``throw_on_cudamalloc_oom``, from bytes asked for.
        pattern: what the error's text is recognised by in the output of a notebook.
        statistics: the top-level names that `torch.cuda.memory_stats` reported in that version.
        breaks_ties_by_segment: whether free blocks of one size are ordered by the age of their
            segment before their address.
        workspace_in_allocator: whether cuBLAS takes its workspace from the caching allocator; if
            not, it is memory of the driver's that these figures never showed.
    """

    name: str
    exception: str
    out_of_memory: Callable[[Shortage], str]
    rejection: Callable[[int], str]
    pattern: re.Pattern[str]
    statistics: frozenset[str]
    breaks_ties_by_segment: bool
    workspace_in_allocator: bool


def _allowed(shortage: Shortage) -> str:
    return "" if shortage.allowed is None else f"{format_size(shortage.allowed)} allowed; "


def _out_of_memory_1_12(shortage: Shortage) -> str:
    return (
        f"CUDA out of memory. Tried to allocate {format_size(shortage.requested)} "
        f"(GPU {shortage.device}; {format_size(shortage.total)} total capacity; "
        f"{format_size(shortage.allocated)} already allocated; {format_size(shortage.free)} free; "
        f"{_allowed(shortage)}{format_size(shortage.reserved)} reserved in total by PyTorch) "
        "If reserved memory is >> allocated memory try setting max_split_size_mb to avoid "
        "fragmentation.  See documentation for Memory Management and PYTORCH_CUDA_ALLOC_CONF"
    )


def _out_of_memory_2_13(shortage: Shortage) -> str:
    idle = shortage.reserved - shortage.allocated
    return (
        f"CUDA out of memory. Tried to allocate {format_size(shortage.requested)}. "
        f"GPU {shortage.device} has a total capacity of {format_size(shortage.total)} "
        f"of which {format_size(shortage.free)} is free. {shortage.process}{_allowed(shortage)}"
        f"Of the allocated memory {format_size(shortage.allocated)} is allocated by PyTorch, "
        f"and {format_size(idle)} is reserved by PyTorch but unallocated. "
        "If reserved but unallocated memory is large try setting "
        "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation.  "
        "See documentation for Memory Management  (https://docs.pytorch.org/docs/stable/notes/"
        "cuda.html#optimizing-memory-usage-with-pytorch-cuda-alloc-conf)"
    )


def _rejection(requested: int) -> str:
    return (
        "CUDA out of memory. Allocation was preemptively rejected because it would exceed "
        f"per_process_memory_fraction limit. Requested size: {format_size(requested)}"
    )


_SIZE = r"[\d.]+ (?:bytes|[KMG]iB)"
_NEWER = frozenset({*METRIC_NAMES, *OVERSIZE_NAMES, *EVENT_NAMES, "max_split_size"})
_SINCE_1_12 = frozenset(
    {
        "requested_bytes",
        "num_sync_all_streams",
        "num_device_alloc",
        "num_device_free",
        "num_oom_rejections",
    }
)

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "1.12": Profile(
            name="1.12",
            exception="RuntimeError",
            out_of_memory=_out_of_memory_1_12,
            rejection=_rejection,
            pattern=re.compile(
                rf"CUDA out of memory\. Tried to allocate {_SIZE} "
                rf"\(GPU \d+; {_SIZE} total capacity; "
                rf"{_SIZE} already allocated; {_SIZE} free; "
            ),
            statistics=_NEWER - _SINCE_1_12,
            breaks_ties_by_segment=False,
            workspace_in_allocator=False,
        ),
        "2.13": Profile(
            name="2.13",
            exception="OutOfMemoryError",
            out_of_memory=_out_of_memory_2_13,
            rejection=_rejection,
            pattern=re.compile(
                rf"CUDA out of memory\. Tried to allocate {_SIZE}\. "
                r"GPU (?:\d+ )?has a total capaci?ty "
            ),
            statistics=_NEWER,
            breaks_ties_by_segment=True,
            workspace_in_allocator=True,
        ),
    }
)
DEFAULT_PROFILE = PROFILES["2.13"]


def find_profile(text: str) -> str | None:
    """Return the version whose out-of-memory text a notebook's outputs show.

    Only a version other than the installed one is named: None means that the default serves.
    """
    for name, profile in PROFILES.items():
        if profile is not DEFAULT_PROFILE and profile.pattern.search(text):
            return name
    return None
