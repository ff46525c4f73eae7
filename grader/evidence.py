"""What a check can show: data that say why it ended as it did, drawn by reports.

Numbers that may be NaN or infinite are text, because JSON has neither. Student-controlled text
appears only in fields named `text`, `name`, `source`, `shown` or `values`; reports clean it.
"""

from typing import Any

import msgspec


class TruthTable(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="truth-table"):
    """A gate's answers beside the right ones, row by row.

    Attributes:
        inputs: names of the inputs, ``("x1", "x2")``.
        rows: inputs of each row.
        expected: right answer of each row, 0 or 1.
        actual: the student's answer of each row as text; ``""`` where it was not asked.
        convention: ``0/1`` or ``-1/+1``.
        form: how the object takes its inputs: ``vector``, ``batch``, ``scalars`` or ``numbers``.
    """

    inputs: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]
    expected: tuple[int, ...]
    actual: tuple[str, ...]
    convention: str = "0/1"
    form: str = "vector"


class DecisionLine(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="decision-regions"
):
    """The answers of a two-input gate on a square grid over [low, high] x [low, high].

    Attributes:
        low: smallest coordinate of the grid.
        high: largest coordinate.
        side: points along each axis.
        answers: ``side * side`` characters, row by row from x2 = low: ``1``, ``0``, or ``?``.
    """

    low: float
    high: float
    side: int
    answers: str


class Counterexample(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="counterexample"
):
    """The smallest input found on which the answer is wrong, with a line to paste.

    Attributes:
        source: Python that shows it in the student's own notebook.
        expected: what it should print.
        actual: what it prints.
    """

    source: str
    expected: str
    actual: str


class ParameterTable(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="parameter-table"
):
    """Trainable parameters of a network, layer by layer.

    Attributes:
        name: the network's name.
        rows: (parameter's name, shape, count, trainable) each.
        total: sum of the trainable counts.
        shown: the student's own number as text, empty if none was found.
        shown_where: where that number stands: ``print``, ``variable``, ``function``,
            ``markdown`` or ``comment``.
    """

    name: str
    rows: tuple[tuple[str, tuple[int, ...], int, bool], ...]
    total: int
    shown: str = ""
    shown_where: str = ""


