"""Which card a submission runs on, whether there is one, and what is promised of its figures."""

from grader.checks.view import Card
from grader.sandbox.protocol import REAL
from grader.sandbox.session import Server
from grader.vgpu.build import SUPPORTED_TORCH
from grader.vgpu.cards import CARDS, find_card
from grader.vgpu.profiles import PROFILES, find_profile

DEFAULT_CARD = "Tesla T4"


class DeviceError(Exception):
    """There is no such card or profile here; the message says which there are, or what to do.

    Attributes:
        code: entry of the message catalogue.
        values: fill that message.
    """

    def __init__(self, code: str, values: dict[str, str]) -> None:
        super().__init__(f"{code} {values}")
        self.code = code
        self.values = values


def require_known(card: str, profile: str) -> None:
    """Refuse a card or a profile that nobody knows; empty ones are chosen later.

    Raises:
        DeviceError: there is none of that name.
    """
    if card not in ("", REAL, *CARDS):
        raise DeviceError("device.unknown-card", {"card": card, "cards": ", ".join(CARDS)})
    if profile and profile not in PROFILES:
        values = {"profile": profile, "profiles": ", ".join(PROFILES)}
        raise DeviceError("device.unknown-profile", values)


def full_name(card: str) -> str:
    """Return the card that a part of its name stands for, as ``a100``; else the text itself."""
    part = card.casefold()
    found = [name for name in CARDS if part in name.casefold()]
    if len(found) > 1:
        found = [name for name in found if name.casefold().endswith(part)]
    return found[0] if part and len(found) == 1 else card


def require_real(server: Server) -> None:
    """Refuse to judge on the machine's own card where there is none.

    Raises:
        DeviceError: PyTorch finds no card, or cannot use one.
        ServerFailed: the server did not start, or would run other people's code on the card.
    """
    if server.device != REAL:
        raise DeviceError(f"device.{server.device.partition(': ')[2]}", {"torch": server.torch})


def real_card(printed: str, server: Server) -> Card:
    """Return the machine's own card; how much fits on it, the child measures.

    Raises:
        DeviceError: there is none.
    """
    require_real(server)
    named = find_card(printed)
    own = server.card if named and named.name == server.card else ""  # whatever its driver
    return Card(
        name=server.card,
        exact=True,
        others={other.key: other.usable for other in CARDS.values() if other.name != server.card},
        named=own or (named.key if named else ""),
    )


def choose_card(printed: str, *, card: str, profile: str) -> Card:
    """Return the card to imitate: the one that was asked for, else what the outputs name.

    Args:
        printed: what the submission kept of its own run.
        card: name of the card, empty for the one that `printed` names.
        profile: runtime profile, empty for the one whose error texts `printed` shows.
    """
    named = find_card(printed)
    chosen = CARDS[card] if card else named or CARDS[DEFAULT_CARD]
    return Card(
        name=chosen.key,
        exact=chosen.exact,
        usable_bytes=chosen.usable,
        total_bytes=chosen.total_memory,
        others={other.key: other.usable for other in CARDS.values() if other is not chosen},
        profile=profile or find_profile(printed) or "",
        named=named.key if named else "",
    )


def figures_of(card: Card, device: str) -> str:
    """Return what the figures of a report are worth, see `grader.model.Report.figures`."""
    if device == REAL:
        return "measured"
    if device != "virtual":
        return ""
    return "exact" if card.exact else "estimated"


def missing_device(server: Server) -> tuple[str, dict[str, str]] | None:
    """Return the sentence on why there is no virtual card here, and how to get it; None if it is.

    The sentence stands in every report, since the tasks on video memory cannot be judged.
    """
    state, _, reason = server.device.partition(": ")
    if state != "unavailable":
        return None
    return f"device.{reason}", {"torch": server.torch, "supported": SUPPORTED_TORCH}
