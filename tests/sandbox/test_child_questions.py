"""Questions read what student code returned, and leave no trace."""
# ruff: noqa: E501 - students' code reads best uncut

import pytest

from grader.sandbox.protocol import (
    Called,
    CountNetworks,
    DescribeNetworks,
    Failed,
    Layer,
    Networks,
    Target,
)

FILE = "homework.ipynb"
ROWS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))

AND = """
import torch, numpy
from torch import nn
class And(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.fc.weight.data = torch.tensor([[1.0, 1.0]])
        self.fc.bias.data = torch.tensor([-1.5])
    def forward(self, x):
        return (self.fc(x) > 0).float()
neuron = And()
"""


@pytest.fixture
def gate(child):
    assert child.cell(AND).outcome == "passed"
    return child


def test_a_gate_answers_in_every_form_that_it_accepts(gate):
    assert gate.answers("neuron", ROWS) == [0, 0, 0, 1]
    batch = gate.call("neuron", ROWS, form="batch").outputs
    assert [(output.shape, output.values) for output in batch] == [
        ((4, 1), ("0.0", "0.0", "0.0", "1.0"))
    ]
    gate.cell("def two(a, b): return float(a) * float(b)")
    assert gate.answers("two", ROWS, form="numbers") == [0, 0, 0, 1]
    assert gate.answers("two", ROWS, form="scalars") == [0, 0, 0, 1]
    assert gate.answers("two", ROWS) == ["raised"] * 4


XOR = """
class Xor(nn.Module):
    def __init__(self):
        super().__init__()
        self.neuron, self.seen = And(), []
    def forward(self, x):
        self.seen.append(x)
        both = self.neuron(x)
        neither = self.neuron(torch.cat((1 - x[:1], 1 - x[1:]), 0))
        return self.neuron(torch.cat((1 - both, 1 - neither), 0))
xor = Xor()
"""


def test_what_takes_no_batch_is_mapped_over_all_rows(gate):
    gate.cell(XOR)
    plane = tuple((first / 4, second / 4) for first in range(-2, 7) for second in range(-2, 7))
    assert gate.call("xor", plane, form="batch").outputs[0].type == "raised"
    mapped = gate.call("xor", plane, form="mapped").outputs
    assert [output.shape for output in mapped] == [(len(plane), 1)]
    assert list(map(float, mapped[0].values)) == gate.answers("xor", plane)


def test_an_object_keeps_nothing_of_being_mapped(gate):
    gate.cell(XOR)
    assert gate.call("xor", ROWS, form="mapped").outputs[0].type == "tensor"
    assert gate.cell("print(xor.seen)").output == "[]\n"


@pytest.mark.parametrize(
    "source",
    [
        "def gate(x): return neuron(x)",
        "class Gate(And):\n  def forward(self, x): return 1.0 if x[0] > 0 else 0.0\ngate = Gate()",
        "class Gate(And):\n  def forward(self, x): return float(x[0].item())\ngate = Gate()",
        "class Gate(And):\n  def forward(self, x): return x.detach().numpy()\ngate = Gate()",
        "class Gate(And):\n  def forward(self, x): return 1.0\ngate = Gate()",
        "class Gate(And):\n  def __deepcopy__(self, memo): raise SystemExit\ngate = Gate()",
    ],
    ids=["function", "branch", "item", "numpy", "number", "copy"],
)
def test_what_cannot_be_mapped_says_so(gate, source):
    assert gate.cell(source).outcome == "passed"
    outputs = gate.call("gate", ROWS, form="mapped").outputs
    assert [output.type for output in outputs] == ["raised"]
    assert "raised" not in gate.answers("gate", ROWS)


def test_inputs_follow_dtype_of_the_parameters(gate):
    gate.cell("neuron = neuron.double()")
    called = gate.call("neuron", ROWS)
    assert called.dtype == "float64"
    assert [output.type for output in called.outputs] == ["tensor"] * 4
    assert gate.call("neuron", ROWS, dtype="float32").outputs[0].type == "raised"
    gate.cell("def f(x): return x.dtype is torch.float32")
    assert gate.call("f", ROWS[:1]).outputs[0].values == ("1.0",)


