"""Start a module of this package by its file: ``python -s -P -B boot.py MODULE [ARGUMENT...]``.

The package is registered by its folder, so that nothing beside it, an assignment's solution least
of all, becomes importable where student code will run.
"""

import importlib
import importlib.util
import sys
from pathlib import Path


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
    register_package()
    importlib.import_module("grader.sandbox.forks").put_off()
    importlib.import_module(sys.argv[1]).main(*sys.argv[2:])
