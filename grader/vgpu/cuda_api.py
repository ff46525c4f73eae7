"""The functions that torch.cuda's own Python layer calls in a CUDA build, set on a CPU build.

So `torch.cuda` itself stays in use: `memory_summary`, `memory_stats` and the rest are PyTorch's.
Source of the list: `torch/csrc/cuda/Module.cpp` and `torch/cuda/__init__.py`, PyTorch v2.13.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch

from grader.vgpu.cards import Card
from grader.vgpu.compiling import compile_nothing
from grader.vgpu.device import Device
from grader.vgpu.refusals import refuse
from grader.vgpu.streams import EventBase, StreamBase

Argument: TypeAlias = Any
"""Whatever PyTorch's own function takes."""

_ARCHITECTURES = "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120"
_COMPILED_VERSION = 13000
_INVALID_ORDINAL = (
    "CUDA error: invalid device ordinal\n"
    "GPU device may be out of range, do you have enough GPUs?\n"
    "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace "
    "below might be incorrect.\n"
    "For debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
    "Device-side assertion tracking was not enabled by user."
)


class DeviceProperties:
    """What `torch.cuda.get_device_properties` returns (`torch._C._CudaDeviceProperties`)."""

    is_integrated = 0
    is_multi_gpu_board = 0
    warp_size = 32
    regs_per_multiprocessor = 65536
    max_threads_per_block = 1024
    shared_memory_per_block = 49152
    uuid = "00000000-0000-0000-0000-000000000000"
    pci_bus_id = 0
    pci_device_id = 4
    pci_domain_id = 0

    def __init__(self, card: Card) -> None:
        self.name = self.gcnArchName = card.name
        self.major, self.minor = card.capability
        self.total_memory = card.total_memory
        self.multi_processor_count = card.multi_processor_count
        self.max_threads_per_multi_processor = card.max_threads_per_multi_processor
        self.L2_cache_size = card.l2_cache
        self.shared_memory_per_block_optin = card.shared_memory_per_block_optin
        self.shared_memory_per_multiprocessor = card.shared_memory_per_multiprocessor

    def __repr__(self) -> str:
        return (
            f"_CudaDeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory // 2**20}MB, "
            f"multi_processor_count={self.multi_processor_count}, uuid={self.uuid}, "
            f"pci_bus_id={self.pci_bus_id}, pci_device_id={self.pci_device_id}, "
            f"pci_domain_id={self.pci_domain_id}, L2_cache_size={self.L2_cache_size // 2**20}MB)"
        )


def install(device: Device) -> None:
    """Let torch.cuda see the device; once in a process."""
    native: Any = torch._C
    cuda: Any = torch.cuda
    functions = {
        **_device_functions(device),
        **_statistics_functions(device),
        **_allocation_functions(device),
        **_stream_functions(device),
        **_accelerator_functions(device),
        **_refusals(),
    }
    for name, function in functions.items():
        setattr(native, name, function)
    native._cudart = cuda._cudart = _runtime(device)
    native._has_cuda = True
    native._CudaDeviceProperties = cuda._CudaDeviceProperties = DeviceProperties
    native._CudaStreamBase, native._CudaEventBase = StreamBase, EventBase
    cuda._is_in_bad_fork = functions["_cuda_isInBadFork"]
    cuda._exchange_device = functions["_cuda_exchangeDevice"]
    cuda._maybe_exchange_device = functions["_cuda_maybeExchangeDevice"]
    cuda._get_device_properties = lambda _index: DeviceProperties(device.card)
    # The module has made its classes from stand-ins that say "no CUDA"; let it make them again.
    streams = importlib.reload(importlib.import_module("torch.cuda.streams"))
    for name in ("Stream", "Event", "ExternalStream"):
        setattr(cuda, name, getattr(streams, name))
    cuda.nvtx._nvtx = _Marks
    cuda.is_current_stream_capturing = cuda.graphs.is_current_stream_capturing = lambda: False
    _teach_storage()
    _refuse_graphs_and_pools()
    # Asked by every recurrent layer; PyTorch's own answer warns that cuDNN is missing.
    cudnn: Any = torch.backends.cudnn
    cudnn.m.is_acceptable = lambda _tensor: False


def _check_ordinal(index: int) -> None:
    if index > 0:
        raise torch.AcceleratorError(_INVALID_ORDINAL)


