"""What modules of Python's do in each fork of this process, put off until student code runs.

`random` draws a seed, `threading` and `logging` make their locks anew: some 250 pages that each
child of the warm server copies, for nothing. The server forks with one thread, while none of these
locks is held, and its children are seeded by number. What student code forks itself is to find
everything as usual.
"""

import importlib
import os
from collections.abc import Callable

_BUSY = ("random", "threading", "logging")
_put_off: list[dict[str, Callable[[], object]]] = []


def put_off() -> None:
    """Load the modules without what they would do in forks; call it before anything loads them."""
    register = getattr(os, "register_at_fork", None)  # not on Windows
    if register is None:
        return
    os.register_at_fork = lambda **functions: _put_off.append(functions)
    for module in _BUSY:
        importlib.import_module(module)
    os.register_at_fork = register


def take_up() -> None:
    """Let forks of this process do what was put off."""
    while _put_off:
        os.register_at_fork(**_put_off.pop(0))
