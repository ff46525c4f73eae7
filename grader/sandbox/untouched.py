"""Builtins as they were before student code ran.

A function looks its builtins up in the mapping that its module held under ``__builtins__`` when
the function was made. A module that must not be fooled by a patched ``builtins.float`` begins
with ``__builtins__ = BUILTINS`` and is then blind to whatever the student assigns.
"""

import builtins
from typing import Any

BUILTINS: dict[str, Any] = dict(vars(builtins))
