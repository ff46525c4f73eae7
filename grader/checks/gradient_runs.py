"""Backward runs of a section: what each was, and the tensors that live at its end."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from grader.checks.graph import (
    Products,
    Unclear,
    find_products,
    read_polynomial,
)
from grader.checks.view import SectionView
from grader.evidence import BackwardGraph, GraphNode
from grader.sandbox.protocol import BackwardRun, NamedTensor, ReadGradients, TensorFact
from grader.sandbox.protocol import Gradients as LivingGradients

_READS = re.compile(r"\.grad\b(?!\s*(?:=(?!=)|\.zero_|is\b))")
_TOLERANCE = {"float16": 1e-2, "bfloat16": 3e-2}


@dataclass(frozen=True, slots=True)
class Seen:
    """A backward run, and what it was.

    Attributes:
        cell: index of its code cell.
        run: the record.
        products: the two products it is the sum of, None where it is not.
        unclear: what was not understood, empty where it was.
    """

    cell: int
    run: BackwardRun
    products: Products | None
    unclear: str = ""

    @property
    def facts(self) -> dict[int, TensorFact]:
        """The record's tensors by id."""
        return {fact.id: fact for fact in self.run.tensors}

    def needs(self) -> tuple[tuple[bool, bool], tuple[bool, bool]]:
        """Return for both factors of both products whether they need a gradient."""
        assert self.products is not None
        facts = self.facts
        (a, b), (c, d) = self.products.pairs
        return (
            (facts[a].requires_grad, facts[b].requires_grad),
            (facts[c].requires_grad, facts[d].requires_grad),
        )


@dataclass(frozen=True, slots=True)
class Course:
    """All that is known of a section's gradients.

    Attributes:
        seen: the runs, in order.
        living: the section's tensors that live at its end.
        whole: whether every run was kept.
        looked: indices of the code cells in which gradients are read.
    """

    seen: tuple[Seen, ...]
    living: tuple[NamedTensor, ...]
    whole: bool
    looked: tuple[int, ...] = ()

    def name(self, number: int) -> str:
        """Return the name of a tensor, or its number where it has none any more."""
        names = [tensor.name for tensor in self.living if tensor.fact.id == number]
        return names[0] if names else f"#{number}"


def observe(view: SectionView) -> Course:
    """Read the section's runs and ask which of its tensors live.

    Raises:
        ChildGone: the child ended while it was asked.
    """
    seen = []
    whole = True
    for ran in view.ran:
        if ran.done is not None:
            seen += [_read_run(run, ran.cell.index or 0) for run in ran.done.backward]
            whole = whole and ran.done.backward_count <= len(ran.done.backward)
    living: tuple[NamedTensor, ...] = ()
    bound = {name.name for name in view.bound()}
    if view.child is not None and bound:
        reply = view.child.ask(ReadGradients(file=view.file), LivingGradients)
        living = tuple(tensor for tensor in reply.tensors if tensor.name in bound)
    looked = tuple(ran.cell.index or 0 for ran in view.ran if _READS.search(ran.cell.source))
    return Course(tuple(seen), living, whole, looked)


def _read_run(run: BackwardRun, cell: int) -> Seen:
    facts = {fact.id: fact for fact in run.tensors}
    try:
        return Seen(cell, run, find_products(read_polynomial(run), facts))
    except Unclear as unclear:
        return Seen(cell, run, None, str(unclear))


def choose(seen: Sequence[Seen]) -> Seen | None:
    """Return the run to judge: the last right one, else the last that is not another for sure."""
    ended = [item for item in seen if not item.run.failed] or list(seen)
    for wanted in (
        [item for item in ended if item.products is not None],
        [item for item in ended if item.unclear],
        ended,
    ):
        if wanted:
            return wanted[-1]
    return None


def shown_nodes(run: BackwardRun) -> str:
    """Return the names of a graph's first operations."""
    names = [node.name.rpartition("::")[2] for node in run.nodes[:12]]
    return ", ".join(name for name in names if name != "AccumulateGrad")[:300]


def recorded(seen: Seen, course: Course) -> BackwardGraph:
    """Return a run's graph as evidence."""
    facts = seen.facts
    nodes, edges = [], []
    for node in seen.run.nodes:
        fact = facts.get(node.tensor)
        leaf = fact is not None
        arrived = seen.run.after.get(node.tensor)
        nodes.append(
            GraphNode(
                id=node.id,
                name=course.name(node.tensor) if leaf else node.name.rpartition("::")[2],
                leaf=leaf,
                value=shown_values(fact.values) if fact is not None else "",
                grad=shown_values(arrived) if leaf else "",
            )
        )
        edges += [(node.id, to, "") for to in node.inputs if to >= 0]
    return BackwardGraph(role="recorded", nodes=tuple(nodes), edges=tuple(edges))


EXPECTED = BackwardGraph(
    role="expected",
    nodes=(
        GraphNode(id=0, name="AddBackward0"),
        GraphNode(id=1, name="MulBackward0"),
        GraphNode(id=2, name="MulBackward0"),
        GraphNode(id=3, name="a", leaf=True, grad="b"),
        GraphNode(id=4, name="b", leaf=True, grad="a"),
        GraphNode(id=5, name="c", leaf=True, grad="d"),
        GraphNode(id=6, name="d", leaf=True, grad="c"),
    ),
    edges=((0, 1, "1"), (0, 2, "1"), (1, 3, "b"), (1, 4, "a"), (2, 5, "d"), (2, 6, "c")),
)


def close(actual: Sequence[float], expected: Sequence[float], dtype: str = "float32") -> bool:
    """Tell whether numbers agree, within the precision of a dtype."""
    tolerance = _TOLERANCE.get(dtype, 1e-4)
    return len(actual) == len(expected) and all(
        math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-6)
        for a, b in zip(actual, expected, strict=True)
    )


def as_numbers(texts: Sequence[str]) -> tuple[float, ...]:
    """Return numbers that came as text; NaN for what is none."""
    found = []
    for text in texts:
        try:
            found.append(float(text))
        except ValueError:
            found.append(math.nan)
    return tuple(found)


def shown_values(texts: Sequence[str] | None) -> str:
    """Return values that came as text for people to read."""
    if texts is None:
        return "None"
    return shown_numbers(as_numbers(texts))


def shown_numbers(numbers: Sequence[float] | None) -> str:
    """Return numbers for people to read; ``None`` where there are none."""
    if numbers is None:
        return "None"
    shown = [f"{number:.6g}" for number in numbers]
    return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"
