"""Gates: right ones in every style pass, wrong ones do not, and each says why."""

import math

import pytest
from gate_child import FakeChild, Neuron, judge, neuron_class, task_of, view_of

from grader.checks.candidates import Refused
from grader.checks.gates import Gate, _not_found
from grader.checks.outputs import Answer
from grader.evidence import Counterexample, TruthTable
from grader.messages import LANGUAGES, message
from grader.model import Outcome
from grader.sandbox.protocol import BoundName, CalledGates, CallGate

AND = Gate(function=lambda a, b: a & b, inputs=2)
XOR = Gate(function=lambda a, b: a ^ b, inputs=2)
NOT = Gate(function=lambda a: 1 - a, inputs=1)
RightAnd = neuron_class(1.0, 1.0, bias=-1.5)
Or = neuron_class(1.0, 1.0, bias=-0.5)
Nand = neuron_class(-1.0, -1.0, bias=1.5)


class Xor(Neuron):
    def __init__(self):
        self.parts = [Or(), Nand(), RightAnd()]
        self.tensors = [tensor for part in self.parts for tensor in part.tensors]

    def __call__(self, x):
        first, second, last = self.parts
        return last([first(x), second(x)])


def outcomes(findings):
    return [finding.outcome for finding in findings]


def codes(findings):
    for finding in findings:
        for language in LANGUAGES:
            assert "{" not in message(finding.code, finding.values, language=language)
    return [finding.code for finding in findings]


RIGHT = {
    "instance": {"neuron": RightAnd()},
    "class": {"NeuronAND": RightAnd},
    "sharp sigmoid": {
        "n": neuron_class(10.0, 10.0, bias=-15.0, activation=lambda z: 1 / (1 + math.exp(-z)))()
    },
    "sign": {"n": neuron_class(1.0, 1.0, bias=-1.5, activation=lambda z: math.copysign(1, z))()},
    "bool": {"n": neuron_class(1.0, 1.0, bias=-1.5, activation=lambda z: z > 0)()},
    "one-element list": {"n": neuron_class(1.0, 1.0, bias=-1.5, activation=lambda z: [z > 0])()},
}


@pytest.mark.parametrize("namespace", RIGHT.values(), ids=RIGHT)
def test_a_right_and_passes(namespace):
    assert outcomes(judge(AND, namespace)) == [Outcome.PASSED, Outcome.PASSED]


def test_a_right_not_and_a_composed_xor_pass():
    assert outcomes(judge(NOT, {"n": neuron_class(-1.0, bias=0.5)()})) == [Outcome.PASSED] * 2
    assert outcomes(judge(XOR, {"Xor": Xor})) == [Outcome.PASSED] * 2


class ShortChild(FakeChild):
    """Says less than it was asked where several questions came together."""

    kept = 0

    def ask(self, question, reply, *, seconds=10.0):
        answered = super().ask(question, reply, seconds=seconds)
        if isinstance(answered, CalledGates):
            return CalledGates(replies=answered.replies[: self.kept])
        return answered


@pytest.mark.parametrize(("gate", "together"), [(NOT, 2), (AND, 3), (XOR, 3)])
def test_what_a_right_gate_is_asked_comes_in_two_messages(gate, together):
    value = {NOT: neuron_class(-1.0, bias=0.5), AND: RightAnd, XOR: Xor}[gate]()
    child = FakeChild({"n": value})
    view = view_of(child)
    task = task_of(gate)
    assert outcomes(gate.judge(task, view)) == [Outcome.PASSED] * 2
    table, others = child.questions[:2]
    assert isinstance(table, CallGate)
    assert len(others.questions) == together
    full = gate.judge(task, view_of(FakeChild({"n": value})))
    for kept in range(together):
        short = ShortChild({"n": value})
        short.kept = kept
        assert gate.judge(task, view_of(short)) == full
        assert len(short.questions) == len(child.questions) + together - kept


def test_a_gate_of_signs_in_and_out_passes_with_a_note():
    gate = neuron_class(1.0, 1.0, bias=-1.0, activation=lambda z: float((z > 0) - (z < 0)))()
    findings = judge(AND, {"n": gate})
    assert codes(findings) == ["gate.minus-plus", "gate.weights-used"]


def stateful(limit):
    gate, calls = RightAnd(), []
    original = gate.activation
    gate.activation = lambda z: (calls.append(z), original(z) if len(calls) <= limit else 1.0)[1]
    return gate


class Clever:
    def __eq__(self, other):
        return True

    __hash__ = None


