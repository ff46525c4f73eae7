"""Values of tensors that are too large to be in memory: a short pattern that their elements repeat.

A pattern is a one-dimensional CPU tensor; element number i of the storage is element i modulo its
length. Zeros, ones and what follows from them element by element keep one, so they print right.
"""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from grader.vgpu.profiles import format_size

LONGEST = 1 << 14

Native: TypeAlias = Any
"""The native core, which has no stubs."""
Operand: TypeAlias = Any
"""A tensor or whatever else an operator takes."""


class UnknownValue(RuntimeError):
    """The values of a tensor were asked for that was too large to compute."""


class Patterns:
    """Reads and writes the patterns of device tensors.

    Args:
        core: the native core.
        limit_bytes: the largest tensor whose values may be in memory.
    """

    def __init__(self, core: Native, limit_bytes: int) -> None:
        self.core = core
        self.limit_bytes = limit_bytes

    def is_real(self, tensor: Tensor) -> bool:
        """Tell whether the values are in memory, or could be put there now."""
        return not tensor.is_cuda or bool(self.core.make_real(tensor))

    def of_storage(self, tensor: Tensor) -> Tensor | None:
        """Return the pattern of a tensor's storage, as bytes of its own dtype; None if unknown."""
        state = self.core.storage_state(tensor)
        if state is None or state[0] == "fresh":
            return torch.zeros(1, dtype=tensor.dtype)
        if state[0] != "pattern":
            return None
        pattern: Tensor = state[3]
        if pattern.dtype == tensor.dtype:
            return pattern
        if (pattern.numel() * pattern.element_size()) % tensor.element_size():
            return None
        return pattern.view(tensor.dtype)

    def is_known(self, tensor: Tensor) -> bool:
        """Tell whether the values can be had, whatever the tensor's size."""
        return self.is_real(tensor) or self.of_storage(tensor) is not None

    def is_small(self, tensor: Tensor) -> bool:
        """Tell whether the tensor itself, perhaps a view of a large one, is small enough."""
        return tensor.numel() * tensor.element_size() <= self.limit_bytes

    def values(self, tensor: Tensor) -> Tensor:
        """Return the values as a CPU tensor: an alias where they are in memory, else a copy.

        Raises:
            UnknownValue: they are unknown, or too many to copy.
        """
        if not tensor.is_cuda:
            return tensor
        if self.is_real(tensor):
            alias: Tensor = self.core.alias(tensor)
            return alias
        pattern = self.of_storage(tensor)
        if pattern is None:
            raise UnknownValue(
                f"vgpu: the values of this tensor (shape {tuple(tensor.shape)}, {tensor.dtype}) "
                "are not known: it was computed from more memory than the virtual GPU computes "
                f"with ({format_size(self.limit_bytes)} a tensor). Shapes, memory and errors of "
                "such tensors are modelled; their values are not."
            )
        if not self.is_small(tensor):
            size = format_size(tensor.numel() * tensor.element_size())
            raise UnknownValue(
                f"vgpu: a tensor of {size} is too large to be computed with or copied to the CPU "
                "here; shapes, memory and errors of such tensors are modelled."
            )
        period = pattern.numel()
        index = torch.tensor(int(tensor.storage_offset()) % period)
        for length, stride in zip(tensor.shape, tensor.stride(), strict=True):
            step = torch.arange(length) * (stride % period)
            index = (index.unsqueeze(-1) + step) % period
        found = pattern[index]
        found = found.conj() if tensor.is_conj() else found
        return found.neg() if tensor.is_neg() else found

    def of_operand(self, operand: Operand, out_shape: Sequence[int]) -> Operand:
        """Return what an operand repeats once it is broadcast and flattened.

        A tensor gives a one-dimensional CPU tensor, or None if it is not known to repeat; anything
        else is given back as it is.
        """
        if not isinstance(operand, Tensor):
            return operand
        if operand.is_conj() or operand.is_neg():
            return None
        if not self.is_real(operand):
            return self._of_large(operand, out_shape)
        values = self.values(operand)
        if values.numel() == 1:
            return values.reshape(1)
        if values.numel() > LONGEST:
            first = values.reshape(-1)[:1]
            return first.clone() if bool((values == first).all()) else None
        shape = list(values.shape)
        while shape and shape[0] == 1:
            del shape[0]
        if shape and shape != list(out_shape[len(out_shape) - len(shape) :]):
            return None
        return values.reshape(-1)

    def _of_large(self, operand: Tensor, out_shape: Sequence[int]) -> Tensor | None:
        pattern = self.of_storage(operand)
        if pattern is None or pattern.numel() == 1:
            return pattern
        if not operand.is_contiguous() or tuple(operand.shape) != tuple(out_shape):
            return None
        return pattern.roll(-(operand.storage_offset() % pattern.numel()))

    def write(self, tensor: Tensor, pattern: Tensor | None) -> None:
        """Let a tensor that an operator has written repeat this, or be unknown."""
        if self.core.storage_state(tensor) is None:
            return
        if self.is_real(tensor) and pattern is not None and pattern.numel() == 1:
            self.core.alias(tensor).fill_(pattern[0])
        elif pattern is None or not _covers_storage(tensor):
            self.core.set_unknown(tensor)
        elif pattern.numel() == 1 or tensor.is_contiguous():
            self.core.set_pattern(tensor, pattern.detach().to(tensor.dtype).contiguous())
        else:
            self.core.set_unknown(tensor)


def shorten(pattern: Tensor) -> Tensor:
    """Return one element if all are equal."""
    if pattern.numel() > 1 and bool((pattern == pattern[0]).all()):
        return pattern[:1].clone()
    return pattern


def common_period(patterns: Sequence[Tensor]) -> int | None:
    """Return the length after which all repeat together; None if it is too long to keep."""
    period = math.lcm(*(pattern.numel() for pattern in patterns)) if patterns else 1
    return period if period <= LONGEST else None


def _covers_storage(tensor: Tensor) -> bool:
    storage_bytes: int = tensor.untyped_storage().nbytes()
    return tensor.numel() * tensor.element_size() == storage_bytes
