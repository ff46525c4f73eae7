"""Recorded graphs read as polynomials, with torch's own autograd as the oracle; drawn graphs."""

import pytest
import torch
from backward import Session, leaves
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.checks.drawing import expected_shapes, read_drawing
from grader.checks.graph import Unclear, find_products, gradient, read_polynomial
from grader.sandbox.protocol import BackwardNode, BackwardRun, TensorFact

OPERATIONS = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - 2 * y,
    "mul": lambda x, y: x * y,
    "neg": lambda x, y: -x * y,
    "div": lambda x, y: x / 4 + y,
    "pow": lambda x, y: x**2 * y,
    "stack": lambda x, y: torch.stack([x, y]).mean(0),
    "cat": lambda x, y: torch.cat([x, y]).sum().reshape(1),
    "dot": lambda x, y: torch.dot(x, y).unsqueeze(0),
    "mm": lambda x, y: (x.reshape(1, 1) @ y.reshape(1, 1)).view(1),
    "addcmul": lambda x, y: torch.addcmul(x, x, y, value=3),
    "select": lambda x, y: torch.stack([x, y])[-1] * x[0],
    "clone": lambda x, y: x.clone().squeeze() + y.double().float(),
}

PROGRAMS = st.lists(
    st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 7), st.integers(0, 7)),
    min_size=1,
    max_size=5,
)
VALUES = st.lists(st.integers(-4, 4).map(lambda n: [n / 2]), min_size=4, max_size=4)


@settings(max_examples=150, deadline=None)
@given(program=PROGRAMS, values=VALUES)
def test_derivatives_are_those_of_autograd(program, values):
    session = Session()
    tensors = list(leaves(*values))
    stack = list(tensors)
    for name, left, right in program:
        made = OPERATIONS[name](stack[left % len(stack)], stack[right % len(stack)])
        stack.append(made.reshape(1))
    root = stack[-1]
    if not root.requires_grad:
        return
    session.backward(root)
    run = session.runs[0]
    facts = {fact.id: fact for fact in run.tensors}
    polynomial = read_polynomial(run)
    if any(atom[0] < 0 for atoms in polynomial for atom in atoms):
        return  # `d`, which needs no gradient, was added: its value is not recorded
    for tensor in tensors[:3]:
        if tensor.grad is not None:
            fact = facts[session.numbers.number(tensor)]
            expected = [pytest.approx(v, rel=1e-3, abs=1e-3) for v in tensor.grad.tolist()]
            assert list(gradient(polynomial, fact, facts)) == expected


def products(root):
    session = Session()
    session.backward(root)
    facts = {fact.id: fact for fact in session.runs[0].tensors}
    return find_products(read_polynomial(session.runs[0]), facts)


RIGHT = {
    "plain": lambda a, b, c, d: a * b + c * d,
    "swapped": lambda a, b, c, d: d * c + b * a,
    "sum": lambda a, b, c, d: (a * b + c * d).sum(),
    "mean": lambda a, b, c, d: (a * b + c * d).mean(),
    "builtin sum": lambda a, b, c, d: sum([a * b, c * d]),
    "stacked": lambda a, b, c, d: torch.stack([a * b, c * d]).sum(),
    "dot": lambda a, b, c, d: torch.dot(torch.stack([a, c]).flatten(), torch.cat([b, d])),
    "matrix": lambda a, b, c, d: torch.stack([a, c], 1) @ torch.stack([b, d]),
    "addcmul": lambda a, b, c, d: torch.addcmul(a * b, c, d),
    "two minuses": lambda a, b, c, d: a * b - (-c * d),
    "times one": lambda a, b, c, d: (a * b + c * d * 1) / 1,
    "indexed": lambda a, b, c, d: (a * b + c * d)[0],
    "in steps": lambda a, b, c, d: a.clone().view(1) * b + torch.mul(c, d).squeeze(),
}
OTHER = {
    "minus": lambda a, b, c, d: a * b - c * d,
    "factored": lambda a, b, c, d: (a + b) * (c + d),
    "sum only": lambda a, b, c, d: a + b + c + d,
    "product": lambda a, b, c, d: a * b * c * d,
    "one product": lambda a, b, c, d: a * b + c,
    "twice": lambda a, b, c, d: 2 * (a * b + c * d),
    "halved": lambda a, b, c, d: torch.stack([a * b, c * d]).mean(),
    "same factor": lambda a, b, c, d: a * b + a * c,
    "square": lambda a, b, c, d: a**2 + c * d,
    "a number added": lambda a, b, c, d: a * b + c * d + 3,
    "three": lambda a, b, c, d: a * b + c * d + a * c,
}


