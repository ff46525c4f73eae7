"""Lets the files of a submission import each other, from memory."""

import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import sys
from collections.abc import Sequence
from types import ModuleType

from grader.sandbox.untouched import shield

shield(globals())


class SiblingFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules among the sources of the submission."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}

    def install(self) -> None:
        """Stand before the search on the disk and behind the built-in modules."""
        path_finder = importlib.machinery.PathFinder
        place = sys.meta_path.index(path_finder) if path_finder in sys.meta_path else 0
        sys.meta_path.insert(place, self)

    def add(self, path: str, source: str) -> None:
        """Add a file: of the submission, or one that a cell wrote (``%%writefile``)."""
        self._files[path.replace("\\", "/").lstrip("./")] = source
        importlib.invalidate_caches()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a spec for a module of the submission, None for any other."""
        del path, target
        base = fullname.replace(".", "/")
        for file, package in ((f"{base}/__init__.py", True), (f"{base}.py", False)):
            if file in self._files:
                return importlib.util.spec_from_loader(
                    fullname, self, origin=file, is_package=package
                )
        if any(file.startswith(f"{base}/") and file.endswith(".py") for file in self._files):
            return importlib.util.spec_from_loader(fullname, self, origin="", is_package=True)
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run the source of a module in it."""
        spec = module.__spec__
        file = spec.origin if spec is not None else None
        if not file:
            return
        source = self._files[file]
        module.__file__ = file
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source, file, "exec", dont_inherit=True), vars(module))  # noqa: S102