def _device_functions(device: Device) -> dict[str, Callable[..., Any]]:
    def initialise() -> None:
        torch.cuda.default_generators = (device.generator,)

    return {
        "_cuda_init": initialise,
        "_cuda_isInBadFork": lambda: device.forked,
        "_cuda_getDeviceCount": lambda: 1,
        "_cuda_getDevice": lambda: 0,
        "_cuda_setDevice": _check_ordinal,
        "_cuda_exchangeDevice": lambda index: 0 if index >= 0 else -1,
        "_cuda_maybeExchangeDevice": lambda index: 0 if index >= 0 else -1,
        "_cuda_getArchFlags": lambda: _ARCHITECTURES,
        "_cuda_getCompiledVersion": lambda: _COMPILED_VERSION,
        "_cuda_synchronize": lambda: None,
        "_cuda_sleep": lambda _cycles: None,
        "_cuda_canDeviceAccessPeer": lambda _first, _second: False,
        "_cuda_ipc_collect": lambda: None,
        "_cuda_set_sync_debug_mode": lambda _mode: None,
        "_cuda_get_sync_debug_mode": lambda: 0,
        "_cuda_getCurrentBlasHandle": lambda: 1,
        "_cuda_clearCublasWorkspaces": device.clear_workspaces,
    }


def _check_index(index: int) -> None:
    if index != 0:
        # PyTorch prints the index as a character, not as a number.
        raise RuntimeError(f"Invalid device argument {chr(index)}: did you call init?")


def _statistics_functions(device: Device) -> dict[str, Callable[..., Any]]:
    def statistics(index: int) -> dict[str, Any]:
        _check_index(index)
        with device.settled() as allocator:
            return allocator.nested_stats()

    def reset_peak(index: int) -> None:
        _check_index(index)
        with device.settled() as allocator:
            allocator.reset_peak()

    def reset_accumulated(index: int) -> None:
        _check_index(index)
        with device.settled() as allocator:
            allocator.reset_accumulated()

    return {
        "_cuda_memoryStats": statistics,
        "_cuda_resetPeakMemoryStats": reset_peak,
        "_cuda_resetAccumulatedMemoryStats": reset_accumulated,
        "_cuda_memorySnapshot": lambda *_: _snapshot(device),
        "_cuda_hostMemoryStats": dict,
        "_cuda_resetPeakHostMemoryStats": lambda: None,
        "_cuda_resetAccumulatedHostMemoryStats": lambda: None,
        "_accelerator_getMemoryInfo": lambda _index: (
            device.free_bytes(),
            device.card.total_memory,
        ),
    }


def _allocation_functions(device: Device) -> dict[str, Callable[..., Any]]:
    def empty_cache(*_: object) -> None:
        with device.settled() as allocator:
            allocator.empty_cache()

    def set_fraction(fraction: float, _index: int) -> None:
        with device.settled() as allocator:
            allocator.set_memory_fraction(fraction)
            device.core.limit_fraction(fraction)

    def raw_allocate(nbytes: int, stream: int = 0) -> int:
        del stream  # everything happens at once
        address: int = device.core.raw_allocate(nbytes)
        return address

    def raw_delete(address: int) -> None:
        if not device.core.raw_delete(address):
            raise RuntimeError(f"invalid device pointer: {address:#x}")

    return {
        "_cuda_emptyCache": empty_cache,
        "_cuda_setMemoryFraction": set_fraction,
        "_cuda_getMemoryFraction": lambda _index: device.ledger.allocator.memory_fraction(),
        "_cuda_getAllocatorBackend": lambda: "native",
        "_cuda_cudaCachingAllocator_raw_alloc": raw_allocate,
        "_cuda_cudaCachingAllocator_raw_delete": raw_delete,
        "_cuda_cudaCachingAllocator_is_enabled": lambda: True,
    }


def _accelerator_functions(device: Device) -> dict[str, Callable[..., Any]]:
    """Return what `torch.accelerator` calls: the same under other names."""
    cuda = {**_statistics_functions(device), **_allocation_functions(device)}
    return {
        "_accelerator_isAllocatorInitialized": lambda: True,
        "_accelerator_emptyCache": cuda["_cuda_emptyCache"],
        "_accelerator_emptyHostCache": lambda: None,
        "_accelerator_getDeviceStats": cuda["_cuda_memoryStats"],
        "_accelerator_resetPeakStats": cuda["_cuda_resetPeakMemoryStats"],
        "_accelerator_resetAccumulatedStats": cuda["_cuda_resetAccumulatedMemoryStats"],
    }


class _Marks:
    """What `torch.cuda.nvtx` calls: marks for a profiler that is not there."""

    rangePushA = rangePop = staticmethod(lambda *_: 0)
    rangeStartA = deviceRangeStart = staticmethod(lambda *_: 0)
    rangeEnd = deviceRangeEnd = markA = staticmethod(lambda *_: None)


def _stream_functions(device: Device) -> dict[str, Callable[..., Any]]:
    core = device.core

    def set_stream(stream_id: int, device_index: int, device_type: int) -> None:
        core.set_current_stream(stream_id)

    return {
        "_cuda_getCurrentStream": lambda _index: (core.current_stream(), 0, 1),
        "_cuda_getDefaultStream": lambda _index: (0, 0, 1),
        "_cuda_setStream": set_stream,
        "_cuda_getCurrentRawStream": lambda _index: core.current_stream(),
        "_cuda_isCurrentStreamCapturing": lambda: False,
    }