WRONG = {
    "one row off": (neuron_class(1.0, 1.0, bias=-0.5)(), "gate.wrong-row"),
    "first four calls only": (stateful(4), "gate.changes"),
    "first forty calls only": (stateful(40), "gate.changes"),
    "constant": (neuron_class(0.0, 0.0, bias=-1.0)(), "gate.constant"),
    "inverted": (Nand(), "gate.inverted"),
    "nan": (neuron_class(1.0, 1.0, bias=0.0, activation=lambda z: math.nan)(), "gate.nan"),
    "complex": (neuron_class(1.0, 1.0, bias=0.0, activation=lambda z: 1j)(), "gate.complex"),
    "no threshold": (
        neuron_class(1.0, 1.0, bias=-1.5, activation=lambda z: z * 0.3)(),
        "gate.between",
    ),
    "always equal": (
        neuron_class(1.0, 1.0, bias=0.0, activation=lambda z: Clever())(),
        "gate.returns-other",
    ),
    "no return": (
        neuron_class(1.0, 1.0, bias=0.0, activation=lambda z: None)(),
        "gate.returns-nothing",
    ),
}


@pytest.mark.parametrize(("gate", "code"), WRONG.values(), ids=WRONG)
def test_a_wrong_and_fails_and_says_why(gate, code):
    findings = judge(AND, {"neuron": gate})
    assert codes(findings)[0] == code
    assert findings[0].outcome is Outcome.FAILED
    assert findings[1].outcome is Outcome.NOT_RUN


def test_a_wrong_row_comes_with_a_line_to_paste_and_the_whole_table():
    table, weights = judge(AND, {"neuron": neuron_class(1.0, 1.0, bias=-0.5)()})
    shown = next(item for item in table.evidence if isinstance(item, Counterexample))
    assert shown.source == "neuron(torch.tensor([0.0, 1.0]))"
    assert (shown.expected, shown.actual) == ("0", "1")
    assert next(item for item in table.evidence if isinstance(item, TruthTable)).actual == (
        "0",
        "1",
        "1",
        "1",
    )
    assert weights.outcome is Outcome.NOT_RUN


def test_an_answer_that_depends_on_the_call_before_is_shrunk_to_two_calls():
    gate, last = RightAnd(), [None]

    def remember(z, original=gate.activation):
        repeated, last[0] = last[0] == z, z
        return 1.0 if repeated else original(z)

    gate.tensors[0][:] = [1.0, 0.9]  # so that every row has a sum of its own
    gate.activation = remember
    table = judge(AND, {"neuron": gate})[0]
    assert table.code == "gate.changes"
    shown = next(item for item in table.evidence if isinstance(item, Counterexample))
    # The first call may already repeat the last one that was made before.
    assert shown.source in (
        "neuron(torch.tensor([0.0, 0.0]))",
        "[neuron(torch.tensor(row)) for row in [[0.0, 0.0], [0.0, 0.0]]]",
    )


def xor_by_comparison(x1, x2):
    return x1 != x2


def and_by_sum(x1, x2):
    return x1 + x2 - 1.5 > 0


def and_by_comparison(x1, x2):
    return x1 == 1 and x2 == 1


def and_by_least(x1, x2):
    return min(x1, x2) > 0.5


def xor_of_whole_numbers(x1, x2):
    return x1 ^ x2


@pytest.mark.parametrize(
    ("question", "function", "expected"),
    [
        (XOR, xor_of_whole_numbers, [Outcome.REVIEW, Outcome.REVIEW]),
        (XOR, xor_by_comparison, [Outcome.REVIEW, Outcome.REVIEW]),
        (AND, and_by_sum, [Outcome.PASSED, Outcome.REVIEW]),
        (AND, and_by_comparison, [Outcome.REVIEW, Outcome.FAILED]),
        (AND, and_by_least, [Outcome.REVIEW, Outcome.FAILED]),
    ],
)
def test_a_gate_without_tensors_goes_to_a_person(question, function, expected):
    findings = judge(question, {"gate": function})
    assert outcomes(findings) == expected
    codes(findings)


def test_weights_that_decide_nothing_take_the_points_of_the_table_to_review():
    class Fake(RightAnd):
        def __call__(self, x):
            return float(x == [1.0, 1.0])

    findings = judge(AND, {"neuron": Fake()})
    assert codes(findings) == ["gate.right-but-fixed", "gate.weights-unused"]
    assert outcomes(findings) == [Outcome.REVIEW, Outcome.FAILED]


def test_code_that_is_commented_out_is_for_a_person():
    findings = AND.judge(
        task_of(AND), view_of(FakeChild({}), source="# neuron = make(2)\n# neuron.bias = 1")
    )
    assert outcomes(findings) == [Outcome.REVIEW, Outcome.REVIEW]
    assert "neuron = make(2)" in findings[0].excerpt


