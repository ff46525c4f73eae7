"""What evidence looks like: each kind becomes a value that one template macro draws."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import itemgetter
from typing import Any

from grader.messages import has_message, message, plural
from grader.reports.clean import clean, clean_line
from grader.reports.html.chart import Bars, Timeline, view_bars, view_timeline
from grader.reports.html.code import Code
from grader.reports.html.layers import Layers, draw_layers
from grader.reports.html.plane import Plane, same_answer, view_plane, written

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts; `right` tells of each row whether it is right, None where neither.

    Attributes:
        wordy: whether its cells hold words, which may break anywhere where space is short.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[bool | None, ...]
    foot: tuple[str, ...] = ()
    wordy: bool = False
    kind: str = "table"


@dataclass(frozen=True, slots=True)
class Paste:
    """The smallest input that shows the mistake, as code, with the right answer and the given."""

    source: str
    expected: str
    actual: str
    kind: str = "paste"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts beside each other, each with its label."""

    left: tuple[str, str]
    right: tuple[str, str]
    kind: str = "pair"


@dataclass(frozen=True, slots=True)
class Shown:
    """A text with its label."""

    title: str
    text: str
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Image:
    """A student's picture as a data URL of PNG or JPEG."""

    title: str
    url: str
    kind: str = "image"


Figure = Table | Paste | Pair | Shown | Image | Plane | Layers | Bars | Timeline | Code


def view_evidence(evidence: Sequence[Data], language: str) -> tuple[Figure, ...]:
    """Return the figures of a check; kinds that are not known here are left out."""
    drawing = _Evidence(evidence, language)
    found: list[Figure] = []
    for data in evidence:
        draw = drawing.kinds.get(data.get("kind", ""))
        if draw is not None:
            found += draw(data)
    return tuple(found)


