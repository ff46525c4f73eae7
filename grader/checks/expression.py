"""A boolean function written as an expression of threshold neurons.

The expression may stand in the variable that the handout declares, in a text cell, a string, a
comment, in code or in what a cell printed; of several the last counts. What stands in a comment or
in code that runs may be right, but is never wrong: then a person decides.
"""

import ast
import functools
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from grader.checks.answers import find_attempt, find_failure, for_all, read_values
from grader.checks.candidates import GateObject, find_gate, truth_of
from grader.checks.expression_grammar import (
    Exact,
    Expression,
    Neuron,
    SyntaxProblem,
    find_expressions,
    read_expression,
    spelled_plainly,
    value_of,
    with_definitions,
)
from grader.checks.inputs import table_rows
from grader.checks.student_text import (
    MOST_EXCERPT,
    comments,
    opens_with_heading,
    string_constants,
    text_pieces,
    without_magics,
)
from grader.checks.view import SectionView, graded_object
from grader.evidence import ExpressionTree, StudentText, TruthTable
from grader.model import Cell, Finding, Outcome, Task

_MOST_ATTEMPTS = 200
"""The last ones, of which each is compared with each."""
_FIRM = ("variable", "markdown", "string", "printed")
_ODD_POINTS = ((5, -3, 11), (-7, 13, 2), (17, 19, -23))


@dataclass(frozen=True, slots=True)
class Attempt:
    """An expression, or what was meant as one, with its place.

    Attributes:
        where: ``variable``, ``markdown``, ``string``, ``printed``, ``comment`` or ``code``.
        text: the text.
        cell: index of the code cell, 0 for a text cell.
        expression: what was read.
        problem: why it could not be read.
        name: the variable that held it.
    """

    where: str
    text: str
    cell: int
    expression: Expression | None = None
    problem: SyntaxProblem | None = None
    name: str = ""

    @property
    def firm(self) -> bool:
        """Whether it can be wrong."""
        return self.where in _FIRM


