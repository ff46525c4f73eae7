"""How commands print: consoles, and the exceptions that are messages for the user."""

import sys
from collections.abc import Callable, Mapping

from rich.console import Console

from grader.assignments import AssignmentError
from grader.cli.main import GRADER_FAILED, WRONG_USE
from grader.devices import DeviceError
from grader.gradebook import GradebookError
from grader.intake import Refused
from grader.messages import message
from grader.reports.clean import clean
from grader.sandbox.session import ServerFailed


def error_console() -> Console:
    """Return the console on standard error; rich honours NO_COLOR."""
    return Console(file=sys.stderr, highlight=False, markup=False, soft_wrap=True)


def say(code: str, values: Mapping[str, str], *, language: str) -> None:
    """Print a message on standard error."""
    error_console().print(clean(message(code, values, language=language)))


def guarded(action: Callable[[], int], *, language: str) -> int:
    """Run a command's work; what goes wrong becomes a message and an exit code."""
    try:
        return action()
    except (AssignmentError, DeviceError, GradebookError, Refused) as error:
        say(error.code, error.values, language=language)
        return WRONG_USE
    except ServerFailed as error:
        say(error.code, error.values, language=language)
        return GRADER_FAILED
    except OSError as error:
        values = {"path": str(error.filename or ""), "reason": error.strerror or str(error)}
        say("cli.output", values, language=language)
        return WRONG_USE
    except KeyboardInterrupt:
        return 130
