"""XOR as an expression of neurons, wherever and however students write it."""

import itertools
from fractions import Fraction

import pytest
from section import PlainChild, code, findings_of, judged, text, view_of

from grader.checks.expression import XorExpression
from grader.sandbox.protocol import BoundName

QUESTION = XorExpression(function=lambda a, b: a ^ b)
SAMPLE = "neuron(1*x1 + 5*x2 - 0.1) + neuron(x1)"
STATEMENT = (
    f"**Домашнее задание 1:** Запишите XOR через объекты neuron(). Пример: {SAMPLE} (и т. д.)"
)
RIGHT = "neuron(neuron(x1 + x2 - 0.5) - neuron(x1 + x2 - 1.5))"
WRONG = "neuron(x1 + x2 - 0.5)"
PASSED = {"truth-table": ("passed", "expression.all-rows"),
          "three-neurons": ("passed", "expression.few-neurons")}  # fmt: skip


def in_markdown(expression):
    return [text(f"{STATEMENT}\n\n{expression}\n\n[Вот подсказка](https://example.org/)")]


def as_judged(*cells, child=None):
    return judged(QUESTION, view_of(*cells, child=child, samples=(SAMPLE,)), "xor_expression")


@pytest.mark.parametrize(
    "cells",
    [
        in_markdown(RIGHT),
        in_markdown(f"`{RIGHT}`"),
        in_markdown(f"**Ответ:** ${RIGHT}$."),
        in_markdown(f"- {RIGHT}"),
        in_markdown(f"xor = {RIGHT}"),
        in_markdown(RIGHT.replace("-", "\u2212").replace("x", "\u0445")),
        in_markdown(RIGHT.replace(" ", "").replace("x1", r"x\_1")),
        [text(f"{STATEMENT}\n{RIGHT}")],
        [text(STATEMENT), code(f'print("{RIGHT}")')],
        [text(STATEMENT), code(f"# {RIGHT}")],
        [text(STATEMENT), code(f"answer = '''{RIGHT}'''")],
        [text(STATEMENT), code("print(answer)", output=f"{RIGHT}\n")],
        [text(STATEMENT), code(f"def f(x1, x2):\n  return {RIGHT}")],
        in_markdown(f"{WRONG}\n\nнет, вот так:\n\n{RIGHT}"),
        in_markdown(f"{RIGHT}, где {WRONG} это ИЛИ"),
        in_markdown(f"Ответ: {RIGHT}\n\nЗдесь neuron(1*x1 + 1*x2 - 0.50) это ИЛИ."),
        in_markdown("```python\nneuron(\n    neuron(x1 + x2 - 0.5)\n    - neuron(x1 + x2 - 1.5)\n)\n```"),
        in_markdown(RIGHT.replace("x1", "x<sub>1</sub>").replace("x2", "x<sub>2</sub>")),
        in_markdown(rf"$\text{{neuron}}\left({RIGHT[7:-1]}\right)$".replace("0.5", "0{,}5")),
        in_markdown(r"$neuron(x_1 + x_2 - 2\cdot\operatorname{neuron}(x_1 + x_2 - 1.5) - 0.5)$"),
        in_markdown(f"neuron[{RIGHT[7:-1]}]"),
        in_markdown("neuron(p - q), где p = neuron(x1 + x2 - 0.5), q = neuron(x1 + x2 - 1.5)"),
        in_markdown("y = neuron(p - q)\n\nгде\n\np = neuron(x1 + x2 - 0.5)\n\nq = neuron(x1 + x2 - 1.5)"),
        in_markdown("neuron(x1 - x2) + neuron(x2 - x1)"),
        in_markdown("1 - neuron(1 - neuron(x1-x2) - neuron(x2-x1))"),
    ],
)  # fmt: skip
def test_a_right_expression_passes_wherever_it_stands(cells):
    assert as_judged(*cells) == PASSED


def test_the_declared_variable_counts_before_all_else():
    cells = [*in_markdown(WRONG), code("xor_expression = part + rest", bound=["xor_expression"])]
    child = PlainChild({"xor_expression": f"xor = {RIGHT}"})
    assert as_judged(*cells, child=child) == PASSED
    finding = findings_of(
        QUESTION, view_of(*cells, child=child, samples=(SAMPLE,)), "xor_expression"
    )["truth-table"]
    assert finding.values["graded_name"] == "xor_expression"


def test_nothing_but_the_statement_is_missing():
    handout = text("## Homework 1. XOR\nThe form: `neuron(1*x1 + 5*x2 - 0.1)\n+ neuron(x1)`.")
    placeholder = code('xor_expression = ""', bound=["xor_expression"])
    for cells in (
        [text(STATEMENT)],
        [handout, placeholder],
        [text(STATEMENT), code(f"# {SAMPLE}")],
    ):
        child = PlainChild({"xor_expression": ""})
        assert as_judged(*cells, child=child)["truth-table"] == ("missing", "expression.missing")


def test_a_wrong_expression_fails_with_its_row_and_tree():
    view = view_of(*in_markdown(WRONG), samples=(SAMPLE,))
    found = findings_of(QUESTION, view)
    assert judged(QUESTION, view) == {
        "truth-table": ("failed", "expression.wrong-row"),
        "three-neurons": ("not-run", "expression.count-waits"),
    }
    assert found["truth-table"].values["row"] == "x1=1, x2=1"
    assert found["truth-table"].values["actual"] == "1"
    tree = found["truth-table"].evidence[0]
    for row, (x1, x2) in enumerate(itertools.product((0, 1), repeat=2)):
        assert Fraction(tree.sums[0][row]) == x1 + x2 - Fraction(1, 2)
        assert tree.outputs[0][row] == int(x1 + x2 > 0.5)


