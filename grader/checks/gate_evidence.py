"""What a gate's report shows: its table, where it draws its line, and a line of code to paste."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from grader.checks.candidates import TRUTHS, Form, GateObject, truth_of
from grader.checks.inputs import Row, grid, table_rows
from grader.checks.outputs import Answer
from grader.evidence import DecisionLine, TruthTable
from grader.sandbox.protocol import CallGate

_LOW, _HIGH, _SIDE, _COARSE_SIDE = -0.5, 1.5, 17, 9


def truth_table(gate: GateObject, expected: tuple[int, ...]) -> TruthTable:
    """Return the gate's table beside the right one."""
    inputs = len(expected).bit_length() - 1
    names = tuple(f"x{number}" for number in range(1, inputs + 1)) if inputs > 1 else ("x",)
    return TruthTable(
        inputs=names,
        rows=tuple(gate.given(row) for row in table_rows(inputs)),
        expected=expected,
        actual=tuple(answer.text for answer in gate.answers),
        convention=gate.convention,
        form=gate.form,
    )


def decision_line(gate: GateObject) -> DecisionLine:
    """Return a two-input gate's answers on a grid.

    An object that takes all points at once, itself or under `torch.vmap`, and says the same then
    for the table's rows, answers a fine grid. Any other is called for the points of a coarser one:
    every second of them, and those between points that say different things.

    Raises:
        ChildGone: the child ended.
    """
    side, text = _SIDE, _said_at_once(gate)
    if text is None:
        side, text = _COARSE_SIDE, _border_traced(gate)
    scale = (lambda value: 2 * value - 1) if gate.signed else float
    return DecisionLine(low=scale(_LOW), high=scale(_HIGH), side=side, answers=text)


def plane_question(gate: GateObject) -> CallGate:
    """Return the question that `decision_line` asks first."""
    return replace(gate, form="batch").question(_fine_grid())


def _fine_grid() -> tuple[Row, ...]:
    return grid(_LOW, _HIGH, _SIDE)


def _said_at_once(gate: GateObject) -> str | None:
    """Return what a gate says on the fine grid, None where only single calls can tell."""
    rows = _fine_grid()
    forms: list[Form] = ["batch"]
    if gate.form == "vector" and gate.called.device == "cpu":
        forms.append("mapped")
    for form in forms:
        answers = replace(gate, form=form).ask(rows)
        if gate.form == "batch" or _same_answers(gate, dict(zip(rows, answers, strict=True))):
            return "".join(_signs(gate, answers))
    return None


def _border_traced(gate: GateObject) -> str:
    """Return what a gate says on the coarse grid, which it is asked closely at its borders."""
    around = _neighbours()
    said = _said_at(gate, [place for place, near in around.items() if near == (place,)])
    between = [p for p, near in around.items() if len({said[place] for place in near}) > 1]
    said |= _said_at(gate, between) if between else {}
    return "".join(said.get(place) or said[near[0]] for place, near in around.items())


def _said_at(gate: GateObject, places: Sequence[int]) -> dict[int, str]:
    points = grid(_LOW, _HIGH, _COARSE_SIDE)
    answers = gate.ask(tuple(points[place] for place in places))
    return dict(zip(places, _signs(gate, answers), strict=True))


def _signs(gate: GateObject, answers: Iterable[Answer]) -> list[str]:
    """Return what answers say, each as a character of `DecisionLine.answers`."""
    signs = {kind: str(truth) for kind, truth in TRUTHS[gate.convention].items()}
    return [signs.get(answer.kind, "?") for answer in answers]


@functools.cache
def _neighbours() -> dict[int, tuple[int, ...]]:
    """Return the points of the coarse grid, each with those of every second one around it.

    A point that is one of these stands for itself alone.
    """
    side = range(_COARSE_SIDE)
    return {
        row * _COARSE_SIDE + column: tuple(
            (row + down) * _COARSE_SIDE + column + right
            for down in ((-1, 1) if row % 2 else (0,))
            for right in ((-1, 1) if column % 2 else (0,))
        )
        for row in side
        for column in side
    }


def _same_answers(gate: GateObject, others: Mapping[Row, Answer]) -> bool:
    inputs = len(gate.answers).bit_length() - 1
    return all(
        truth_of(others[row], gate.convention) == truth_of(answer, gate.convention)
        for row, answer in zip(table_rows(inputs), gate.answers, strict=True)
    )


def source_of(gate: GateObject, rows: tuple[Row, ...]) -> str:
    """Return Python that asks the gate these rows of 0 and 1, one after another."""
    name = f"{gate.bound.name}()" if gate.target.build else gate.bound.name
    given: list[list[float]] = [list(gate.given(row)) for row in rows]
    if gate.dtype:
        given = [[int(value) for value in row] for row in given]
    options = _tensor_options(gate)
    if gate.form == "batch":
        return f"{name}(torch.tensor({given}{options}))"
    if len(given) == 1:
        return f"{name}({_arguments(gate, given[0], options)})"
    each = {
        "vector": f"torch.tensor(row{options})",
        "scalars": f"*torch.tensor(row{options})",
        "numbers": "*row",
    }[gate.form]
    if gate.target.build:
        # One object for all calls, as the answers may depend on the calls before.
        return f"gate = {name}; [gate({each}) for row in {given}]"
    return f"[{name}({each}) for row in {given}]"


def _arguments(gate: GateObject, row: list[float], options: str) -> str:
    if gate.form == "vector":
        return f"torch.tensor({row}{options})"
    if gate.form == "scalars":
        return ", ".join(f"torch.tensor({value}{options})" for value in row)
    return ", ".join(map(str, row))


def _tensor_options(gate: GateObject) -> str:
    """Return what `torch.tensor` needs beside the values, for inputs like those that were used."""
    dtype, device = gate.called.dtype.removeprefix("torch."), gate.called.device
    options = f", dtype=torch.{dtype}" if dtype not in ("", "float32") else ""
    return options + (f', device="{device}"' if device not in ("", "cpu") else "")
