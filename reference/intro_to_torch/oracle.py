"""The right answers of intro-to-torch: plain Python, without torch.

It ships with the package and gives nothing away that a student could hand in: it knows what a gate
answers, but no weights; how many parameters a network has, but no code that counts them in torch.
"""

from collections.abc import Sequence
from itertools import pairwise

LAYER_SIZES = (3, 5, 2)
"""Features between the layers of the networks of the first task."""

ITEM_BYTES = {"float32": 4, "float64": 8, "float16": 2, "int32": 4, "int64": 8}
"""Bytes an element takes, by dtype."""


def not_(x: int) -> int:
    """Return 1 where the input is 0."""
    return 1 - x


def and_(x1: int, x2: int) -> int:
    """Return 1 where both inputs are 1."""
    return min(x1, x2)


def or_(x1: int, x2: int) -> int:
    """Return 1 where any input is 1."""
    return max(x1, x2)


def xor(x1: int, x2: int) -> int:
    """Return 1 where the inputs differ."""
    return (x1 + x2) % 2


def linear_parameters(inputs: int, outputs: int, *, bias: bool = True) -> int:
    """Return the number of weights and biases of a fully connected layer."""
    return outputs * (inputs + int(bias))


def chain_parameters(sizes: Sequence[int]) -> int:
    """Return the number of parameters of fully connected layers in a row.

    Args:
        sizes: features between the layers, so that ``(3, 5, 2)`` is two layers.
    """
    return sum(linear_parameters(before, after) for before, after in pairwise(sizes))


def product_sum_gradients(
    a: float, b: float, c: float, d: float
) -> tuple[float, float, float, float]:
    """Return the partial derivatives of ``a*b + c*d`` by a, b, c and d."""
    return b, a, d, c


def capacity_ratios() -> dict[str, float]:
    """Return how many elements of each dtype fit, as a multiple of those of float32."""
    return {dtype: ITEM_BYTES["float32"] / size for dtype, size in ITEM_BYTES.items()}
