"""One grader at a time in an output folder."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from grader.gradebook import GradebookError


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other graders out of a folder while inside; the system forgets a lock when we die.

    Raises:
        GradebookError: another grader is at work there.
        OSError: the folder cannot be written.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise GradebookError("batch.in-use", {"path": str(folder)}) from error
    try:
        yield
    finally:
        os.close(descriptor)
