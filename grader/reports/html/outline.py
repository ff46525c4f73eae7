"""Outlines of regions on a grid of answers, by marching squares: between points that differ.

Places are in half steps of the grid, (0, 0) being its first point, so that a point is even in both
and the middle between two neighbours odd in one.
"""

from collections.abc import Sequence

Half = tuple[int, int]
"""A place: (x, y) in half steps."""


def trace_outline(answers: str, wanted: str, side: int) -> list[list[Half]]:
    """Return the closed lines around the points with an answer; they bound its regions.

    Args:
        answers: ``side * side`` characters, row by row.
        wanted: the answer, one character.
        side: points along each axis, at least 2.
    """
    edges: set[tuple[Half, Half]] = set()
    for row in range(side - 1):
        first, second = answers[row * side :], answers[(row + 1) * side :]
        for column in range(side - 1):
            if wanted not in first[column : column + 2] + second[column : column + 2]:
                continue
            for polygon in _inside(answers, wanted, side, row, column):
                for start, end in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
                    if (end, start) in edges:
                        edges.remove((end, start))  # two squares share it: it bounds nothing
                    else:
                        edges.add((start, end))
    return _chained(edges)


def inner_parts(lines: Sequence[Sequence[Half]], side: int) -> list[list[Half]]:
    """Return what of closed lines does not run along the edge of the grid."""
    last = 2 * (side - 1)
    parts: list[list[Half]] = []
    for line in lines:
        for start, end in zip(line, [*line[1:], line[0]], strict=True):
            if any(start[axis] == end[axis] in (0, last) for axis in (0, 1)):
                continue
            if parts and parts[-1][-1] == start:
                parts[-1].append(end)
            else:
                parts.append([start, end])
    return parts


def _inside(answers: str, wanted: str, side: int, row: int, column: int) -> list[list[Half]]:
    """Return the polygons of an answer in the square between four points, all the same way round.

    Where the points that have it are opposite, they stay apart.
    """
    turn = ((0, 0), (1, 0), (1, 1), (0, 1))
    has = [answers[(row + y) * side + column + x] == wanted for x, y in turn]
    polygons: list[list[Half]] = [[]]
    for place, (x, y) in enumerate(turn):
        if has[place]:
            polygons[-1].append((2 * (column + x), 2 * (row + y)))
        following = (place + 1) % 4
        if has[place] != has[following]:
            after = turn[following]
            polygons[-1].append((2 * column + x + after[0], 2 * row + y + after[1]))
            if has[place] and has == [has[0], not has[0]] * 2:
                polygons.append([])
    if len(polygons) > 1:  # the last begins what the first goes on with
        polygons[0] = polygons.pop() + polygons[0]
    return [polygon for polygon in polygons if polygon]


def _chained(edges: set[tuple[Half, Half]]) -> list[list[Half]]:
    """Return edges joined into closed lines, without places in the middle of a straight run."""
    leaving: dict[Half, list[Half]] = {}
    for start, end in sorted(edges):
        leaving.setdefault(start, []).append(end)
    lines = []
    for start in sorted(leaving):
        while leaving[start]:
            line = [start]
            while leaving[line[-1]]:
                line.append(leaving[line[-1]].pop())
            lines.append(_straightened(line[:-1]))
    return lines


def _straightened(line: list[Half]) -> list[Half]:
    def bends(place: int) -> bool:
        before, here, after = line[place - 1], line[place], line[(place + 1) % len(line)]
        into = (here[0] - before[0], here[1] - before[1])
        out = (after[0] - here[0], after[1] - here[1])
        return into[0] * out[1] != into[1] * out[0]

    return [place for number, place in enumerate(line) if bends(number)]
