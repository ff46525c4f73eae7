"""Backward runs are recorded as they are, and nothing is kept alive by it."""
# ruff: noqa: E501 - students' code reads best uncut

import pytest

HOMEWORK = """
import torch
a = torch.tensor([2.0], requires_grad=True)
b = torch.tensor([4.0], requires_grad=True)
c = torch.tensor([1.0], requires_grad=True)
d = torch.tensor([5.0], requires_grad=False)
loss = a * b + c * d
"""


def leaves(run):
    return {node.tensor for node in run.nodes if node.name == "AccumulateGrad"}


def test_the_graph_of_the_homework_is_recorded_with_values(child):
    child.cell(HOMEWORK)
    done = child.cell("loss.backward()")
    (run,) = done.backward
    assert (run.how, run.failed, run.cut, run.before) == ("backward", "", False, {})
    assert run.root.values == ("13.0",)
    names = [node.name for node in run.nodes]
    assert sorted(names) == ["AccumulateGrad"] * 3 + ["AddBackward0"] + ["MulBackward0"] * 2
    root = run.nodes[0]
    assert (root.id, root.name, dict(root.scalars)["alpha"]) == (0, "AddBackward0", "1")
    by_name = {named.name: named for named in child.gradients().tensors}
    assert run.after == {by_name[n].fact.id: by_name[n].grad for n in "abc"}
    assert {n: by_name[n].grad for n in "abcd"} == {
        "a": ("4.0",),
        "b": ("2.0",),
        "c": ("5.0",),
        "d": None,
    }
    nodes = {node.id: node for node in run.nodes}
    right = nodes[root.inputs[1]]
    assert right.inputs[1] == -1
    assert dict(right.operands)["other"] == by_name["d"].fact.id
    assert nodes[right.inputs[0]].tensor == by_name["c"].fact.id


@pytest.mark.parametrize(
    "call", ["loss.backward()", "torch.autograd.backward(loss)", "torch.autograd.backward([loss])",
             "torch.autograd.backward(tensors=loss)", "torch.Tensor.backward(loss)"]
)  # fmt: skip
def test_every_way_to_run_backward_is_one_run(child, call):
    child.cell(HOMEWORK)
    done = child.cell(call)
    assert (done.backward_count, len(done.backward)) == (1, 1)
    assert len(leaves(done.backward[0])) == 3


def test_grad_reports_what_it_returned(child):
    child.cell(HOMEWORK)
    (run,) = child.cell("torch.autograd.grad(loss, [a, b]);").backward
    ids = {named.name: named.fact.id for named in child.gradients().tensors}
    assert run.how == "grad"
    assert run.after == {ids["a"]: ("4.0",), ids["b"]: ("2.0",)}


def test_a_second_backward_fails_and_accumulated_gradients_are_told(child):
    child.cell(HOMEWORK)
    child.cell("loss.backward(retain_graph=True)")
    (again,) = child.cell("loss.backward()").backward
    ids = {named.name: named.fact.id for named in child.gradients().tensors}
    assert again.before[ids["a"]] == ("4.0",)
    assert again.after[ids["a"]] == ("8.0",)
    done = child.cell("loss.backward()")
    assert done.error.type == "RuntimeError"
    assert done.backward[0].failed == "RuntimeError"


def test_a_training_loop_is_counted_and_bounded(child):
    done = child.cell(
        "import torch\nw = torch.zeros(3, requires_grad=True)\nfor _ in range(50): (w * 2).sum().backward()"
    )
    assert (done.backward_count, len(done.backward)) == (50, 8)


def test_a_large_graph_is_cut(child):
    done = child.cell(
        "import torch\nx = torch.zeros(1, requires_grad=True)\ny = x\nfor _ in range(1000): y = y + 1\ny.backward()"
    )
    assert done.backward[0].cut
    assert len(done.backward[0].nodes) == 256


def test_recording_keeps_nothing_alive(child):
    child.cell(
        HOMEWORK
        + "import weakref, gc\nrefs = [weakref.ref(t) for t in (a, b, loss)]\nloss.backward()"
    )
    child.cell("del a, b, loss")
    assert child.cell("print([ref() for ref in refs])").output == "[None, None, None]\n"


def test_a_tensor_keeps_its_number_and_a_new_one_gets_another(child):
    child.cell(HOMEWORK)
    first = {named.name: named.fact.id for named in child.gradients().tensors}
    child.cell("old = a\na = torch.tensor([3.0], requires_grad=True)")
    second = {named.name: named.fact.id for named in child.gradients().tensors}
    assert second["old"] == first["a"]
    assert second["a"] not in first.values()


def test_questions_do_not_record(child):
    child.cell(HOMEWORK + "def gate(x):\n  (x * a).sum().backward()\n  return x")
    child.call("gate", [(1.0,)])
    assert child.cell("1").backward_count == 0


def test_the_wrapped_functions_keep_their_names_and_signatures(child):
    done = child.cell(
        "import torch, inspect\nprint(torch.Tensor.backward.__name__, list(inspect.signature(torch.autograd.grad).parameters)[:2])"
    )
    assert done.output == "backward ['outputs', 'inputs']\n"
