"""Which names a cell bound, and what they are.

A cell binds a name by storing to it, by storing to an attribute or item of what it names, or by
calling something that changes it in place (``neuron.load_state_dict(...)``,
``nn.init.constant_(neuron.weight, 1)``). What the source does not show (``exec``, ``global`` in a
function) is found by comparing the namespace before and after. What it imports from a library
(``from random import seed``) is no work of the student's, and is told as such.
"""

import ast
import re
import sys
import types

import numpy
import torch

from grader.sandbox.placeholders import Placeholder, is_library
from grader.sandbox.protocol import BoundName
from grader.sandbox.untouched import Foreign, shield
from grader.sandbox.values import bounded, is_tensor, type_name

shield(globals())

Module = torch.nn.Module
MOST_NAMES = 512
MOST_SHOWN = 200

_LEFT_OUT = re.compile(r"_+|_\d+|_i{1,3}|_i\d+|_[iod]h|_exit_code|__\w+__")
_SHELL_NAMES = frozenset({"In", "Out", "exit", "quit", "get_ipython"})
_CHANGING_METHODS = frozenset({"load_state_dict", "apply", "register_buffer", "register_parameter",
                               "add_module", "append", "extend", "insert", "update"})  # fmt: skip
_CHANGING_FUNCTIONS = frozenset({"setattr", "delattr"})
_EVERYTHING = "*"
_instance_dict = object.__getattribute__
_KINDS: tuple[tuple[tuple[type, ...], str], ...] = (
    ((Module,), "network"),
    ((Placeholder,), "other"),
    ((int, float, complex, numpy.number, numpy.bool_), "number"),
    ((str,), "text"),
    ((types.ModuleType,), "module"),
    ((types.FunctionType, types.BuiltinFunctionType, types.MethodType), "function"),
    ((list, tuple, set, frozenset, dict), "collection"),
)


