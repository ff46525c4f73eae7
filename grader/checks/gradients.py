"""Gradients of a sum of two products, from what the student's code ran backward.

What counts is the recorded graph and the gradients that arrived at the student's own tensors, not
what was printed; the drawn graph is judged where it is a list of edges.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from grader.checks.answers import find_failure, read_values
from grader.checks.drawing import Drawing, expected_shapes, read_drawing
from grader.checks.graph import (
    Products,
    Unclear,
    find_products,
    gradient,
    read_polynomial,
)
from grader.checks.student_text import (
    MOST_EXCERPT,
    Piece,
    picture_evidence,
    text_evidence,
    text_pieces,
    without_magics,
)
from grader.checks.view import SectionView
from grader.evidence import BackwardGraph, Evidence, GradientTable, GraphNode, StudentText
from grader.model import Finding, Outcome, Task
from grader.sandbox.protocol import BackwardRun, NamedTensor, ReadGradients, TensorFact
from grader.sandbox.protocol import Gradients as LivingGradients

_ALL_NEED = ((True, True), (True, True))
_ONE_NEEDS_NONE = ((True, True), (True, False))
_DRAWING_CODE = re.compile(r"make_dot|graphviz|networkx|Digraph|torchviz|imshow|Image\(")
_ARROWS = re.compile(r"->|→|<-|←|=>|Backward|AccumulateGrad|^\s*[|/\\]", re.MULTILINE)
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
    """

    seen: tuple[Seen, ...]
    living: tuple[NamedTensor, ...]
    whole: bool

    def name(self, number: int) -> str:
        """Return the name of a tensor, or its number where it has none any more."""
        names = [tensor.name for tensor in self.living if tensor.fact.id == number]
        return names[0] if names else f"#{number}"


@dataclass(frozen=True, slots=True)
class Gradients:
    """Gradients of a*b + c*d, and its backward graph.

    Attributes:
        drawing_names: variables in which the handout asks for the edges of the graph.
    """

    drawing_names: tuple[str, ...] = ("backward_edges",)

    @property
    def check_ids(self) -> tuple[str, ...]:
        """Ids of the checks it judges."""
        return ("graph", "values", "drawing")

    def judge(self, task: Task, view: SectionView) -> list[Finding]:
        """Return one finding for each check of `task`."""
        course = _observe(view)
        chosen = _choose(course.seen)
        if chosen is None:
            reason = _without_run(view, course)
            findings = [replace(reason, check="graph"), replace(reason, check="values")]
        else:
            graph = _judge_graph(chosen, course)
            findings = [graph, _judge_values(chosen, course, graph)]
        return [*findings, self._judge_drawing(view, chosen, course)]

    # -------------------------------------------------------------- the drawing

    def _judge_drawing(self, view: SectionView, chosen: Seen | None, course: Course) -> Finding:
        found = read_values(view, self.drawing_names)
        for name in self.drawing_names:
            edges = _as_edges(found.get(name))
            if edges:
                return _judge_edges(name, edges, view, chosen, course)
        for name in self.drawing_names:
            if isinstance(text := found.get(name), str) and text.strip():
                shown = StudentText(where="variable", text=text[: 2 * MOST_EXCERPT])
                return _drawing_to_read((shown,), text)
        pieces = tuple(piece for piece in text_pieces(view) if _may_draw(piece))
        pictures = picture_evidence(view)
        code = [r.cell.source for r in view.ran if _DRAWING_CODE.search(_code(r.cell.source))]
        if not pieces and not pictures and not code:
            return Finding(
                check="drawing", outcome=Outcome.MISSING, code="gradients.drawing-missing"
            )
        shown_code = tuple(
            StudentText(where="code", text=text[: 2 * MOST_EXCERPT]) for text in code[:2]
        )
        excerpt = "\n\n".join([*(piece.text for piece in pieces), *code])
        return _drawing_to_read((*pictures, *text_evidence(pieces), *shown_code), excerpt)


