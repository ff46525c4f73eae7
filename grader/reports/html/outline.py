"""Outlines of regions on a grid of answers, by marching squares: between points that differ.

Places are in half steps of the grid, (0, 0) being its first point, so that a point is even in both
and the middle between two neighbours odd in one. Where a border comes from the edge of the grid and
goes back to it, it is drawn with as few bends as the points leave it: all that is known of it is
between which of them it passes.
"""

from collections.abc import Sequence

Half = tuple[int, int]
"""A place: (x, y) in half steps."""
Place = tuple[float, float]
"""The same, where a line crosses between two points, but not in the middle."""

_ROOM = 0.95
"""How far from the middle, in half steps, a border may pass between two points."""
_MOST_FITS = 30
_FAR = 8.0
_TINY = 1e-9


def trace_outline(answers: str, wanted: str, side: int) -> list[list[Place]]:
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
    last = 2 * (side - 1)
    return [_straightened(_with_few_bends(line, last)) for line in _chained(edges)]


def inner_parts(lines: Sequence[Sequence[Place]], side: int) -> list[list[Place]]:
    """Return what of closed lines does not run along the edge of the grid."""
    last = 2 * (side - 1)
    parts: list[list[Place]] = []
    for line in lines:
        for start, end in zip(line, [*line[1:], line[0]], strict=True):
            if _along_edge(start, end, last):
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
    """Return edges joined into closed lines."""
    leaving: dict[Half, list[Half]] = {}
    for start, end in sorted(edges):
        leaving.setdefault(start, []).append(end)
    lines = []
    for start in sorted(leaving):
        while leaving[start]:
            line = [start]
            while leaving[line[-1]]:
                line.append(leaving[line[-1]].pop())
            lines.append(line[:-1])
    return lines


def _along_edge(start: Place, end: Place, last: int) -> bool:
    return any(start[axis] == end[axis] in (0, last) for axis in (0, 1))


def _with_few_bends(line: list[Half], last: int) -> list[Place]:
    """Return a closed line whose parts from edge to edge of the grid bend only where they must."""
    count = len(line)
    on_edge = [_along_edge(line[i], line[(i + 1) % count], last) for i in range(count)]
    if not any(on_edge):
        return list(line)
    first = on_edge.index(True) + 1  # here a run along the edge may end, and a part begin
    made: list[Place] = []
    part: list[Half] = []
    for number in range(first, first + count):
        part.append(line[number % count])
        if on_edge[number % count]:
            made += _pulled(part)
            part = []
    return made


def _pulled(part: list[Half]) -> list[Place]:
    """Return a line through the steps between points that a part crosses, straight if it can be."""
    if len(part) < 3:
        return list(part)
    if part[0] > part[-1]:  # so that both sides of a border draw it alike
        return _pulled(part[::-1])[::-1]
    straight = _straight(part)
    if straight:
        return straight
    made: list[Place] = [part[0]]
    start = 0
    while start < len(part) - 1:
        end = next(e for e in range(len(part) - 1, start, -1) if _is_chord(part[start : e + 1]))
        made.append(part[end])
        start = end
    return made


def _straight(part: list[Half]) -> list[Place]:
    """Return the ends of one line through all steps that a part crosses; nothing if none is found.

    It is fitted again and again, and where it was farther off counts more the next time, which
    makes the largest distance small: C. L. Lawson, "Contributions to the theory of linear least
    maximum approximation", dissertation, UCLA, 1961.
    """
    weights = [1.0] * len(part)
    for _ in range(_MOST_FITS):
        line = fit_line(part, weights)
        crossings = [_crossing(place, *line) for place in part]
        if _passes(crossings, part, crossings[0], crossings[-1]):
            return [crossings[0], crossings[-1]]
        off = [
            min(_FAR, abs(found[0] - middle[0]) + abs(found[1] - middle[1])) + _TINY
            for found, middle in zip(crossings, part, strict=True)
        ]
        weights = [weight * distance for weight, distance in zip(weights, off, strict=True)]
        whole = sum(weights)
        weights = [weight / whole for weight in weights]
    return []


def _is_chord(part: list[Half]) -> bool:
    """Tell whether the ends of a part can be joined, with every point left on its own side."""
    (x1, y1), (x2, y2) = part[0], part[-1]
    a, b = y1 - y2, x2 - x1
    crossings = [_crossing(place, a, b, a * x1 + b * y1) for place in part[1:-1]]
    return _passes(crossings, part[1:-1], part[0], part[-1])


def _crossing(place: Half, a: float, b: float, c: float) -> Place:
    """Return where the line ``a*x + b*y = c`` crosses the step whose middle is `place`."""
    x, y = place
    slope = a if x % 2 else b
    if slope == 0:
        return float("inf"), float("inf")
    return ((c - b * y) / a, y) if x % 2 else (x, (c - a * x) / b)


def _passes(crossings: list[Place], middles: list[Half], start: Place, end: Place) -> bool:
    """Tell whether crossings are near the middles of their steps, and between the ends."""
    spans = [sorted((start[axis], end[axis])) for axis in (0, 1)]
    return all(
        abs(found[axis] - middle[axis]) <= _ROOM and low - _TINY <= found[axis] <= high + _TINY
        for found, middle in zip(crossings, middles, strict=True)
        for axis, (low, high) in enumerate(spans)
    )


def fit_line(
    places: Sequence[Place], weights: Sequence[float] | None = None
) -> tuple[float, float, float]:
    """Return (a, b, c), (a, b) of length 1, of the line ``a*x + b*y = c`` nearest to some places.

    It goes through their middle, along the direction in which they spread most (their first
    principal axis).

    Args:
        places: at least two.
        weights: how much each counts; all the same if None.
    """
    counted = [
        (x, y, weight)
        for (x, y), weight in zip(places, weights or [1.0] * len(places), strict=True)
    ]
    whole = sum(weight for _, _, weight in counted)
    mean_x = sum(weight * x for x, _, weight in counted) / whole
    mean_y = sum(weight * y for _, y, weight in counted) / whole
    xx = sum(weight * (x - mean_x) ** 2 for x, _, weight in counted)
    yy = sum(weight * (y - mean_y) ** 2 for _, y, weight in counted)
    xy = sum(weight * (x - mean_x) * (y - mean_y) for x, y, weight in counted)
    largest = (xx + yy) / 2 + (((xx - yy) / 2) ** 2 + xy**2) ** 0.5
    along = (xy, largest - xx) if abs(xy) > 1e-9 else ((1.0, 0.0) if xx > yy else (0.0, 1.0))
    length = (along[0] ** 2 + along[1] ** 2) ** 0.5
    a, b = -along[1] / length, along[0] / length
    return a, b, a * mean_x + b * mean_y


def _straightened(line: list[Place]) -> list[Place]:
    """Return a closed line without places in the middle of a straight run."""

    def bends(place: int) -> bool:
        before, here, after = line[place - 1], line[place], line[(place + 1) % len(line)]
        into = (here[0] - before[0], here[1] - before[1])
        out = (after[0] - here[0], after[1] - here[1])
        return into[0] * out[1] != into[1] * out[0]

    return [place for number, place in enumerate(line) if bends(number)]
