"""The question whether an object is a logic gate: right in every row, and by its weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from grader.checks.answers import find_attempt, find_failure, for_all
from grader.checks.candidates import (
    GateObject,
    Refused,
    find_gate,
    truth_of,
)
from grader.checks.comments import applies_threshold, is_built, is_called, picks_largest
from grader.checks.gate_evidence import decision_line, plane_question, source_of, truth_table
from grader.checks.inputs import Row, mixed_rows, smallest, table_rows
from grader.checks.outputs import Answer
from grader.checks.view import SectionView, graded_object
from grader.checks.weights import Verdict, is_threshold, said, weigh
from grader.evidence import Counterexample, Evidence, StudentText
from grader.model import Finding, Outcome, Task

_TABLE, _WEIGHTS = "truth-table", "weights"
_LIMITS = (0.0, 0.5)
_OBJECTS = ("network", "instance", "function")
_MOST_TEXT = 2000
_MOST_CALLS_SHOWN = 8

_BY_VERDICT: Mapping[Verdict, tuple[Outcome, str, Outcome]] = {
    # what the weights are, why, and what becomes of the right table
    "changed": (Outcome.PASSED, "gate.weights-used", Outcome.PASSED),
    "raised": (Outcome.REVIEW, "gate.weights-unclear", Outcome.PASSED),
    "straight": (Outcome.REVIEW, "gate.no-tensors", Outcome.PASSED),
    "unchanged": (Outcome.FAILED, "gate.weights-unused", Outcome.REVIEW),
    "bent": (Outcome.FAILED, "gate.not-a-neuron", Outcome.REVIEW),
    # No line tells an XOR of plain numbers from a comparison, so a person does.
    "none": (Outcome.REVIEW, "gate.no-tensors", Outcome.REVIEW),
}


@dataclass(frozen=True, slots=True)
class Gate:
    """A neuron, or a network of them, that computes a boolean function.

    Attributes:
        function: the oracle: called with 0 and 1, returns 0 or 1.
        inputs: number of inputs.
    """

    function: Callable[..., int]
    inputs: int

    @property
    def check_ids(self) -> tuple[str, ...]:
        """Ids of the checks it judges."""
        return (_TABLE, _WEIGHTS)

    @property
    def has_parts(self) -> bool:
        """Whether no single neuron computes it, so that other tasks' gates may be its parts."""
        try:
            return not is_threshold(self.function, self.inputs)
        except Exception:  # noqa: BLE001  # of the assignment: judging with it says what is wrong
            return True

    def judge(self, task: Task, view: SectionView) -> list[Finding]:
        """Return one finding for each check of `task`.

        Raises:
            ChildGone: the child ended while it was asked.
        """
        search = find_gate(view, task.names, self.function, self.inputs)
        if search.found is None:
            return [
                _waiting(finding) if finding.check == _WEIGHTS else finding
                for finding in for_all(task, _not_found(view, search.refused))
            ]
        table, weights = _Trial(self, view, search.found).findings()
        by_check = {_TABLE: table, _WEIGHTS: weights}
        return [replace(by_check[check.id], check=check.id) for check in task.checks]

    def expected(self) -> tuple[int, ...]:
        """Return the right answers in the order of the truth table."""
        return tuple(int(self.function(*map(int, row))) for row in table_rows(self.inputs))


