"""Places for the nodes of small directed graphs: roots on top, each level below the one above.

Graphs that would be too wide so have their roots on the left, and each level beside the other.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_CHARACTER, _PADDING, _LINE = 7.4, 18.0, 17.0
_BETWEEN, _BELOW = 14.0, 46.0
_BESIDE, _MOST_WIDTH = 60.0, 640.0
MOST_NODES = 40


@dataclass(frozen=True, slots=True)
class Box:
    """A node of the drawing: its middle, its size, its lines of text."""

    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]
    look: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge of the drawing with its text and where that stands."""

    x1: float
    y1: float
    x2: float
    y2: float
    text: str


@dataclass(frozen=True, slots=True)
class Layers:
    """A graph as it is drawn; `text` says the same in words."""

    title: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    text: str
    kind: str = "layers"


def draw_layers(
    title: str,
    nodes: Mapping[int, tuple[tuple[str, ...], str]],
    edges: Sequence[tuple[int, int, str]],
) -> Layers | None:
    """Return the drawing of a graph, None where it is empty or has more than `MOST_NODES` nodes.

    Args:
        title: what it shows.
        nodes: (lines of text, look) by id.
        edges: (from, to, text), by id; those of unknown nodes are left out.
    """
    if not nodes or len(nodes) > MOST_NODES:
        return None
    known = [edge for edge in edges if edge[0] in nodes and edge[1] in nodes][: 4 * MOST_NODES]
    sizes = {node: _size(lines) for node, (lines, _) in nodes.items()}
    rows = _rows(nodes, known)
    middles, width, height = _middles(rows, sizes)
    lies = width > _MOST_WIDTH
    if lies:
        middles, width, height = _lying(rows, sizes)
    boxes = tuple(
        Box(*middles[node], *sizes[node], lines, look) for node, (lines, look) in nodes.items()
    )
    arrows = tuple(
        Arrow(
            *_side(middles[start], sizes[start], 1, lies=lies),
            *_side(middles[end], sizes[end], -1, lies=lies),
            text,
        )
        for start, end, text in known
    )
    words = "; ".join(
        f"{' '.join(nodes[start][0])} → {' '.join(nodes[end][0])}" + (f" ({text})" if text else "")
        for start, end, text in known
    )
    return Layers(title, width, height, boxes, arrows, words)


def _side(
    middle: tuple[float, float], size: tuple[float, float], toward: int, *, lies: bool
) -> tuple[float, float]:
    """Return where edges leave a box (toward 1) or reach it (toward -1)."""
    x, y = middle
    return (x + toward * size[0] / 2, y) if lies else (x, y + toward * size[1] / 2)


def _size(lines: tuple[str, ...]) -> tuple[float, float]:
    return max(map(len, lines)) * _CHARACTER + _PADDING, len(lines) * _LINE + 10


def _rows(nodes: Mapping[int, object], edges: Sequence[tuple[int, int, str]]) -> list[list[int]]:
    """Return the nodes level by level: a node stands below all that lead to it."""
    level = dict.fromkeys(nodes, 0)
    for _ in range(len(nodes)):  # as many rounds as the longest path; a cycle ends here as well
        for start, end, _ in edges:
            level[end] = min(len(nodes), max(level[end], level[start] + 1))
    rows = [[n for n in nodes if level[n] == depth] for depth in sorted(set(level.values()))]
    for above, row in itertools.pairwise(rows):
        row.sort(key=lambda node: _wanted(node, above, edges))
    return rows


def _wanted(node: int, above: list[int], edges: Sequence[tuple[int, int, str]]) -> float:
    """Return the mean place of a node's parents in the row above."""
    places = [above.index(start) for start, end, _ in edges if end == node and start in above]
    return sum(places) / len(places) if places else len(above)


def _middles(
    rows: list[list[int]], sizes: Mapping[int, tuple[float, float]]
) -> tuple[dict[int, tuple[float, float]], float, float]:
    widths = [sum(sizes[node][0] for node in row) + _BETWEEN * (len(row) - 1) for row in rows]
    full = max(widths) + 4
    middles = {}
    y = 2.0
    for row, width in zip(rows, widths, strict=True):
        tall = max(sizes[node][1] for node in row)
        gap = (full - width) / (len(row) + 1)
        x = 0.0
        for node in row:
            middles[node] = (x + gap + sizes[node][0] / 2, y + tall / 2)
            x += gap + sizes[node][0] + _BETWEEN
        y += tall + _BELOW
    return middles, round(full, 1), round(y - _BELOW + 2, 1)


def _lying(
    rows: list[list[int]], sizes: Mapping[int, tuple[float, float]]
) -> tuple[dict[int, tuple[float, float]], float, float]:
    heights = [sum(sizes[node][1] for node in row) + _BETWEEN * (len(row) - 1) for row in rows]
    full = max(heights) + 4
    middles = {}
    x = 2.0
    for row, height in zip(rows, heights, strict=True):
        wide = max(sizes[node][0] for node in row)
        y = (full - height) / 2
        for node in row:
            middles[node] = (x + wide / 2, y + sizes[node][1] / 2)
            y += sizes[node][1] + _BETWEEN
        x += wide + _BESIDE
    return middles, round(x - _BESIDE + 2, 1), round(full, 1)