# ------------------------------------------------------------------ what ran


def _observe(view: SectionView) -> Course:
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
    return Course(tuple(seen), living, whole)


def _read_run(run: BackwardRun, cell: int) -> Seen:
    facts = {fact.id: fact for fact in run.tensors}
    try:
        return Seen(cell, run, find_products(read_polynomial(run), facts))
    except Unclear as unclear:
        return Seen(cell, run, None, str(unclear))


def _choose(seen: Sequence[Seen]) -> Seen | None:
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
    return Finding(check="", outcome=Outcome.MISSING, code="gradients.missing")


def _cells_of(view: SectionView, name: str) -> tuple[int, ...]:
    cell = view.where(name)
    return (cell,) if cell else ()


# ------------------------------------------------------------------ graph


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
        values["nodes"] = _shown_nodes(seen.run)
    elif _has_number_factor(seen, course):
        outcome, code = Outcome.REVIEW, "gradients.number-factor"
    else:
        outcome, code = Outcome.PASSED, "gradients.right-graph"
    evidence = [_recorded(seen, course)]
    if outcome is not Outcome.PASSED:
        evidence.append(_EXPECTED)
    return Finding(
        check="graph",
        outcome=outcome,
        code=code,
        values=values,
        evidence=tuple(evidence),
        cells=(seen.cell,) if seen.cell else (),
        excerpt=_shown_nodes(seen.run) if outcome is Outcome.REVIEW else "",
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


def _shown_nodes(run: BackwardRun) -> str:
    names = [node.name.rpartition("::")[2] for node in run.nodes[:12]]
    return ", ".join(name for name in names if name != "AccumulateGrad")[:300]


def _recorded(seen: Seen, course: Course) -> BackwardGraph:
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
                value=_shown(fact.values) if fact is not None else "",
                grad=_shown(arrived) if leaf else "",
            )
        )
        edges += [(node.id, to, "") for to in node.inputs if to >= 0]
    return BackwardGraph(role="recorded", nodes=tuple(nodes), edges=tuple(edges))


_EXPECTED = BackwardGraph(
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


# ------------------------------------------------------------------ values


def _judge_values(seen: Seen, course: Course, graph: Finding) -> Finding:
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
    shows_living = code == "gradients.by-hand"
    living = {tensor.fact.id: tensor.grad for tensor in course.living}
    table = GradientTable(
        rows=tuple(
            (
                course.name(number),
                _shown(facts[number].values),
                facts[number].requires_grad,
                _shown_numbers(expected[number]),
                _shown(living.get(number) if shows_living else after.get(number)),
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
        if number in after and not _close(_numbers(after[number]), right, facts[number].dtype)
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
                _numbers(after[number]),
                _numbers(before.get(number, ())) or (0.0,) * len(after[number]),
                strict=False,
            )
        )
        for number in wanted
        if number in after
    }
    if all(_close(fresh[n], wanted[n], facts[n].dtype) for n in fresh):
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
    return not any(_numbers(before))


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
        and any(_numbers(tensor.grad))
        and not _close(_numbers(tensor.grad), _numbers(last.get(tensor.fact.id, ())))
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


def _close(actual: Sequence[float], expected: Sequence[float], dtype: str = "float32") -> bool:
    tolerance = _TOLERANCE.get(dtype, 1e-4)
    return len(actual) == len(expected) and all(
        math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-6)
        for a, b in zip(actual, expected, strict=True)
    )


def _numbers(texts: Sequence[str]) -> tuple[float, ...]:
    found = []
    for text in texts:
        try:
            found.append(float(text))
        except ValueError:
            found.append(math.nan)
    return tuple(found)


def _shown(texts: Sequence[str] | None) -> str:
    if texts is None:
        return "None"
    return _shown_numbers(_numbers(texts))


def _shown_numbers(numbers: Sequence[float] | None) -> str:
    if numbers is None:
        return "None"
    shown = [f"{number:.6g}" for number in numbers]
    return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"


