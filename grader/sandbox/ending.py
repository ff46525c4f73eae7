"""How a child ends, and what it means: the student's code did it, or we failed."""

from collections.abc import Mapping

from grader.model import Outcome


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