class ExpressionTree(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="expression-tree"
):
    """An expression of neurons as a tree, with every neuron's sum at every input.

    Attributes:
        text: the expression as the student wrote it, cleaned.
        neurons: each neuron's own text, innermost first.
        parents: index of the neuron that takes this one's output, -1 for none.
        rows: inputs of each row.
        sums: for each neuron, the exact sum before the threshold in each row, as text.
        outputs: for each neuron, 0 or 1 in each row.
        results: the value of the whole expression in each row, as text.
        expected: the right answer of each row.
    """

    text: str
    neurons: tuple[str, ...]
    parents: tuple[int, ...]
    rows: tuple[tuple[int, int], ...]
    sums: tuple[tuple[str, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    results: tuple[str, ...]
    expected: tuple[int, ...]


class GraphNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node of a backward graph.

    Attributes:
        id: its number.
        name: ``AddBackward0``, or a leaf's variable name.
        leaf: whether it is a tensor of the student's.
        value: the leaf's value as text.
        grad: the gradient that arrived there as text, ``None`` for none, ``""`` if unknown.
    """

    id: int
    name: str
    leaf: bool = False
    value: str = ""
    grad: str = ""


class BackwardGraph(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="backward-graph"
):
    """A backward graph as the engine recorded it, as expected, or as the student drew it.

    Attributes:
        role: ``recorded``, ``expected`` or ``drawn``.
        nodes: the nodes.
        edges: (from, to, gradient on the edge as text) by node id, from the root to the leaves.
    """

    role: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[tuple[int, int, str], ...]


class GradientTable(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="gradient-table"
):
    """Gradients of the student's tensors beside the right ones.

    Attributes:
        rows: (name, value, requires grad, expected gradient, the student's gradient) each, as
            text; ``None`` where there is none.
    """

    rows: tuple[tuple[str, str, bool, str, str], ...]


class MemoryBars(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="memory-bars"):
    """The largest tensor of each dtype beside the largest that fits.

    Attributes:
        card: the card's name.
        exact: whether the card's figures are exact or estimated.
        rows: (dtype, the student's bytes, bytes that fit) each; 0 where none was allocated.
    """

    card: str
    exact: bool
    rows: tuple[tuple[str, int, int], ...]


class MemoryTimeline(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="memory-timeline"
):
    """Video memory over the cells of a section.

    Attributes:
        card: the card's name.
        capacity_bytes: the most that can be reserved.
        cells: (cell index, allocated after, reserved after, peak allocated, refusals) each.
    """

    card: str
    capacity_bytes: int
    cells: tuple[tuple[int, int, int, int, int], ...]


class Refusal(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="refusal"):
    """A request that the device refused.

    Attributes:
        cell: index of the code cell.
        requested_bytes: bytes asked for.
        allocated_bytes: bytes allocated at that moment.
        text: the message the student's code saw.
    """

    cell: int
    requested_bytes: int
    allocated_bytes: int
    text: str


class PrintedFigure(msgspec.Struct, frozen=True, kw_only=True):
    """A line with memory figures that the notebook kept, and the rerun's.

    Attributes:
        cell: index of the code cell.
        shown: what the notebook kept of its own run.
        text: what the rerun printed or raised in its place; ``""`` where nothing.
        same: whether the rerun has the same figures in the same order; words around them do not
            matter, nor does what a later PyTorch adds at the end of the line.
    """

    cell: int
    shown: str
    text: str
    same: bool


class MemoryPrinted(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="memory-printed"
):
    """Memory figures of the notebook's own run beside the rerun's; they decide nothing.

    Attributes:
        card: the card of the rerun.
        profile: its runtime profile, as ``1.12``; empty for the installed torch's.
        named: the card that the notebook's outputs name, empty where they name none.
        equal: how many lines have the same figures.
        different: how many have others.
        figures: the first of them.
    """

    card: str
    profile: str
    named: str
    equal: int
    different: int
    figures: tuple[PrintedFigure, ...]


class StudentText(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="student-text"):
    """What the student wrote, for a person to read.

    Attributes:
        where: ``markdown``, ``comment``, ``code``, ``printed`` or ``variable``.
        text: the text, bounded.
    """

    where: str
    text: str


class StudentPicture(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="student-picture"
):
    """An image attached to the notebook, for a person to look at.

    Attributes:
        name: the attachment's name.
        media: ``image/png`` or ``image/jpeg``.
        data: the bytes, base64 in JSON.
    """

    name: str
    media: str
    data: bytes


class Comparison(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="comparison"):
    """Two texts beside each other.

    Attributes:
        label: message code that says what is compared.
        expected: what was expected, or what the rerun printed.
        shown: the student's, or what the notebook printed.
    """

    label: str
    expected: str
    shown: str


Evidence = (
    TruthTable
    | DecisionLine
    | Counterexample
    | ParameterTable
    | ExpressionTree
    | BackwardGraph
    | GradientTable
    | MemoryBars
    | MemoryTimeline
    | Refusal
    | MemoryPrinted
    | StudentText
    | StudentPicture
    | Comparison
)


def as_data(evidence: Evidence) -> dict[str, Any]:
    """Return the evidence as plain data for `result.json`."""
    data: dict[str, Any] = msgspec.to_builtins(evidence)
    return data


def from_data(data: dict[str, Any]) -> Evidence:
    """Return evidence from plain data.

    Raises:
        msgspec.ValidationError: `data` is none of the kinds above.
    """
    return msgspec.convert(data, Evidence, strict=False)  # type: ignore[no-any-return]