def _shown_table(table: GradientTable) -> str:
    return "\n".join(f"{row[0]}.grad: {row[4]} ({row[3]})" for row in table.rows)


# ------------------------------------------------------------------ drawn graphs


def _judge_edges(
    name: str,
    edges: list[tuple[str, str]],
    view: SectionView,
    chosen: Seen | None,
    course: Course,
) -> Finding:
    right = chosen if chosen is not None and chosen.products is not None else None
    needs = {right.needs()} if right is not None else {_ALL_NEED, _ONE_NEEDS_NONE}
    shown = "\n".join(f"{start} -> {end}" for start, end in edges[:60])
    values = {"graded_name": name, "graded_type": "", "graded_cell": str(view.where(name))}
    drawing = read_drawing(edges)
    if len(set(edges)) < len(edges):
        outcome, code = Outcome.REVIEW, "gradients.drawing-repeats"
    elif drawing is None or not any(drawing.shape() in expected_shapes(n) for n in needs):
        outcome, code = Outcome.FAILED, "gradients.drawing-differs"
    elif right is not None and not _labels_agree(drawing, right, course):
        outcome, code = Outcome.FAILED, "gradients.drawing-leaves"
    else:
        outcome, code = Outcome.PASSED, "gradients.drawing-right"
    evidence: tuple[Evidence, ...] = (_drawn(edges),)
    if outcome is not Outcome.PASSED:
        evidence = (*evidence, _EXPECTED)
    return Finding(
        check="drawing",
        outcome=outcome,
        code=code,
        values=values,
        evidence=evidence,
        excerpt=shown[:MOST_EXCERPT] if outcome is Outcome.REVIEW else "",
    )


def _labels_agree(drawing: Drawing, right: Seen, course: Course) -> bool:
    """Tell whether leaves labelled with the names of the student's tensors hang in pairs."""
    assert right.products is not None
    ids = {
        tensor.name: tensor.fact.id
        for tensor in course.living
        if any(tensor.fact.id in pair for pair in right.products.pairs)
    }
    groups = drawing.groups()
    if not all(label in ids for group in groups for label in group):
        return True
    facts = right.facts
    drawn = [{ids[label] for label in group} for group in groups]
    return all(
        any(
            {number for number in pair if facts[number].requires_grad} <= group <= set(pair)
            for group in drawn
        )
        for pair in right.products.pairs
    )


def _drawn(edges: list[tuple[str, str]]) -> BackwardGraph:
    labels = list(dict.fromkeys(label for edge in edges for label in edge))
    numbers = {label: number for number, label in enumerate(labels)}
    starts = {start for start, _ in edges}
    return BackwardGraph(
        role="drawn",
        nodes=tuple(
            GraphNode(id=number, name=label, leaf=label not in starts)
            for label, number in numbers.items()
        ),
        edges=tuple((numbers[start], numbers[end], "") for start, end in edges),
    )


def _as_edges(value: object) -> list[tuple[str, str]]:
    """Return edges from a list of pairs, or from a dict of a node's neighbours."""
    if isinstance(value, dict):
        value = [
            [start, end]
            for start, ends in value.items()
            for end in (ends if isinstance(ends, list | tuple) else [ends])
        ]
    if not isinstance(value, list | tuple):
        return []
    return [
        (str(pair[0])[:80], str(pair[1])[:80])
        for pair in value[:200]
        if isinstance(pair, list | tuple) and len(pair) >= 2
    ]


def _may_draw(piece: Piece) -> bool:
    return piece.where == "markdown" or _ARROWS.search(piece.text) is not None


def _code(source: str) -> str:
    return "\n".join(line.partition("#")[0] for line in without_magics(source).split("\n"))


def _drawing_to_read(evidence: tuple[Evidence, ...], excerpt: str) -> Finding:
    return Finding(
        check="drawing",
        outcome=Outcome.REVIEW,
        code="gradients.drawing-to-read",
        evidence=evidence,
        excerpt=excerpt[:MOST_EXCERPT],
    )
