"""Start a module of this package by its file: ``python -s -P -B boot.py MODULE [ARGUMENT...]``.

The package is registered by its folder, so that nothing beside it, an assignment's solution least
of all, becomes importable where student code will run.
"""

import importlib
import importlib.util
import os
import sys
from pathlib import Path

_BUSY_AFTER_FORKS = ("random", "threading", "logging")


def load_without_handlers() -> None:
    """Load modules that would do something in each fork of this process, so that they do not.

    They draw a seed and make their locks anew: a quarter of a thousand pages that a child copies.
    The warm server forks with one thread, while none of these locks is held, and its children are
    seeded by number.
    """
    register = getattr(os, "register_at_fork", None)  # not on Windows
    if register is None:
        return
    os.register_at_fork = lambda **_: None
    for module in _BUSY_AFTER_FORKS:
        importlib.import_module(module)
    os.register_at_fork = register


def register_package() -> None:
    """Make `grader` importable without its parent folder on `sys.path`."""
    folder = Path(__file__).resolve().parent.parent
    spec = importlib.util.spec_from_file_location(
        "grader", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no package in {folder}")
    package = importlib.util.module_from_spec(spec)
    sys.modules["grader"] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    load_without_handlers()
    register_package()
    importlib.import_module(sys.argv[1]).main(*sys.argv[2:])