def test_a_class_is_built_once_while_it_is_the_same_class(gate):
    gate.cell(
        "built = []\nclass Counted(And):\n  def __init__(self):\n    super().__init__(); built.append(1)"
    )
    gate.answers("Counted", ROWS, build=True)
    gate.answers("Counted", ROWS, build=True, form="batch")
    assert gate.cell("len(built)").output == "1\n"
    gate.cell("class Broken:\n  def __init__(self): raise ValueError('no')")
    assert gate.call("Broken", ROWS, build=True).built == "ValueError: no"
    assert gate.call("nothing", ROWS).built.startswith("NoTarget")


@pytest.mark.parametrize(
    ("source", "kind", "values"),
    [
        ("torch.tensor([1.0])", "tensor", ("1.0",)),
        ("nn.Parameter(torch.tensor(2.0))", "tensor", ("2.0",)),
        ("torch.tensor([True])", "tensor", ("1.0",)),
        ("torch.tensor(float('nan'))", "tensor", ("nan",)),
        ("torch.tensor([1 + 2j])", "tensor", ("(1+2j)",)),
        ("torch.tensor([1.0], dtype=torch.bfloat16)", "tensor", ("1.0",)),
        ("numpy.array([1, 0])", "array", ("1.0", "0.0")),
        ("numpy.float32(1)", "array", ("1.0",)),
        ("[1, 0.5]", "array", ("1.0", "0.5")),
        ("1", "number", ("1.0",)),
        ("10 ** 400", "number", ("inf",)),
        ("True", "bool", ("1.0",)),
        ("None", "other", ()),
        ("'1'", "other", ()),
        ("type('F', (float,), {'__eq__': lambda *a: True})(1)", "other", ()),
        ("torch.zeros(1).as_subclass(type('T', (torch.Tensor,), {}))", "other", ()),
        ("torch.zeros(1, device='meta')", "other", ()),
        ("1 / 0", "raised", ()),
        ("exit()", "raised", ()),
    ],
)
def test_outputs_are_told_by_exact_types(gate, source, kind, values):
    gate.cell(f"def f(x):\n  return {source}")
    output = gate.call("f", ROWS[:1]).outputs[0]
    assert (output.type, output.values) == (kind, values)


def test_long_outputs_are_cut(gate):
    gate.cell("def f(x): return torch.zeros(100000)\ndef g(x): return torch.zeros(300, 300).T")
    output = gate.call("f", ROWS[:1]).outputs[0]
    assert (len(output.values), output.shape) == (512, (100000,))
    assert gate.call("g", ROWS[:1]).outputs[0].values == ()


@pytest.mark.parametrize(
    "patch",
    [
        "import builtins\nbuiltins.float = lambda *a: 1.0\nbuiltins.type = lambda *a: torch.Tensor\nbuiltins.repr = lambda *a: '1.0'",
        "torch.Tensor.tolist = lambda *a: [1.0]\ntorch.Tensor.detach = torch.Tensor.cpu = lambda s: torch.ones(1)",
        "torch.equal = torch.allclose = lambda *a, **k: True\ntorch.Tensor.__eq__ = lambda *a: True",
        "torch.Tensor.item = lambda *a: 1.0\ntorch.Tensor.__repr__ = lambda *a: '1'\ntorch.Tensor.numpy = None",
        "class Mode(torch.overrides.TorchFunctionMode):\n  def __torch_function__(s, f, t, a=(), k=None): return torch.ones(1) if f.__name__ in ('detach', 'tolist', 'cpu') else f(*a, **(k or {}))\nmode = Mode(); mode.__enter__()",
    ],
)
def test_patched_torch_and_builtins_change_no_answer(gate, patch):
    gate.cell(patch)
    gate.cell("def zero(x): return torch.zeros(2)")
    assert gate.call("zero", ROWS[:2]).outputs[1].values == ("0.0", "0.0")


