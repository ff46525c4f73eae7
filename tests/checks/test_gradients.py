"""Gradients: right ones pass for any values, and each mistake has its own message."""

import pytest
import torch
from backward import Session, leaves
from section import PlainChild, code, findings_of, judged, text, view_of

from grader.checks.gradients import Gradients
from grader.model import Picture
from grader.sandbox.protocol import BoundName

QUESTION = Gradients()
STATEMENT = text("**Домашнее задание 2:** нарисуйте граф. [Теория](https://example.org/)")
RIGHT = {
    "graph": ("passed", "gradients.right-graph"),
    "values": ("passed", "gradients.right-values"),
    "drawing": ("missing", "gradients.drawing-missing"),
}


def section(session, *more, values=(), names=(), **tensors):
    bound = [BoundName(name=name, kind="tensor") for name in tensors]
    bound += [BoundName(name=name, kind="collection") for name in dict(values)]
    runs = tuple(session.runs)
    cell = code("...", bound=bound, backward=runs, backward_count=len(runs))
    child = PlainChild(values, tensors=session.living(**tensors))
    return view_of(STATEMENT, cell, *more, child=child)


def as_judged(session, **tensors):
    found = judged(QUESTION, section(session, **tensors))
    return {check: found[check] for check in ("graph", "values")}


def names_of(tensors):
    return dict(zip("abcd", tensors, strict=True))


@pytest.mark.parametrize("values", [([2.0], [4.0], [1.0], [5.0]), (0.0, -1.5, 7.0, 0.25)])
@pytest.mark.parametrize("needs", [(True,) * 4, (True, True, True, False), (1, 0, 0, 1)])
def test_right_gradients_pass_for_any_values(values, needs):
    a, b, c, d = tensors = leaves(*values, needs=tuple(map(bool, needs)))
    session = Session()
    session.backward(a * b + c * d)
    view = section(session, **names_of(tensors))
    assert judged(QUESTION, view) == RIGHT
    table = findings_of(QUESTION, view)["values"].evidence[0]
    for name, _, required, expected, shown in table.rows:
        grad = names_of(tensors)[name].grad
        assert required == names_of(tensors)[name].requires_grad
        assert expected == shown == ("None" if grad is None else f"{grad.item():.6g}")


def test_vectors_pass():
    a, b, c, d = tensors = leaves([1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0])
    session = Session()
    session.backward((a * b + c * d).sum())
    assert judged(QUESTION, section(session, **names_of(tensors))) == RIGHT


def test_the_mean_of_vectors_is_for_a_person():
    a, b, c, d = tensors = leaves([1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0])
    for loss, outcome in (((a * b + c * d).mean(), "review"), ((a * b * c + d).mean(), "failed")):
        session = Session()
        session.backward(loss)
        found = as_judged(session, **names_of(tensors))
        assert found["graph"][0] == outcome
    session = Session()
    session.backward((a * b + c * d)[0] * 2)
    assert as_judged(session, **names_of(tensors))["graph"][0] == "failed"


def test_autograd_grad_passes_at_once_or_one_by_one():
    a, b, c, d = tensors = leaves()
    session = Session()
    loss = a * b + c * d
    for leaf in (a, b, c):
        session.grad(loss, leaf)
    assert judged(QUESTION, section(session, **names_of(tensors))) == RIGHT
    session.runs = session.runs[:2]
    assert as_judged(session, **names_of(tensors))["values"] == ("review", "gradients.not-all")


def test_backward_forgotten_is_told():
    tensors = leaves()
    forgotten = ("failed", "gradients.forgotten")
    found = as_judged(Session(), **names_of(tensors))
    assert found == {"graph": forgotten, "values": forgotten}


def test_backward_twice_is_told():
    a, b, c, d = tensors = leaves()
    session = Session()
    loss = a * b + c * d
    session.backward(loss, retain_graph=True)
    session.backward(loss)
    found = as_judged(session, **names_of(tensors))
    assert found["graph"][0] == "passed"
    assert found["values"] == ("failed", "gradients.accumulated")


@pytest.mark.parametrize(
    ("first", "outcome"),
    [
        ("loss.backward(retain_graph=True)\nprint(a.grad, b.grad)", "passed"),
        ("loss.backward(retain_graph=True)", "failed"),
        ("a.grad = None\nloss.backward(retain_graph=True)", "failed"),
    ],
)
def test_a_second_run_in_a_later_cell_spoils_nothing_that_was_read_before(first, outcome):
    a, b, c, d = tensors = leaves()
    session = Session()
    loss = a * b + c * d
    session.backward(loss, retain_graph=True)
    session.backward(loss)
    bound = [BoundName(name=name, kind="tensor") for name in "abcd"]
    cells = [
        code(source, bound=names, backward=(run,), backward_count=1)
        for source, names, run in zip(
            (first, "loss.backward()\nprint(a.grad)"), (bound, ()), session.runs, strict=True
        )
    ]
    child = PlainChild(tensors=session.living(**names_of(tensors)))
    found = judged(QUESTION, view_of(STATEMENT, *cells, child=child))
    assert found["graph"][0] == "passed"
    assert found["values"][0] == outcome


def test_backward_twice_with_zeroed_gradients_passes():
    a, b, c, d = tensors = leaves()
    session = Session()
    session.backward(a * b + c * d)
    for leaf in (a, b, c):
        leaf.grad = None
    session.backward(a * b + c * d)
    assert as_judged(session, **names_of(tensors))["values"][0] == "passed"
    for leaf in (a, b, c):
        leaf.grad.zero_()
    assert as_judged(session, **names_of(tensors))["values"][0] == "passed"


