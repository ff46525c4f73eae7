"""A real card as the child sees it: the statistics of `torch.cuda`, and what operators asked for.

It stands where the virtual GPU's package stands (`grader.sandbox.device`), for a machine that has a
GPU and a CUDA build of PyTorch. Sizes held, peaks and the number of refusals are the allocator's
own (`torch.cuda.memory_stats`). What they do not tell, the dtype and size of a single tensor, is
seen by a dispatch mode around the student's code, which changes no figure.
"""

import gc
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from grader.sandbox.untouched import Foreign, shield
from grader.vgpu.log import KEPT_REFUSALS, MemoryLog, Refusal, Tally

shield(globals())

_LOOK_BYTES = 16 << 20
"""A tensor of at least this size is an occasion to look how full the card is."""

_SMI_SECONDS = 10


class NoCard(RuntimeError):
    """There is no card for ``--card real``.

    Attributes:
        reason_code: ``real-cpu-build`` or ``real-none``.
    """

    def __init__(self, reason_code: str) -> None:
        super().__init__(reason_code)
        self.reason_code = reason_code


def find_card_name() -> str:
    """Return the name of the card that PyTorch would use; starts CUDA in this process.

    Raises:
        NoCard: this PyTorch cannot use a card, or finds none.
    """
    if not torch.cuda.is_available():
        raise NoCard("real-none" if torch.version.cuda else "real-cpu-build")
    return str(torch.cuda.get_device_name(0))