class _Evidence:
    def __init__(self, evidence: Sequence[Data], language: str) -> None:
        self._language = language
        self._truth = next((data for data in evidence if data.get("kind") == "truth-table"), None)
        self.kinds: Mapping[str, Callable[[Data], Sequence[Figure]]] = {
            "backward-graph": self._graph,
            "comparison": self._comparison,
            "counterexample": self._counterexample,
            "decision-regions": lambda data: [view_plane(data, self._truth)],
            "expression-tree": self._expression,
            "gradient-table": self._gradients,
            "memory-bars": lambda data: [view_bars(data, language)],
            "memory-printed": self._printed,
            "memory-timeline": lambda data: [view_timeline(data, language)],
            "parameter-table": self._parameters,
            "refusal": self._refusal,
            "student-picture": self._picture,
            "student-text": self._text,
            "truth-table": self._truth_table,
        }

    def word(self, code: str, **values: str) -> str:
        return message(code, values, language=self._language)

    def _counterexample(self, data: Data) -> Sequence[Figure]:
        texts = (clean(str(data[key]), most=2000) for key in ("source", "expected", "actual"))
        return [Paste(*texts)]

    def _text(self, data: Data) -> Sequence[Figure]:
        return [Shown(self.word("page.your-answer"), clean(data["text"]))]

    def _picture(self, data: Data) -> Sequence[Figure]:
        url = f"data:{data['media']};base64,{data['data']}"
        return [Image(clean_line(data["name"]), url)]

    def _truth_table(self, data: Data) -> Sequence[Figure]:
        rows = tuple(
            (*map(_number, row), written(right, data["convention"]), clean_line(actual))
            for row, right, actual in zip(
                data["rows"], data["expected"], data["actual"], strict=True
            )
        )
        header = (*data["inputs"], self.word("page.expected"), self.word("page.yours"))
        return [_compared(self.word("page.truth-table"), header, rows)]

    def _parameters(self, data: Data) -> Sequence[Figure]:
        """A row a layer: what its tensors hold, and their sum."""
        layers: dict[str, list[tuple[str, int]]] = {}
        for name, shape, count, trainable in data["rows"]:
            layer, _, tensor = clean_line(name).rpartition(".")
            size = "×".join(map(str, shape)) or "1"
            text = f"{tensor} {size} = {count}" if len(shape) > 1 else f"{tensor} {size}"
            if not trainable:
                text += f" ({self.word('page.frozen')})"
            layers.setdefault(layer, []).append((text, count if trainable else 0))
        rows = tuple(
            (layer or "·", " + ".join(text for text, _ in tensors), str(sum(n for _, n in tensors)))
            for layer, tensors in layers.items()
        )
        header = (self.word("page.layer"), self.word("page.tensors"), self.word("page.count"))
        foot = (self.word("page.sum"), "", str(data["total"]))
        table = Table(clean_line(data["name"]), header, rows, (None,) * len(rows), foot)
        if not data["shown"]:
            return [table]
        where = f"page.where-{data['shown_where']}"
        label = self.word("page.yours")
        if has_message(where, self._language):
            label += f", {self.word(where)}"
        right = (label, clean_line(data["shown"]))
        return [table, Pair((self.word("page.expected"), str(data["total"])), right)]

    def _gradients(self, data: Data) -> Sequence[Figure]:
        rows = tuple(
            tuple(map(clean_line, (name, value, right, actual)))
            for name, value, _, right, actual in sorted(data["rows"], key=itemgetter(0))
        )
        codes = ("page.tensor", "page.value", "page.expected", "page.yours")
        return [_compared(self.word("page.gradients"), tuple(map(self.word, codes)), rows)]

    def _graph(self, data: Data) -> Sequence[Figure]:
        """A leaf's gradient stands beside its edge, where no other edge brings a part of it."""
        arriving = [end for _, end, _ in data["edges"]]
        grads = {node["id"]: node["grad"] for node in data["nodes"] if node["leaf"]}
        nodes = {node["id"]: (_node_lines(node, arriving), _look(node)) for node in data["nodes"]}
        edges = [
            (start, end, clean_line(text or _alone(grads, end, arriving), most=16))
            for start, end, text in data["edges"]
        ]
        drawn = draw_layers(self.word(f"page.graph-{data['role']}"), nodes, edges)
        return [drawn] if drawn is not None else []

    def _expression(self, data: Data) -> Sequence[Figure]:
        names = [f"n{number}" for number in range(1, len(data["neurons"]) + 1)]
        short = _shortened(data["neurons"], data["parents"], names)
        margins = [_margin(sums) for sums in data["sums"]]
        root = len(names)
        nodes = {
            place: (
                (names[place], short[place], self.word("page.margin", margin=margins[place])),
                "op",
            )
            for place in range(root)
        }
        edges = [
            (place, child, "") for child, place in enumerate(data["parents"]) if 0 <= place < root
        ]
        drawn = draw_layers(clean_line(data["text"]), nodes, edges)
        rows = tuple(
            (
                *map(_number, inputs),
                *(
                    f"{clean_line(sums[row])} → {outputs[row]}"
                    for sums, outputs in zip(data["sums"], data["outputs"], strict=True)
                ),
                str(data["expected"][row]),
                clean_line(data["results"][row]),
            )
            for row, inputs in enumerate(data["rows"])
        )
        ends = (self.word("page.expected"), self.word("page.yours"))
        table = _compared(self.word("page.neuron-table"), ("x1", "x2", *names, *ends), rows)
        return [drawn, table] if drawn is not None else [table]

    def _comparison(self, data: Data) -> Sequence[Figure]:
        texts = (clean(data[key], most=1500) for key in ("expected", "shown"))
        expected, shown = texts
        return [Pair((self.word("page.expected"), expected), (self.word("page.yours"), shown))]

    def _refusal(self, data: Data) -> Sequence[Figure]:
        title = self.word("page.refusal", cell=str(data["cell"]))
        return [Shown(title, clean(data["text"], most=600))]

    def _printed(self, data: Data) -> Sequence[Figure]:
        card, named = clean_line(data["card"]), clean_line(data["named"])
        code = "page.memory-printed-other" if named not in ("", card) else "page.memory-printed"
        codes = (("page.lines-equal", "equal"), ("page.lines-different", "different"))
        counts = [
            plural(counted, data[key], language=self._language)
            for counted, key in codes
            if data[key]
        ]
        rows = tuple(
            (str(line["cell"]), clean_line(line["shown"], most=300), self._compared_line(line))
            for line in data["figures"]
        )
        title = f"{self.word(code, card=card, named=named)}. {' '.join(counts)}"
        header = tuple(map(self.word, ("page.cell-short", "page.printed", "page.rerun")))
        none = (None,) * len(rows)
        return [Table(f"{title} {self.word('page.no-points')}", header, rows, none, wordy=True)]

    def _compared_line(self, line: Data) -> str:
        """Return a line of the rerun, and whether it tells the same as the notebook's."""
        text = clean_line(line["text"], most=300)
        verdict = self.word("page.same" if line["same"] else "page.other")
        repeated = line["same"] and text == clean_line(line["shown"], most=300)
        return verdict if repeated or not text else f"{text} ({verdict})"


def _compared(title: str, header: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> Table:
    """Return a table whose last two columns are the right answer and the student's."""
    return Table(title, header, rows, tuple(same_answer(row[-2], row[-1]) for row in rows))


def _number(value: float) -> str:
    return json.dumps(int(value) if value == int(value) else value)


def _node_lines(node: Data, arriving: Sequence[int]) -> tuple[str, ...]:
    name = clean_line(node["name"], most=28)
    if node["value"]:
        name += f" = {clean_line(node['value'], most=16)}"
    if node["leaf"] and node["grad"] and arriving.count(node["id"]) != 1:
        return name, f"grad {clean_line(node['grad'], most=16)}"
    return (name or "?",)


def _look(node: Data) -> str:
    return "leaf" if node["leaf"] else "op"


def _alone(grads: Mapping[int, str], end: int, arriving: Sequence[int]) -> str:
    return grads.get(end, "") if arriving.count(end) == 1 else ""


def _shortened(neurons: Sequence[str], parents: Sequence[int], names: Sequence[str]) -> list[str]:
    """Return what each neuron weighs, with the names of the neurons inside it in their place."""
    short = []
    for place, text in enumerate(neurons):
        for child in range(place):
            if parents[child] == place:
                text = text.replace(neurons[child], names[child])
        if text.startswith("neuron(") and text.endswith(")"):
            text = text.removeprefix("neuron(").removesuffix(")").strip()
        short.append(clean_line(text, most=44))
    return short


def _margin(sums: Sequence[str]) -> str:
    """Return how far the nearest sum is from the threshold 0, as the sums are written."""
    try:
        return min((text.lstrip("-") for text in sums), key=lambda text: Fraction(text))
    except (ValueError, ZeroDivisionError):
        return "?"
