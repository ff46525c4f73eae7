"""Sections made by hand: cells, what was observed of them, and a child that knows some values."""

import json
import re

from grader.checks.view import Card, Ran, SectionView
from grader.messages import LANGUAGES, message
from grader.model import Cell, Check, Section, Task, points
from grader.sandbox.protocol import (
    BoundName,
    Called,
    CallGate,
    CellDone,
    CellError,
    Gradients,
    Output,
    ReadGradients,
    ReadValues,
    Value,
    Values,
)


def text(source, *, pictures=()):
    return Cell(position=0, kind="text", source=source, pictures=pictures), None


def code(source, *, printed="", bound=(), error=None, **done):
    cell = Cell(position=0, kind="code", source=source, printed=printed)
    names = tuple(n if isinstance(n, BoundName) else BoundName(name=n, kind="text") for n in bound)
    if error is not None:
        kind, _, words = error.partition(": ")
        done |= {"outcome": "raised", "error": CellError(type=kind, text=words)}
    return cell, {"outcome": "passed", "bound": names, **done}


class PlainChild:
    """Answers questions from Python values: ints and strings, tensors as facts, functions."""

    def __init__(self, values=(), *, tensors=(), functions=()):
        self.values = dict(values)
        self.tensors = tuple(tensors)
        self.functions = dict(functions)

    def ask(self, question, reply, *, seconds=10.0):
        if isinstance(question, ReadValues):
            known = [name for name in question.names if name in self.values]
            return Values(
                values=tuple(Value(name=n, json=json.dumps(self.values[n])) for n in known)
            )
        if isinstance(question, ReadGradients):
            return Gradients(tensors=self.tensors)
        assert isinstance(question, CallGate), question
        return Called(
            outputs=tuple(self._call(question, row) for row in question.rows), kind="function"
        )

    def _call(self, question, row):
        if question.form != "numbers":
            return Output(type="raised", text="TypeError: not numbers")
        try:
            answer = self.functions[question.target.name](*map(int, row))
        except Exception as error:  # noqa: BLE001  # whatever a student's code raises
            return Output(type="raised", text=f"{type(error).__name__}: {error}")
        return Output(type="number", values=(repr(float(answer)),))


def view_of(*cells, child=None, **more):
    made, ran, index = [], [], 0
    for position, (cell, done) in enumerate(cells):
        index += cell.kind == "code"
        cell = Cell(
            position=position,
            kind=cell.kind,
            source=cell.source,
            index=index if cell.kind == "code" else None,
            printed=cell.printed,
            pictures=cell.pictures,
        )
        made.append(cell)
        if done is not None:
            ran.append(Ran(cell=cell, done=CellDone(index=index, **done)))
    more.setdefault("card", Card(name="Tesla T4", exact=True, usable_bytes=1000))
    return SectionView(section=Section(task="t", cells=tuple(made)), ran=tuple(ran), child=child,
                       **more)  # fmt: skip


def task_of(question, *names):
    checks = tuple(Check(check, points(1), {}) for check in question.check_ids)
    return Task(id="t", title={}, headings=(), question=question, checks=checks, names=names)


def judged(question, view, *names):
    """Return (outcome, code) by check; every message exists and is filled in each language."""
    findings = question.judge(task_of(question, *names), view)
    assert [finding.check for finding in findings] == list(question.check_ids)
    for finding in findings:
        for language in LANGUAGES:
            shown = message(finding.code, finding.values, language=language)
            assert not re.search(r"\{\w+\}", shown)
            message(f"{finding.code}.explain", language=language)
    return {finding.check: (finding.outcome.value, finding.code) for finding in findings}


def findings_of(question, view, *names):
    """Return the findings by check."""
    return {f.check: f for f in question.judge(task_of(question, *names), view)}
