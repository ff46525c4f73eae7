"""The grammar of expressions: exact against Python's own arithmetic, strict, and bounded."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.checks.expression_grammar import (
    MOST_DEPTH,
    MOST_LENGTH,
    Expression,
    SyntaxProblem,
    find_expressions,
    read_expression,
)

NUMBERS = st.decimals(0, 100, places=2, allow_nan=False).map(str) | st.integers(0, 9).map(str)
LEAVES = NUMBERS | st.sampled_from(["x1", "x2"])
SPACES = st.sampled_from(["", " ", "  "])


def extend(inner):
    def joined(parts):
        left, sign, right, space = parts
        return f"{left}{space}{sign}{space}{right}"

    return (
        st.tuples(inner, st.sampled_from("+-*"), inner, SPACES).map(joined)
        | inner.map(lambda text: f"({text})")
        | inner.map(lambda text: f"neuron({text})")
        | inner.map(lambda text: f"-{text}")
    )


EXPRESSIONS = st.recursive(LEAVES, extend, max_leaves=8)


def oracle(text, x1, x2):
    """Python's own parser with fractions for numbers."""
    import re

    exact = re.sub(r"(?<![\w.])(\d+(?:\.\d+)?)", r"F('\1')", text)

    def neuron(value):
        return Fraction(int(value > 0))

    return eval(exact, {"F": Fraction, "x1": x1, "x2": x2, "neuron": neuron})


@given(text=EXPRESSIONS, x1=st.sampled_from([0, 1]), x2=st.sampled_from([0, 1]))
def test_an_expression_has_the_value_that_python_gives(text, x1, x2):
    assert read_expression(text).value({"x1": x1, "x2": x2}) == oracle(text, x1, x2)


@given(text=EXPRESSIONS)
def test_typographic_signs_change_nothing(text):
    fancy = text.replace("-", "\u2212").replace("*", "\u00b7").replace("x1", "\u04451")
    assert read_expression(fancy).root == read_expression(text).root


@given(text=EXPRESSIONS)
def test_every_neuron_is_counted_and_inner_ones_come_first(text):
    neurons = read_expression(text).neurons()
    assert len(neurons) == text.count("neuron")
    for index, (neuron, parent) in enumerate(neurons):
        assert parent == -1 or parent > index
        assert parent == -1 or neuron.text in neurons[parent][0].text


@given(text=EXPRESSIONS, before=st.sampled_from(["", "Ответ: ", "y = ", "answer is "]))
def test_an_expression_is_found_in_a_sentence(text, before):
    whole = f"neuron({text}) + neuron({text})"
    found = list(find_expressions(f"{before}{whole}.\nthe end"))
    assert [item.root for item in found] == [read_expression(whole).root]


@given(text=st.text(alphabet="neuro(x12)+-*., \n&=аб", max_size=60))
def test_no_text_breaks_the_search(text):
    for found in find_expressions("neuron(" + text):
        assert isinstance(found, Expression | tuple)


@pytest.mark.parametrize(
    ("text", "position", "found"),
    [
        ("neuron(x1 x2)", 10, "x2"),
        ("neuron(x1 && x2)", 10, "&"),
        ("neuron(x1 - 1", 13, ""),
        ("neuron()", 7, ")"),
        ("neuron(0, 5)", 8, ","),
        ("neuron(x3)", 7, "x3"),
        ("x1 / x2", 3, "/"),
        ("neuron(x1) neuron(x2)", 11, "neuron"),
        ("", 0, ""),
        ("1e9", 1, "e9"),
    ],
)
def test_what_is_no_expression_is_told_with_its_place(text, position, found):
    with pytest.raises(SyntaxProblem) as told:
        read_expression(text)
    assert (told.value.position, told.value.found) == (position, found)


@pytest.mark.parametrize(
    "text",
    [
        "(" * (MOST_DEPTH + 2) + "1" + ")" * (MOST_DEPTH + 2),
        "1" * (MOST_LENGTH + 1),
        "9" * 31,
        "+".join(["neuron(1)"] * 65),
        "-" * MOST_LENGTH + "1",
    ],
    ids=["depth", "length", "digits", "neurons", "signs"],
)
def test_sizes_are_bounded(text):
    with pytest.raises(SyntaxProblem):
        read_expression(text)


def test_a_long_sum_is_no_deep_one():
    assert read_expression("1+" * 900 + "1").value({}) == 901
