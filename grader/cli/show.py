"""How commands print: consoles, and the exceptions that are messages for the user.

What it needs is imported when it prints: `grader check` must start its server before that.
"""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from grader.cli.main import GRADER_FAILED, INTERRUPTED, WRONG_USE

if TYPE_CHECKING:
    from rich.console import Console

    from grader.intake import Refused


class WrongUse(Exception):
    """The user asked for something that cannot be.

    Attributes:
        code: entry of the message catalogue.
        values: fills the message.
    """

    def __init__(self, code: str, values: Mapping[str, str]) -> None:
        super().__init__(code)
        self.code = code
        self.values = dict(values)


def error_console() -> "Console":
    """Return the console on standard error; rich honours NO_COLOR."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, markup=False, soft_wrap=True)


def say(code: str, values: Mapping[str, str] | None = None, *, language: str) -> None:
    """Print a message on standard error; what a student may have named stays on its line."""
    from grader.ci.github import disarmed
    from grader.messages import message
    from grader.reports.clean import clean, clean_line

    shown = {key: clean_line(value, most=2000) for key, value in (values or {}).items()}
    text = clean(message(code, shown, language=language))
    error_console().print(disarmed(text))


def say_refused(refused: "Refused", *, language: str) -> None:
    """Say on standard error why a submission cannot be read, and what can be done."""
    from grader.messages import has_message

    say(refused.code, refused.values, language=language)
    longer = f"{refused.code}.explain"
    if has_message(longer, language):
        say(longer, language=language)


def guarded(action: Callable[[], int], *, language: str) -> int:
    """Run a command's work; what goes wrong becomes a message and an exit code."""
    try:
        return action()
    except KeyboardInterrupt:
        return INTERRUPTED
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
    from grader.messages import system_reason
    from grader.sandbox.session import ServerFailed

    if isinstance(error, Refused):
        say_refused(error, language=language)
        return WRONG_USE
    if isinstance(error, AssignmentError | DeviceError | GradebookError | WrongUse):
        say(error.code, error.values, language=language)
        return WRONG_USE
    if isinstance(error, ServerFailed):
        say(error.code, error.values, language=language)
        return GRADER_FAILED
    if isinstance(error, OSError):
        values = {"path": str(error.filename or ""), "reason": system_reason(error)}
        say("cli.output" if error.filename else "cli.system", values, language=language)
        return WRONG_USE
    return None
