"""What the device logged of a section's cells, and what follows from it."""

import re
from collections.abc import Mapping

from grader.checks.view import Card, Ran, SectionView
from grader.evidence import (
    Evidence,
    MemoryTimeline,
    Refusal,
)
from grader.sandbox.protocol import DeviceLog, DtypeUse

ITEM_BYTES: Mapping[str, int] = {
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
}


FULL_PERCENT = 95
"""How much of the largest tensor that fits counts as the largest."""


_HALF_PERCENT = 30

_SEGMENT_BYTES = 32 << 20
"""What the rounding of segments may leave of a card."""

CellLog = tuple[Ran, DeviceLog]


def device_logs(view: SectionView) -> list[CellLog]:
    """Return the section's cells that used the device, with their logs, in order."""
    return [
        (ran, ran.done.device)
        for ran in view.ran
        if ran.done is not None and ran.done.device is not None
    ]


def timeline(card: Card, logs: list[CellLog]) -> MemoryTimeline:
    """Return the video memory over the section's cells as evidence."""
    return MemoryTimeline(
        card=card.name,
        capacity_bytes=card.usable_bytes,
        cells=tuple(
            (
                ran.cell.index or 0,
                log.allocated_after,
                log.reserved_after,
                log.peak_allocated,
                log.refusal_count,
            )
            for ran, log in logs
        ),
    )


def percent(part: int, whole: int) -> int:
    """Return a share in percent, rounded down: 100 is shown only where it is true."""
    return 100 * part // whole if whole > 0 else 0


def grouped(number: int) -> str:
    """Return a number with its digits in groups of three, parted by no-break spaces."""
    return f"{number:,}".replace(",", "\u00a0")


def reaches(part: int, whole: int, share: int) -> bool:
    """Tell whether a part is at least `share` percent of a whole."""
    return whole > 0 and 100 * part >= share * whole


def item_bytes(dtype: str) -> int:
    """Return the bytes that an element of a dtype takes."""
    return ITEM_BYTES.get(dtype, 4)


def usable(card: Card, logs: list[CellLog]) -> int:
    """Return the most that can be allocated on the card."""
    return card.usable_bytes or max(log.fits_before + log.allocated_before for _, log in logs)


def is_limited(card: Card, log: DeviceLog) -> bool:
    """Tell whether less fitted than what was held leaves room for: the process limits itself.

    See `torch.cuda.set_per_process_memory_fraction`; with the cache given back, all but the held
    segments of a card is free. Where there is no account to tell it, the log does.
    """
    return log.limited or log.fits_before + log.reserved_before + _SEGMENT_BYTES < card.usable_bytes


def share(peak: int, card: Card, logs: list[CellLog]) -> dict[str, str]:
    """Return how full the card got, as values of a message."""
    whole = usable(card, logs)
    return {
        "bytes": grouped(peak),
        "usable": grouped(whole),
        "percent": str(percent(peak, whole)),
        "card": card.name,
    }


def best_use(logs: list[DeviceLog], dtype: str) -> DtypeUse:
    """Return what all cells together did with a dtype; the largest brings its neighbours' bytes."""
    uses = [log.by_dtype[dtype] for log in logs if dtype in log.by_dtype]
    if not uses:
        return DtypeUse()
    best = max(uses, key=lambda use: use.largest_bytes)
    return DtypeUse(
        largest_bytes=best.largest_bytes,
        allocations=sum(use.allocations for use in uses),
        largest_refused_bytes=max(use.largest_refused_bytes for use in uses),
        refusals=sum(use.refusals for use in uses),
        largest_beside_bytes=best.largest_beside_bytes,
    )


def was_halved(dtype: str, use: DtypeUse, fits: int, logs: list[CellLog]) -> bool:
    """Tell whether an earlier tensor that was still alive took the room."""
    beside = use.largest_beside_bytes
    if reaches(beside, fits, _HALF_PERCENT) and reaches(beside + use.largest_bytes, fits, 85):
        return True
    return reaches(use.largest_bytes, fits, _HALF_PERCENT) and any(
        refusal.dtype == dtype
        and reaches(refusal.held_dtype_bytes, fits, _HALF_PERCENT)
        and refusal.requested_bytes <= fits
        for _, log in logs
        for refusal in log.refusals
    )


def refusal_evidence(ran: Ran, log: DeviceLog) -> tuple[Evidence, ...]:
    """Return the first refusal of a cell as evidence."""
    return tuple(
        Refusal(
            cell=ran.cell.index or 0,
            requested_bytes=refusal.requested_bytes,
            allocated_bytes=refusal.allocated_bytes,
            text=refusal_text(ran),
        )
        for refusal in log.refusals[:1]
    )


def refusal_text(ran: Ran) -> str:
    """Return the message that the student's code saw."""
    done = ran.done
    if done is None:
        return ""
    if done.error is not None and "memory" in done.error.text:
        return f"{done.error.type}: {done.error.text}"
    lines = [line for line in done.output.split("\n") if "out of memory" in line]
    return lines[0][:1000] if lines else ""


def tells_of_refusal(ran: Ran) -> bool:
    """Tell whether a cell raised or printed that memory ran out."""
    done = ran.done
    if done is None:
        return False
    error = f"{done.error.type} {done.error.text}" if done.error else ""
    text = f"{error}\n{done.output}".casefold()
    return any(words in text for words in ("out of memory", "outofmemory", "can't allocate memory"))


def host_bytes(ran: Ran) -> int | None:
    """Return the bytes that the computer's own memory refused to a cell, None where it did not.

    The text is that of `c10/core/impl/alloc_cpu.cpp`; 0 stands for a text without a number.
    """
    done = ran.done
    if done is None:
        return None
    text = f"{done.error.text if done.error else ''}\n{done.output}"
    if "can't allocate memory" not in text:
        return None
    asked = re.search(r"you tried to allocate (\d{1,18}) bytes", text)
    return int(asked[1]) if asked else 0
