"""Sizes that may be right although this card says otherwise, and so are for a person.

They were chosen for another card, which the notebook's outputs name or which they fill exactly; or
the card is one whose figures are estimated, and they miss it by a little.
"""

from dataclasses import dataclass

from grader.checks.memory_log import FULL_PERCENT, CellLog, reaches, usable
from grader.checks.view import Card
from grader.sandbox.protocol import DtypeUse

_ESTIMATE_PERCENT = 105, 95
"""What a driver takes is estimated for most cards, to some hundred MiB."""

_LARGEST_ITEM = 16


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Why a size may be right.

    Attributes:
        code: the message that says so.
        nbytes: the size.
        other: the card that it is right for, empty for the same card.
    """

    code: str
    nbytes: int
    other: str = ""


def largest_elsewhere(
    card: Card, dtype: str, use: DtypeUse, fits: int, logs: list[CellLog]
) -> Elsewhere | None:
    """Look at the sizes that were tried for the largest tensor of a dtype.

    Sizes for a smaller card are allocated here; those for a larger one are refused.
    """
    refused = _refused(card, dtype, use, logs)
    for nbytes in refused:
        if _nearly_fits(card, nbytes, fits):
            return Elsewhere("memory.near-estimate", nbytes)
    held, whole = logs[0][1].allocated_before, usable(card, logs)
    for name, most in card.others.items():
        room = most - held
        for nbytes in [use.largest_bytes] if most < whole else refused:
            if name != card.name and reaches(nbytes, room, FULL_PERCENT) and nbytes <= room:
                return Elsewhere("memory.other-card", nbytes, name)
    return None


def filled_elsewhere(card: Card, logs: list[CellLog], share: int) -> Elsewhere | None:
    """Look at what was held at once, and at what would have been but for a refusal."""
    other, most = _own_card(card)
    peak = max(log.peak_allocated for _, log in logs)
    if other and reaches(peak, most, share):
        return Elsewhere("memory.other-card-filled", peak, other)
    for _, log in logs:
        for refusal in log.refusals:
            wanted = refusal.allocated_bytes + refusal.requested_bytes
            if other and most >= wanted and reaches(wanted, most, share):
                return Elsewhere("memory.other-card-filled", wanted, other)
            if _nearly_fits(card, wanted, usable(card, logs)):
                return Elsewhere("memory.near-estimate-filled", wanted)
    return None


def applied_elsewhere(card: Card, peak: int, share: int) -> Elsewhere | None:
    """Look at what was held when a layer was applied."""
    other, most = _own_card(card)
    enough = other and reaches(peak, most, share)
    return Elsewhere("memory.other-card-applied", peak, other) if enough else None


def refused_elsewhere(card: Card, logs: list[CellLog]) -> Elsewhere | None:
    """Look at what was held at once where nothing was refused."""
    other, most = _own_card(card)
    peak = max(log.peak_allocated for _, log in logs)
    if other and peak > most:
        return Elsewhere("memory.other-card-refuses", peak, other)
    if not card.exact and reaches(peak, usable(card, logs), _ESTIMATE_PERCENT[1]):
        return Elsewhere("memory.near-estimate-free", peak)
    return None


def _own_card(card: Card) -> tuple[str, int]:
    """Return the card that a notebook's own outputs name, and its bytes, if it is another one."""
    elsewhere = card.named if card.named != card.name else ""
    return (elsewhere, card.others[elsewhere]) if elsewhere in card.others else ("", 0)


def _refused(card: Card, dtype: str, use: DtypeUse, logs: list[CellLog]) -> list[int]:
    """Return the sizes of a dtype that were refused, but for all that the card has.

    Whoever asks for that has read it off the card, and no card gives it.
    """
    sizes = {r.requested_bytes for _, log in logs for r in log.refusals if r.dtype == dtype}
    sizes.add(use.largest_refused_bytes)
    return sorted(n for n in sizes if n and not 0 <= card.total_bytes - n < _LARGEST_ITEM)


def _nearly_fits(card: Card, wanted: int, whole: int) -> bool:
    """Tell whether more bytes than the card has would fit if its estimate were a little off."""
    possible = card.total_bytes == 0 or wanted < card.total_bytes - _LARGEST_ITEM
    near = whole < wanted and not reaches(wanted, whole, _ESTIMATE_PERCENT[0])
    return not card.exact and possible and near