def _refuse_graphs_and_pools() -> None:
    class CUDAGraph:
        """Refuses to be made."""

        __new__ = refuse("a CUDA graph")

    class MemPool:
        """Refuses to be made."""

        __new__ = refuse("a private memory pool")

    cuda: Any = torch.cuda
    cuda.MemPool = cuda.memory.MemPool = MemPool
    cuda.graph_pool_handle = cuda.graphs.graph_pool_handle = refuse("a CUDA graph")
    cuda.CUDAGraph = cuda.graphs.CUDAGraph = CUDAGraph
    cuda.graph = cuda.graphs.graph = cuda.make_graphed_callables = refuse("a CUDA graph")
    setattr(torch, "compile", compile_nothing)  # noqa: B010 - mypy: a function is no variable


def _scatter(tensor: torch.Tensor, devices: Sequence[int], *_: object) -> tuple[torch.Tensor, ...]:
    """Spread a tensor over GPUs, as DataParallel does: on one card it goes there as it is."""
    if len(devices) != 1:
        refuse("DataParallel over several GPUs")()
    return (tensor.to("cuda"),)


def _refusals() -> dict[str, Callable[..., Any]]:
    return {
        "_cuda_record_memory_history": refuse("recording the memory history"),
        "_cuda_record_memory_history_legacy": refuse("recording the memory history"),
        "_cuda_beginAllocateCurrentStreamToPool": refuse("a private memory pool (CUDA graphs)"),
        "_cuda_beginAllocateToPool": refuse("a private memory pool (CUDA graphs)"),
        "_cuda_customAllocator": refuse("a custom allocator"),
        "_cuda_changeCurrentAllocator": refuse("a custom allocator"),
        "_nccl_version": refuse("NCCL"),
        "_broadcast_coalesced": refuse("DataParallel over several GPUs"),
        "_scatter": _scatter,
        "_gather": refuse("DataParallel over several GPUs"),
    }


def _runtime(device: Device) -> type:
    class Runtime:
        """The part of cudart that torch.cuda uses."""

        class cudaError:
            """Result codes."""

            success = 0

        @staticmethod
        def cudaGetErrorString(_code: int) -> str:
            """Return the text of a result code."""
            return "no error"

        @staticmethod
        def cudaMemGetInfo(_index: int = 0) -> tuple[int, int]:
            """Return the free and the total bytes of the card."""
            return device.free_bytes(), device.card.total_memory

    for name in (
        "cudaProfilerStart",
        "cudaProfilerStop",
        "cudaDeviceSynchronize",
        "cudaHostRegister",
        "cudaHostUnregister",
    ):
        setattr(Runtime, name, staticmethod(lambda *_: 0))
    return Runtime


def _snapshot(device: Device) -> dict[str, Any]:
    """Return what `torch.cuda.memory_snapshot` reads."""
    segments: dict[int, list[Any]] = {}
    with device.settled() as allocator:
        for block in allocator.blocks():
            head = block
            while head.prev is not None:
                head = head.prev
            segments.setdefault(head.ptr, []).append(block)
    return {
        "segments": [_segment(address, blocks) for address, blocks in sorted(segments.items())],
        "device_traces": [[]],
        "allocator_settings": {},
        "external_annotations": [],
    }


def _segment(address: int, blocks: list[Any]) -> dict[str, Any]:
    used = [block for block in blocks if block.allocated]
    return {
        "device": 0,
        "address": address,
        "total_size": sum(block.size for block in blocks),
        "stream": blocks[0].stream,
        "allocated_size": sum(block.size for block in used),
        "active_size": sum(block.size for block in used),
        "requested_size": sum(block.requested for block in used),
        "segment_type": "small" if blocks[0].pool.small else "large",
        "segment_pool_id": (0, 0),
        "is_expandable": blocks[0].expandable is not None,
        "frames": [],
        "blocks": [
            {
                "address": block.ptr,
                "size": block.size,
                "requested_size": block.requested,
                "state": "active_allocated" if block.allocated else "inactive",
                "frames": [],
            }
            for block in blocks
        ],
    }


def _teach_storage() -> None:
    """Let `torch.UntypedStorage(n, device="cuda")` work: `torch.load` and `deepcopy` use it."""
    storage: Any = torch.UntypedStorage
    original = storage.__new__
    resize = storage.resize_
    refuse_resize = refuse("resizing a storage")

    def make(cls: type, *args: Argument, **kwargs: Argument) -> object:
        where = kwargs.get("device")
        if where is None or torch.device(where).type != "cuda":
            return original(cls, *args, **kwargs)
        nbytes = args[0] if args else 0
        return torch.empty(nbytes, dtype=torch.uint8, device=where).untyped_storage()

    def resize_(self: Argument, *args: Argument) -> object:
        return (refuse_resize if self.is_cuda else resize)(self, *args)

    storage.__new__, storage.resize_ = make, resize_
    storage._share_cuda_ = storage._new_shared_cuda = refuse("CUDA IPC")