def test_another_expression_is_told():
    a, b, c, d = tensors = leaves()
    session = Session()
    session.backward((a + b) * (c + d))
    assert as_judged(session, **names_of(tensors)) == {
        "graph": ("failed", "gradients.other-expression"),
        "values": ("not-run", "gradients.values-wait"),
    }


def by_hand(tensors):
    a, b, c, _ = tensors
    a.grad, b.grad, c.grad = (torch.tensor([value]) for value in (40.0, 20.0, 50.0))


def test_gradients_set_by_hand_get_no_points():
    tensors = leaves()
    by_hand(tensors)
    told = ("failed", "gradients.by-hand")
    assert as_judged(Session(), **names_of(tensors)) == {"graph": told, "values": told}


def test_gradients_changed_after_backward_are_told():
    a, b, c, d = tensors = leaves()
    session = Session()
    session.backward(a * b + c * d)
    by_hand(tensors)
    assert as_judged(session, **names_of(tensors))["values"] == ("failed", "gradients.by-hand")


def test_gradients_set_before_backward_are_told():
    a, b, c, d = tensors = leaves()
    by_hand(tensors)
    session = Session()
    session.backward(a * b + c * d)
    assert as_judged(session, **names_of(tensors))["values"] == ("failed", "gradients.by-hand")


def test_gradients_set_by_hand_after_another_expression_are_told():
    a, b, c, d = tensors = leaves()
    session = Session()
    session.backward(a + b + c + d)
    by_hand(tensors)
    assert as_judged(session, **names_of(tensors)) == {
        "graph": ("failed", "gradients.other-expression"),
        "values": ("failed", "gradients.by-hand"),
    }


def test_a_weighted_backward_is_for_a_person():
    a, b, c, d = tensors = leaves()
    session = Session()
    session.backward(a * b + c * d, gradient=torch.tensor([3.0]))
    assert as_judged(session, **names_of(tensors))["values"] == ("review", "gradients.weighted")


def test_a_failed_second_backward_changes_nothing():
    a, b, c, d = tensors = leaves()
    session = Session()
    loss = a * b + c * d
    session.backward(loss)
    session.backward(loss)
    assert session.runs[1].failed
    assert as_judged(session, **names_of(tensors))["values"][0] == "passed"


def test_a_graph_that_is_not_understood_is_for_a_person():
    a, b, c, d = tensors = leaves()
    session = Session()
    session.backward(torch.tanh(a * b + c * d))
    found = as_judged(session, **names_of(tensors))
    assert {outcome for outcome, _ in found.values()} == {"review"}


def test_a_plain_number_for_d_is_for_a_person():
    a, b, c, _ = leaves()
    session = Session()
    session.backward(a * b + c * 5.0)
    assert as_judged(session, a=a, b=b, c=c)["graph"] == ("review", "gradients.number-factor")


def test_placeholders_are_missing_and_an_error_is_told():
    view = view_of(STATEMENT, code("a = None", bound=["a"]), child=PlainChild())
    assert judged(QUESTION, view)["graph"] == ("missing", "gradients.missing")
    view = view_of(STATEMENT, code("a.backward()", error="NameError: name 'a'"))
    assert judged(QUESTION, view)["values"] == ("raised", "answers.raised")


# ------------------------------------------------------------------ drawing

EDGES = [["+", "m1"], ["+", "m2"], ["m1", "a"], ["m1", "b"], ["m2", "c"]]


def drawn(edges, *more):
    a, b, c, d = tensors = leaves()
    session = Session()
    session.backward(a * b + c * d)
    view = section(session, *more, values={"backward_edges": edges}, **names_of(tensors))
    return judged(QUESTION, view)["drawing"]


def test_a_right_edge_list_passes_and_a_wrong_one_fails():
    assert drawn(EDGES) == ("passed", "gradients.drawing-right")
    assert drawn({"+": ["m1", "m2"], "m1": ["a", "b"], "m2": ["c", "d"]})[0] == "passed"
    assert drawn(EDGES[:-1]) == ("failed", "gradients.drawing-differs")


def test_an_edge_list_that_joins_the_wrong_factors_fails():
    mixed = [["+", "m1"], ["+", "m2"], ["m1", "a"], ["m1", "c"], ["m2", "b"], ["m2", "d"]]
    assert drawn(mixed) == ("failed", "gradients.drawing-leaves")
    without_a = [["+", "m1"], ["+", "m2"], ["m1", "b"], ["m2", "c"], ["m2", "d"]]
    assert drawn(without_a) == ("failed", "gradients.drawing-leaves")


def test_an_edge_list_with_equal_names_is_for_a_person():
    assert drawn([["Add", "Mul"], ["Add", "Mul"]])[0] == "review"


def test_an_empty_edge_list_is_missing():
    assert drawn([]) == ("missing", "gradients.drawing-missing")


@pytest.mark.parametrize(
    "cell",
    [
        text("![](https://example.org/graph.png)"),
        text("Picture", pictures=(Picture("g.png", "image/png", b"x"),)),
        text("loss -> d1 -> a"),
        code("make_dot(loss)"),
        code("for function, _ in loss.grad_fn.next_functions: print(function)"),
        code('fig, ax = plt.subplots()\nax.annotate("a", (0, 0))'),
        code("# AddBackward -> MulBackward"),
    ],
)
def test_a_picture_or_text_is_for_a_person(cell):
    assert drawn([], cell) == ("review", "gradients.drawing-to-read")
