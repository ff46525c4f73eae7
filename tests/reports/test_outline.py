"""Outlines of regions: every point is on its own side, and straight borders are straight."""

import random

from hypothesis import given
from hypothesis import strategies as st

from grader.reports.html.outline import inner_parts, trace_outline


def area(line):
    """Twice the signed area inside a closed line, by the shoelace formula."""
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(line, [*line[1:], line[0]], strict=True))


def holds(lines, x, y):
    """Whether a place is inside closed lines, by the crossings of a ray to the right."""
    crossings = 0
    for line in lines:
        for (x1, y1), (x2, y2) in zip(line, [*line[1:], line[0]], strict=True):
            if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
                crossings += 1
    return crossings % 2 == 1


@st.composite
def grids(draw):
    side = draw(st.integers(2, 6))
    return side, draw(st.text(alphabet="01?", min_size=side * side, max_size=side * side))


@given(grids(), st.sampled_from("01?"))
def test_each_point_is_inside_the_outline_of_its_own_answer_only(grid, wanted):
    side, answers = grid
    lines = trace_outline(answers, wanted, side)
    for row in range(side):
        for column in range(side):
            # a little toward the middle, since points on the grid's edge are on the outline
            x = 2 * column + (0.002 if column < side / 2 else -0.002)
            y = 2 * row + (0.0017 if row < side / 2 else -0.0017)
            assert holds(lines, x, y) == (answers[row * side + column] == wanted)


@given(grids())
def test_outlines_are_closed_and_go_round_the_same_way(grid):
    side, answers = grid
    assert sum(map(area, trace_outline(answers, "1", side))) >= 0
    for line in trace_outline(answers, "1", side):
        assert len(line) >= 3


def test_a_whole_square_has_no_inner_border():
    lines = trace_outline("1" * 9, "1", 3)
    assert [sorted(line) for line in lines] == [[(0, 0), (0, 4), (4, 0), (4, 4)]]
    assert area(lines[0]) == 32
    assert inner_parts(lines, 3) == []


def test_a_diagonal_band_is_parted_by_two_straight_lines():
    band = "".join("1" if 2 < row + column < 6 else "0" for row in range(5) for column in range(5))
    parts = inner_parts(trace_outline(band, "1", 5), 5)
    assert [len(part) for part in parts] == [2, 2]


def test_bands_of_any_slope_are_parted_by_straight_lines():
    chance, side, bends = random.Random(0), 17, []
    for _ in range(200):
        slope, low, width = chance.uniform(-3, 3), chance.uniform(0.5, 9), chance.uniform(6, 12)
        values = [row + slope * (column - 8) for row in range(side) for column in range(side)]
        band = "".join("1" if low < value < low + width else "0" for value in values)
        parts = inner_parts(trace_outline(band, "1", side), side)
        bends += [len(part) - 2 for part in parts]
    assert len(bends) > 200
    assert sum(bends) < 0.01 * len(bends)


def test_a_border_bends_where_the_points_leave_it_no_other_way():
    for side, most in ((9, 4), (17, 4)):
        half = side // 2
        corner = "".join(
            "1" if row < half and column < half else "0"
            for row in range(side)
            for column in range(side)
        )
        (part,) = inner_parts(trace_outline(corner, "1", side), side)
        assert len(part) <= most


def test_opposite_corners_stay_apart():
    assert len(trace_outline("1001", "1", 2)) == 2
