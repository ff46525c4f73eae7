"""Inputs made by hypothesis: derandomized and without database, once a process.

So every submission of every run meets the same cases. Hypothesis is imported where it is used,
since most commands never need it.
"""

import contextlib
import functools
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from grader.sandbox.protocol import Layer

if TYPE_CHECKING:
    from hypothesis import settings as Settings
    from hypothesis.strategies import SearchStrategy

Row = tuple[float, ...]
Value = TypeVar("Value")

MOST_CALLS = 60
"""Questions that shrinking one failure may ask."""

_ROWS = 64
_LOW, _HIGH = -1.0, 2.0


def table_rows(inputs: int) -> tuple[Row, ...]:
    """Return the rows of a truth table in the usual order."""
    return tuple(itertools.product((0.0, 1.0), repeat=inputs))


@functools.cache
def mixed_rows(inputs: int) -> tuple[Row, ...]:
    """Return the rows of a truth table in many orders and with repeats, 64 in all."""
    from hypothesis import strategies

    rows = table_rows(inputs)
    orders = collect(strategies.permutations(rows), examples=8)
    repeats = collect(strategies.lists(strategies.sampled_from(rows), min_size=4), examples=20)
    mixed = [row for pair in zip(orders, repeats, strict=False) for part in pair for row in part]
    return tuple(itertools.islice(itertools.cycle(mixed), _ROWS))


@functools.cache
def lines(inputs: int) -> tuple[tuple[Row, ...], ...]:
    """Return lines through the cube [-1, 2], each as points from one end to the other.

    A single threshold neuron changes its answer at most once along any of them.
    """
    from hypothesis import strategies

    if inputs == 1:
        return (_line((_LOW,), (_HIGH,)),)
    low, high = (_LOW,) * inputs, (_HIGH,) * inputs
    ends = [(low, high)]
    for axis in range(inputs):
        for level in (0.0, 1.0):
            start, end = [level] * inputs, [level] * inputs
            start[axis], end[axis] = _LOW, _HIGH
            ends.append((tuple(start), tuple(end)))
    for total in (0.8125, 1.1875):
        rest = (0.0,) * (inputs - 2)
        ends.append(((_LOW, total - _LOW, *rest), (_HIGH, total - _HIGH, *rest)))
    # A sixteenth beside the quarters, so that hardly a line runs along a boundary, where
    # rounding would decide; and binary fractions, so that the points themselves are exact.
    beside = strategies.tuples(*[strategies.integers(-4, 7).map(_beside_quarter)] * inputs)
    plain = strategies.tuples(*[strategies.integers(-4, 7).map(_quarter)] * inputs)
    pairs = strategies.tuples(beside, plain)
    made = [_line(*pair, steps=32) for pair in collect(pairs, examples=6)]
    return (*(_line(*pair) for pair in ends), *made)


def _quarter(number: int) -> float:
    return number / 4


def _beside_quarter(number: int) -> float:
    return number / 4 + 1 / 16


def _line(start: Row, end: Row, *, steps: int = 24) -> tuple[Row, ...]:
    return tuple(
        tuple(a + (b - a) * step / steps for a, b in zip(start, end, strict=True))
        for step in range(steps + 1)
    )


@functools.cache
def grid(low: float, high: float, side: int) -> tuple[Row, ...]:
    """Return the points of a square grid, row by row from the lowest second coordinate."""
    axis = [low + (high - low) * step / (side - 1) for step in range(side)]
    return tuple((first, second) for second in axis for first in axis)


# ------------------------------------------------------------------ networks


@functools.cache
def networks() -> tuple[tuple[Layer, ...], ...]:
    """Return networks of many kinds, small ones first."""
    found = collect(network_strategy(), examples=60)
    unique = dict.fromkeys(network for network in found if network)
    return tuple(sorted(unique, key=lambda network: (len(network), repr(network))))


def network_strategy() -> "SearchStrategy[tuple[Layer, ...]]":
    """Return a strategy for networks: depth, bias, frozen and shared layers, convolutions."""
    from hypothesis import strategies as st

    small, flag = st.integers(1, 6), st.booleans()
    # The simplest value is what hypothesis shrinks to: with a bias, not frozen, one by one.
    has_bias = flag.map(lambda drop: not drop)
    linear = st.builds(
        Layer,
        type=st.just("linear"),
        inputs=small,
        outputs=small,
        bias=has_bias,
        frozen=flag,
    )
    convolution = st.builds(
        Layer,
        type=st.just("conv"),
        inputs=small,
        outputs=small,
        kernel=st.integers(1, 3),
        bias=has_bias,
        frozen=flag,
    )
    # The size of a normalisation is its `inputs`; both fields hold it, so that either reads right.
    kinds = st.tuples(st.sampled_from(["batchnorm", "layernorm"]), small, flag)
    norm = kinds.map(lambda k: Layer(type=k[0], inputs=k[1], outputs=k[1], frozen=k[2]))  # type: ignore[arg-type]
    sigmoid = st.just(Layer(type="sigmoid"))
    layers = st.lists(st.one_of(linear, sigmoid, norm, convolution), min_size=1, max_size=6)
    shared = st.tuples(layers, st.integers(-1, 4))
    return shared.map(lambda drawn: _share(drawn[0], drawn[1]))


def _share(layers: list[Layer], same_as: int) -> tuple[Layer, ...]:
    """Append a layer that is the same module as an earlier one, where there is such a layer."""
    if not 0 <= same_as < len(layers):
        return tuple(layers)
    first = layers[same_as]
    again = Layer(
        type=first.type,
        inputs=first.inputs,
        outputs=first.outputs,
        kernel=first.kernel,
        bias=first.bias,
        frozen=first.frozen,
        same_as=same_as,
    )
    return (*layers, again)


# ------------------------------------------------------------------ hypothesis


def collect(strategy: "SearchStrategy[Value]", *, examples: int) -> list[Value]:
    """Return examples of a strategy, the same ones in every process."""
    from hypothesis import given

    found: list[Value] = []

    @_settings(examples=examples)
    @given(strategy)
    def keep(value: Value) -> None:
        found.append(value)

    keep()
    return found


def smallest(
    strategy: "SearchStrategy[Value]",
    fails: Callable[[Value], bool],
    *,
    size: Callable[[Value], object],
    known: Value | None = None,
) -> Value | None:
    """Return the smallest value found for which `fails`, asking at most `MOST_CALLS` times.

    `fails` asks a student's code, which may answer differently from time to time, so the smallest
    failure is remembered here and hypothesis's own verdict is not needed.

    Args:
        strategy: where to look.
        fails: the property; what it raises is raised here, and ends the search.
        size: values are compared by it.
        known: a failing value that is known already.
    """
    from hypothesis import find
    from hypothesis.errors import HypothesisException

    best, calls = known, 0
    problem: BaseException | None = None

    def condition(value: Value) -> bool:
        nonlocal best, calls, problem
        if problem is not None or calls >= MOST_CALLS:
            return False
        calls += 1
        try:
            failing = fails(value)
        except Exception as error:  # noqa: BLE001  # carried past hypothesis, which would replay it
            problem = error
            return False
        if failing and (best is None or size(value) < size(best)):  # type: ignore[operator]
            best = value
        return failing

    # Where none is found, or the student's code is not repeatable, `best` is what counts.
    with contextlib.suppress(HypothesisException):
        find(strategy, condition, settings=_settings(examples=MOST_CALLS, shrink=True))
    if problem is not None:
        raise problem
    return best


def _settings(*, examples: int, shrink: bool = False) -> "Settings":
    from hypothesis import HealthCheck, Phase, settings

    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    return settings(
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=examples,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
