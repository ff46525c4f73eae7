"""Which functions of Python and PyTorch student code has put its own in place of.

Our own code does not use them (`untouched.py`), so nothing is gained by it; the instructor is told.
"""

import builtins
import operator
from collections.abc import Mapping

import torch

from grader.sandbox.untouched import Foreign, shield

shield(globals())

_TORCH = (
    "abs", "all", "allclose", "any", "empty", "eq", "equal", "heaviside", "is_tensor", "isclose",
    "isnan", "matmul", "max", "mean", "min", "mul", "neg", "ones", "rand", "randn", "round",
    "sigmoid", "sum", "tensor", "where", "zeros",
)  # fmt: skip
_TENSOR = (
    "__add__", "__bool__", "__eq__", "__float__", "__ge__", "__gt__", "__int__", "__le__",
    "__lt__", "__mul__", "__ne__", "allclose", "backward", "clone", "cpu", "detach", "equal",
    "float", "grad", "item", "neg_", "numpy", "requires_grad_", "tolist",
)  # fmt: skip
_SHELL = frozenset({"_", "__builtins__", "display", "get_ipython", "input"})
_MOST = 20
_is_not = operator.is_not

_PLACES: tuple[tuple[str, Foreign, tuple[str, ...]], ...] = (
    ("builtins", builtins, tuple(name for name in vars(builtins) if name not in _SHELL)),
    ("torch", torch, _TORCH),
    ("torch.Tensor", torch.Tensor, _TENSOR),
    ("torch.autograd", torch.autograd, ("backward", "grad")),
    ("torch.nn.Module", torch.nn.Module, ("__call__", "parameters", "named_parameters")),
)


class Replaced:
    """Compares what stands under well-known names with what stood there at first."""

    def __init__(self) -> None:
        self._places = [
            (place, vars(owner), tuple(names), _values_of(vars(owner), names))
            for place, owner, names in _PLACES
        ]

    def names(self) -> tuple[str, ...]:
        """Return the dotted names under which something else stands now, the first few."""
        found: list[str] = []
        for place, held, names, before in self._places:
            now = _values_of(held, names)
            if any(map(_is_not, now, before)):
                pairs = zip(names, now, before, strict=True)
                found += [f"{place}.{name}" for name, value, was in pairs if value is not was]
        return tuple(found[:_MOST])


def _values_of(held: Mapping[str, Foreign], names: tuple[str, ...]) -> tuple[Foreign, ...]:
    """Return what stands under names, None where there is nothing."""
    return tuple(map(held.get, names))