SHAPED = ("dot", "matrix", "indexed", "in steps")


@pytest.mark.parametrize("name", RIGHT)
def test_a_sum_of_two_products_is_told_however_it_is_written(name):
    # A factor without gradient that was put into a larger tensor is not recorded.
    needs = (True, True, True, name in ("dot", "matrix"))
    assert products(RIGHT[name](*leaves(needs=needs))) is not None
    if name not in SHAPED:
        assert products(RIGHT[name](*leaves(3.0, -2.0, 0.5, 4.0))) is not None


@pytest.mark.parametrize("expression", OTHER.values(), ids=OTHER)
def test_another_expression_is_told(expression):
    assert products(expression(*leaves())) is None


def test_vectors_work_element_by_element():
    vectors = leaves([1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0])
    a, b, c, d = vectors
    assert products((a * b + c * d).sum()) is not None


@pytest.mark.parametrize(
    "expression",
    [
        lambda a, b, c, d: torch.sigmoid(a * b + c * d),
        lambda a, b, c, d: a * b + (c.detach() * d),
        lambda a, b, c, d: torch.dot(torch.cat([a, c]), torch.cat([b, d])),
    ],
)
def test_what_is_not_understood_is_unclear(expression):
    with pytest.raises(Unclear):
        products(expression(*leaves()))


def test_elements_of_one_tensor_are_for_a_person():
    p = torch.tensor([2.0, 4.0, 1.0, 5.0], requires_grad=True)
    with pytest.raises(Unclear):
        products(p[0] * p[1] + p[2] * p[3])


def test_a_forged_record_is_unclear():
    fact = TensorFact(id=1, shape=(1,), dtype="float32", values=("1.0",))
    circle = BackwardNode(id=0, name="MulBackward0", inputs=(0, 0))
    gone = BackwardNode(id=0, name="MulBackward0", inputs=(1, 2))
    lying = BackwardNode(id=0, name="AccumulateGrad", tensor=7)
    wide = TensorFact(id=7, shape=(1 << 40, 1 << 40), dtype="float32", values=("1.0",))
    for node in (circle, gone, lying):
        run = BackwardRun(how="backward", root=fact, nodes=(node,), tensors=(fact, wide))
        with pytest.raises(Unclear):
            read_polynomial(run)


# ------------------------------------------------------------------ drawn graphs

FULL = [("+", "*1"), ("+", "*2"), ("*1", "a"), ("*1", "b"), ("*2", "c"), ("*2", "d")]
ENGINE = [
    ("Add", "Mul0"), ("Add", "Mul1"),
    ("Mul0", "Acc a"), ("Mul0", "Acc b"), ("Mul1", "Acc c"),
    ("Acc a", "a"), ("Acc b", "b"), ("Acc c", "c"),
]  # fmt: skip
NEEDS = ((True, True), (True, False))


def has_the_shape(edges, needs=NEEDS):
    drawing = read_drawing(edges)
    return drawing is not None and drawing.shape() in expected_shapes(needs)


def test_a_right_drawing_has_the_shape():
    assert has_the_shape(FULL)
    assert has_the_shape(FULL[:-1])
    assert has_the_shape(ENGINE)
    assert has_the_shape([*ENGINE, ("Mul1", "d")])
    assert has_the_shape([("loss", "+"), *FULL])
    assert has_the_shape(FULL, needs=((True, True), (True, True)))


def test_a_factor_that_needs_a_gradient_may_not_be_left_out():
    assert not has_the_shape(FULL[:-1], needs=((True, True), (True, True)))


@pytest.mark.parametrize("edges", [FULL, ENGINE])
def test_an_edge_left_out_or_turned_changes_the_shape(edges):
    needs = ((True, True), (True, True)) if edges is FULL else NEEDS
    for place, (start, end) in enumerate(edges):
        shorter = edges[:place] + edges[place + 1 :]
        assert not has_the_shape(shorter, needs)
        assert not has_the_shape([*shorter, (end, start)], needs)


@given(order=st.permutations(FULL), labels=st.permutations(range(7)), up=st.booleans())
def test_order_labels_and_direction_do_not_matter(order, labels, up):
    names = dict(zip(["+", "*1", "*2", "a", "b", "c", "d"], map(str, labels), strict=True))
    edges = [(names[start], names[end]) for start, end in order]
    assert has_the_shape([(end, start) for start, end in edges] if up else edges)


@given(edges=st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg"))))
def test_any_edges_give_a_tree_or_nothing(edges):
    drawing = read_drawing(edges)
    if drawing is not None:
        labels = {label for edge in edges for label in edge}
        assert len(labels) == len(edges) + 1
        drawing.shape()
        drawing.groups()
