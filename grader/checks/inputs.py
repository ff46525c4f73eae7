"""Inputs made by hypothesis: derandomized and without database, once a process.

So every submission of every run meets the same cases. Hypothesis is imported where it is used,
since most commands never need it.
"""

import contextlib
import functools
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from grader.sandbox.protocol import Layer
from grader.vgpu.build import default_cache_folder

if TYPE_CHECKING:
    from hypothesis import settings as Settings
    from hypothesis.strategies import SearchStrategy

Row = tuple[float, ...]
Value = TypeVar("Value")

MOST_CALLS = 60
"""Questions that shrinking one failure may ask."""

_ROWS = 48
_TIMES_SHOWN = 2
_MANY = 30
"""Elements of a weight, above which it is one of many."""
_LOW, _HIGH = -1.0, 2.0


def table_rows(inputs: int) -> tuple[Row, ...]:
    """Return the rows of a truth table in the usual order."""
    return tuple(itertools.product((0.0, 1.0), repeat=inputs))


@functools.cache
def mixed_rows(inputs: int) -> tuple[Row, ...]:
    """Return the rows of a truth table in many orders and with repeats, 48 in all."""
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
    """Return networks that show each trait at least twice, small ones first.

    Of many that are generated, the fewest layers are kept that do so: each is built and counted
    for every submission.
    """
    found = collect(network_strategy(), examples=140)
    traits = {network: _traits(network) for network in found if network}
    shown = Counter(trait for each in traits.values() for trait in each)
    wanted = {trait: min(_TIMES_SHOWN, times) for trait, times in shown.items()}
    kept = []
    while any(wanted.values()):
        best = max(traits, key=lambda net: sum(wanted[t] > 0 for t in traits[net]) / (len(net) + 1))
        kept.append(best)
        wanted.update({trait: max(0, wanted[trait] - 1) for trait in traits.pop(best)})
    return tuple(sorted(kept, key=lambda network: (len(network), repr(network))))


def _traits(network: tuple[Layer, ...]) -> frozenset[object]:
    """Return what a counting function could overlook in a network."""
    found: set[object] = set()
    for place, layer in enumerate(network):
        if layer.same_as >= 0:
            found.add((layer.type, "again"))
            continue
        where = "first" if place == 0 else "last" if place == len(network) - 1 else "inner"
        found.add((layer.type, where))
        if layer.type == "sigmoid":
            continue
        found.add((layer.type, layer.bias, layer.frozen))
        if not layer.frozen:
            found |= {("trains", place), ("kernel", layer.kernel)}
        if layer.type in ("linear", "conv"):
            many = layer.inputs * layer.outputs * layer.kernel**2 > _MANY
            found.add(("many", layer.frozen, many))
            found.add((layer.type, "wider", layer.inputs < layer.outputs))
            found.add((layer.type, "narrower", layer.inputs > layer.outputs))
    return frozenset(found)


def network_strategy() -> "SearchStrategy[tuple[Layer, ...]]":
    """Return a strategy for networks: depth, bias, frozen and shared layers, convolutions."""
    from hypothesis import strategies as st

    flag = st.booleans()
    dense = st.sampled_from(["linear", "linear", "sigmoid", "layernorm", "batchnorm"])
    spatial = st.sampled_from(["conv", "conv", "sigmoid", "batchnorm"])

    def layers(kinds: "SearchStrategy[str]") -> "SearchStrategy[list[Layer]]":
        layer = st.builds(
            Layer,
            type=kinds,
            outputs=st.integers(1, 6),
            kernel=st.integers(1, 3),
            bias=flag,
            frozen=flag,
        )
        return st.lists(layer, min_size=1, max_size=6)

    drawn = st.tuples(st.one_of(layers(dense), layers(spatial)), st.integers(1, 6), flag)
    return drawn.map(lambda parts: chained(parts[0], parts[1], share=parts[2]))


def chained(layers: Iterable[Layer], inputs: int, *, share: bool = False) -> tuple[Layer, ...]:
    """Return layers as a network in which each takes what the one before it gives.

    Args:
        layers: kinds, outputs, kernels, biases and which are frozen.
        inputs: features or channels that the first one takes.
        share: use the last layer that gives as much as it takes once more.
    """
    made: list[Layer] = []
    width = inputs
    for layer in layers:
        widens = layer.type in ("linear", "conv")
        changes = {
            "inputs": width,
            "outputs": layer.outputs if widens else width,
            "kernel": layer.kernel if layer.type == "conv" else 1,
            "bias": layer.bias or not widens,
            "frozen": layer.frozen and layer.type != "sigmoid",
            "same_as": -1,
        }
        made.append(msgspec.structs.replace(layer, **changes))
        width = made[-1].outputs
    if share and made[-1].inputs == width and made[-1].type != "sigmoid":
        made.append(msgspec.structs.replace(made[-1], same_as=len(made) - 1))
    return tuple(made)


def simpler_networks(network: tuple[Layer, ...]) -> tuple[tuple[Layer, ...], ...]:
    """Return the networks that are one step simpler than a network."""
    share = any(layer.same_as >= 0 for layer in network)
    own = [layer for layer in network if layer.same_as < 0]
    first = own[0].inputs
    found = []
    if share:
        found.append(chained(own, first))
    for place, layer in enumerate(own):
        before, after = own[:place], own[place + 1 :]
        if before or after:
            found.append(chained([*before, *after], first, share=share))
        steps: dict[str, object] = {"outputs": 1, "bias": True, "frozen": False, "kernel": 1}
        for name, value in steps.items():
            simpler = msgspec.structs.replace(layer, **{name: value})
            found.append(chained([*before, simpler, *after], first, share=share))
    found.append(chained(own, 1, share=share))
    return tuple(dict.fromkeys(each for each in found if each != network))


def make_ahead() -> None:
    """Make the inputs that nearly every submission needs, while there is something to wait for.

    They are kept, so that no child waits for them later.
    """
    for inputs in (1, 2):
        mixed_rows(inputs)
    networks()


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
    from hypothesis.configuration import set_hypothesis_home_dir

    if "HYPOTHESIS_STORAGE_DIRECTORY" not in os.environ:
        # What it remembers of source files would lie in the current folder, which is not ours.
        with contextlib.suppress(RuntimeError):  # the user has no home
            set_hypothesis_home_dir(default_cache_folder() / "hypothesis")
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    return settings(
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=examples,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