class _Bindings(ast.NodeVisitor):
    """Collects what the top level of a cell binds, in the order of the source.

    Attributes:
        found: name, line, and whether the name's value was changed and not bound.
        imported: the module that a name was last imported from; ``*`` for all it has.
    """

    def __init__(self) -> None:
        self.found: list[tuple[str, int, bool]] = []
        self.imported: dict[str, str] = {}
        self._aliases: dict[str, str] = {}

    def _bind(self, name: str, node: ast.AST, *, changed: bool = False) -> None:
        self.found.append((name, getattr(node, "lineno", 1), changed))
        if not changed:
            self.imported.pop(name, None)

    def _change(self, node: ast.AST, at: ast.AST) -> None:
        root = _root(node)
        if root is not None:
            self._bind(root, at, changed=True)
            if root in self._aliases:
                self._bind(self._aliases[root], at, changed=True)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self._bind(node.id, node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Store | ast.Del):
            self._change(node, node)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.ctx, ast.Store | ast.Del):
            self._change(node, node)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute):
            if function.attr.endswith("_") or function.attr in _CHANGING_METHODS:
                self._change(function.value, node)
            if function.attr.endswith("_") and not function.attr.endswith("__"):
                self._change_arguments(node)
        elif isinstance(function, ast.Name) and (
            function.id in _CHANGING_FUNCTIONS or function.id.endswith("_")
        ):
            self._change_arguments(node)
        self.generic_visit(node)
        self._visit_cell_magic(node)

    def _change_arguments(self, node: ast.Call) -> None:
        for argument in node.args:
            self._change(argument, node)

    def _visit_cell_magic(self, node: ast.Call) -> None:
        """Look into ``%%time`` and the like, whose body reaches Python as a string."""
        function = node.func
        if not (isinstance(function, ast.Attribute) and function.attr == "run_cell_magic"):
            return
        body = node.args[-1] if node.args else None
        if isinstance(body, ast.Constant) and isinstance(body.value, str):
            try:
                self.visit(ast.parse(body.value))
            except (SyntaxError, ValueError):
                return

    def visit_For(self, node: ast.For) -> None:
        self._remember_alias(node.target, node.iter)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            if not isinstance(node.value, ast.Name):
                self._remember_alias(target, node.value)
            self.visit(target)

    def _remember_alias(self, target: ast.AST, value: ast.AST) -> None:
        root = _root(value)
        for name in ast.walk(target):
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                self._aliases.pop(name.id, None)
                if root is not None and root != name.id and not isinstance(value, ast.Name):
                    self._aliases[name.id] = root

    def _visit_definition(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    ) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._bind(node.name, node)

    visit_FunctionDef = _visit_definition
    visit_AsyncFunctionDef = _visit_definition
    visit_ClassDef = _visit_definition

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Leave the body out: it does not run here."""

    def visit_comprehension(self, node: ast.comprehension) -> None:
        """Leave the target out: it lives in the comprehension only."""
        self.visit(node.iter)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._bind(alias.asname or alias.name.partition(".")[0], node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._bind(alias.asname or alias.name, node)
            if node.module and not node.level:
                self.imported[alias.asname or alias.name] = node.module

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        for statement in node.body:
            self.visit(statement)


def _root(node: ast.AST) -> str | None:
    """Return the name at the root of a chain of attributes, items and method calls."""
    while True:
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func
        else:
            return None


class NameTable:
    """Names that the cells of one file have bound, in the order of their last binding."""

    def __init__(self, namespace: dict[str, Foreign]) -> None:
        self._namespace = namespace
        self._last: dict[str, None] = {}
        self._of_libraries: set[str] = set()
        self._before: dict[str, int] = {}

    def before_cell(self) -> None:
        """Remember what is there; identities only, since a reference would keep tensors alive."""
        self._before = self._identities()

    def after_cell(self, tree: ast.AST | None, stopped_at: int | None) -> tuple[BoundName, ...]:
        """Return what the cell bound, in order.

        Args:
            tree: the cell as it was parsed; None where it could not be.
            stopped_at: the line at which it raised; what is only bound below does not count.
        """
        order: dict[str, None] = {}
        bindings = _read_bindings(tree)
        before = self._before.get
        now = self._identities()
        new = {name: None for name, value in now.items() if before(name) != value}
        for name, line, changed in bindings.found:
            if stopped_at is not None and line >= stopped_at and name not in new:
                continue
            if changed and isinstance(self._namespace.get(name), types.ModuleType):
                continue
            order.pop(name, None)
            order[name] = None
        for name in new:
            order.setdefault(name)
        bound = [name for name in order if self._is_listed(name)][-MOST_NAMES:]
        shown = {name for name, _, _ in bindings.found}
        for name in bound:
            self._last.pop(name, None)
            self._last[name] = None
            self._of_libraries.discard(name)
            if _is_of_library(bindings.imported.get(name if name in shown else _EVERYTHING)):
                self._of_libraries.add(name)
        self._before = {}
        return tuple(self._described(name) for name in bound)

    def _identities(self) -> dict[str, int]:
        return {
            name: id(value)
            for name, value in list(self._namespace.items())
            if type(name) is str  # the hash of any other key is the student's code
        }

    def _is_listed(self, name: str) -> bool:
        if name not in self._namespace or _LEFT_OUT.fullmatch(name):
            return False
        return name not in _SHELL_NAMES

    def living(self, names: tuple[str, ...]) -> tuple[BoundName, ...]:
        """Return those of `names` that live (all that cells bound, if empty), last bound last."""
        wanted = set(names)
        known = [name for name in self._last if not wanted or name in wanted]
        others = [name for name in names if name not in self._last]
        return tuple(self._described(name) for name in [*others, *known] if self._is_listed(name))[
            -MOST_NAMES:
        ]

    def _described(self, name: str) -> BoundName:
        return describe_name(name, self._namespace[name], of_library=name in self._of_libraries)


def _read_bindings(tree: ast.AST | None) -> _Bindings:
    bindings = _Bindings()
    if tree is not None:
        try:
            bindings.visit(tree)
        except RecursionError:
            return _Bindings()
    return bindings


def _is_of_library(module: str | None) -> bool:
    """Return whether a module is the interpreter's or an installed package's."""
    if module is None or module not in sys.modules:
        return False
    try:
        file = _instance_dict(sys.modules[module], "__dict__").get("__file__")
    except AttributeError:
        return False
    return file is None or (type(file) is str and is_library(file))


def describe_name(name: str, value: object, *, of_library: bool = False) -> BoundName:
    """Return what `name` is bound to, judged by exact types and never by the student's code.

    Args:
        name: the name.
        value: what it is bound to.
        of_library: whether it was imported from a library, whose functions and classes are
            ``other``: they are nobody's answer.
    """
    kind = kind_of(value)
    if of_library and kind in ("function", "instance", "class", "network-class"):
        return BoundName(name=bounded(name, 100), kind="other", type_name=type_name(value))
    named = value if issubclass(type(value), type) else None
    return BoundName(
        name=bounded(name, 100),
        kind=kind,
        type_name=_class_name(named) if named is not None else type_name(value),
        shown=_shown(value) if kind in ("number", "text") else "",
    )


def kind_of(value: Foreign) -> Foreign:
    """Return the kind of a value as `BoundName.kind` names it."""
    kind = type(value)
    if is_tensor(value):
        return "tensor"
    if issubclass(kind, type):
        return "network-class" if Module in _mro(value) else "class"
    for types_, name in _KINDS:
        if issubclass(kind, types_):
            return name
    return "instance" if any("__call__" in vars(part) for part in _mro(kind)) else "other"


def _mro(kind: type) -> tuple[type, ...]:
    return type.__dict__["__mro__"].__get__(kind)  # type: ignore[no-any-return]


def _class_name(kind: Foreign) -> str:
    return bounded(type.__dict__["__name__"].__get__(kind), 100)


def _shown(value: object) -> str:
    if type(value) is str:
        return bounded(value, MOST_SHOWN)
    try:
        return bounded(repr(value), MOST_SHOWN)
    except ValueError:
        return ""
