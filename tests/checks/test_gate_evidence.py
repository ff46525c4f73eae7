"""What a gate that takes no batch says in the plane, found by asking it at its borders."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.checks.gate_evidence import _COARSE_SIDE, _HIGH, _LOW, _border_traced
from grader.checks.inputs import grid
from grader.checks.outputs import read_number


@dataclass
class Gate:
    function: object
    convention: str = "0/1"
    asked: list = field(default_factory=list)

    def ask(self, rows):
        self.asked += rows
        return tuple(read_number(repr(float(self.function(*row)))) for row in rows)


POINTS = grid(_LOW, _HIGH, _COARSE_SIDE)
XOR = {
    "two neurons": lambda x, y: (x + y > 0.5) != (x + y > 1.5),
    "products": lambda x, y: (x - 0.5) * (y - 0.5) < 0,
}


def everywhere(function):
    return "".join(str(int(function(*point))) for point in POINTS)


@pytest.mark.parametrize("function", XOR.values(), ids=XOR)
def test_two_borders_are_found_with_fewer_calls(function):
    gate = Gate(function)
    assert _border_traced(gate) == everywhere(function)
    assert len(gate.asked) < 0.8 * len(POINTS)
    assert len(set(gate.asked)) == len(gate.asked)


@given(a=st.floats(-2, 2), b=st.floats(-2, 2), c=st.floats(-2, 2))
def test_a_half_plane_is_what_it_is_at_each_point(a, b, c):
    def function(x, y):
        return a * x + b * y > c

    assert _border_traced(Gate(function)) == everywhere(function)


def test_a_gate_that_always_says_the_same_is_asked_every_second_point_only():
    gate = Gate(lambda x, y: 1)
    assert _border_traced(gate) == "1" * len(POINTS)
    assert len(gate.asked) == 25


def test_answers_that_say_nothing_are_not_taken_for_an_answer():
    text = _border_traced(Gate(lambda x, y: 0.5 if x > 1 else x > 0.3))
    assert text == "".join("?" if x > 1 else str(int(x > 0.3)) for x, _ in POINTS)
