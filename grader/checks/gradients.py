"""Gradients of a sum of two products, from what the student's code ran backward.

What counts is the recorded graph and the gradients that arrived at the student's own tensors, not
what was printed; the drawn graph is judged where it is a list of edges.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from grader.checks.answers import find_attempt, find_failure
from grader.checks.gradient_drawing import judge_drawing
from grader.checks.gradient_runs import (
    EXPECTED,
    Course,
    Seen,
    choose,
    observe,
    recorded,
    shown_nodes,
)
from grader.checks.gradient_values import judge_values
from grader.checks.view import SectionView
from grader.model import Finding, Outcome, Task


@dataclass(frozen=True, slots=True)
class Gradients:
    """Gradients of a*b + c*d, and its backward graph.

    Attributes:
        drawing_names: variables in which the handout asks for the edges of the graph.
    """

    drawing_names: tuple[str, ...] = ("backward_edges",)

    has_parts: ClassVar[bool] = False

    @property
    def check_ids(self) -> tuple[str, ...]:
        """Ids of the checks it judges."""
        return ("graph", "values", "drawing")

    def judge(self, task: Task, view: SectionView) -> list[Finding]:
        """Return one finding for each check of `task`."""
        course = observe(view)
        chosen = choose(course.seen)
        if chosen is None:
            reason = _without_run(view, course)
            findings = [replace(reason, check="graph"), replace(reason, check="values")]
        else:
            graph = _judge_graph(chosen, course)
            findings = [graph, judge_values(chosen, course, graph)]
        return [*findings, judge_drawing(self.drawing_names, view, chosen, course)]


def _without_run(view: SectionView, course: Course) -> Finding:
    """Return why nothing ran backward."""
    by_hand = [tensor for tensor in course.living if tensor.grad is not None]
    if by_hand:
        return Finding(
            check="",
            outcome=Outcome.FAILED,
            code="gradients.by-hand",
            values={"names": ", ".join(tensor.name for tensor in by_hand)[:200]},
            cells=_cells_of(view, by_hand[0].name),
        )
    failure = find_failure(view)
    if failure is not None and failure.outcome is not Outcome.REVIEW:
        return failure
    asking = [tensor for tensor in course.living if tensor.fact.requires_grad]
    tensors = any(name.kind == "tensor" for name in view.bound())
    if asking or (tensors and not course.living):
        names = [tensor.name for tensor in asking]
        return Finding(
            check="",
            outcome=Outcome.FAILED,
            code="gradients.forgotten",
            values={"names": ", ".join(names)[:200]},
            cells=_cells_of(view, names[0]) if names else (),
        )
    if failure is not None:
        return failure
    if tensors:
        return Finding(check="", outcome=Outcome.FAILED, code="gradients.no-gradient-required")
    missing = Finding(check="", outcome=Outcome.MISSING, code="gradients.missing")
    return find_attempt(view) or missing


def _cells_of(view: SectionView, name: str) -> tuple[int, ...]:
    cell = view.where(name)
    return (cell,) if cell else ()


def _judge_graph(seen: Seen, course: Course) -> Finding:
    values = {"cell": str(seen.cell)}
    if seen.run.failed:
        outcome, code = Outcome.RAISED, "gradients.backward-raised"
        values["error"] = seen.run.failed
    elif seen.unclear:
        outcome, code = Outcome.REVIEW, "gradients.unclear-graph"
        values["node"] = seen.unclear
    elif seen.products is None:
        outcome, code = Outcome.FAILED, "gradients.other-expression"
        values["nodes"] = shown_nodes(seen.run)
    elif _has_number_factor(seen, course):
        outcome, code = Outcome.REVIEW, "gradients.number-factor"
    else:
        outcome, code = Outcome.PASSED, "gradients.right-graph"
    evidence = [recorded(seen, course)]
    if outcome is not Outcome.PASSED:
        evidence.append(EXPECTED)
    return Finding(
        check="graph",
        outcome=outcome,
        code=code,
        values=values,
        evidence=tuple(evidence),
        cells=(seen.cell,) if seen.cell else (),
        excerpt=shown_nodes(seen.run) if outcome is Outcome.REVIEW else "",
    )


def _has_number_factor(seen: Seen, course: Course) -> bool:
    """Tell whether a factor is a plain number and no tensor of the student's."""
    assert seen.products is not None
    named = {tensor.fact.id for tensor in course.living}
    ids = {number for pair in seen.products.pairs for number in pair}
    return bool(named & ids) and any(
        seen.facts[number].shape == ()
        and not seen.facts[number].requires_grad
        and number not in named
        for number in ids
    )
