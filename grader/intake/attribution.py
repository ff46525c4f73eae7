"""Tasks without a heading are found by file stems, names and labels.

What is left after that keeps `task` None, and the judge looks at what it does.
"""

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from grader.intake.headings import read_heading
from grader.intake.labels import Labels, Tasks, labels_of
from grader.intake.names import stem
from grader.intake.pieces import cut_cell, statement_starts
from grader.intake.python_text import parse_python, python_of_cell
from grader.intake.remembered import remembered
from grader.model import Assignment, Cell, Section

_LONGEST_PARSED = 100_000  # characters of a cell; longer ones are data, not answers
_MOST_RUNS = 500  # times that a section changes from one task to another
_LONGEST_SEARCHED = 500_000  # of a submission, which otherwise must use headings


def attribute(sections: list[Section], assignment: Assignment) -> list[Section]:
    """Return the sections, with those of tasks that no heading opened cut out and named."""
    labels = labels_of(assignment)
    everything = {task.id for task in assignment.tasks}

    def wanted() -> set[str]:
        return everything - {section.task for section in sections if section.task}

    if wanted():
        sections = _by_file(sections, labels, wanted())
    if sum(len(c.source) for section in sections for c in section.cells) > _LONGEST_SEARCHED:
        return sections
    whole = {task.id for task in assignment.tasks if not getattr(task.question, "has_parts", True)}
    plain = {task.id for task in assignment.tasks if not task.content}
    if missing := everything - {s.task for s in sections if s.task and _holds_answer(s)}:
        sections = [
            part
            for section in sections
            for part in _by_name(
                section, labels, missing, below=plain if section.task in whole else set()
            )
        ]
    if missing := wanted():
        sections = [part for section in sections for part in _by_print(section, labels, missing)]
    return _with_unclear(sections, assignment, wanted())


def _by_file(sections: list[Section], labels: Labels, wanted: set[str]) -> list[Section]:
    headed = {cell.file for section in sections if section.task for cell in section.cells}
    alone = len({cell.file for section in sections for cell in section.cells}) == 1
    found: list[Section] = []
    for section in sections:
        file = section.cells[0].file if section.cells else ""
        tasks = labels.of_stem(stem(file), strict=alone) if file not in headed else ()
        tasks = _among(tasks, wanted)
        found.append(_named(section, section.cells, tasks, "file") if tasks else section)
    return found


def _among(tasks: Tasks, wanted: set[str]) -> Tasks:
    return tuple(task for task in tasks if task in wanted)


def _named(section: Section, cells: Sequence[Cell], tasks: Tasks, found_by: str) -> Section:
    return replace(
        section, task=tasks[0], cells=tuple(cells), found_by=found_by, rivals=tuple(tasks[1:])
    )


# ------------------------------------------------------------------ by names, comments and text


@dataclass(frozen=True, slots=True)
class _Unit:
    """A statement or a text cell, and the tasks of which it speaks."""

    cell: Cell
    line: int
    tasks: Tasks
    found_by: str
    opens: bool = False  # a heading in markdown that says nothing but a task's name
    binds: bool = False  # a statement that binds a name


def _holds_answer(section: Section) -> bool:
    """Tell whether there is more in a section than a heading with its statement."""
    return len(section.cells) > 1 or any(
        cell.kind == "code" or cell.pictures or "\n\n" in cell.source for cell in section.cells
    )


def _by_name(
    section: Section, labels: Labels, wanted: set[str], *, below: set[str]
) -> list[Section]:
    """Cut the section where a statement or a label speaks of another task.

    A section that a heading opened is cut only if its own answer shows by name as well: else
    another task's gate may be a part of its answer. Where it can be none, the tasks of `below`
    cut it under code of its own. A heading such as ``## XOR`` of the same level cuts it anyway.
    """
    if section.task is not None and section.found_by != "heading":
        return [section]
    units = [unit for cell in section.cells for unit in _units(cell, labels)]
    if section.task is not None:
        units = _of_headed(section, units, wanted, below)
    if not any(_among(unit.tasks, wanted) for unit in units):
        return [section]
    return _runs(section, units, wanted)


