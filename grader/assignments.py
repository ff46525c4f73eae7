"""Finding and loading an assignment: by its name, or from a folder that holds ``assignment.py``.

The folder becomes a package under a name of its own, so that ``assignment.py`` reaches its
neighbours by ``from . import oracle`` and nothing has to stand on `sys.path`. An assignment is the
instructor's own code and runs with the instructor's rights.

    AssignmentError    wrong use: the folder or what it declares; its code names the message
"""

import difflib
import hashlib
import importlib.util
import sys
import tomllib
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from grader.messages import message
from grader.model import Assignment, Task

_HERE = Path(__file__).resolve().parent
_PLACES = (_HERE / "assignments", _HERE.parent / "reference")
_DECLARATION = "assignment.py"
_KEYS = "keys.toml"
_SOLUTION = "solution"
_MOST_NAME = 100


class AssignmentError(Exception):
    """An assignment that cannot be used.

    Attributes:
        code: entry of the message catalogue, ``assignment.*``.
        values: fills the message.
    """

    def __init__(self, code: str, values: Mapping[str, str]) -> None:
        super().__init__(message(code, values))
        self.code = code
        self.values = dict(values)


def load_assignment(name_or_folder: str) -> Assignment:
    """Return the assignment with this name, or the one in this folder, with its keys if at hand.

    Args:
        name_or_folder: ``intro-to-torch``, or the path of a folder with ``assignment.py``.

    Raises:
        AssignmentError: there is none, or what it declares cannot be used.
    """
    folder = find_folder(name_or_folder)
    declared = getattr(_load_module(folder), "ASSIGNMENT", None)
    path = folder / _DECLARATION
    if not isinstance(declared, Assignment):
        raise AssignmentError("assignment.nothing-declared", {"path": str(path)})
    _validate(declared, path)
    keys = _read_keys(folder / _SOLUTION / _KEYS, declared)
    assignment = replace(declared, keys={**declared.keys, **keys})
    _FOLDERS[assignment.name] = folder
    return assignment


def find_folder(name_or_folder: str) -> Path:
    """Return the folder of an assignment by its name or path.

    Raises:
        AssignmentError: there is no such folder, or it declares nothing.
    """
    for place in _PLACES:
        folder = place / name_or_folder.replace("-", "_")
        if _is_name(name_or_folder) and _is_there(folder / _DECLARATION):
            return folder
    path = Path(name_or_folder)
    if _is_there(path / _DECLARATION):
        return path.resolve()
    if _is_there(path):
        raise AssignmentError("assignment.no-declaration", {"path": str(path)})
    names = known_names()
    values = {"name": name_or_folder[:_MOST_NAME], "known": ", ".join(names)}
    near = difflib.get_close_matches(name_or_folder, names, n=1)
    if near:
        raise AssignmentError("assignment.unknown-name-near", {**values, "near": near[0]})
    raise AssignmentError("assignment.unknown-name", values)


def known_names() -> tuple[str, ...]:
    """Return the names of the assignments that come with the grader, sorted."""
    found = {
        declaration.parent.name.replace("_", "-")
        for place in _PLACES
        for declaration in place.glob(f"*/{_DECLARATION}")
    }
    return tuple(sorted(found))


def assignment_digest(assignment: Assignment) -> str:
    """Return the SHA-256 of all files that decide how this assignment is judged, hexadecimal.

    These are the Python files beside the declaration and the keys; an assignment that was not
    loaded from files is known by its representation.
    """
    folder = _FOLDERS.get(assignment.name)
    digest = hashlib.sha256()
    if folder is None:
        digest.update(repr(assignment).encode())
        return digest.hexdigest()
    keys = folder / _SOLUTION / _KEYS
    files = [*sorted(folder.glob("*.py")), *([keys] if keys.is_file() else [])]
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


_FOLDERS: dict[str, Path] = {}


def _is_there(path: Path) -> bool:
    """Tell whether a path exists; one that no file can have does not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _is_name(text: str) -> bool:
    return text.replace("-", "_").isidentifier()


# ------------------------------------------------------------------ loading


def _load_module(folder: Path) -> ModuleType:
    """Run a declaration anew as a module of a package that only this folder is."""
    package = f"_assignment_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    _forget(package)
    spec = ModuleSpec(package, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    sys.modules[package] = importlib.util.module_from_spec(spec)
    try:
        return importlib.import_module(f"{package}.{Path(_DECLARATION).stem}")
    except Exception as error:
        _forget(package)
        raise _said_with_line(error, folder) from error


def _forget(package: str) -> None:
    """Drop a package, so that a changed file is read again."""
    for name in [*sys.modules]:
        if name == package or name.startswith(f"{package}."):
            del sys.modules[name]
    importlib.invalidate_caches()


def _said_with_line(error: Exception, folder: Path) -> AssignmentError:
    if isinstance(error, SyntaxError) and error.filename:
        values = {"path": error.filename, "line": str(error.lineno or 1), "text": error.msg}
        return AssignmentError("assignment.syntax", values)
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).parent == folder]
    path = ours[-1].filename if ours else str(folder / _DECLARATION)
    line = str(ours[-1].lineno or 1) if ours else "1"
    text = f"{type(error).__name__}: {error}"
    return AssignmentError("assignment.raises", {"path": path, "line": line, "text": text})


# ------------------------------------------------------------------ what it declares


def _validate(assignment: Assignment, path: Path) -> None:
    for task_id in _twice(task.id for task in assignment.tasks):
        raise AssignmentError("assignment.duplicate-task", {"task": task_id, "path": str(path)})
    for task in assignment.tasks:
        _validate_checks(task, path)


def _validate_checks(task: Task, path: Path) -> None:
    ids = [check.id for check in task.checks]
    values = {"task": task.id, "path": str(path)}
    for check_id in _twice(ids):
        raise AssignmentError("assignment.duplicate-check", {**values, "check": check_id})
    judged = tuple(getattr(task.question, "check_ids", ()))
    if not judged or not callable(getattr(task.question, "judge", None)):
        shown = type(task.question).__name__
        raise AssignmentError("assignment.no-question", {**values, "type": shown})
    for check_id in ids:
        if check_id not in judged:
            near = difflib.get_close_matches(check_id, judged, n=1)
            known = {"check": check_id, "known": ", ".join(judged), "near": "".join(near)}
            code = "assignment.unknown-check-near" if near else "assignment.unknown-check"
            raise AssignmentError(code, {**values, **known})


def _twice(ids: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(ids).items() if times > 1]


def _read_keys(path: Path, assignment: Assignment) -> dict[str, Any]:
    """Return the keys of choice questions; none where the solution is not at hand."""
    if not path.is_file():
        return {}
    try:
        keys = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        values = {"path": str(path), "text": str(error)}
        raise AssignmentError("assignment.bad-keys", values) from error
    tasks = {task.id for task in assignment.tasks}
    for task_id in sorted(keys.keys() - tasks):
        values = {"path": str(path), "task": task_id, "known": ", ".join(sorted(tasks))}
        raise AssignmentError("assignment.unknown-key", values)
    return keys
