"""Whether gradients are right for the tensors' own values, and if not, what went wrong."""

import math
from collections.abc import Mapping
from dataclasses import replace

from grader.checks.gradient_runs import Course, Seen, as_numbers, close, shown_numbers, shown_values
from grader.checks.graph import (
    gradient,
)
from grader.evidence import GradientTable
from grader.model import Finding, Outcome
from grader.sandbox.protocol import TensorFact


def judge_values(seen: Seen, course: Course, graph: Finding) -> Finding:
    """Return whether the gradients of a run are right, and what went wrong if not."""
    if seen.products is None:
        by_hand = _set_by_hand(seen, course)
        if graph.outcome is Outcome.REVIEW:
            return replace(graph, check="values", code="gradients.values-to-read", evidence=())
        if by_hand and graph.outcome is Outcome.FAILED:
            names = {"names": ", ".join(by_hand)}
            return Finding("values", Outcome.FAILED, "gradients.by-hand", values=names)
        return Finding("values", Outcome.NOT_RUN, "gradients.values-wait")
    facts = seen.facts
    ids = [number for pair in seen.products.pairs for number in pair]
    expected = {
        number: gradient(seen.products.polynomial, facts[number], facts)
        if facts[number].requires_grad
        else None
        for number in ids
    }
    after = _arrived(seen, course)
    outcome, code, values = _verdict(seen, course, expected, after)
    earlier = _seen_before(seen, course) if code == "gradients.accumulated" else None
    if earlier is not None:
        return judge_values(earlier, course, graph)
    shows_living = code == "gradients.by-hand"
    living = {tensor.fact.id: tensor.grad for tensor in course.living}
    table = GradientTable(
        rows=tuple(
            (
                course.name(number),
                shown_values(facts[number].values),
                facts[number].requires_grad,
                shown_numbers(expected[number]),
                shown_values(living.get(number) if shows_living else after.get(number)),
            )
            for number in ids
        )
    )
    if graph.outcome is Outcome.REVIEW and outcome is Outcome.PASSED:
        outcome, code = Outcome.REVIEW, "gradients.values-to-read"
    return Finding(
        check="values",
        outcome=outcome,
        code=code,
        values=values,
        evidence=(table,),
        cells=(seen.cell,) if seen.cell else (),
        excerpt=_shown_table(table) if outcome is Outcome.REVIEW else "",
    )


def _seen_before(seen: Seen, course: Course) -> Seen | None:
    """Return an earlier run whose gradients were read before a later cell added to them.

    Some show right gradients first, and then how a second `backward` adds up.
    """
    assert seen.products is not None
    same = {frozenset(pair) for pair in seen.products.pairs}
    for item in course.seen:
        if item is seen or item.products is None or item.run.failed or item.cell >= seen.cell:
            continue
        if {frozenset(pair) for pair in item.products.pairs} == same and any(
            item.cell <= cell < seen.cell for cell in course.looked
        ):
            return item
    return None


def _arrived(seen: Seen, course: Course) -> dict[int, tuple[str, ...]]:
    """Return the gradients after the run; of `torch.autograd.grad` those of all runs like it."""
    if seen.run.how != "grad":
        return dict(seen.run.after)
    assert seen.products is not None
    same = {frozenset(pair) for pair in seen.products.pairs}
    found: dict[int, tuple[str, ...]] = {}
    for item in course.seen:
        if item.run.how == "grad" and item.products is not None and not item.run.failed:
            pairs = {frozenset(pair) for pair in item.products.pairs}
            found |= item.run.after if pairs == same else {}
    return found


def _verdict(
    seen: Seen,
    course: Course,
    expected: Mapping[int, tuple[float, ...] | None],
    after: Mapping[int, tuple[str, ...]],
) -> tuple[Outcome, str, dict[str, str]]:
    facts = seen.facts
    wanted = {number: right for number, right in expected.items() if right is not None}
    absent = [number for number in wanted if number not in after]
    wrong = [
        number
        for number, right in wanted.items()
        if number in after and not close(as_numbers(after[number]), right, facts[number].dtype)
    ]
    if not wrong:
        by_hand = _set_by_hand(seen, course)
        if by_hand:
            return Outcome.FAILED, "gradients.by-hand", {"names": ", ".join(by_hand)[:200]}
        if absent:
            names = ", ".join(course.name(number) for number in absent)
            return Outcome.REVIEW, "gradients.not-all", {"names": names}
        return Outcome.PASSED, "gradients.right-values", {}
    values = {"names": ", ".join(course.name(number) for number in wrong)[:200]}
    before = seen.run.before
    fresh = {
        number: tuple(
            a - b
            for a, b in zip(
                as_numbers(after[number]),
                as_numbers(before.get(number, ())) or (0.0,) * len(after[number]),
                strict=False,
            )
        )
        for number in wanted
        if number in after
    }
    if all(close(fresh[n], wanted[n], facts[n].dtype) for n in fresh):
        if all(n not in before or _explained(n, before[n], seen, course) for n in wrong):
            return Outcome.FAILED, "gradients.accumulated", values
        return Outcome.FAILED, "gradients.by-hand", values
    if _in_proportion(fresh, wanted, facts):
        return Outcome.REVIEW, "gradients.weighted", values
    return Outcome.FAILED, "gradients.wrong-values", values


def _explained(number: int, before: tuple[str, ...], seen: Seen, course: Course) -> bool:
    """Tell whether a gradient that was there before a run came from an earlier run."""
    if not course.whole:
        return True
    for item in course.seen:
        if item is seen:
            break
        if item.run.how == "backward" and item.run.after.get(number) == before:
            return True
    return not any(as_numbers(before))


def _set_by_hand(seen: Seen, course: Course) -> list[str]:
    """Return the names of tensors whose gradient is none that a run left there, nor zero."""
    if not course.whole:
        return []
    last: dict[int, tuple[str, ...]] = {}
    for item in course.seen:
        if item.run.how == "backward":
            last |= item.run.after
    involved = {fact.id for fact in seen.run.tensors}
    return [
        tensor.name
        for tensor in course.living
        if tensor.fact.id in involved
        and tensor.grad is not None
        and any(as_numbers(tensor.grad))
        and not close(as_numbers(tensor.grad), as_numbers(last.get(tensor.fact.id, ())))
    ]


def _in_proportion(
    actual: Mapping[int, tuple[float, ...]],
    expected: Mapping[int, tuple[float, ...]],
    facts: Mapping[int, TensorFact],
) -> bool:
    """Tell whether all gradients are the right ones times one number (`gradient=` was given).

    For tensors of several elements there may be one number an element.
    """
    factors: dict[int, float] = {}
    for number, right in expected.items():
        for place, value in enumerate(right):
            if number in actual and place < len(actual[number]) and value != 0:
                factor = actual[number][place] / value
                known = factors.setdefault(place, factor)
                if not math.isclose(known, factor, rel_tol=1e-3) or factor == 0:
                    return False
    return bool(factors)


def _shown_table(table: GradientTable) -> str:
    return "\n".join(f"{row[0]}.grad: {row[4]} ({row[3]})" for row in table.rows)