def _of_headed(
    section: Section, units: list[_Unit], wanted: set[str], below: set[str]
) -> list[_Unit]:
    """Return the units of a section with a heading, without the tasks that may not cut it."""
    level = _level(section.cells[0].source) if section.cells else 0
    named = any(section.task in unit.tasks for unit in units if unit.found_by == "name")
    own_code = False
    kept: list[_Unit] = []
    for unit in units:
        opens = unit.opens and _level(unit.cell.source) <= level
        tasks = unit.tasks
        if not opens and not (named and unit.found_by == "name") and section.task not in tasks:
            tasks = _among(tasks, wanted & below) if own_code else ()
        own_code = own_code or unit.binds
        kept.append(replace(unit, tasks=tasks, opens=opens))
    return kept


def _level(text: str) -> int:
    """Return the level of the markdown heading that a text begins with, 0 for none."""
    text = text.lstrip()
    return len(text) - len(text.lstrip("#"))


def _runs(section: Section, units: list[_Unit], wanted: set[str]) -> list[Section]:
    runs: list[tuple[Tasks, str, list[_Unit]]] = [((), "", [])]
    for unit in units:
        tasks = () if section.task in unit.tasks else _among(unit.tasks, wanted)
        if unit.tasks and tasks != runs[-1][0]:
            runs.append((tasks, unit.found_by, []))
        runs[-1][2].append(unit)
    if len(runs) > _MOST_RUNS:
        return [section]
    cut: list[Section] = []
    for tasks, found_by, members in runs:
        if not members:
            continue
        cells = _cells_of(members, units)
        if tasks:
            cut.append(_named(section, cells, tasks, found_by))
        else:
            cut.append(replace(section, cells=tuple(cells)))
    return cut


def _cells_of(members: list[_Unit], units: list[_Unit]) -> list[Cell]:
    """Return the cells of these units; a cell whose units are divided is cut."""
    cells: list[Cell] = []
    lines: dict[int, list[int]] = {}
    for unit in members:
        lines.setdefault(unit.cell.position * 1_000_000 + (unit.cell.line or 0), []).append(
            unit.line
        )
    done: set[int] = set()
    for unit in members:
        key = unit.cell.position * 1_000_000 + (unit.cell.line or 0)
        if key in done:
            continue
        done.add(key)
        own = lines[key]
        others = [u.line for u in units if u.cell is unit.cell and u.line not in own]
        cells += _parts(unit.cell, own, others)
    return cells


def _parts(cell: Cell, own: list[int], others: list[int]) -> list[Cell]:
    """Return the parts of a cell that begin with lines of `own`, not of `others`."""
    if not others:
        return [cell]
    ordered = sorted([*((line, True) for line in own), *((line, False) for line in others)])
    changes = [
        line
        for place, (line, mine) in enumerate(ordered)
        if place and mine != ordered[place - 1][1]
    ]
    parts = cut_cell(cell, changes)
    first_is_mine = ordered[0][1]
    return [part for place, part in enumerate(parts) if (place % 2 == 0) == first_is_mine]


def _units(cell: Cell, labels: Labels) -> list[_Unit]:
    if cell.kind == "text":
        first = next((line for line in cell.source.split("\n") if line.strip()), "")
        # A heading with a number was read before; where it opened no section it is a title.
        tasks = labels.of_label(first) if read_heading(first) is None else ()
        return [_Unit(cell, 0, tasks, "label", opens=bool(tasks) and first.startswith("#"))]
    if len(cell.source) > _LONGEST_PARSED:
        return [_Unit(cell, 0, (), "")]
    starts = list(statement_starts(cell.source))
    if not starts:
        return [_Unit(cell, 0, _commented(cell.source.split("\n"), labels), "label")]
    starts[0] = 0
    lines = cell.source.split("\n")
    units: list[_Unit] = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        names = _bound_names("\n".join(lines[start:end]))
        tasks, found_by = _spoken_of(lines[start:end], names, labels)
        units.append(_Unit(cell, start, tasks, found_by, binds=bool(names)))
    return units


def _spoken_of(lines: list[str], names: Sequence[str], labels: Labels) -> tuple[Tasks, str]:
    for name in names:
        if tasks := labels.of_name(name):
            return tasks, "name"
    return _commented(lines, labels), "label"


