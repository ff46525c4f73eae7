"""Streams and events: everything happens at once, so they only have to exist and to be equal."""

import itertools
import time
from typing import Self

import torch

_STREAM_TAG = 3
_numbers = itertools.count(1)


class StreamBase(torch.Stream):
    """What `torch.cuda.Stream` inherits in a CUDA build (`torch._C._CudaStreamBase`)."""

    def __new__(
        cls,
        priority: int = 0,
        stream_id: int | None = None,
        device_index: int | None = 0,
        device_type: int = 1,
        **_: object,
    ) -> Self:
        """Make a stream: a new one of the pool, or one of a given number."""
        # The number of a stream from the pool carries its kind in the low bits, as PyTorch's do.
        number = next(_numbers) * 32 + _STREAM_TAG if stream_id is None else stream_id
        return super().__new__(
            cls, stream_id=number, device_index=device_index or 0, device_type=device_type
        )

    def __init__(self, *_: object, **__: object) -> None:
        """Take any arguments: `__new__` has read them."""

    @property
    def cuda_stream(self) -> int:
        """The handle of the stream; 0 is the default stream."""
        return int(self.stream_id)

    @property
    def priority(self) -> int:
        """The priority: all streams are equal."""
        return 0

    @staticmethod
    def priority_range() -> tuple[int, int]:
        """Return the least and the greatest priority."""
        return 0, -5


class EventBase:
    """What `torch.cuda.Event` inherits in a CUDA build (`torch._C._CudaEventBase`)."""

    device = torch.device("cuda", 0)
    cuda_event = 1
    enable_timing: bool
    _recorded: float | None

    def __new__(cls, enable_timing: bool = False, *_: object, **__: object) -> Self:  # noqa: FBT001, FBT002
        """Make an event, recorded later."""
        event = super().__new__(cls)
        event.enable_timing = enable_timing
        event._recorded = None
        return event

    def __init__(self, *_: object, **__: object) -> None:
        """Take any arguments: `__new__` has read them."""

    def record(self, stream: object = None) -> None:
        """Note the time."""
        self._recorded = time.perf_counter()

    def wait(self, stream: object = None) -> None:
        """Wait for nothing."""

    def query(self) -> bool:
        """Tell whether all work is done: always."""
        return True

    def synchronize(self) -> None:
        """Wait for nothing."""

    def elapsed_time(self, other: "EventBase") -> float:
        """Return the milliseconds between two recorded events, of this machine's own time.

        Raises:
            RuntimeError: one was made without timing, or not recorded.
        """
        if not (self.enable_timing and other.enable_timing):
            raise RuntimeError("Both events must be created with argument 'enable_timing=True'.")
        if self._recorded is None or other._recorded is None:
            raise RuntimeError("Both events must be recorded before calculating elapsed time.")
        return (other._recorded - self._recorded) * 1e3

    def ipc_handle(self) -> bytes:
        """Refuse.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("vgpu: CUDA IPC is not modelled on the virtual GPU")
