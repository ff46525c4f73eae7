"""Code that a student commented out: it is for a person to read, and never worth nothing.

Lines count when they parse and hold a definition, an assignment or a call; a placeholder such as
``# neuron_and = ...`` is no answer and does not.
"""

import ast
import textwrap
from collections.abc import Iterator

from grader.checks.student_text import without_magics
from grader.checks.view import SectionView
from grader.model import Cell

_MOST_LINES = 400
_MOST_TEXT = 4000

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_WORK = ast.Call | ast.BinOp | ast.Compare | ast.AugAssign
_THRESHOLDS = frozenset({"round", "heaviside", "sign", "where", "step", "threshold", "argmax"})
_PICKS = frozenset({"argmax", "max", "topk"})
_MOVES = frozenset({"to", "cuda", "cpu", "eval", "train"})


def find_commented_code(view: SectionView) -> str:
    """Return the code that is commented out in a section, empty if there is none."""
    found = [
        code
        for cell in view.section.cells
        if cell.kind == "code"
        for code in commented_code(cell.source)
    ]
    return "\n\n".join(found)[:_MOST_TEXT]


def commented_code(source: str) -> Iterator[str]:
    """Yield each piece of code that stands in comments or in a string that nothing uses."""
    for block in _comment_blocks(source):
        code = _code_of(block)
        if code:
            yield code
    for text in _idle_strings(source):
        code = _code_of(text.split("\n"))
        if code:
            yield code


def find_own_code(view: SectionView, *, given: tuple[str, ...] = ()) -> str:
    """Return the statements of a section that do something, empty if there are none.

    Imports, placeholders (``answer = None``), values that are only shown and what the statement
    gives are no work of the student's.

    Args:
        view: the section.
        given: names that the statement binds; with any, its classes do not count either.
    """
    found = []
    for cell in view.section.cells:
        tree = _parsed(without_magics(cell.source)) if cell.kind == "code" else None
        for node in tree.body if tree else ():
            if _is_work(node, given):
                found.append(ast.unparse(node))
    return "\n".join(found)[:_MOST_TEXT]


def applies_threshold(view: SectionView) -> bool:
    """Tell whether the code of a section compares or rounds something."""
    return any(
        isinstance(node, ast.Compare)
        or (isinstance(node, ast.Name | ast.Attribute) and _last_name(node) in _THRESHOLDS)
        for node in _nodes(view)
    )


def is_built(view: SectionView, name: str) -> bool:
    """Tell whether the code of a section calls a class of this name with arguments."""
    return any(
        isinstance(node, ast.Call)
        and (node.args or node.keywords)
        and _last_name(node.func) == name
        for node in _nodes(view)
    )


def is_called(view: SectionView, name: str) -> bool:
    """Tell whether a cell that ran to its end gives inputs to an object of this name."""
    ended_well = {ran.cell.position for ran in view.ran if ran.done and ran.done.error is None}
    return any(
        isinstance(node, ast.Call)
        and bool(node.args)
        and isinstance(node.func, ast.Name)
        and node.func.id == name
        for cell in view.section.cells
        if cell.position in ended_well
        for node in _nodes_of(cell)
    )


def picks_largest(view: SectionView) -> bool:
    """Tell whether the code of a section asks which of several outputs is the largest."""
    return any(
        isinstance(node, ast.Name | ast.Attribute) and _last_name(node) in _PICKS
        for node in _nodes(view)
    )


def _nodes(view: SectionView) -> Iterator[ast.AST]:
    for cell in view.section.cells:
        yield from _nodes_of(cell)


def _nodes_of(cell: Cell) -> Iterator[ast.AST]:
    tree = _parsed(without_magics(cell.source)) if cell.kind == "code" else None
    if tree is not None:
        yield from ast.walk(tree)


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_work(node: ast.stmt, given: tuple[str, ...]) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom) or (given and isinstance(node, ast.ClassDef)):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node]
    if given and all(_root_name(target) in given for target in targets):
        return False
    return any(isinstance(part, _Definition | _WORK) for part in ast.walk(node))


def _root_name(node: ast.AST) -> str:
    """Return the name that ``net.to(device)``, ``net`` or ``print(net)`` is about."""
    while True:
        if isinstance(node, ast.Expr):
            node = node.value
        elif isinstance(node, ast.Call) and _root_name(node.func) == "print":
            node = node.args[0] if len(node.args) == 1 else ast.Pass()
        elif isinstance(node, ast.Call):
            node = node.func if isinstance(node.func, ast.Attribute) else ast.Pass()
        elif isinstance(node, ast.Attribute) and node.attr in _MOVES:
            node = node.value
        else:
            return node.id if isinstance(node, ast.Name) else ""


def _comment_blocks(source: str) -> Iterator[list[str]]:
    """Yield neighbouring lines that hold nothing but a comment, without its sign."""
    block: list[str] = []
    for line in source.split("\n")[:_MOST_LINES]:
        stripped = line.strip()
        if stripped.startswith("#") and not stripped.startswith(("# %%", "#%%")):
            block.append(stripped[1:])
        elif stripped or not block:
            if block:
                yield block
            block = []
    if block:
        yield block


def _idle_strings(source: str) -> Iterator[str]:
    """Yield strings that stand as statements of a cell, which is a way to comment out."""
    tree = _parsed(source)
    for node in tree.body if tree else ():
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            value = node.value.value
            if isinstance(value, str):
                yield value


def _code_of(lines: list[str]) -> str:
    """Return the longest tail of the lines that is code, else those lines that are.

    Prose often stands above the code, so a tail is tried before single lines.
    """
    for start in range(len(lines)):
        text = textwrap.dedent("\n".join(lines[start:])).strip("\n")
        if _is_code(text):
            return text
    kept = [line.strip() for line in lines if _is_code(line.strip())]
    return "\n".join(kept)


def _is_code(text: str) -> bool:
    tree = _parsed(text)
    return tree is not None and any(_is_attempt(node) for node in ast.walk(tree))


def _is_attempt(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        value = node.value
        empty = isinstance(value, ast.Constant) and value.value in (None, ..., "")
        return value is not None and not empty
    return isinstance(node, _Definition | ast.Call)


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