@pytest.mark.parametrize(
    "source",
    [
        "gate = And()",
        "gate = nn.Sequential(And(), nn.Identity())",
        "inner = And()\ndef gate(x): return inner(x)",
        "inner = And()\ndef help_(x): return inner(x)\ngate = lambda x: help_(x)",
        "def make():\n  inner = And()\n  return lambda x: inner(x)\ngate = make()",
        "def gate(x, inner=And()): return inner(x)",
        "import functools\ngate = functools.partial(lambda inner, x: inner(x), And())",
        "class Holder:\n  def __init__(self): self.parts = {'a': [And()]}\n  def __call__(self, x): return self.parts['a'][0](x)\ngate = Holder()",
        "class Shared:\n  inner = And()\n  def __call__(self, x): return self.inner(x)\ngate = Shared()",
        "class Slots:\n  __slots__ = ('inner',)\n  def __init__(self): self.inner = And()\n  def __call__(self, x): return self.inner(x)\ngate = Slots()",
        "w, b = numpy.array([1.0, 1.0]), numpy.array(-1.5)\ndef gate(x): return float(w @ x.numpy() + b > 0)",
        "w, b = torch.tensor([2, 2]), torch.tensor(-3)\ndef gate(x): return (w * x).sum() + b > 0",
        "inner = And()\ngate = inner.forward",
        "inner = And()\n@torch.no_grad()\ndef gate(x): return inner(x)",
    ],
)
def test_negating_reaches_every_weight_and_is_undone(gate, source):
    assert gate.cell(source).outcome == "passed"
    before = gate.answers("gate", ROWS)
    assert before == [0, 0, 0, 1]
    negated = gate.call("gate", ROWS, weights="negated")
    assert negated.changed >= 2
    assert [float(output.values[0]) for output in negated.outputs] == [1, 1, 1, 0]
    assert [float(output.values[0]) for output in negated.again] == before
    assert gate.answers("gate", ROWS) == before


def test_shared_parameters_are_negated_once(gate):
    gate.cell(
        "class Twice(And):\n  def __init__(self):\n    super().__init__()\n    self.again = self.fc.weight\n    self.alias = self.fc.weight.data\ngate = Twice()"
    )
    called = gate.call("gate", ROWS, weights="negated")
    assert called.changed == 2
    assert [float(output.values[0]) for output in called.outputs] == [1, 1, 1, 0]


def test_weights_that_a_call_made_are_negated(gate):
    gate.cell(
        "class Lazy:\n  w = None\n  def __call__(self, x):\n    if self.w is None: self.w = torch.ones(2)\n    return self.w @ x\nlazy = Lazy()"
    )
    assert gate.answers("lazy", ROWS) == [0, 1, 1, 2]
    called = gate.call("lazy", ROWS, weights="negated")
    assert called.changed == 1
    assert [float(output.values[0]) for output in called.outputs] == [0, -1, -1, -2]


def test_a_question_leaves_no_trace(gate):
    gate.cell(
        "def noisy(x):\n  print('seen', x)\n  with torch.no_grad(): neuron.fc.weight.zero_()\n  return torch.rand(1)"
    )
    gate.cell("torch.manual_seed(0); numpy.random.seed(0)")
    gate.answers("noisy", ROWS)
    done = gate.cell("torch.rand(1).item(), float(numpy.random.rand()), neuron.fc.weight.tolist()")
    gate.cell("torch.manual_seed(0); numpy.random.seed(0)")
    assert (
        gate.cell(
            "torch.rand(1).item(), float(numpy.random.rand()), neuron.fc.weight.tolist()"
        ).output
        == done.output
    )
    assert "seen" not in done.output


