"""Builtins as they were before student code ran, and the type of what student code makes."""

import builtins
from typing import Any, TypeAlias

Foreign: TypeAlias = Any
"""A value that student code, or a library without types, made: it may be anything at all."""

_BUILTINS: dict[str, Any] = dict(vars(builtins))


def shield(module_globals: dict[str, Any]) -> None:
    """Make the functions of a module blind to what students assign in `builtins`.

    A function looks its builtins up in the mapping that its module held under ``__builtins__``
    when the function was made, so this is called before the first ``def``.
    """
    module_globals["__builtins__"] = _BUILTINS
