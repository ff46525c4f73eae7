"""How the object that answers a task is found among the names that a section bound.

Names that the assignment declares come first, then instances, classes (built without arguments)
and functions. The first kind that accepts the inputs is taken; inside it the object that fits best,
and of equals the latest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from grader.checks.inputs import Row, table_rows
from grader.checks.outputs import PLAIN, Answer, Kind, read_answers
from grader.checks.view import Child, SectionView
from grader.sandbox.protocol import (
    BoundName,
    Called,
    CalledGates,
    CallGate,
    CallGates,
    Output,
    Target,
)

Form = Literal["vector", "batch", "mapped", "scalars", "numbers"]
Weights = Literal["own", "negated", "zeroed"]
Convention = Literal["0/1", "-1/+1"]

FORMS: tuple[tuple[Form, str], ...] = (
    ("vector", ""),
    ("batch", ""),
    ("scalars", ""),
    ("numbers", ""),
    ("numbers", "int64"),
)
"""The ways of giving inputs, in the order in which they are tried, with the dtype to ask for.

Whole numbers come last: what takes nothing else (``a ^ b``) is no neuron, but an attempt.
"""

KINDS = ("network", "instance", "network-class", "class", "function")
"""Kinds of objects that can be a gate, in the order in which they are tried."""

_CLASSES = ("network-class", "class")
_MOST_OF_A_KIND = 24
_AT_ONCE = ("batch", "mapped")
"""Forms of which one call answers all rows."""
_BATCH_ROWS = 448  # a reply holds at most 512 values
_SECONDS, _TWICE_SECONDS, _TOGETHER_SECONDS = 10.0, 15.0, 25.0
"""Calls of a question end in four seconds; one with other weights makes them twice."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What an object said for the time of other weights.

    Attributes:
        answers: its answers with them.
        again: its answers when they were put back.
        tensors: how many were changed.
    """

    answers: tuple[Answer, ...]
    again: tuple[Answer, ...]
    tensors: int


@dataclass(frozen=True, slots=True)
class GateObject:
    """An object of the student's with the form in which it takes inputs.

    Attributes:
        child: where it lives.
        bound: its name and kind.
        target: how it is reached.
        form: how it takes its inputs.
        answers: its answers to the rows of the truth table.
        called: the reply that holds them.
        signed: whether it takes -1 and +1 as inputs; rows are given as 0 and 1 all the same.
        dtype: dtype to ask for; empty for that of the object's parameters.
        ahead: questions that were asked together, each with its reply until somebody wants it.
    """

    child: Child
    bound: BoundName
    target: Target
    form: Form
    answers: tuple[Answer, ...]
    called: Called
    signed: bool = False
    dtype: str = ""
    ahead: list[tuple[CallGate, Called]] = field(default_factory=list)

    def ask_ahead(self, questions: Sequence[CallGate]) -> None:
        """Ask what will surely be asked, together: each message costs more than a call.

        Raises:
            ChildGone: the child ended.
        """
        message = CallGates(questions=tuple(questions))
        reply = self.child.ask(message, CalledGates, seconds=_TOGETHER_SECONDS)
        self.ahead[:] = zip(questions, reply.replies, strict=False)

    def ask(self, rows: tuple[Row, ...]) -> tuple[Answer, ...]:
        """Return the object's answers to rows of inputs.

        Raises:
            ChildGone: the child ended.
        """
        step = _BATCH_ROWS if self.form in _AT_ONCE else len(rows)
        answers: list[Answer] = []
        for start in range(0, len(rows), step):
            question = self.question(rows[start : start + step])
            called = self._called(question)
            answers += self._read(called.outputs, called, question)
        return tuple(answers)

    def ask_changed(self, rows: tuple[Row, ...], weights: Literal["negated", "zeroed"]) -> Changed:
        """Return the object's answers to a few rows with other weights, and again with its own.

        Raises:
            ChildGone: the child ended.
        """
        question = self.question(rows, weights=weights)
        called = self._called(question)
        return Changed(
            answers=self._read(called.outputs, called, question),
            again=self._read(called.again, called, question),
            tensors=called.changed,
        )

    def _called(self, question: CallGate) -> Called:
        for place, (asked, called) in enumerate(self.ahead):
            if asked == question:
                del self.ahead[place]
                return called
        seconds = _SECONDS if question.weights == "own" else _TWICE_SECONDS
        return self.child.ask(question, Called, seconds=seconds)

    def question(self, rows: tuple[Row, ...], *, weights: Weights = "own") -> CallGate:
        """Return the question for the object's answers to rows of inputs."""
        return CallGate(
            target=self.target,
            form=self.form,
            rows=tuple(map(self.given, rows)) if self.signed else rows,
            weights=weights,
            dtype=self.dtype,
        )

    def _read(
        self, outputs: tuple[Output, ...], called: Called, question: CallGate
    ) -> tuple[Answer, ...]:
        batch = self.form in _AT_ONCE
        return read_answers(outputs, called.built, rows=len(question.rows), batch=batch)

    def given(self, row: Row) -> Row:
        """Return the inputs that stand for a row of 0 and 1."""
        return tuple(2 * value - 1 for value in row) if self.signed else row

    @property
    def convention(self) -> Convention:
        """How it writes false and true: the answers tell."""
        return convention_of(self.answers)

    @property
    def type_name(self) -> str:
        """Name of the object's class; empty for a function."""
        return "" if self.bound.kind == "function" else self.called.type_name


