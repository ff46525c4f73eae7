"""How commands print: consoles, and the exceptions that are messages for the user.

What it needs is imported when it prints: `grader check` must start its server before that.
"""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from grader.cli.main import GRADER_FAILED, WRONG_USE

if TYPE_CHECKING:
    from rich.console import Console


def error_console() -> "Console":
    """Return the console on standard error; rich honours NO_COLOR."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, markup=False, soft_wrap=True)


def say(code: str, values: Mapping[str, str], *, language: str) -> None:
    """Print a message on standard error."""
    from grader.messages import message
    from grader.reports.clean import clean

    error_console().print(clean(message(code, values, language=language)))


def guarded(action: Callable[[], int], *, language: str) -> int:
    """Run a command's work; what goes wrong becomes a message and an exit code."""
    try:
        return action()
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        code = _explain(error, language=language)
        if code is None:
            raise
        return code


def _explain(error: Exception, *, language: str) -> int | None:
    """Say what an exception means and return the exit code; None for one that means nothing."""
    from grader.assignments import AssignmentError
    from grader.devices import DeviceError
    from grader.gradebook import GradebookError
    from grader.intake import Refused
    from grader.sandbox.session import ServerFailed

    if isinstance(error, AssignmentError | DeviceError | GradebookError | Refused):
        say(error.code, error.values, language=language)
        return WRONG_USE
    if isinstance(error, ServerFailed):
        say(error.code, error.values, language=language)
        return GRADER_FAILED
    if isinstance(error, OSError):
        values = {"path": str(error.filename or ""), "reason": error.strerror or str(error)}
        say("cli.output", values, language=language)
        return WRONG_USE
    return None
