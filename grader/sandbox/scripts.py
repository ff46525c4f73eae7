"""Runs pieces of a ``.py`` file as a script does: no `Out`, no `_`, nothing displayed."""

import __future__

import ast
from collections.abc import Callable

from grader.sandbox.protocol import RunCell
from grader.sandbox.shell import QuietShell
from grader.sandbox.untouched import Foreign, shield

shield(globals())

_FUTURE_FLAGS = 0
for _feature in __future__.all_feature_names:
    _FUTURE_FLAGS |= getattr(__future__, _feature).compiler_flag


class ScriptRunner:
    """Runs pieces of one script in one namespace.

    Attributes:
        tree: the latest piece as it was parsed, with the lines of the whole file; None where it
            could not be parsed.
    """

    def __init__(self, shell: QuietShell, namespace: dict[str, Foreign]) -> None:
        self.tree: ast.Module | None = None
        self._shell = shell
        self._namespace = namespace
        self._flags = 0

    def run(self, cell: RunCell, begin: Callable[[ast.AST], None]) -> None:
        """Run a piece; what it raises goes through.

        Args:
            cell: the piece.
            begin: told the tree before it runs.
        """
        self.tree = None
        tree = self._parse(cell.source)
        ast.increment_lineno(tree, cell.line - 1)
        self.tree = tree
        begin(tree)
        code = compile(tree, cell.file, "exec", self._flags, dont_inherit=True)
        # `from __future__ import annotations` at the top holds for the rest of the file.
        self._flags |= code.co_flags & _FUTURE_FLAGS
        exec(code, self._namespace)  # noqa: S102 - this is what the child is for

    def _parse(self, source: str) -> ast.Module:
        """Parse a piece; lines that only a notebook knows (``%``, ``!``) are no syntax errors.

        Raises:
            SyntaxError: it is neither Python nor a notebook's cell.
        """
        try:
            return ast.parse(source)
        except SyntaxError as error:
            plain_error = error
        try:
            plain: str = self._shell.input_transformer_manager.transform_cell(source)
            tree = ast.parse(plain)
        except (SyntaxError, ValueError):
            raise plain_error from None
        self._namespace.setdefault("get_ipython", self._shell.get_ipython)
        return tree