@dataclass(frozen=True, slots=True)
class XorExpression:
    """A boolean function as an expression of a few neurons.

    Attributes:
        function: the oracle, called with 0 and 1 for each variable.
        most_neurons: neurons that the expression may have.
        variables: names of the inputs.
        neuron: name of the neuron.
    """

    function: Callable[..., int]
    most_neurons: int = 3
    variables: tuple[str, ...] = ("x1", "x2")
    neuron: str = "neuron"

    @property
    def check_ids(self) -> tuple[str, ...]:
        """Ids of the checks it judges."""
        return ("truth-table", "three-neurons")

    def judge(self, task: Task, view: SectionView) -> list[Finding]:
        """Return one finding for each check of `task`."""
        attempts = self._attempts(task, view)
        read = [attempt for attempt in attempts if attempt.expression is not None]
        chosen = self._choose(read)
        if chosen is not None and (chosen.firm or self._is_right(chosen)):
            unread = [attempt for attempt in attempts if attempt.problem is not None]
            if unread and not self._is_right(chosen):
                return self._unread(unread[-1])  # what is wrong may be a part of it
            return self._judge_expression(chosen)
        if chosen is None:
            unread = [attempt for attempt in attempts if attempt.problem is not None]
            if unread:
                return self._unread(unread[-1])
        return self._judge_code(task, view, chosen)

    # -------------------------------------------------------------- finding the expression

    def _attempts(self, task: Task, view: SectionView) -> list[Attempt]:
        samples = [_squeezed(sample) for sample in view.samples]
        declared = list(self._declared(task, view))
        if declared:
            return declared
        found: list[Attempt] = []
        for cell in view.section.cells:
            found += self._in_text(cell) if cell.kind == "text" else self._in_code(cell, view)
        return [
            attempt
            for attempt in found
            if not any(_squeezed(attempt.text) in sample for sample in samples)
        ]

    def _declared(self, task: Task, view: SectionView) -> Iterator[Attempt]:
        for name, value in read_values(view, task.names).items():
            if isinstance(value, str) and value.strip():
                attempt = self._whole(value, "variable")
                yield Attempt(
                    attempt.where,
                    value.strip(),
                    view.where(name),
                    attempt.expression,
                    attempt.problem,
                    name,
                )

    def _whole(self, text: str, where: str) -> Attempt:
        """Read a text that is an expression as a whole, perhaps behind an equals sign."""
        body = text.rpartition("=")[2]
        try:
            read = read_expression(body, variables=self.variables, neuron=self.neuron)
        except SyntaxProblem as problem:
            inside = [found for found in self._find(text) if isinstance(found, Expression)]
            if inside:
                return Attempt(where, inside[-1].text, 0, inside[-1])
            return Attempt(where, body, 0, None, problem)
        return Attempt(where, read.text, 0, read)

    def _find(self, text: str) -> Iterator[Expression | tuple[str, SyntaxProblem]]:
        text = with_definitions(text, variables=self.variables, neuron=self.neuron)
        yield from find_expressions(text, variables=self.variables, neuron=self.neuron)

    def _placed(self, text: str, where: str, cell: Cell, *, mistakes: bool) -> Iterator[Attempt]:
        index = cell.index or 0
        for found in self._find(text):
            if isinstance(found, Expression):
                yield Attempt(where, found.text, index, found)
            elif mistakes and any(v in found[0] for v in self.variables):
                yield Attempt(where, found[0], index, None, found[1])

    def _in_text(self, cell: Cell) -> Iterator[Attempt]:
        """Yield the attempts of a text cell; a mistake in the statement's paragraph is none."""
        statement, rest = "", cell.source
        if opens_with_heading(cell.source):
            statement, _, rest = cell.source.partition("\n\n")
        yield from self._placed(_broken_at_marks(statement), "markdown", cell, mistakes=False)
        yield from self._placed(_broken_at_marks(rest), "markdown", cell, mistakes=True)

    def _in_code(self, cell: Cell, view: SectionView) -> Iterator[Attempt]:
        yield from self._placed(_bare_code(cell.source), "code", cell, mistakes=False)
        for comment in comments(cell.source):
            statement = opens_with_heading(comment)
            yield from self._placed(
                _broken_at_marks(comment), "comment", cell, mistakes=not statement
            )
        for text in string_constants(cell.source):
            yield from self._placed(_broken_at_marks(text), "string", cell, mistakes=True)
        for ran in view.ran:
            if ran.cell.position == cell.position and ran.done is not None:
                yield from self._placed(ran.done.output, "printed", cell, mistakes=False)

    def _choose(self, read: list[Attempt]) -> Attempt | None:
        """Return the last expression that is no part of an earlier one.

        Where the last stands in a comment or in code and is wrong, the last firm one counts.
        """
        whole: list[Attempt] = []
        for attempt in read[-_MOST_ATTEMPTS:]:
            if not any(self._is_part(attempt, earlier) for earlier in whole):
                whole.append(attempt)
        if not whole:
            return None
        last = whole[-1]
        if last.firm or self._is_right(last):
            return last
        firm = [attempt for attempt in whole if attempt.firm]
        return firm[-1] if firm else last

    def _is_part(self, attempt: Attempt, whole: Attempt) -> bool:
        """Tell whether an attempt repeats a part of another one, as a remark on it does.

        A neuron is the same in any spelling: ``neuron(x1 - 0.5)`` and ``neuron(1*x1 - 0.5)``.
        """
        text, around = _squeezed(attempt.text), _squeezed(whole.text)
        if text in around and text != around:
            return True
        if attempt.expression is None or whole.expression is None:
            return False
        root = attempt.expression.root
        return isinstance(root, Neuron) and any(
            parent >= 0 and self._sums(neuron) == self._sums(root)
            for neuron, parent in whole.expression.neurons()
        )

    def _sums(self, neuron: Neuron) -> tuple[Exact, ...]:
        """Return a neuron's sums at points where two different neurons hardly share them all."""
        return tuple(
            value_of(neuron.argument, dict(zip(self.variables, point, strict=False)))
            for point in (*self._rows(), *_ODD_POINTS)
        )

    # -------------------------------------------------------------- judging it

    def _rows(self) -> tuple[tuple[int, ...], ...]:
        return tuple(itertools.product((0, 1), repeat=len(self.variables)))

    def _results(self, expression: Expression, *, at_zero: int = 0) -> tuple[Exact, ...]:
        return tuple(
            expression.value(dict(zip(self.variables, row, strict=True)), at_zero=at_zero)
            for row in self._rows()
        )

    def _expected(self) -> tuple[int, ...]:
        return tuple(int(self.function(*row)) for row in self._rows())

    def _is_right(self, attempt: Attempt) -> bool:
        assert attempt.expression is not None
        return self._results(attempt.expression) == self._expected()

    def _judge_expression(self, attempt: Attempt) -> list[Finding]:
        expression = attempt.expression
        assert expression is not None
        neurons = expression.neurons()
        outcome, code, values = self._table_verdict(expression)
        values["expression"] = attempt.text[:300]
        if attempt.name:
            values |= graded_object(attempt.name, "str", attempt.cell)
        table = Finding(
            check="truth-table",
            outcome=outcome,
            code=code,
            values=values,
            evidence=(self._tree(expression),),
            cells=(attempt.cell,) if attempt.cell else (),
            excerpt=attempt.text[:MOST_EXCERPT] if outcome is Outcome.REVIEW else "",
        )
        return [table, self._count(table, [neuron.text for neuron, _ in neurons])]

    def _table_verdict(self, expression: Expression) -> tuple[Outcome, str, dict[str, str]]:
        expected = self._expected()
        results = self._results(expression)
        if results == expected and not expression.neurons():
            return Outcome.REVIEW, "expression.no-neurons", {}
        if results == expected:
            return Outcome.PASSED, "expression.all-rows", {}
        if self._results(expression, at_zero=1) == expected:
            return Outcome.REVIEW, "expression.right-at-zero", {}
        wrong = next(i for i, right in enumerate(expected) if results[i] != right)
        values = {
            "row": ", ".join(
                f"{name}={value}"
                for name, value in zip(self.variables, self._rows()[wrong], strict=True)
            ),
            "expected": str(expected[wrong]),
            "actual": shown_number(results[wrong]),
        }
        return Outcome.FAILED, "expression.wrong-row", values

    def _count(self, table: Finding, texts: list[str]) -> Finding:
        values = {"count": str(len(texts)), "most": str(self.most_neurons)}
        distinct = len({_squeezed(text) for text in texts})
        if table.outcome not in (Outcome.PASSED, Outcome.REVIEW):
            outcome, code = Outcome.NOT_RUN, "expression.count-waits"
        elif distinct > self.most_neurons:
            outcome, code = Outcome.FAILED, "expression.too-many"
        elif len(texts) > self.most_neurons:
            outcome, code = Outcome.REVIEW, "expression.repeated-neurons"
        elif table.outcome is Outcome.REVIEW:
            outcome, code = Outcome.REVIEW, "expression.count-with-table"
        else:
            outcome, code = Outcome.PASSED, "expression.few-neurons"
        return Finding(
            check="three-neurons",
            outcome=outcome,
            code=code,
            values=values,
            excerpt=table.excerpt if outcome is Outcome.REVIEW else "",
        )

    def _tree(self, expression: Expression) -> ExpressionTree:
        neurons = expression.neurons()
        rows = self._rows()
        inputs = [dict(zip(self.variables, row, strict=True)) for row in rows]
        sums = [[value_of(neuron.argument, row) for row in inputs] for neuron, _ in neurons]
        return ExpressionTree(
            text=expression.text,
            neurons=tuple(neuron.text for neuron, _ in neurons),
            parents=tuple(parent for _, parent in neurons),
            rows=tuple((row[0], row[-1]) for row in rows),
            sums=tuple(tuple(shown_number(value) for value in row) for row in sums),
            outputs=tuple(tuple(int(value > 0) for value in row) for row in sums),
            results=tuple(shown_number(value) for value in self._results(expression)),
            expected=self._expected(),
        )

    def _unread(self, attempt: Attempt) -> list[Finding]:
        """Return reviews: what was meant as an expression could not be read."""
        assert attempt.problem is not None
        at = attempt.problem.position
        values = {
            "expression": attempt.text[:300],
            "position": str(at + 1),
            "found": attempt.problem.found[:40],
            "before": spelled_plainly(attempt.text)[max(0, at - 20) : at],
        }
        code = "expression.unread" if attempt.problem.found else "expression.unread-end"
        return _both(
            Outcome.REVIEW,
            code,
            values,
            StudentText(where=_evidence_place(attempt.where), text=attempt.text[:MOST_EXCERPT]),
        )

    # -------------------------------------------------------------- code in its place

    def _judge_code(self, task: Task, view: SectionView, chosen: Attempt | None) -> list[Finding]:
        search = find_gate(view, task.names, self.function, len(self.variables))
        source = "\n\n".join(ran.cell.source for ran in view.ran)[:MOST_EXCERPT]
        shown = StudentText(where="code", text=source)
        if search.found is not None and self._computes(search.found):
            return self._right_code(view, search.found, shown)
        if chosen is not None or search.found is not None or _is_attempt(view, self.neuron):
            return _both(Outcome.REVIEW, "expression.code", {}, shown)
        failure = find_failure(view)
        if failure is None or self._is_sample(failure.excerpt, view):
            missing = Finding(check="", outcome=Outcome.MISSING, code="expression.missing")
            failure = self._other_notation(view) or find_attempt(view) or missing
        return for_all(task, failure)

    def _other_notation(self, view: SectionView) -> Finding | None:
        """Return the review of words that name every variable or use a neuron; None without."""
        neuron = re.compile(rf"\b{re.escape(self.neuron)}\s*\(\s*[^\s)]", re.IGNORECASE)
        for piece in reversed(text_pieces(view)):
            plain = spelled_plainly(piece.text)
            if all(variable in plain for variable in self.variables) or neuron.search(plain):
                shown = StudentText(where=_evidence_place(piece.where), text=piece.text)
                return Finding(
                    check="",
                    outcome=Outcome.REVIEW,
                    code="expression.other-notation",
                    evidence=(shown,),
                    excerpt=piece.text[:MOST_EXCERPT],
                )
        return None

    def _is_sample(self, commented: str, view: SectionView) -> bool:
        return bool(commented) and any(
            _squeezed(commented) in _squeezed(sample) for sample in view.samples
        )

    def _computes(self, found: GateObject) -> bool:
        truths = [truth_of(answer, found.convention) for answer in found.answers]
        return truths == self._expected_in(table_rows(len(self.variables)))

    def _expected_in(self, rows: tuple[tuple[float, ...], ...]) -> list[int | None]:
        return [int(self.function(*map(int, row))) for row in rows]

    def _right_code(
        self, view: SectionView, found: GateObject, shown: StudentText
    ) -> list[Finding]:
        rows = table_rows(len(self.variables))
        name = found.bound.name
        expected = tuple(value or 0 for value in self._expected_in(rows))
        table = TruthTable(
            inputs=self.variables,
            rows=rows,
            expected=expected,
            actual=tuple(str(value) for value in expected),
            convention=found.convention,
            form=found.form,
        )
        cell = view.where(name)
        return [
            Finding(
                check="truth-table",
                outcome=Outcome.PASSED,
                code="expression.code-right",
                values=graded_object(name, found.type_name, cell),
                evidence=(table,),
                cells=(cell,) if cell else (),
            ),
            Finding(
                check="three-neurons",
                outcome=Outcome.REVIEW,
                code="expression.code-count",
                values={"most": str(self.most_neurons)},
                evidence=(shown,),
                excerpt=shown.text,
            ),
        ]


