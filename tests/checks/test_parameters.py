"""Parameter counts: however a student gives the number, and whatever networks there are."""

import pytest
from gate_child import FakeChild, task_of, view_of

from grader.checks.inputs import networks
from grader.checks.layers import count_parameters, source_of
from grader.checks.parameters import CountParameters
from grader.evidence import Counterexample
from grader.messages import LANGUAGES, message
from grader.model import Outcome
from grader.sandbox.protocol import Layer, Network, Parameter

QUESTION = CountParameters()


def network(name, *, frozen=()):
    shapes = {"a.weight": (5, 3), "a.bias": (5,), "b.weight": (2, 5), "b.bias": (2,)}
    return Network(
        name=name,
        type_name="Sequential",
        parameters=tuple(
            Parameter(name=each, shape=shape, requires_grad=each not in frozen, id=number)
            for number, (each, shape) in enumerate(shapes.items())
        ),
    )


BOTH = (network("net_seq"), network("net_model"))


def judged(*, namespace=None, nets=BOTH, names=(), **options):
    child = FakeChild(namespace or {}, networks=nets)
    findings = QUESTION.judge(task_of(QUESTION, names=names), view_of(child, **options))
    for finding in findings:
        for language in LANGUAGES if finding.code.startswith("parameters.") else ():
            assert "{" not in message(finding.code, finding.values, language=language)
    return {finding.check: finding for finding in findings}


def count_right(model):
    if isinstance(model, tuple):
        return count_parameters(model)
    shapes = [p.shape for p in model.parameters if p.requires_grad]
    return sum(s[0] * (s[1] if len(s) == 2 else 1) for s in shapes)


RIGHT = {
    "function": {"namespace": {"count": count_right}},
    "print": {"output": "Параметров в net_seq: 32\nПараметров в net_model: 32\n"},
    "calculation": {"output": "net_seq: 3*5 + 5 + 5*2 + 2 = 32, net_model: 15+5+10+2 = 32"},
    "one for both": {"texts": ["Обучаемых параметров 32, в обеих сетях поровну"]},
    "summary": {"output": "Total params: 32\nTrainable params: 32"},
    "bare number of a cell that counts": {
        "source": "sum(p.numel() for p in net_seq.parameters())",
        "output": "32\n",
    },
    "summary of a library": {
        "source": "summary(net_seq)",
        "output": "Linear-1 [-1, 5] 20\nTotal params: 32\nTrainable params: 32\n"
        "Non-trainable params: 0\nParams size (MB): 0.00",
    },
    "tuple": {
        "source": "sum(p.numel() for p in net_seq.parameters()), count(net_model)",
        "output": "(32, 32)",
    },
    "two on a line": {"source": "print(net_seq.w.numel() + 7, net_model...)", "output": "32 32\n"},
    "label above": {"output": "net_seq\n32\nnet_model\n32"},
    "variable": {"namespace": {"net_seq_params": 32, "net_model_params": 32}},
    "comment": {"source": "# в net_seq 32 параметра, в net_model столько же"},
    "comment of numbers": {"source": "# 32 и 32"},
    "total": {"source": "summary(net)", "output": "Layer (Linear) [5, 3] 15\nTotal: 32"},
    "bare number": {"source": "print(20 + 12)", "output": "32\n"},
    "tensor": {
        "source": "torch.tensor([p.numel() for p in net.parameters()]).sum()",
        "output": "tensor(32)",
    },
}


@pytest.mark.parametrize("options", RIGHT.values(), ids=RIGHT)
def test_the_right_number_counts_however_it_is_given(options):
    answer = judged(**options)["answer"]
    assert (answer.outcome, answer.code) == (Outcome.PASSED, "parameters.right")


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ({"output": "net_seq 32\nnet_model 30"}, Outcome.PARTIAL),
        ({"source": "n(net_seq).numel(), n(net_model)", "output": "(32, 25)"}, Outcome.PARTIAL),
        ({"source": "n(net_seq).numel(), n(net_model)", "output": "(25, 25)"}, Outcome.FAILED),
        ({"output": "net_seq 25\nnet_model 25"}, Outcome.FAILED),
        ({"output": "net_seq 25 или 32"}, Outcome.REVIEW),
        ({"source": "# net_seq 25 параметров"}, Outcome.REVIEW),
        ({"source": "# count = total(net_seq)"}, Outcome.REVIEW),
        ({"output": "Linear(in_features=3, out_features=32)"}, Outcome.MISSING),
        ({"output": "net_seq 132 и net_model 320"}, Outcome.FAILED),
        ({"source": "print(3*5 + 5*2)", "output": "25\n"}, Outcome.REVIEW),
        ({"source": "# 25 27 30 32"}, Outcome.REVIEW),
        ({"source": "assert sum(p.numel() for p in net_seq.parameters()) == 32"}, Outcome.REVIEW),
        (
            {"source": "net_seq = nn.Sequential(nn.Linear(3, 5)).to(device)\nnet_seq"},
            Outcome.MISSING,
        ),
        ({"source": "class Net(nn.Module):\n    x = f(1)\nprint(net_model)"}, Outcome.MISSING),
        ({}, Outcome.MISSING),
        ({"error": ("NameError", "x", "")}, Outcome.RAISED),
    ],
)
def test_other_answers_end_as_a_teacher_would_decide(options, outcome):
    assert judged(**options)["answer"].outcome is outcome


