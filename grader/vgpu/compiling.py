"""`torch.compile` where there is no compiler: code runs as it is, but not on the device.

What compiled code takes on a card depends on how it was fused, which is not modelled; its results
are those of the code itself.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch

_REFUSAL = "vgpu: torch.compile is not modelled on the virtual GPU"


def compile_nothing(model: Any = None, **options: object) -> Any:
    """Return a function or module that does the same; without one, a decorator.

    Args:
        model: what `torch.compile` takes.
        options: ignored.
    """
    if model is None:
        return compile_nothing
    if isinstance(model, torch.nn.Module):
        model.compile()  # calls this function with the module's own call
        return model
    return _away_from_the_device(model)


def _away_from_the_device(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        given = (*arguments, *named.values())
        if any(isinstance(value, torch.Tensor) and value.is_cuda for value in given):
            raise NotImplementedError(_REFUSAL)
        return function(*arguments, **named)

    return call