def shown_number(value: Exact) -> str:
    """Return an exact number as a short decimal, or as a fraction where that is not exact."""
    if value.denominator == 1:
        return str(value.numerator) if abs(value.numerator) < 10**12 else f"{float(value):.6g}"
    decimal = f"{float(value):.6g}"
    return decimal if Fraction(decimal) == value else f"{float(value):.12g}"


@functools.lru_cache(maxsize=1024)
def _squeezed(text: str) -> str:
    return "".join(spelled_plainly(text).split()).casefold()


def _broken_at_marks(text: str) -> str:
    """Return text with its markup as breaks, so that an expression ends there.

    Bullets and numbers of lists go: they would read as signs and factors. Where a parenthesis is
    open, a line goes on with what the one above began, and its sign is no bullet.
    """
    lines = []
    depth = 0
    for line in text.split("\n"):
        body = line.lstrip()
        if depth == 0:
            if body[:2] in ("- ", "* ", "+ "):
                body = body[2:]
            head, dot, tail = body.partition(". ")
            body = tail if dot and head.isdigit() else body
        lines.append(body)
        depth = max(0, depth + body.count("(") - body.count(")")) if body else 0
    text = "\n".join(lines)
    for mark in ("**", "`", "$"):
        text = text.replace(mark, " ; ")
    return text


def _bare_code(source: str) -> str:
    """Return code with strings, comments and definitions of functions replaced by breaks."""
    try:
        tree = ast.parse(without_magics(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    parts: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call | ast.BinOp):
            parts.append(ast.unparse(node))
    # The outermost come first in a walk by levels; parts of one are not told again.
    kept: list[str] = []
    for part in parts[:200]:
        if "'" not in part and '"' not in part and not any(part in larger for larger in kept):
            kept.append(part)
    return " ;\n".join(kept)


def _is_attempt(view: SectionView, neuron: str) -> bool:
    """Tell whether a section holds code beyond placeholders that could be meant as the answer."""
    return any(
        bound.kind in ("network", "instance", "network-class", "class", "function")
        or bound.name.startswith(neuron)
        for bound in view.bound()
    )


def _evidence_place(where: str) -> str:
    return "code" if where == "string" else where


def _both(outcome: Outcome, code: str, values: dict[str, str], shown: StudentText) -> list[Finding]:
    return [
        Finding(
            check=check,
            outcome=outcome,
            code=code,
            values=values,
            evidence=(shown,) if check == "truth-table" else (),
            excerpt=shown.text[:MOST_EXCERPT],
        )
        for check in ("truth-table", "three-neurons")
    ]
