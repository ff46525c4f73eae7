"""Whether a gate's answers come from its weights: the check against tables that were typed in.

Every tensor that the object owns is negated for one question, after which its answers must
differ; where they do not, every tensor is zeroed for another, since a network of odd activations
answers the same with all its weights negated, but not without weights. An object without tensors
may still be a neuron written with plain numbers; a threshold of a weighted sum changes its answer
at most once along any line.
"""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from grader.checks.candidates import GateObject, truth_of
from grader.checks.inputs import lines, table_rows
from grader.checks.outputs import Answer

Verdict = Literal["changed", "unchanged", "raised", "straight", "bent", "none"]


@dataclass(frozen=True, slots=True)
class Weighed:
    """What came of asking about the weights.

    Attributes:
        verdict: ``changed`` or ``unchanged`` by other weights, ``raised`` where it only raised;
            without tensors ``straight`` (at most one flip a line), ``bent`` (more), or ``none``
            where lines say nothing of such a gate.
        tensors: how many were changed.
        restored: whether the answers were as before afterwards.
    """

    verdict: Verdict
    tensors: int = 0
    restored: bool = True


def weigh(gate: GateObject, function: Callable[..., int], inputs: int) -> Weighed:
    """Ask whether the answers of a gate come from its weights.

    Raises:
        ChildGone: the child ended.
    """
    rows = table_rows(inputs)
    own = said(gate.answers, gate)
    changed = gate.ask_changed(rows, "negated")
    if changed.tensors and said(changed.answers, gate) == own:
        changed = gate.ask_changed(rows, "zeroed")
    restored = said(changed.again, gate) == own
    if changed.tensors == 0:
        if gate.dtype or not is_threshold(function, inputs):  # whole numbers lie on no line
            return Weighed("none", restored=restored)
        return Weighed("bent" if _bends(gate, inputs) else "straight", restored=restored)
    verdict: Verdict = "unchanged"
    if said(changed.answers, gate) != own:
        raised = all(answer.kind == "raised" for answer in changed.answers)
        verdict = "raised" if raised else "changed"
    return Weighed(verdict, tensors=changed.tensors, restored=restored)


def said(answers: tuple[Answer, ...], gate: GateObject) -> tuple[int | None, ...]:
    """Return what answers say in the gate's own convention."""
    convention = gate.convention
    return tuple(truth_of(answer, convention) for answer in answers)


@functools.cache
def is_threshold(function: Callable[..., int], inputs: int) -> bool:
    """Tell whether one threshold neuron computes a boolean function of at most three inputs.

    Weights from -2 to 2 and half-integer thresholds reach all such functions of three inputs.
    """
    rows = table_rows(inputs)
    expected = [bool(function(*map(int, row))) for row in rows]
    biases = [half / 2 for half in range(-7, 8, 2)]
    for weights in itertools.product(range(-2, 3), repeat=inputs):
        sums = [sum(w * x for w, x in zip(weights, row, strict=True)) for row in rows]
        if any([total + bias > 0 for total in sums] == expected for bias in biases):
            return True
    return False


def _bends(gate: GateObject, inputs: int) -> bool:
    """Tell whether the answer flips more than once along some line."""
    made = lines(inputs)
    answers = gate.ask(tuple(point for line in made for point in line))
    middle = 0.5 if gate.convention == "0/1" else 0.0
    position = 0
    for line in made:
        part = answers[position : position + len(line)]
        position += len(line)
        sides = [None if a.value != a.value else a.value > middle for a in part]
        if sum(first != second for first, second in itertools.pairwise(sides)) > 1:
            return True
    return False