class _Trial:
    """The questions to one object."""

    def __init__(self, question: Gate, view: SectionView, gate: GateObject) -> None:
        self._question = question
        self._expected = question.expected()
        self._view = view
        self._gate = self._in_signs(gate)
        self._rows = table_rows(question.inputs)
        self._cell = view.where(gate.bound.name)

    def findings(self) -> tuple[Finding, Finding]:
        """Return the findings for the table and for the weights."""
        wrong = self._find_wrong_row()
        if wrong is None:
            self._ask_ahead()
            wrong = self._find_change()
        if wrong is not None and wrong.outcome is Outcome.REVIEW:
            return wrong, replace(wrong, evidence=())
        if wrong is not None:
            waits = self._finding(Outcome.NOT_RUN, "gate.waits")
            return wrong, waits
        weighed = weigh(self._gate, self._question.function, self._question.inputs)
        outcome, code, table_outcome = _BY_VERDICT[weighed.verdict]
        staff = () if weighed.restored else (("gate.not-restored", self._values()),)
        weights = self._finding(
            outcome,
            code,
            {"tensors": str(weighed.tensors)},
            staff=staff,
            evidence=self._code() if outcome is not Outcome.PASSED else (),
        )
        minus = self._gate.convention == "-1/+1"
        code = "gate.minus-plus" if minus else "gate.all-rows"
        if table_outcome is Outcome.REVIEW:
            code = "gate.right-but-fixed"
        table = self._finding(table_outcome, code, evidence=self._pictures())
        return table, weights

    # -------------------------------------------------------------- the table

    def _in_signs(self, gate: GateObject) -> GateObject:
        """Return the gate as one of -1 and +1 inputs where only so it is right."""
        if self._right(gate.answers, gate):
            return gate
        signed = replace(gate, signed=True)
        answers = signed.ask(table_rows(self._question.inputs))
        signed = replace(signed, answers=answers)
        if signed.convention == "-1/+1" and self._right(answers, signed):
            return signed
        return gate

    def _right(self, answers: tuple[Answer, ...], gate: GateObject) -> bool:
        return said(answers, gate) == self._expected

    def _find_wrong_row(self) -> Finding | None:
        """Return what is wrong in the plain table; its first wrong row is the smallest failure."""
        truths = said(self._gate.answers, self._gate)
        wrong = [
            number
            for number, (truth, right) in enumerate(zip(truths, self._expected, strict=True))
            if truth != right
        ]
        if not wrong:
            return None
        row, answer = self._rows[wrong[0]], self._gate.answers[wrong[0]]
        right = self._expected[wrong[0]]
        again = self._gate.ask((row,))[0]
        if truth_of(again, self._gate.convention) == right:
            return self._changed((row,), (answer,), call=wrong[0] + 1, first=again.text)
        code = _code_of(answer, truths, self._expected)
        return self._failed(code, row, answer, right)

    def _failed(self, code: str, row: Row, answer: Answer, right: int) -> Finding:
        counterexample = Counterexample(
            source=source_of(self._gate, (row,)), expected=self._written(right), actual=answer.text
        )
        values = {
            "inputs": self._shown(row),
            "actual": answer.text,
            "expected": self._written(right),
        }
        evidence = (counterexample, *self._pictures())
        if code == "gate.between" and self._is_right_beyond_threshold():
            return self._finding(
                Outcome.REVIEW, "gate.threshold-outside", values, evidence=evidence
            )
        return self._finding(Outcome.FAILED, code, values, evidence=evidence)

    def _is_right_beyond_threshold(self) -> bool:
        """Tell whether the section applies a threshold by which the object's answers are right."""
        if not applies_threshold(self._view):
            return False
        values = [answer.value for answer in self._gate.answers]
        return any(
            all(
                (value > limit) == bool(right)
                for value, right in zip(values, self._expected, strict=True)
            )
            for limit in _LIMITS
        )

    def _ask_ahead(self) -> None:
        """Ask together what a gate is asked whose table is right."""
        questions = [
            self._gate.question(mixed_rows(self._question.inputs)),
            self._gate.question(self._rows, weights="negated"),
        ]
        if self._has_plane:
            questions.append(plane_question(self._gate))
        self._gate.ask_ahead(questions)

    def _find_change(self) -> Finding | None:
        """Return what is wrong when rows come in other orders and again, None if nothing is."""
        mixed = mixed_rows(self._question.inputs)
        answers = self._gate.ask(mixed)
        failing = self._first_failure(mixed, answers)
        if failing is None:
            return None
        from hypothesis import strategies

        known = mixed[: failing + 1]
        seen = {known: answers[: failing + 1]}

        def fails(rows: tuple[Row, ...]) -> bool:
            replies = self._gate.ask(rows)
            place = self._first_failure(rows, replies)
            if place is not None:
                seen[rows] = replies
            return place is not None

        sequences = strategies.lists(
            strategies.sampled_from(self._rows), min_size=1, max_size=_MOST_CALLS_SHOWN
        ).map(tuple)
        found = smallest(sequences, fails, size=lambda rows: (len(rows), rows), known=known)
        rows = found or known
        first = self._gate.answers[self._rows.index(mixed[failing])].text
        calls_before = 1 if self._gate.form == "batch" else len(self._rows)
        call = calls_before + (1 if self._gate.form == "batch" else failing + 1)
        return self._changed(rows, seen[rows], call=call, first=first, at=answers[failing])

    def _first_failure(self, rows: tuple[Row, ...], answers: tuple[Answer, ...]) -> int | None:
        convention = self._gate.convention
        for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            if truth_of(answer, convention) != self._right_of(row):
                return place
        return None

    def _changed(
        self,
        rows: tuple[Row, ...],
        answers: tuple[Answer, ...],
        *,
        call: int,
        first: str,
        at: Answer | None = None,
    ) -> Finding:
        last = at or answers[-1]
        wrong = self._first_failure(rows, answers)
        row = rows[wrong] if wrong is not None else rows[-1]
        values = {
            "inputs": self._shown(row),
            "first": first,
            "actual": last.text,
            "call": str(call),
        }
        rights = [self._written(self._right_of(each)) for each in rows]
        evidence: tuple[Evidence, ...] = (truth_table(self._gate, self._expected),)
        if len(rows) <= _MOST_CALLS_SHOWN:
            counterexample = Counterexample(
                source=source_of(self._gate, rows),
                expected=", ".join(rights),
                actual=", ".join(answer.text for answer in answers),
            )
            evidence = (counterexample, *evidence)
        return self._finding(Outcome.FAILED, "gate.changes", values, evidence=evidence)

    # -------------------------------------------------------------- words

    def _right_of(self, row: Row) -> int:
        return self._expected[self._rows.index(row)]

    def _written(self, truth: int) -> str:
        return str(truth if self._gate.convention == "0/1" else 2 * truth - 1)

    def _shown(self, row: Row) -> str:
        values = ", ".join(f"{value:g}" for value in self._gate.given(row))
        return f"({values})" if len(row) > 1 else values

    def _values(self) -> dict[str, str]:
        name = self._gate.bound.name
        return {**graded_object(name, self._gate.type_name, self._cell), "form": self._gate.form}

    def _pictures(self) -> tuple[Evidence, ...]:
        table = truth_table(self._gate, self._expected)
        return (table, decision_line(self._gate)) if self._has_plane else (table,)

    @property
    def _has_plane(self) -> bool:
        """Whether there is a picture of where it says what."""
        return self._question.inputs == 2 and not self._gate.dtype

    def _code(self) -> tuple[Evidence, ...]:
        source = _source(self._view, self._cell)
        return (StudentText(where="code", text=source[:_MOST_TEXT]),) if source else ()

    def _finding(
        self,
        outcome: Outcome,
        code: str,
        values: Mapping[str, str] | None = None,
        *,
        evidence: tuple[Evidence, ...] = (),
        staff: tuple[tuple[str, Mapping[str, str]], ...] = (),
    ) -> Finding:
        source = _source(self._view, self._cell)[:_MOST_TEXT]
        return Finding(
            check="",
            outcome=outcome,
            code=code,
            values={**self._values(), **(values or {})},
            evidence=evidence,
            staff=staff,
            cells=(self._cell,) if self._cell else (),
            excerpt=source if outcome is Outcome.REVIEW else "",
        )


