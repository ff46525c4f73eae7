"""The oracle knows the same answers as the solution gives on the real torch."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

GATES = {"not_": "neuron_not", "and_": "neuron_and", "or_": "neuron_or", "xor": "neuron_xor"}


@pytest.mark.parametrize(("function", "neuron"), GATES.items())
def test_every_gate_of_the_solution_answers_what_the_oracle_says(
    oracle, solution, function, neuron
):
    inputs = 1 if function == "not_" else 2
    for row in itertools.product((0, 1), repeat=inputs):
        answer = solution[neuron](torch.tensor([float(value) for value in row]))
        assert answer.shape == (1,)
        assert answer.item() == oracle[function](*row), row


def test_the_gates_of_the_oracle_differ_from_each_other(oracle):
    rows = list(itertools.product((0, 1), repeat=2))
    tables = {tuple(oracle[name](*row) for row in rows) for name in ("and_", "or_", "xor")}
    assert tables == {(0, 0, 0, 1), (0, 1, 1, 1), (0, 1, 1, 0)}


def test_the_networks_of_the_solution_have_as_many_parameters_as_the_oracle_counts(
    oracle, solution
):
    expected = oracle["chain_parameters"](oracle["LAYER_SIZES"])
    assert solution["answer_net_seq"] == expected
    assert solution["answer_net_model"] == expected


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=2, max_size=5))
def test_parameters_of_any_chain_are_those_that_torch_makes(oracle, sizes):
    layers = [torch.nn.Linear(before, after) for before, after in itertools.pairwise(sizes)]
    made = sum(weights.numel() for weights in torch.nn.Sequential(*layers).parameters())
    assert oracle["chain_parameters"](sizes) == made


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(values=st.tuples(*[st.integers(-50, 50)] * 4))
def test_gradients_are_those_of_autograd(oracle, values):
    leaves = [torch.tensor(float(value), requires_grad=True) for value in values]
    a, b, c, d = leaves
    (a * b + c * d).backward()
    assert tuple(leaf.grad.item() for leaf in leaves) == oracle["product_sum_gradients"](*values)


def test_items_are_as_wide_as_torch_says(oracle):
    widths = {
        name: torch.empty(0, dtype=getattr(torch, name)).element_size()
        for name in oracle["ITEM_BYTES"]
    }
    assert widths == oracle["ITEM_BYTES"]


def test_the_ratios_of_the_solution_are_those_of_the_oracle(oracle, solution):
    assert solution["ratios"] == pytest.approx(oracle["capacity_ratios"](), rel=1e-6)


def test_the_expression_of_the_solution_is_xor_of_three_neurons(oracle, solution):
    text = solution["xor_expression"]
    assert text.count("neuron(") == 3
    for x1, x2 in itertools.product((0, 1), repeat=2):
        names = {"neuron": lambda z: int(z > 0), "x1": x1, "x2": x2}
        assert eval(text, {"__builtins__": {}}, names) == oracle["xor"](x1, x2)
