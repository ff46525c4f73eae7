"""How a child ends, and what it means: the student's code did it, or we failed."""

import signal
from collections.abc import Mapping

from grader.model import Outcome
from grader.sandbox.control import Ended

_ABORTS = ("SIGABRT", "SIGSEGV", "SIGBUS", "SIGTRAP", "SIGILL")
_MEMORY_WORDS = ("bad_alloc", "Cannot allocate memory", "can't allocate memory", "MemoryError")


class ChildGone(Exception):
    """The child ended while a cell ran or a question was open: the student's code did that.

    Attributes:
        outcome: timeout, memory or crashed.
        detail: code of the message that says it in words.
        values: fill that message.
    """

    def __init__(
        self, outcome: Outcome, detail: str = "", values: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{outcome.value}: {detail} {dict(values or {})}")
        self.outcome = outcome
        self.detail = detail
        self.values = dict(values or {})


class ChildFailed(Exception):
    """Our own code in the child failed, or says so; the text is for the instructor."""


class ServerFailed(Exception):
    """The sandbox itself failed; never the student's fault.

    Attributes:
        code: entry of the message catalogue.
        values: fill that message.
    """

    def __init__(self, code: str, values: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code} {dict(values or {})}")
        self.code = code
        self.values = dict(values or {})


def read_ending(ended: Ended | None, *, log: str, cpu_seconds: float) -> ChildGone:
    """Tell from what the kernel says why a child ended by itself.

    A SIGKILL that the judge did not send is the limit of processor time, or the system that ran
    out of memory: the filter lets no student send one. The log decides only between two outcomes
    that cost the student the same.

    Args:
        ended: the end; None where it is not known.
        log: what reached descriptors 1 and 2.
        cpu_seconds: the limit of processor time.
    """
    if ended is None:
        return ChildGone(Outcome.CRASHED, "sandbox.ended.unknown")
    name = _signal_name(-ended.status) if ended.status < 0 else ""
    if ended.over == "memory":
        return ChildGone(Outcome.MEMORY, "sandbox.ended.memory")
    if ended.over == "threads":
        return ChildGone(Outcome.CRASHED, "sandbox.ended.threads")
    if name == "SIGXCPU" or (name == "SIGKILL" and ended.cpu_seconds >= cpu_seconds - 0.5):
        return ChildGone(Outcome.TIMEOUT, "sandbox.ended.cpu", {"seconds": f"{cpu_seconds:g}"})
    if name == "SIGKILL":
        return ChildGone(Outcome.MEMORY, "sandbox.ended.killed")
    if name in _ABORTS and tells_of_memory(log):
        return ChildGone(Outcome.MEMORY, "sandbox.ended.memory")
    if name:
        return ChildGone(Outcome.CRASHED, "sandbox.ended.signal", {"signal": name})
    return ChildGone(Outcome.CRASHED, "sandbox.ended.exit", {"status": str(ended.status)})


def tells_of_memory(text: str) -> bool:
    """Tell whether a text says that something failed for want of memory."""
    return any(words in text for words in _MEMORY_WORDS)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