def test_an_empty_section_is_missing_and_a_failed_cell_is_named():
    assert outcomes(AND.judge(task_of(AND), view_of(FakeChild({})))) == [Outcome.MISSING] * 2
    raised = view_of(FakeChild({}), error=("NameError", "name 'F' is not defined", ""))
    assert outcomes(AND.judge(task_of(AND), raised)) == [Outcome.RAISED, Outcome.NOT_RUN]
    absent = view_of(FakeChild({}), error=("MissingModule", "no such module", "lightning"))
    assert outcomes(AND.judge(task_of(AND), absent)) == [Outcome.REVIEW] * 2


def test_code_without_a_neuron_to_call_is_for_a_person():
    source = "import torch\nfor a in (0, 1):\n    print(int(a * -1.0 + 0.5 > 0))"
    findings = AND.judge(task_of(AND), view_of(FakeChild({}), source=source))
    assert outcomes(findings) == [Outcome.REVIEW] * 2
    assert codes(findings) == ["answers.unrecognised"] * 2
    assert "a * -1.0" in findings[0].excerpt
    assert "import" not in findings[0].excerpt


def test_instances_without_a_name_of_their_own_are_for_a_person():
    class Built:
        def __init__(self, weights): ...

    source = "gates = {'and': Built([1.0, 1.0])}"
    findings = AND.judge(task_of(AND), view_of(FakeChild({"Built": Built}), source=source))
    assert codes(findings) == ["answers.unrecognised"] * 2
    called = Refused(
        BoundName(name="Built", kind="network-class"), Answer("raised", ""), built=False
    )
    for cell, code in ((source, "answers.unrecognised"), ("Built", "gate.not-built")):
        found = _not_found(view_of(FakeChild({}), source=cell), (called,))
        assert found.code == code


def test_a_threshold_beside_the_object_is_for_a_person_and_none_fails():
    soft = neuron_class(1.0, 1.0, bias=-1.5, activation=lambda z: 0.5 + z / 5)
    child = FakeChild({"neuron": soft()})
    beside = AND.judge(task_of(AND), view_of(child, source="print(neuron(x) > 0.5)"))
    assert codes(beside) == ["gate.threshold-outside"] * 2
    assert outcomes(beside) == [Outcome.REVIEW] * 2
    alone = AND.judge(task_of(AND), view_of(child, source="print(neuron(x))"))
    assert outcomes(alone) == [Outcome.FAILED, Outcome.NOT_RUN]


class OddNetwork(Neuron):
    """NOT by an even function of its weights, as networks of odd activations are."""

    weights, bias = (2.0,), 1.0

    def __call__(self, x):
        if len(x) != 1:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        (weight,), (bias,) = self.tensors
        return float(bias * bias - weight * x[0] * weight > 0)


def test_weights_that_decide_by_an_even_function_are_found_by_zeroing():
    findings = judge(NOT, {"neuron": OddNetwork()})
    assert codes(findings) == ["gate.all-rows", "gate.weights-used"]


def test_a_neuron_that_only_raises_is_raised_with_its_error():
    def broken(z):
        raise NameError("name 'F' is not defined")

    findings = judge(AND, {"neuron": neuron_class(1.0, 1.0, bias=0.0, activation=broken)()})
    assert codes(findings) == ["gate.raises", "gate.waits"]
    assert "F" in findings[0].values["text"]


def test_a_neuron_that_does_not_answer_in_time_is_told_so_in_words_of_ours():
    class TimeLimit(Exception):
        """The child's own, as it is described to the judge."""

    def endless(z):
        raise TimeLimit("the time limit of the cell was reached")

    findings = judge(AND, {"neuron": neuron_class(1.0, 1.0, bias=0.0, activation=endless)()})
    assert codes(findings) == ["judge.ended-question-timeout", "gate.waits"]
    assert outcomes(findings) == [Outcome.TIMEOUT, Outcome.NOT_RUN]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("print(neuron([[1.0], [1.0]]))", "gate.used-otherwise"),
        ("neuron = Column()", "gate.raises"),
        ("neuron()", "gate.raises"),
    ],
)
def test_a_neuron_that_the_section_uses_in_its_own_way_is_for_a_person(source, code):
    class Column:
        def __call__(self, x):
            if not isinstance(x[0], list) or len(x[0]) != 1:
                raise RuntimeError("a column is wanted")
            return float(x[0][0] + x[1][0] > 1.5)

    findings = judge(AND, {"neuron": Column()}, source=source)
    assert codes(findings)[0] == code
    failing = judge(AND, {"neuron": Column()}, source=source, error=("E", "text", ""))
    assert codes(failing)[0] == "gate.raises"


def test_two_outputs_of_which_the_section_takes_the_larger_are_for_a_person():
    def both(x):
        return [1.0 - x[0] * x[1], x[0] * x[1]]

    for source, code in (
        ("net(x).argmax(1)", "gate.used-otherwise"),
        ("print(net(x))", "gate.returns-count"),
    ):
        assert codes(judge(AND, {"neuron": both}, source=source))[0] == code
