"""What a gate that takes no batch says in the plane, found by asking it at its borders."""

from dataclasses import dataclass, field, replace

import pytest
from gate_child import FakeChild, Neuron
from hypothesis import given
from hypothesis import strategies as st

from grader.checks.candidates import GateObject
from grader.checks.gate_evidence import (
    _COARSE_SIDE,
    _HIGH,
    _LOW,
    _SIDE,
    _border_traced,
    decision_line,
)
from grader.checks.inputs import grid, table_rows
from grader.checks.outputs import read_number
from grader.sandbox.protocol import BoundName, Called, Output, Target


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


class MappingChild(FakeChild):
    """Maps an object over all rows, with an own idea of what it says in the origin."""

    origin = None

    def called(self, value, question):
        if question.form != "mapped":
            return super().called(value, question)
        values = [repr(float(value(list(row)))) for row in question.rows]
        if self.origin is not None:
            values[question.rows.index((0.0, 0.0))] = self.origin
        return (Output(type="tensor", values=tuple(values), shape=(len(values),)),)


class Xor(Neuron):
    def __init__(self):
        self.tensors = []

    def __call__(self, x):
        x, y = map(float, x)
        return float(XOR["two neurons"](x, y))


def picture(child, *, device="cpu", form="vector"):
    bound = BoundName(name="xor", kind="network", type_name="Xor")
    target = Target(file="f.ipynb", name="xor")
    gate = GateObject(child, bound, target, form, (), Called(outputs=(), device=device))
    return decision_line(replace(gate, answers=gate.ask(table_rows(2))))


def test_what_can_be_mapped_is_drawn_on_the_fine_grid():
    xor = Xor()
    drawn = picture(MappingChild({"xor": xor}))
    assert drawn.side == _SIDE
    assert drawn.answers == "".join(
        str(int(XOR["two neurons"](*point))) for point in grid(_LOW, _HIGH, _SIDE)
    )


@pytest.mark.parametrize("origin", ["1.0", "nan", "0.5"])
def test_what_says_something_else_when_mapped_is_called_for_each_point(origin):
    child = MappingChild({"xor": Xor()})
    child.origin = origin
    assert picture(child) == picture(FakeChild({"xor": Xor()}))
    assert picture(child).side == _COARSE_SIDE


def test_what_lives_on_the_device_is_not_mapped():
    child = MappingChild({"xor": Xor()})
    assert picture(child, device="cuda:0").side == _COARSE_SIDE
    assert "mapped" not in {question.form for question in child.questions}