@pytest.mark.parametrize("draw", ["numpy.random.rand()", "numpy.random.randn()", "random.random()"])
@pytest.mark.parametrize("drawn_before", [0, 1])
def test_a_question_moves_no_random_numbers(gate, draw, drawn_before):
    """Normal numbers come in pairs: one is drawn, the other waits."""
    gate.cell(f"import random\ndef noisy(x): return torch.tensor(float({draw}))")
    start = "numpy.random.seed(0); random.seed(0)\n" + f"_ = {draw}\n" * drawn_before
    gate.cell(start)
    first = gate.answers("noisy", ROWS[:1])
    assert gate.answers("noisy", ROWS[:1]) == first
    seen = gate.cell(draw).output
    gate.cell(start)
    assert gate.cell(draw).output == seen


def test_an_endless_gate_ends_the_question_only(gate):
    gate.cell("def slow(x):\n  while True: len('')")
    outputs = gate.call("slow", ROWS).outputs
    assert [output.type for output in outputs] == ["raised"] * 4
    assert gate.answers("neuron", ROWS) == [0, 0, 0, 1]


def test_an_input_is_never_shared_between_calls(gate):
    gate.cell("def spoil(x):\n  x.fill_(9)\n  return x")
    assert [output.values for output in gate.call("spoil", ROWS, form="batch").outputs] == [
        ("9.0",) * 8
    ]
    gate.cell("def first(x):\n  value = x[0].item(); x.fill_(9); return value")
    assert gate.answers("first", ROWS) == [0, 0, 1, 1]


def test_networks_are_described_with_shared_and_frozen_parameters(gate):
    gate.cell(
        "net = nn.Sequential(nn.Linear(3, 5), nn.Sigmoid(), nn.Linear(5, 2))\nnet[0].bias.requires_grad_(False)\nnet.append(net[0])"
    )
    reply = gate.ask(DescribeNetworks(file=FILE, names=("net", "And", "neuron", "missing")))
    assert isinstance(reply, Networks)
    net, neuron = reply.networks
    assert [(p.name, p.shape, p.requires_grad, p.module) for p in net.parameters] == [
        ("0.weight", (5, 3), True, "Linear"),
        ("0.bias", (5,), False, "Linear"),
        ("2.weight", (2, 5), True, "Linear"),
        ("2.bias", (2,), True, "Linear"),
        ("3.weight", (5, 3), True, "Linear"),
        ("3.bias", (5,), False, "Linear"),
    ]
    assert net.parameters[0].id == net.parameters[4].id
    assert len({p.id for p in net.parameters}) == 4
    assert (neuron.name, neuron.type_name) == ("neuron", "And")


def test_a_counting_function_is_called_on_the_judges_networks(gate):
    gate.cell("def count(net): return sum(p.numel() for p in net.parameters() if p.requires_grad)")
    linear = Layer(type="linear", inputs=3, outputs=5)
    networks = (
        (linear, Layer(type="sigmoid"), Layer(type="linear", inputs=5, outputs=2)),
        (linear, Layer(type="linear", inputs=5, outputs=2, bias=False, frozen=True)),
        (Layer(type="linear", inputs=3, outputs=3), Layer(type="linear", same_as=0)),
        (Layer(type="conv", inputs=1, outputs=2, kernel=3), Layer(type="batchnorm", inputs=2)),
        (Layer(type="layernorm", inputs=4),),
    )
    target = Target(file=FILE, name="count")
    called = gate.ask(CountNetworks(target=target, networks=networks))
    assert isinstance(called, Called)
    assert [float(output.values[0]) for output in called.outputs] == [32, 20, 12, 24, 8]
    named = gate.ask(CountNetworks(target=target, names=("neuron", "missing")))
    assert [output.type for output in named.outputs] == ["number", "raised"]
    assert named.outputs[0].values == ("3.0",)


def test_our_own_failure_is_a_reply(gate):
    assert isinstance(gate.call("neuron", ROWS), Called)
    reply = gate.ask(CountNetworks(target=Target(file=FILE, name="neuron"), names=()))
    assert isinstance(reply, Called)
    with pytest.raises(AssertionError):
        gate.call("neuron", ROWS, dtype="no-such-dtype")
    assert not isinstance(gate.ask(DescribeNetworks(file=FILE, names=())), Failed)