class RealCard:
    """The machine's own card, with the functions of `grader.vgpu` that a child uses."""

    def __init__(self) -> None:
        self._watch = _Watch()
        self._before = _Figures()

    def reset(self, card: str, *, profile: str | None, seed: int) -> None:
        """Start CUDA in this process and watch what it does from here on.

        Raises:
            NoCard: there is none.
        """
        del card, profile
        find_card_name()
        torch.cuda.manual_seed_all(seed)
        torch.nn.modules.module.register_module_forward_pre_hook(self._watch.see_module)
        self._watch.__enter__()  # type: ignore[no-untyped-call]  # for the life of the process
        self._before = _Figures.now()

    def is_in_use(self) -> bool:
        """Tell whether the card has done anything since the log was taken."""
        before, after, watch = self._before, _Figures.now(), self._watch
        changed = (before.allocated, before.reserved) != (after.allocated, after.reserved)
        refused = _since(before.refusals, after.refusals)
        return bool(watch.tallies or watch.linear_calls or refused or changed)

    def take_log(self, mark: int = 0) -> MemoryLog:
        """Return what happened since the last call, and begin anew; there is no sealed account."""
        del mark
        before, after, watch = self._before, _Figures.now(), self._watch
        log = MemoryLog(
            allocated_before=before.allocated,
            reserved_before=before.reserved,
            allocated_after=after.allocated,
            reserved_after=after.reserved,
            peak_allocated=max(
                before.allocated, watch.peak_allocated, _peak(before, after, "peak_allocated")
            ),
            peak_reserved=max(
                before.reserved, watch.peak_reserved, _peak(before, after, "peak_reserved")
            ),
            fits_before=before.fits,
            by_dtype={name: tally.freeze() for name, tally in watch.tallies.items()},
            refusals=tuple(watch.refusals),
            refusal_count=_since(before.refusals, after.refusals),
            linear_calls=watch.linear_calls,
        )
        watch.begin()
        self._before = after
        return log

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Do not log the body; its memory is the card's, which has no second account."""
        self._watch.paused = True
        try:
            yield
        finally:
            self._watch.paused = False
            # The body's peaks and refusals are nobody's.
            self._before = _Figures.now()

    def nvidia_smi(self) -> str:
        """Return what the command prints on this machine, or why it does not."""
        try:
            done = subprocess.run(  # noqa: S603 - a fixed command
                ["nvidia-smi"],  # noqa: S607 - wherever the driver's package put it
                capture_output=True,
                text=True,
                timeout=_SMI_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"nvidia-smi: {error}\n"
        return done.stdout


class _Figures:
    """What the allocator says at one moment, in bytes but for the number of refusals."""

    allocated = reserved = peak_allocated = peak_reserved = refusals = fits = 0

    @classmethod
    def now(cls) -> "_Figures":
        found = cls()
        statistics = torch.cuda.memory_stats()
        found.allocated = statistics["allocated_bytes.all.current"]
        found.reserved = statistics["reserved_bytes.all.current"]
        found.peak_allocated = statistics["allocated_bytes.all.peak"]
        found.peak_reserved = statistics["reserved_bytes.all.peak"]
        found.refusals = statistics["num_ooms"]
        free, _ = torch.cuda.mem_get_info()
        found.fits = free + found.reserved - found.allocated
        return found


def _peak(before: _Figures, after: _Figures, name: str) -> int:
    """Return a peak that was reached in between, 0 where the statistics cannot tell.

    Their peak is that of the whole life, or since the student's code reset it.
    """
    peak: int = getattr(after, name)
    return peak if peak != getattr(before, name) else 0


def _since(before: int, after: int) -> int:
    """Return how far a counter went that the student's code may have set to zero."""
    return after - before if after >= before else after


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operator: the new tensors on the card, and those that were refused."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.paused = False
        self.begin()

    def begin(self) -> None:
        self.tallies: dict[str, Tally] = {}
        self.refusals: list[Refusal] = []
        self.linear_calls = 0
        self.peak_allocated = self.peak_reserved = 0

    def see_module(self, module: Foreign, inputs: Foreign) -> None:
        """Count a linear layer that is applied to a tensor on the card."""
        if isinstance(module, torch.nn.Linear) and not self.paused and any(map(_on_card, inputs)):
            self.linear_calls += 1

    def __torch_dispatch__(
        self, func: Foreign, types: Foreign, args: Foreign = (), kwargs: Foreign = None
    ) -> Foreign:
        kwargs = kwargs or {}
        if self.paused:
            return func(*args, **kwargs)
        try:
            result = func(*args, **kwargs)
        except torch.OutOfMemoryError:
            self._note_refusal(func, args, kwargs)
            raise
        self._note_births(result, (args, kwargs))
        return result

    def _note_births(self, result: Foreign, inputs: Foreign) -> None:
        made = [leaf for leaf in tree_leaves(result) if _on_card(leaf)]
        if not made:
            return
        known = {_storage(leaf) for leaf in tree_leaves(inputs) if _on_card(leaf)}
        for tensor in made:
            if _storage(tensor) not in known:
                known.add(_storage(tensor))
                self._note_birth(tensor)

    def _note_birth(self, tensor: torch.Tensor) -> None:
        nbytes = tensor.untyped_storage().nbytes()
        if nbytes == 0:
            return
        tally = self.tallies.setdefault(_name(tensor.dtype), Tally())
        tally.allocations += 1
        largest = nbytes > tally.largest
        if largest or nbytes >= _LOOK_BYTES:
            statistics = (
                torch.cuda.memory_stats_as_nested_dict()
            )  # flattening takes 10 times longer
            allocated = statistics["allocated_bytes"]["all"]["current"]
            reserved = statistics["reserved_bytes"]["all"]["current"]
            self.peak_allocated = max(self.peak_allocated, allocated)
            self.peak_reserved = max(self.peak_reserved, reserved)
            if largest:
                tally.largest = nbytes
                tally.beside = max(0, allocated - _rounded(nbytes))

    def _note_refusal(self, func: Foreign, args: Foreign, kwargs: Foreign) -> None:
        wanted = _would_make(func, args, kwargs)
        nbytes = 0 if wanted is None else wanted.numel() * wanted.element_size()
        dtype = "" if wanted is None else _name(wanted.dtype)
        if wanted is not None:
            tally = self.tallies.setdefault(dtype, Tally())
            tally.refusals += 1
            tally.largest_refused = max(tally.largest_refused, nbytes)
        if len(self.refusals) < KEPT_REFUSALS:
            self.refusals.append(
                Refusal(
                    requested_bytes=nbytes,
                    dtype=dtype,
                    allocated_bytes=torch.cuda.memory_allocated(),
                    reserved_bytes=torch.cuda.memory_reserved(),
                    held_dtype_bytes=0 if wanted is None else _largest_held(wanted.dtype),
                )
            )


def _on_card(value: Foreign) -> bool:
    return isinstance(value, torch.Tensor) and value.device.type == "cuda"


def _storage(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _rounded(nbytes: int) -> int:
    """Return the bytes of the block: in steps of 512 (`round_size`, CUDACachingAllocator.cpp)."""
    return -(-nbytes // 512) * 512


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _would_make(func: Foreign, args: Foreign, kwargs: Foreign) -> torch.Tensor | None:
    """Return what an operator would have made, without values; None where nobody can tell."""

    def without_values(value: Foreign) -> Foreign:
        if isinstance(value, torch.Tensor):
            return value.detach().to("meta")
        return torch.device("meta") if isinstance(value, torch.device) else value

    try:
        args, kwargs = tree_map(without_values, (args, kwargs))
        made = [leaf for leaf in tree_leaves(func(*args, **kwargs)) if torch.is_tensor(leaf)]
    except Exception:  # noqa: BLE001 - no rule for the shapes of this operator
        return None
    return made[0] if made else None


def _largest_held(dtype: torch.dtype) -> int:
    """Return the bytes of the largest living tensor of a dtype on the card."""
    return max(
        (
            found.untyped_storage().nbytes()
            for found in gc.get_objects()
            if issubclass(type(found), torch.Tensor) and _on_card(found) and found.dtype == dtype
        ),
        default=0,
    )