def _commented(lines: list[str], labels: Labels) -> Tasks:
    """Return the tasks of the comments at the top of these lines."""
    for line in lines:
        if not line.startswith("#"):
            if line.strip():
                break
            continue
        if tasks := labels.of_label(line.lstrip("#%")):
            return tasks
    return ()


@remembered
def _bound_names(source: str) -> tuple[str, ...]:
    tree = parse_python(python_of_cell(source))
    return tuple(name for node in (tree.body if tree else []) for name in _names_of(node))


def _names_of(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [name for target in targets for name in _target_names(target)]
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            return _target_names(target)
    return []


def _target_names(target: ast.expr) -> list[str]:
    while isinstance(target, ast.Attribute | ast.Subscript):
        target = target.value  # weights set on the instance
    match target:
        case ast.Name(id=name):
            return [name]
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return [name for part in parts for name in _target_names(part)]
    return []


# ------------------------------------------------------------------ by printed labels


def _by_print(section: Section, labels: Labels, wanted: set[str]) -> list[Section]:
    """Cut a section without a task at the cells that print a task's label.

    Whether the answer stands above its label or below shows at the end: where something is still
    bound after the last label, labels come first.
    """
    if section.task is not None:
        return [section]
    cells = section.cells
    marks = {
        place: tasks
        for place, cell in enumerate(cells)
        if (tasks := _among(_printed_label(cell, labels), wanted))
    }
    if not marks:
        return [section]
    binds = [cell.kind == "code" and bool(_bound_names(cell.source)) for cell in cells]
    last = max(marks)
    label_first = any(binds[last + 1 :]) or all(binds[place] for place in marks)
    starts = _starts(sorted(marks), binds, label_first=label_first)
    cut = [replace(section, cells=cells[: starts[0]])] if starts[0] else []
    ends = [*starts[1:], len(cells)]
    for place, start, end in zip(sorted(marks), starts, ends, strict=True):
        cut.append(_named(section, cells[start:end], marks[place], "label"))
    return cut


def _starts(marks: list[int], binds: list[bool], *, label_first: bool) -> list[int]:
    if label_first:
        return marks
    first = next((place for place in range(marks[0]) if binds[place]), marks[0])
    return [first, *(mark + 1 for mark in marks[:-1])]


def _printed_label(cell: Cell, labels: Labels) -> Tasks:
    if cell.kind != "code":
        return ()
    lines = [*_print_strings(cell.source), *cell.printed.split("\n")[:200]]
    found = {tasks for line in lines if (tasks := labels.of_label(line))}
    return found.pop() if len(found) == 1 else ()


def _print_strings(source: str) -> Iterable[str]:
    if "print" not in source or len(source) > _LONGEST_PARSED:
        return
    tree = parse_python(python_of_cell(source))
    for node in ast.walk(tree) if tree else ():
        match node:
            case ast.Call(func=ast.Name(id="print"), args=[first, *_]):
                yield from _first_string(first)


def _first_string(node: ast.expr) -> Iterable[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            yield text


# ------------------------------------------------------------------ unclear between two


def _with_unclear(
    sections: list[Section], assignment: Assignment, wanted: set[str]
) -> list[Section]:
    """Name as rival a task whose alias is longer (``xor_expression``) and that fits as well.

    It fits where the code, classes aside, has every word of a sample of the statement.
    """
    samples = [set(re.findall(r"[^\W\d]\w*", sample)) for sample in assignment.samples]
    aliases = {task.id: {a.casefold() for a in task.aliases} for task in assignment.tasks}

    def rivals(section: Section) -> Tasks:
        own = aliases.get(section.task or "", set())
        longer = tuple(
            task
            for task in aliases
            if task in wanted
            and any(other.startswith(f"{a}_") for other in aliases[task] for a in own)
        )
        return longer if longer and _has_sample_words(section, samples) else ()

    return [
        replace(section, rivals=rivals(section))
        if section.task and section.found_by != "heading" and not section.rivals
        else section
        for section in sections
    ]


def _has_sample_words(section: Section, samples: list[set[str]]) -> bool:
    text = "\n".join(
        cell.source for cell in section.cells if not re.search(r"(?m)^class\b", cell.source)
    )
    words = set(re.findall(r"[^\W\d]\w*", text))
    return any(sample <= words for sample in samples if sample)