def test_one_of_two_networks_is_worth_half():
    assert judged(output="net_seq 32\nnet_model 30")["answer"].parts == (1, 2)


def test_the_students_own_networks_decide_what_is_right():
    frozen = (network("net_seq", frozen=("a.bias",)), network("net_model"))
    found = judged(nets=frozen, output="net_seq 27\nnet_model 32")
    assert found["answer"].outcome is Outcome.PASSED
    assert found["networks"].outcome is Outcome.FAILED


def test_without_networks_the_tasks_own_decide():
    found = judged(nets=(), output="net_seq 32\nnet_model 32")
    assert found["networks"].outcome is Outcome.MISSING
    assert found["answer"].outcome is Outcome.PASSED


def test_a_general_function_is_right_for_any_network():
    assert judged(namespace={"count": count_right})["any-network"].outcome is Outcome.PASSED


def forgets_frozen(model):
    if not isinstance(model, tuple):
        return count_right(model)
    return count_parameters(
        tuple(
            Layer(type=n.type, inputs=n.inputs, outputs=n.outputs, kernel=n.kernel, bias=n.bias)
            if n.same_as < 0
            else n
            for n in model
        )
    )


def test_a_special_function_is_advised_with_the_smallest_network_it_miscounts():
    found = judged(namespace={"count": forgets_frozen})["any-network"]
    assert found.outcome is Outcome.FAILED
    (shown,) = found.evidence
    assert isinstance(shown, Counterexample)
    assert shown.source.count("nn.") == 2, shown.source  # nn.Sequential and one layer
    assert "requires_grad_(False)" in shown.source
    assert shown.expected == "0"


def test_without_a_function_there_is_no_advice():
    assert judged()["any-network"].outcome is Outcome.MISSING


def test_counts_and_sources_of_made_networks_agree_with_torch():
    torch = pytest.importorskip("torch")
    for made in networks():
        built = eval(source_of(made), {"nn": torch.nn})
        trainable = sum(p.numel() for p in built.parameters() if p.requires_grad)
        assert trainable == count_parameters(made), source_of(made)


def trainable(network):
    return [p for p in network.parameters() if p.requires_grad]


WRONG_COUNTS = {
    "frozen too": lambda n: sum(p.numel() for p in n.parameters()),
    "frozen only": lambda n: sum(p.numel() for p in n.parameters() if not p.requires_grad),
    "no biases": lambda n: sum(p.numel() for p in trainable(n) if p.dim() > 1),
    "buffers too": lambda n: sum(p.numel() for p in [*trainable(n), *n.buffers()]),
    "shared ones twice": lambda n: sum(
        p.numel() for layer in n for p in layer.parameters() if p.requires_grad
    ),
    "each shape once": lambda n: sum(
        p.numel() for p in {p.shape: p for p in trainable(n)}.values()
    ),
    "tensors": lambda n: len(trainable(n)),
    "lengths": lambda n: sum(len(p) for p in trainable(n)),
    "two axes": lambda n: sum(
        p.shape[0] * (p.shape[1] if p.dim() > 1 else 1) for p in trainable(n)
    ),
    "one side of a kernel": lambda n: sum(
        p.numel() // (p.shape[3] if p.dim() > 3 else 1) for p in trainable(n)
    ),
    "at most thirty each": lambda n: sum(min(p.numel(), 30) for p in trainable(n)),
    "linear layers": lambda n: sum(
        p.numel() for layer in set(n) if type(layer).__name__ == "Linear" for p in trainable(layer)
    ),
    "no normalisation": lambda n: sum(
        p.numel()
        for layer in set(n)
        if "Norm" not in type(layer).__name__
        for p in trainable(layer)
    ),
    **{
        f"the first {most} tensors": lambda n, most=most: sum(
            p.numel() for p in list(n.parameters())[:most] if p.requires_grad
        )
        for most in range(1, 7)
    },
    **{
        f"the first {most} layers": lambda n, most=most: sum(p.numel() for p in trainable(n[:most]))
        for most in range(1, 6)
    },
    **{
        f"the last {most} layers": lambda n, most=most: sum(p.numel() for p in trainable(n[-most:]))
        for most in range(1, 4)
    },
}


@pytest.mark.parametrize("count", WRONG_COUNTS.values(), ids=WRONG_COUNTS)
def test_some_network_tells_a_wrong_way_of_counting(count):
    torch = pytest.importorskip("torch")
    wrong = 0
    for made in networks():
        built = eval(source_of(made), {"nn": torch.nn})
        wrong += count(built) != count_parameters(made)
    assert wrong >= 2
