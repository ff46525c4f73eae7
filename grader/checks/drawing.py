"""Backward graphs that a student drew as a list of edges: their shape, whatever the labels."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Tree = tuple["Tree", ...]
"""The shape of a tree without labels: the sorted shapes of its branches."""

_MOST_EDGES = 100


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawn tree.

    Attributes:
        root: label of its root.
        branches: labels below each label.
    """

    root: str
    branches: Mapping[str, tuple[str, ...]]

    def shape(self) -> Tree:
        """Return its shape without labels."""
        return self._shape(self.root)

    def groups(self) -> frozenset[frozenset[str]]:
        """Return the labels of the ends below each of the two parts of the first fork."""
        node = self.root
        while len(self.branches.get(node, ())) == 1:
            node = self.branches[node][0]
        return frozenset(frozenset(self._ends(part)) for part in self.branches.get(node, ()))

    def _shape(self, label: str) -> Tree:
        return tuple(sorted(self._shape(below) for below in self.branches.get(label, ())))

    def _ends(self, label: str) -> list[str]:
        below = self.branches.get(label, ())
        return [label] if not below else [end for part in below for end in self._ends(part)]


def read_drawing(edges: Sequence[tuple[str, str]]) -> Drawing | None:
    """Return the tree that edges draw, with arrows all down or all up; None where there is none."""
    if not edges or len(edges) > _MOST_EDGES:
        return None
    for directed in (edges, [(end, start) for start, end in edges]):
        ends = [end for _, end in directed]
        roots = {start for start, _ in directed} - set(ends)
        if len(roots) != 1 or len(set(ends)) != len(ends):
            continue
        branches: dict[str, tuple[str, ...]] = {}
        for start, end in directed:
            branches[start] = (*branches.get(start, ()), end)
        drawing = Drawing(roots.pop(), branches)
        if _reached(drawing) == len(edges) + 1:
            return drawing
    return None


def expected_shapes(needs: tuple[tuple[bool, bool], tuple[bool, bool]]) -> frozenset[Tree]:
    """Return the shapes in which a sum of two products may be drawn.

    With or without a node that gathers each leaf's gradient, nodes for the products and the sum
    beside their operations, and leaves that need no gradient.

    Args:
        needs: for both factors of both products, whether they need a gradient.
    """
    shapes: set[Tree] = set()
    end: Tree = ()
    for leaf, bare, wrapped, topped in itertools.product(
        (end, (end,)), (None, end, "leaf"), (False, True), (False, True)
    ):
        parts: list[Tree] = []
        for product in needs:
            factors: list[Tree] = []
            for needed in product:
                shape = leaf if needed or bare == "leaf" else bare
                if shape is not None and not isinstance(shape, str):
                    factors.append(shape)
            part: Tree = tuple(sorted(factors))
            parts.append((part,) if wrapped else part)
        whole: Tree = tuple(sorted(parts))
        shapes.add((whole,) if topped else whole)
    return frozenset(shapes)


def _reached(drawing: Drawing) -> int:
    waiting, count = [drawing.root], 0
    while waiting:
        count += 1
        waiting.extend(drawing.branches.get(waiting.pop(), ()))
    return count
