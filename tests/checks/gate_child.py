"""A child in this process: plain Python objects stand in for a student's, lists for tensors."""

import inspect
from dataclasses import replace

from grader.checks.view import Ran, SectionView
from grader.model import Cell, Section, Task, points
from grader.sandbox.protocol import (
    BoundName,
    Called,
    CalledGates,
    CallGate,
    CallGates,
    CellDone,
    CellError,
    CountNetworks,
    DescribeNetworks,
    Networks,
    Output,
    ReadValues,
    Values,
)


class Neuron:
    """A threshold of a weighted sum; `tensors` is what the child finds to change."""

    weights, bias = (0.0, 0.0), 0.0

    def __init__(self):
        self.tensors = [list(self.weights), [self.bias]]

    def __call__(self, x):
        if len(x) != len(self.tensors[0]) or not all(isinstance(v, float) for v in x):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        total = sum(w * v for w, v in zip(self.tensors[0], x, strict=True)) + self.tensors[1][0]
        return self.activation(total)

    def activation(self, total):
        return float(total > 0)


def neuron_class(*weights, bias, activation=None):
    members = {"weights": weights, "bias": bias}
    if activation:
        members["activation"] = staticmethod(activation)
    return type("Neuron", (Neuron,), members)


def encode(value):
    if type(value) is bool:
        return Output(type="bool", values=(repr(float(value)),))
    if type(value) in (int, float, complex):
        return Output(type="number", values=(repr(value * 1.0),))
    if type(value) is list and all(type(v) in (int, float, bool) for v in value):
        return Output(
            type="tensor", values=tuple(repr(float(v)) for v in value), shape=(len(value),)
        )
    return Output(type="other", text=type(value).__name__)


def attempt(call):
    try:
        return encode(call())
    except Exception as error:  # noqa: BLE001  # whatever a student's code raises
        return Output(type="raised", text=f"{type(error).__name__}: {error}")


def kind_of(value):
    if inspect.isclass(value):
        return "network-class" if issubclass(value, Neuron) else "class"
    if isinstance(value, Neuron):
        return "network"
    if inspect.isfunction(value):
        return "function"
    if isinstance(value, int | float):
        return "number"
    return "instance" if callable(value) else "other"


class FakeChild:
    def __init__(self, namespace, *, networks=(), counts=None):
        self.namespace, self.networks, self.counts = namespace, networks, counts
        self.built, self.questions = {}, []

    def ask(self, question, reply, *, seconds=10.0):
        self.questions.append(question)
        if isinstance(question, CallGates):
            return CalledGates(replies=tuple(map(self.call, question.questions)))
        if isinstance(question, CallGate):
            return self.call(question)
        if isinstance(question, DescribeNetworks):
            return Networks(networks=tuple(n for n in self.networks if n.name in question.names))
        if isinstance(question, CountNetworks):
            function = self.namespace[question.target.name]
            asked = question.networks or [n for n in self.networks if n.name in question.names]
            return Called(outputs=tuple(attempt(lambda a=a: function(a)) for a in asked))
        assert isinstance(question, ReadValues)
        return Values(values=())

    def call(self, question):
        value = self.namespace[question.target.name]
        if question.target.build:
            try:
                value = self.built.setdefault(question.target.name, None) or value()
            except Exception as error:  # noqa: BLE001  # the same
                return Called(outputs=(), built=f"{type(error).__name__}: {error}")
            self.built[question.target.name] = value
        tensors = getattr(value, "tensors", []) if question.weights != "own" else []
        saved = [list(tensor) for tensor in tensors]
        for tensor in tensors:
            tensor[:] = [-v if question.weights == "negated" else 0.0 for v in tensor]
        outputs = self.called(value, question)
        for tensor, old in zip(tensors, saved, strict=True):
            tensor[:] = old
        again = self.called(value, question) if question.weights != "own" else ()
        return Called(
            outputs=outputs, again=again, type_name=type(value).__name__, changed=len(tensors)
        )

    def called(self, value, question):
        number = int if question.dtype == "int64" else float
        rows = [[number(value) for value in row] for row in question.rows]
        if question.form == "batch":
            return (attempt(lambda: value(rows)),)
        if question.form == "mapped":
            return (Output(type="raised", text="RuntimeError: a list has no rows"),)
        if question.form == "vector":
            return tuple(attempt(lambda row=row: value(row)) for row in rows)
        return tuple(attempt(lambda row=row: value(*row)) for row in rows)


def view_of(child, *, source="", output="", texts=(), error=None, names=None):
    """A section of one code cell, which binds the child's names, and texts below it."""
    code = Cell(position=0, kind="code", source=source, index=1)
    cells = [code]
    cells += [Cell(position=i + 1, kind="text", source=t) for i, t in enumerate(texts)]
    namespace = child.namespace if child else {}
    bound = tuple(
        BoundName(
            name=name,
            kind=kind_of(value),
            type_name=getattr(value, "__name__", type(value).__name__),
            shown=str(value) if isinstance(value, int | float) else "",
        )
        for name, value in namespace.items()
        if names is None or name in names
    )
    done = CellDone(
        index=1,
        outcome="raised" if error else "passed",
        output=output,
        bound=bound,
        error=CellError(type=error[0], text=error[1], placeholder=error[2]) if error else None,
    )
    section = Section(task="t", cells=tuple(cells))
    return SectionView(section=section, ran=(Ran(code, done),), child=child)


def task_of(question, *, names=()):
    from grader.model import Check

    title = {"en": "", "ru": ""}
    checks = tuple(Check(id=each, possible=points(1), title=title) for each in question.check_ids)
    return Task(id="t", title=title, headings=(), question=question, checks=checks, names=names)


def judge(question, namespace, *, names=(), **options):
    child = FakeChild(namespace)
    view = replace(view_of(child, **options))
    return question.judge(task_of(question, names=names), view)
