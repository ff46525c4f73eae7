"""The GPU as the child uses it: one at its start, a log a cell, scratch for questions."""

import importlib
import importlib.util
import os
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from grader.sandbox.protocol import REAL, DeviceLog, DeviceRefusal, DtypeUse, Start
from grader.sandbox.untouched import Foreign, shield

shield(globals())

MOST_DTYPES = 32
MOST_REFUSALS = 16


def hide_card() -> None:
    """Let a CUDA build find no card of the machine, and not start the driver, to look for one.

    The driver starts a thread (`cuInit`). Asked so, PyTorch looks at these variables alone
    (`_device_count_nvml`, torch/cuda/__init__.py, PyTorch v2.13).
    """
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}


def find_virtual_gpu() -> Foreign:
    """Return the package of the virtual GPU where the server has installed it, else None.

    All its modules are loaded: what it imports later, a child could not read from the disk.
    """
    if importlib.util.find_spec("grader.vgpu") is None:
        return None
    package: Foreign = importlib.import_module("grader.vgpu")
    if not package.is_installed():
        return None
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"grader.vgpu.{module.name}")
    return package


class Device:
    """The GPU of one child, virtual or the machine's own, or none.

    Attributes:
        state: ``virtual``, ``real``, ``none`` or ``unavailable: REASON-CODE``.
    """

    def __init__(self) -> None:
        self._package: Foreign = None
        self._mark = 0
        self.state = "none"

    def begin(self, package: Foreign, start: Start) -> None:
        """Become the GPU that a submission is to have; without it memory tasks go to a person.

        Args:
            package: the virtual GPU where there is one, else None.
            start: tells the card.
        """
        if start.card == REAL:
            package = importlib.import_module("grader.sandbox.real_card").RealCard()
        if package is None or not start.card:
            return
        try:
            package.reset(start.card, profile=start.profile or None, seed=start.seed)
        except Exception as error:  # noqa: BLE001 - whatever keeps it from being one
            self.state = f"unavailable: {getattr(error, 'reason_code', type(error).__name__)}"
            return
        self._package = package
        self.state = "real" if start.card == REAL else "virtual"

    @property
    def nvidia_smi(self) -> Callable[[], str] | None:
        """The text of ``nvidia-smi``, None without a GPU."""
        return None if self._package is None else self._package.nvidia_smi

    def begin_cell(self, mark: int) -> None:
        """Start a new log; the account of the cell carries the mark."""
        self._mark = mark
        if self._package is not None:
            self._package.take_log(mark)

    def in_use(self) -> bool:
        """Return whether the running cell has worked on the device; the log goes on."""
        return self._package is not None and bool(self._package.is_in_use())

    def is_deciding(self) -> bool:
        """Return whether the ledger is at work on something, and would be torn by an exception."""
        return self.state == "virtual" and bool(self._package.is_deciding())

    def take_log(self) -> DeviceLog | None:
        """Return what the cell did on the device, None if nothing."""
        if self._package is None:
            return None
        log = read_log(self._package.take_log(self._mark))
        return log if _is_use(log) else None

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Account the memory of the body apart: a question leaves no trace."""
        if self._package is None:
            yield
            return
        with self._package.scratch():
            yield


def read_log(log: Foreign) -> DeviceLog:
    """Return a log of the device as a message, bounded."""
    return DeviceLog(
        allocated_before=log.allocated_before,
        reserved_before=log.reserved_before,
        allocated_after=log.allocated_after,
        reserved_after=log.reserved_after,
        peak_allocated=log.peak_allocated,
        peak_reserved=log.peak_reserved,
        fits_before=log.fits_before,
        by_dtype={
            name: DtypeUse(
                largest_bytes=use.largest_bytes,
                allocations=use.allocations,
                largest_refused_bytes=use.largest_refused_bytes,
                refusals=use.refusals,
                largest_beside_bytes=use.largest_beside_bytes,
            )
            for name, use in list(log.by_dtype.items())[:MOST_DTYPES]
        },
        refusals=tuple(
            DeviceRefusal(
                requested_bytes=refusal.requested_bytes,
                dtype=refusal.dtype,
                allocated_bytes=refusal.allocated_bytes,
                reserved_bytes=refusal.reserved_bytes,
                held_dtype_bytes=refusal.held_dtype_bytes,
            )
            for refusal in log.refusals[:MOST_REFUSALS]
        ),
        refusal_count=log.refusal_count,
        linear_calls=log.linear_calls,
        linear_refused=log.linear_refused,
        account=log.account,
    )


def _is_use(log: DeviceLog) -> bool:
    """Return whether anything happened: a cell that only looks at the device does nothing."""
    changed = (log.allocated_before, log.reserved_before) != (
        log.allocated_after,
        log.reserved_after,
    )
    return bool(log.by_dtype or log.refusal_count or log.linear_calls or changed)