@dataclass(frozen=True, slots=True)
class Refused:
    """An object that does not accept the inputs, and what it did instead.

    Attributes:
        bound: its name and kind.
        answer: what came of the most telling call.
        built: whether there was an object to call; False where a class could not be built.
        declared: whether the assignment declares the name.
    """

    bound: BoundName
    answer: Answer
    built: bool = True
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found: the object, or those that did not accept the inputs."""

    found: GateObject | None
    refused: tuple[Refused, ...] = ()


def find_gate(
    view: SectionView, names: tuple[str, ...], function: Callable[..., int], inputs: int
) -> Search:
    """Find the object of a section that is the gate `function` of `inputs` inputs.

    Args:
        view: the section; `view.child` must not be None for anything to be found.
        names: names that the assignment declares, best first.
        function: the oracle, called with 0 and 1.
        inputs: number of inputs.

    Raises:
        ChildGone: the child ended while it was asked.
    """
    child = view.child
    if child is None:
        return Search(None)
    rows = table_rows(inputs)
    expected = tuple(int(function(*map(int, row))) for row in rows)
    refused: list[Refused] = []
    best: GateObject | None = None
    seen_types: set[str] = set()
    for group, declared in _groups(view, names):
        accepting = []
        for bound in group:
            found = _try(child, view, bound, rows)
            if isinstance(found, GateObject):
                accepting.append(found)
            else:
                refused.append(replace(found, declared=declared))
        fitting = max(accepting, key=lambda found: _fit(found, expected), default=None)
        if best is None:
            best = fitting
            if fitting is not None and (declared or _fit(fitting, expected) == len(rows)):
                break
        elif fitting is not None and _takes_over(fitting, expected, seen_types):
            best = fitting
            break
        seen_types.update(found.type_name for found in accepting)
    return Search(best, tuple(refused))


def convention_of(answers: tuple[Answer, ...]) -> Convention:
    """Tell how answers are written: ``-1/+1`` where there is a -1 and no 0."""
    kinds = {answer.kind for answer in answers}
    return "-1/+1" if "minus" in kinds and "zero" not in kinds else "0/1"


TRUTHS: Mapping[Convention, Mapping[Kind, int]] = {
    "0/1": {"one": 1, "zero": 0},
    "-1/+1": {"one": 1, "minus": 0},
}
"""The kinds of answers that say something, each with what it says."""


def truth_of(answer: Answer, convention: Convention) -> int | None:
    """Return what an answer says, 0 or 1, or None where it says neither."""
    return TRUTHS[convention].get(answer.kind)


def _fit(found: GateObject, expected: tuple[int, ...]) -> int:
    convention = found.convention
    return sum(
        truth_of(answer, convention) == right
        for answer, right in zip(found.answers, expected, strict=True)
    )


def _takes_over(found: GateObject, expected: tuple[int, ...], seen_types: set[str]) -> bool:
    """Tell whether an object of a later kind is the gate although an earlier kind accepts.

    A section often builds XOR as a class or function from gates that it names. It takes over
    where it is wholly right and made of tensors, so that a plain function that only tells the
    right answers is none; and a class never stands in for the student's own instance of it.
    """
    if _fit(found, expected) < len(expected) or found.type_name in seen_types - {""}:
        return False
    rows = table_rows(_inputs_of(expected))
    return found.ask_changed(rows, "negated").tensors > 0


def _inputs_of(expected: tuple[int, ...]) -> int:
    return len(expected).bit_length() - 1


def _groups(
    view: SectionView, names: tuple[str, ...]
) -> Iterator[tuple[tuple[BoundName, ...], bool]]:
    """Yield groups of names in the order of the search, the latest of a group first."""
    callables = {bound.name: bound for bound in view.bound() if bound.kind in KINDS}
    for name in names:
        if name in callables:
            yield (callables[name],), True
    rest = [bound for bound in callables.values() if bound.name not in names]
    for kind in KINDS:
        group = tuple(bound for bound in reversed(rest) if bound.kind == kind)
        yield group[:_MOST_OF_A_KIND], False


def _try(
    child: Child, view: SectionView, bound: BoundName, rows: tuple[Row, ...]
) -> GateObject | Refused:
    """Return what an object is, which another task may have found out before."""
    key = (bound.name, len(rows[0]))
    if key not in view.tried:
        view.tried[key] = _try_forms(child, view.file, bound, rows)
    found: GateObject | Refused = view.tried[key]
    return replace(found, child=child) if isinstance(found, GateObject) else found


def _try_forms(
    child: Child, file: str, bound: BoundName, rows: tuple[Row, ...]
) -> GateObject | Refused:
    target = Target(file=file, name=bound.name, build=bound.kind in _CLASSES)
    tried: list[Answer] = []
    for form, dtype in FORMS:
        called = child.ask(CallGate(target=target, form=form, rows=rows, dtype=dtype), Called)
        if called.built:
            answer = Answer("raised", called.built)
            return Refused(bound, answer, built=False)
        batch = form == "batch"
        answers = read_answers(called.outputs, called.built, rows=len(rows), batch=batch)
        if all(answer.kind in PLAIN for answer in answers):
            return GateObject(child, bound, target, form, answers, called, dtype=dtype)
        tried.append(next(answer for answer in answers if answer.kind not in PLAIN))
    return Refused(bound, _most_telling(tried))


def _most_telling(tried: list[Answer]) -> Answer:
    """Return what says most about why no form is accepted: a result, then an own error."""
    for kind in ("other", "count", "nothing"):
        for answer in tried:
            if answer.kind == kind:
                return answer
    own = [answer for answer in tried if not answer.text.startswith("TypeError")]
    return (own or tried)[0]
