"""`torch.compile` where there is no compiler: code runs as it is, but not on the device.

What compiled code takes on a card depends on how it was fused, which is not modelled; its results
are those of the code itself.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import torch

from grader.vgpu.refusals import refuse

_refuse_device = refuse("torch.compile")


def compile_nothing(model: Any = None, **options: object) -> Any:
    """Return a function that does the same, a module or class as it is; without one, a decorator.

    Args:
        model: what `torch.compile` takes.
        options: ignored.

    Raises:
        NotImplementedError: the module is on the device.
    """
    if model is None:
        return compile_nothing
    if isinstance(model, torch.nn.Module):
        held = itertools.chain(model.parameters(), model.buffers())
        if any(tensor.is_cuda for tensor in held):
            _refuse_device()
        return model
    return model if isinstance(model, type) else _away_from_the_device(model)


def _away_from_the_device(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        given = (*arguments, *named.values())
        if any(isinstance(value, torch.Tensor) and value.is_cuda for value in given):
            _refuse_device()
        return function(*arguments, **named)

    return call
