"""The drawn backward graph: edges are judged, pictures and text go to a person."""

import re

from grader.checks.answers import read_values
from grader.checks.drawing import Drawing, expected_shapes, read_drawing
from grader.checks.gradient_runs import EXPECTED, Course, Seen
from grader.checks.student_text import (
    MOST_EXCERPT,
    Piece,
    picture_evidence,
    text_evidence,
    text_pieces,
    without_magics,
)
from grader.checks.view import SectionView
from grader.evidence import BackwardGraph, Evidence, GraphNode, StudentText
from grader.model import Finding, Outcome

_ALL_NEED = ((True, True), (True, True))


_ONE_NEEDS_NONE = ((True, True), (True, False))


_DRAWING_CODE = re.compile(
    r"make_dot|graphviz|networkx|Digraph|torchviz|pydot|next_functions|imshow|Image\("
    r"|\bax\w*\.(?:plot|text|arrow|annotate|scatter)\(|\bplt\.(?:plot|text|arrow|annotate|scatter)\("
)
_ARROWS = re.compile(r"->|→|<-|←|=>|Backward|AccumulateGrad|^\s*[|/\\]", re.MULTILINE)


def judge_drawing(
    names: tuple[str, ...], view: SectionView, chosen: Seen | None, course: Course
) -> Finding:
    """Return whether the backward graph is drawn right, or that a person looks.

    Raises:
        ChildGone: the child ended while it was asked.
    """
    found = read_values(view, names)
    for name in names:
        edges = _as_edges(found.get(name))
        if edges:
            return _judge_edges(name, edges, view, chosen, course)
    for name in names:
        if isinstance(text := found.get(name), str) and text.strip():
            shown = StudentText(where="variable", text=text[: 2 * MOST_EXCERPT])
            return _drawing_to_read((shown,), text)
    pieces = tuple(piece for piece in text_pieces(view) if _may_draw(piece))
    pictures = picture_evidence(view)
    code = [r.cell.source for r in view.ran if _DRAWING_CODE.search(_code(r.cell.source))]
    if not pieces and not pictures and not code:
        return Finding(check="drawing", outcome=Outcome.MISSING, code="gradients.drawing-missing")
    shown_code = tuple(
        StudentText(where="code", text=text[: 2 * MOST_EXCERPT]) for text in code[:2]
    )
    excerpt = "\n\n".join([*(piece.text for piece in pieces), *code])
    return _drawing_to_read((*pictures, *text_evidence(pieces), *shown_code), excerpt)


def _judge_edges(
    name: str,
    edges: list[tuple[str, str]],
    view: SectionView,
    chosen: Seen | None,
    course: Course,
) -> Finding:
    """Return whether a list of edges draws the graph of a sum of two products."""
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
        evidence = (*evidence, EXPECTED)
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
    """Return that a person looks at the drawing."""
    return Finding(
        check="drawing",
        outcome=Outcome.REVIEW,
        code="gradients.drawing-to-read",
        evidence=evidence,
        excerpt=excerpt[:MOST_EXCERPT],
    )
