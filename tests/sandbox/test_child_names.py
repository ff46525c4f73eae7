"""Names that a cell bound, missing modules, and plain values."""
# ruff: noqa: E501 - students' code reads best uncut

import json

import pytest

from grader.sandbox.protocol import ListNames, ReadValues

FILE = "homework.ipynb"

NET = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.w = nn.Parameter(torch.zeros(2))
    def forward(self, x):
        return self.fc(x)
neuron = Net()
"""


def names(done):
    return [bound.name for bound in done.bound]


def test_names_come_in_the_order_of_binding(child):
    done = child.cell(
        "b = 1\na = 2\ndef f(): pass\nb = 3\nfor i in []: z = 1\nwith open('/dev/null') as file: c = 4"
    )
    assert names(done) == ["a", "f", "b", "file", "c"]


def test_kinds_are_told_by_exact_types(child):
    source = NET + (
        "class Plain: pass\nclass Callable:\n  def __call__(self, x): return x\nplain, callable_ = Plain(), Callable()\n"
        "def function(): pass\ntensor = torch.zeros(1)\nnumber = 1.5\ntext = 'x'\ncollection = [1]\nlambda_ = lambda x: x\n"
        "class Liar:\n  @property\n  def __class__(self): return nn.Module\nliar = Liar()"
    )
    kinds = {bound.name: bound.kind for bound in child.cell(source).bound}
    assert kinds == {
        "torch": "module", "nn": "module", "Net": "network-class", "neuron": "network",
        "Plain": "class", "Callable": "class", "plain": "other", "callable_": "instance",
        "function": "function", "tensor": "tensor", "number": "number", "text": "text",
        "collection": "collection", "lambda_": "function", "Liar": "class", "liar": "other",
    }  # fmt: skip


def test_what_a_library_brings_is_no_work_of_the_students(child):
    source = (
        "from random import seed\nfrom torch.nn import Linear\nfrom math import floor as low\n"
        "from torch import logical_xor\nfrom math import *\nown = seed\n"
        "from math import ceil\ndef ceil(x): return x"
    )
    kinds = {bound.name: bound.kind for bound in child.cell(source).bound}
    imported = ("seed", "Linear", "low", "logical_xor", "sqrt")
    assert {kinds[name] for name in imported} == {"other"}
    assert (kinds["own"], kinds["ceil"]) == ("function", "function")
    listed = {n.name: n.kind for n in child.ask(ListNames(file=FILE, names=("seed", "own"))).names}
    assert listed == {"seed": "other", "own": "function"}
    again = child.cell("def seed(x): return x").bound
    assert [(bound.name, bound.kind) for bound in again] == [("seed", "function")]


@pytest.mark.parametrize(
    "source",
    [
        "neuron.fc.weight.data = torch.ones(1, 2)",
        "neuron.w.data[0] = 5",
        "neuron.fc.bias.data -= 1",
        "neuron.load_state_dict(neuron.state_dict())",
        "nn.init.constant_(neuron.fc.weight, 2)",
        "with torch.no_grad():\n  neuron.fc.weight.copy_(torch.ones(1, 2))",
        "for p in neuron.parameters():\n  p.data.fill_(1)",
        "setattr(neuron, 'threshold', 1)",
        "if True:\n  neuron.fc.bias.data.zero_()",
        "%%time\nneuron.fc.bias.data = torch.zeros(1)",
        "neuron = neuron",
        "globals()['neuron'] = Net()",
        "def replace():\n  global neuron\n  neuron = Net()\nreplace()",
        "exec('neuron = Net()')",
    ],
)
def test_setting_weights_binds_the_object_they_belong_to(child, source):
    child.cell(NET)
    assert "neuron" in names(child.cell(source))


@pytest.mark.parametrize(
    "source", ["neuron(torch.zeros(2))", "neuron", "x = neuron.fc.weight", "nn.init.zeros_(torch.ones(1))",
               "def f():\n  neuron = 1", "[neuron for neuron in []]", "(lambda neuron: 1)(2)"]
)  # fmt: skip
def test_using_an_object_does_not_bind_it(child, source):
    child.cell(NET)
    bound = names(child.cell(source))
    assert "neuron" not in bound
    assert "nn" not in bound


def test_what_stands_below_the_error_is_not_bound(child):
    child.cell("neuron = 1")
    assert names(child.cell("x = 1\n1 / 0\nneuron = 2")) == ["x"]


def test_ipythons_own_names_are_left_out(child):
    assert names(child.cell("3")) == []
    assert names(child.cell("_ = 4\n__ = 5")) == []


def test_names_are_listed_while_they_live(child):
    child.cell("a = 1\nb = 2")
    child.cell("a = 3\nc = 4\ndel b")
    listed = child.ask(ListNames(file=FILE)).names
    assert [(name.name, name.shown) for name in listed] == [("a", "3"), ("c", "4")]
    assert [name.name for name in child.ask(ListNames(file=FILE, names=("c", "z"))).names] == ["c"]


def test_comparing_namespaces_keeps_nothing_alive(child):
    child.cell("import torch, weakref\nt = torch.zeros(3)\nref = weakref.ref(t)")
    assert child.cell("t = None\nprint(ref())").output == "None\n"


def test_plain_values_travel_as_json_and_others_do_not(child):
    child.cell(
        "a = [1, (2.5, 'x')]\nb = {'k': {3, 1}}\nc = object()\nd = 'x' * 10000\nr = []; r.append(r)"
    )
    values = child.ask(ReadValues(file=FILE, names=("a", "b", "c", "d", "r", "missing"))).values
    assert {value.name: json.loads(value.json) if value.plain else None for value in values} == {
        "a": [1, [2.5, "x"]], "b": {"k": [1, 3]}, "c": None, "d": None, "r": None,
    }  # fmt: skip


def test_a_missing_module_costs_no_cell_until_it_is_used(child):
    done = child.cell(
        "import pytorch_lightning as pl\nfrom pytorch_lightning.utilities import seed\nimport torch\nx = pl.Trainer"
    )
    assert (done.outcome, done.placeholders) == ("passed", ("pytorch_lightning",))
    for use in (
        "pl.seed_everything(1)",
        "seed + 1",
        "class M(pl.LightningModule): pass",
        "for _ in seed: pass",
    ):
        error = child.cell(use).error
        assert (error.type, error.placeholder) == ("MissingModule", "pytorch_lightning")
    wrapped = child.cell("try:\n  seed()\nexcept Exception as e:\n  raise ValueError('x') from e")
    assert wrapped.error.placeholder == "pytorch_lightning"
    assert child.cell("import pytorch_lightning").placeholders == ("pytorch_lightning",)
    assert child.cell("1 / 0").error.placeholder == ""


def test_a_student_prepared_for_a_missing_module_gets_the_usual_error(child):
    source = (
        "try:\n  import google.colab\n  colab = True\nexcept ImportError:\n  colab = False\ncolab"
    )
    done = child.cell(source)
    assert (done.output, done.placeholders) == ("False\n", ())


def test_libraries_still_learn_that_a_module_is_missing(child):
    child.cell("import pandas as pd\nframe = pd.DataFrame({'a': [1]})")
    error = child.cell("frame.to_parquet('x')").error
    assert error.type == "ImportError"
    assert error.placeholder == ""


def test_a_missing_part_of_a_present_module_is_an_error(child):
    assert child.cell("import torch.nothing_like_it").error.type == "ModuleNotFoundError"
    assert child.cell("from torch import nothing_like_it").error.type == "ImportError"
