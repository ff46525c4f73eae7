"""The layers of isolation in words: what each protects, and what is missing where it is not there.

For reports and `grader doctor`; which layers hold is for `grader.sandbox.session.Server` to say.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from grader.messages import message
from grader.reports.clean import clean_line
from grader.sandbox import layers


@dataclass(frozen=True, slots=True)
class LayerWords:
    """A layer in words.

    Attributes:
        name: as in `grader.sandbox.layers`.
        active: whether it holds here.
        text: what it protects where it holds, else what is missing without it.
        reason: why it does not hold, in the system's words; empty where it does.
    """

    name: str
    active: bool
    text: str
    reason: str = ""


def describe_isolation(
    active: Collection[str], missing: Mapping[str, str] | None = None, *, language: str
) -> tuple[LayerWords, ...]:
    """Return every layer in words, in their order.

    Args:
        active: names of the layers that hold, as `Server.layers` and `Report.isolation`.
        missing: why others do not, as `Server.missing`.
        language: of the words.
    """
    reasons = missing or {}
    return tuple(
        LayerWords(
            name=name,
            active=name in active,
            text=message(
                f"sandbox.{'layer' if name in active else 'layer-missing'}.{name}",
                language=language,
            ),
            reason="" if name in active else clean_line(reasons.get(name, "")),
        )
        for name in layers.ALL
    )