def _code_of(answer: Answer, truths: tuple[int | None, ...], expected: tuple[int, ...]) -> str:
    """Return the message that says best what is wrong with a table, from its first wrong answer."""
    if answer.kind in ("nan", "complex"):
        return f"gate.{answer.kind}"
    if None in truths:
        return "gate.wrong-row" if answer.kind in ("zero", "one") else "gate.between"
    if len(set(truths)) == 1:
        return "gate.constant"
    if all(truth != right for truth, right in zip(truths, expected, strict=True)):
        return "gate.inverted"
    return "gate.wrong-row"


def _source(view: SectionView, cell: int) -> str:
    return next((ran.cell.source for ran in view.ran if ran.cell.index == cell), "")


# ------------------------------------------------------------------ nothing accepts


def _not_found(view: SectionView, refused: tuple[Refused, ...]) -> Finding:
    """Return the finding for a section in which nothing accepts the inputs."""
    attempt = next((item for item in refused if _is_attempt(item)), None)
    if attempt is not None and not attempt.built and is_built(view, attempt.bound.name):
        return find_attempt(view) or _refusal(view, attempt)  # its instances have no name
    if attempt is not None:
        return _refusal(view, attempt)
    failure = find_failure(view)
    if failure is not None:
        return failure
    odd = next((item for item in refused if item.answer.kind in ("count", "other")), None)
    if odd is not None:
        return _refusal(view, odd)
    missing = Finding(check="", outcome=Outcome.MISSING, code="gate.missing")
    return find_attempt(view) or missing


def _waiting(finding: Finding) -> Finding:
    """Return the finding for the weights of what has no right table since it failed."""
    if finding.outcome in (Outcome.FAILED, Outcome.RAISED, Outcome.TIMEOUT):
        return replace(finding, outcome=Outcome.NOT_RUN, code="gate.waits")
    return finding


def _is_attempt(refused: Refused) -> bool:
    """Tell whether an object that does not accept is meant as the answer, and no helper.

    A function or a plain class that fails on a tensor by its type expects something else, such
    as the neuron that it tests.
    """
    if refused.declared or refused.bound.kind in ("network", "instance", "network-class"):
        return True
    if refused.bound.kind == "class" and not refused.built:
        return False
    if refused.answer.kind == "raised":
        return not refused.answer.text.startswith(("TypeError", "AttributeError"))
    return refused.answer.kind == "other" and refused.bound.kind == "class"


def _refusal(view: SectionView, refused: Refused) -> Finding:
    name, answer = refused.bound.name, refused.answer
    cell = view.where(name)
    code, outcome = "gate.raises", Outcome.RAISED
    if answer.kind == "raised" and answer.text.startswith("MissingModule"):
        code, outcome = "gate.module-missing", Outcome.REVIEW  # the gap is ours
    elif answer.kind == "raised" and answer.text.startswith("TimeLimit:"):
        code, outcome = "judge.ended-question-timeout", Outcome.TIMEOUT
    elif not refused.built:
        code = "gate.not-built"
    elif answer.kind in ("count", "other", "nothing"):
        code, outcome = f"gate.returns-{answer.kind}", Outcome.FAILED
    own_way = code == "gate.raises" and refused.bound.kind in _OBJECTS and is_called(view, name)
    if own_way or (answer.kind == "count" and picks_largest(view)):
        code, outcome = "gate.used-otherwise", Outcome.REVIEW
    return Finding(
        check="",
        outcome=outcome,
        code=code,
        values={**graded_object(name, refused.bound.type_name, cell), "text": answer.text[:300]},
        cells=(cell,) if cell else (),
        excerpt=_source(view, cell)[:_MOST_TEXT] if outcome is Outcome.REVIEW else "",
    )
