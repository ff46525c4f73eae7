"""Stands in for modules that are not installed here, so that an import costs nobody a cell.

A missing module is our gap, not the student's. Importing it, or names from it, works; using it
(a call, arithmetic, a subclass) raises an error that says what is missing. Where the student is
prepared for the missing module (``try: import google.colab``), the import fails as usual.
"""

import ast
import importlib.abc
import importlib.machinery
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import NoReturn

from grader.sandbox.untouched import Foreign, shield

shield(globals())

_LIBRARY_PATHS = tuple(
    {sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")}
) + tuple(f"<frozen {name}" for name in ("importlib", "zipimport", "runpy"))
_IMPORT_FILES = ("<frozen importlib", "importlib/__init__.py", "importlib\\__init__.py")
_CATCHING = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


def is_library(filename: str) -> bool:
    """Return whether code of that file name is the interpreter's or an installed package's."""
    return filename.startswith(_LIBRARY_PATHS)


class MissingModule(ModuleNotFoundError):
    """A module that is not installed here was used."""


class Placeholder:
    """A name of a missing module: may be passed around and looked at, not used."""

    def __init__(self, module: str, path: str) -> None:
        self._module = module
        self._path = path

    def __getattr__(self, name: str) -> "Placeholder":
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Placeholder(self._module, f"{self._path}.{name}")

    def __repr__(self) -> str:
        return f"<{self._path}: not installed here>"

    def __mro_entries__(self, bases: tuple[object, ...]) -> NoReturn:
        raise _missing(self._module, self._path)

    def _used(self, *args: object, **keywords: object) -> NoReturn:
        raise _missing(self._module, self._path)

    # fmt: off
    __call__ = __bool__ = __int__ = __float__ = __index__ = __len__ = __iter__ = __next__ = _used
    __contains__ = __getitem__ = __setitem__ = __delitem__ = _used
    __enter__ = __exit__ = __aenter__ = __aexit__ = __await__ = _used
    __lt__ = __le__ = __gt__ = __ge__ = __neg__ = __pos__ = __abs__ = __invert__ = _used
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __matmul__ = __rmatmul__ = _used
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _used
    __pow__ = __rpow__ = __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _used
    # fmt: on


def _missing(module: str, path: str) -> MissingModule:
    return MissingModule(f"{path} cannot be used: {module} is not installed here", name=module)


class PlaceholderModule(ModuleType):
    """A module that is not installed here."""

    def __getattr__(self, name: str) -> Placeholder:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Placeholder(self.__name__.partition(".")[0], f"{self.__name__}.{name}")

    def __call__(self, *args: object, **keywords: object) -> NoReturn:
        """Raise: modules are no functions, and this one is not even here."""
        raise _missing(self.__name__.partition(".")[0], self.__name__)


class MissingFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The last finder: makes placeholders for what student code imports and nobody found."""

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self._met: list[str] = []
        self._guarded: tuple[str, tuple[range, ...]] = ("", ())

    def install(self, hidden: Iterable[str] = ()) -> None:
        """Stand last, and hide `hidden` top-level modules behind placeholders."""
        sys.meta_path.append(self)
        for name in hidden:
            self.missing.add(name)
            module: Foreign = _placeholder_module(name)
            # `importlib.util.find_spec` refuses a module without one, and torch's compiler asks it
            # for hypothesis when the first optimizer is made (`torch/_dynamo/trace_rules.py`).
            module.__spec__ = importlib.machinery.ModuleSpec(name, self, is_package=True)
            sys.modules[name] = module

    def enter_cell(self, filename: str, tree: ast.AST, source: str) -> None:
        """Say which cell runs: its guarded imports fail as usual, the others are noted."""
        self._guarded = (filename, ())
        if "import" not in source:  # most cells, and a walk through a tree takes its time
            return
        nodes = list(ast.walk(tree))
        self._guarded = (filename, tuple(_guarded_lines(nodes)))
        for name in _imported_names(nodes):
            if name in self.missing:
                self._met.append(name)

    def take_met(self) -> tuple[str, ...]:
        """Return the missing modules that were imported since the last call, each once."""
        met = tuple(dict.fromkeys(self._met))[:32]
        self._met.clear()
        self._guarded = ("", ())
        return met

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a spec of a placeholder if student code imports a missing top-level module."""
        del path, target
        top, _, below = fullname.partition(".")
        if below:
            if top not in self.missing:
                return None
        elif not self._asked_by_student():
            return None
        self.missing.add(top)
        self._met.append(top)
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Return a placeholder module."""
        return _placeholder_module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: there is nothing to run."""

    def _asked_by_student(self) -> bool:
        frame = sys._getframe(2)
        while frame.f_back is not None:
            filename = frame.f_code.co_filename
            if not any(mark in filename for mark in _IMPORT_FILES) and filename != __file__:
                break
            frame = frame.f_back
        filename, line = frame.f_code.co_filename, frame.f_lineno
        if is_library(filename):
            return False
        cell, guarded = self._guarded
        return not (filename == cell and any(line in lines for lines in guarded))


def trace_placeholder(error: BaseException | None) -> str:
    """Return the missing module that an exception traces to, empty if to none."""
    for _ in range(16):
        if error is None:
            break
        if type(error) is MissingModule:
            return error.name or ""
        error = error.__cause__ or error.__context__
    return ""


def _placeholder_module(name: str) -> ModuleType:
    module: Foreign = PlaceholderModule(name)
    module.__path__ = []
    return module  # type: ignore[no-any-return]


def _guarded_lines(nodes: Iterable[ast.AST]) -> list[range]:
    return [
        range(node.body[0].lineno, (node.body[-1].end_lineno or node.body[-1].lineno) + 1)
        for node in nodes
        if isinstance(node, ast.Try) and any(_catches_import(part) for part in node.handlers)
    ]


def _catches_import(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(
        isinstance(node, ast.Name) and node.id in _CATCHING for node in ast.walk(handler.type)
    )


def _imported_names(nodes: Iterable[ast.AST]) -> list[str]:
    names: list[str] = []
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module.partition(".")[0])
    return names