def test_the_last_of_several_counts():
    cells = in_markdown(f"{RIGHT}\n\nтак:\n\n{WRONG.replace('0.5', '0.25')}")
    assert as_judged(*cells)["truth-table"][0] == "failed"


def test_an_answer_in_a_comment_or_in_code_never_fails():
    for cell in (code(f"# {WRONG}"), code(f"y = {WRONG}", bound=["y"])):
        table = as_judged(text(STATEMENT), cell)["truth-table"]
        assert table == ("review", "expression.code")


def test_right_only_at_zero_is_for_a_person():
    table = as_judged(*in_markdown("neuron(neuron(x1+x2-1) - neuron(x1+x2-2) - 1)"))
    assert table["truth-table"] == ("review", "expression.right-at-zero")
    assert table["three-neurons"] == ("review", "expression.count-with-table")


def test_four_neurons_are_one_too_many():
    four = "neuron(neuron(x1 - x2) + neuron(x2 - x1) + neuron(0))"
    assert as_judged(*in_markdown(four))["three-neurons"] == ("failed", "expression.too-many")
    same = "neuron(x1 - x2) + neuron(x2 - x1) + neuron(0) - neuron(0)"
    assert as_judged(*in_markdown(same)) == PASSED | {
        "three-neurons": ("review", "expression.repeated-neurons")
    }


@pytest.mark.parametrize(
    "attempt", ["neuron(x1 && x2)", "neuron(x1 + x2 - 0, 5)", "neuron(x2 - x1"]
)
def test_what_cannot_be_read_is_for_a_person(attempt):
    assert as_judged(*in_markdown(attempt))["truth-table"][0] == "review"


def test_code_in_place_of_an_expression_never_fails():
    cell = code("def xor(x1, x2): ...", bound=[BoundName(name="xor", kind="function")])
    right = PlainChild(functions={"xor": lambda a, b: a != b})
    assert as_judged(text(STATEMENT), cell, child=right) == {
        "truth-table": ("passed", "expression.code-right"),
        "three-neurons": ("review", "expression.code-count"),
    }
    wrong = PlainChild(functions={"xor": lambda a, b: a or b})
    assert as_judged(text(STATEMENT), cell, child=wrong)["truth-table"] == (
        "review",
        "expression.code",
    )


def test_a_cell_that_raised_is_told():
    table = as_judged(text(STATEMENT), code("xor(1)", error="NameError: name 'xor'"))
    assert table["truth-table"] == ("raised", "answers.raised")


def test_a_decimal_comma_is_read_as_a_point():
    assert as_judged(*in_markdown(RIGHT.replace(".", ","))) == PASSED


STEPS = "h1 = neuron(x1 + x2 - 0.5)\nh2 = neuron(x1 + x2 - 1.5)\n\ny = neuron(h1 - h2 - 0.5)"


def test_named_parts_are_spelled_out():
    assert as_judged(*in_markdown(STEPS)) == PASSED
    wrong = as_judged(*in_markdown(STEPS.replace("h1 - h2", "h1 + h2")))
    assert wrong["truth-table"] == ("failed", "expression.wrong-row")


def test_parts_may_stand_behind_a_word_that_says_what_they_are():
    steps = (
        "OR: p = neuron(x1 + x2 - 0.5)\n\n2) q = neuron(x1 + x2 - 1.5)\n\nXOR: neuron(p - q - 0.5)"
    )
    assert as_judged(*in_markdown(steps)) == PASSED
    wrong = as_judged(*in_markdown(steps.replace("p - q", "p + q")))
    assert wrong["truth-table"] == ("failed", "expression.wrong-row")


def test_a_neuron_that_is_written_but_not_read_is_never_missing():
    cells = in_markdown("neuron(neuron(первый вход) - neuron(второй вход))")
    assert as_judged(*cells)["truth-table"][0] == "review"


def test_a_part_is_not_judged_for_a_whole_that_cannot_be_read():
    cells = in_markdown("neuron(x1 + x2 - 0.5)\n\nneuron(neuron(x1 + x2 - 0.5) - H(x1 + x2 - 1.5))")
    assert as_judged(*cells)["truth-table"] == ("review", "expression.unread")
    cells = in_markdown("neuron(neuron(x1 + x2 - 0.5) - H(x1 + x2 - 1.5))\n\nneuron(x1 - x2)")
    assert as_judged(*cells)["truth-table"] == ("review", "expression.unread")


@pytest.mark.parametrize(
    "attempt", ["XOR = OR(x1, x2) - AND(x1, x2)", "H(H(x1 + x2 - 0.5) - H(x1 + x2 - 1.5) - 0.5)"]
)
def test_another_notation_is_for_a_person(attempt):
    assert as_judged(*in_markdown(attempt))["truth-table"] == (
        "review",
        "expression.other-notation",
    )


def test_of_thousands_of_expressions_the_last_ones_are_compared(monkeypatch):
    compared = []
    is_part = XorExpression._is_part

    def counted(question, attempt, whole):
        compared.append(attempt)
        return is_part(question, attempt, whole)

    monkeypatch.setattr(XorExpression, "_is_part", counted)
    many = "".join(f"neuron({n}*x1)\n\n" for n in range(3000))
    assert as_judged(text(f"{STATEMENT}\n\n{many}{RIGHT}")) == PASSED
    assert len(compared) <= 200 * 200 / 2
