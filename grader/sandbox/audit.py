"""Compares what a child's log says of the virtual GPU with the native core's sealed account.

The log is kept in Python, where student code that looks for it can write what it likes. What passed
through the native core it cannot take back, so a figure that was made up contradicts the account,
or the card that the judge chose.
"""

from collections.abc import Iterator

from grader.sandbox.account import Account, NotGenuine, Range, Use, read_account
from grader.sandbox.protocol import DeviceLog, DtypeUse
from grader.vgpu.cards import CARDS, Card
from grader.vgpu.device_memory import MIB

_SLACK_BYTES = 16 * MIB
"""What pages and segments may leave unused of what fits."""


class Audit:
    """The audit of one child, for the life of the child.

    Args:
        key: what its accounts are sealed with.
        card: key of the card that was chosen, in `CARDS`.

    Attributes:
        limited: whether the process had limited itself to a part of the card when the cell began
            that was last asked about, such as by `set_per_process_memory_fraction`.
    """

    def __init__(self, key: bytes, card: str) -> None:
        self._key = key
        self._card = CARDS[card]
        self._readings = 1
        self.limited = False

    def find_contradiction(self, log: DeviceLog | None, mark: int) -> str | None:
        """Return what the log of a cell says and the device did not do, None if nothing.

        Args:
            log: of the cell; every cell is asked about, since each has its log read twice.
            mark: what the cell was asked to be run with.
        """
        self._readings += 2
        self.limited = False
        if log is None:
            return None
        if not log.account:
            return "the log of the device came without its sealed account"
        try:
            account = read_account(log.account, self._key)
        except NotGenuine as error:
            return f"the account of the device is not genuine: {error}"
        if account.setups != 1:
            return "the device was set up again while the submission ran"
        if account.mark != mark:
            return "the account of the device is not of this cell"
        if account.reading != self._readings:
            return "somebody else took the log of the device while the submission ran"
        self.limited = log.fits_before < _least_fit(account, self._card.usable)
        return next(_contradictions(log, account, self._card), None)


def _contradictions(log: DeviceLog, account: Account, card: Card) -> Iterator[str]:
    yield from _miscounted(log, account)
    yield from _of_another_size(log, account, card)


# ------------------------------------------------------------------ numbers


def _miscounted(log: DeviceLog, account: Account) -> Iterator[str]:
    """Yield the counts that differ."""
    yield from _differs("linear layers applied", log.linear_calls, account.linear_calls)
    yield from _differs("linear layers refused", log.linear_refused, account.linear_refused)
    yield from _differs("refusals", log.refusal_count, account.refusals)
    for dtype in sorted({*log.by_dtype, *account.by_dtype}):
        said, done = log.by_dtype.get(dtype, DtypeUse()), account.by_dtype.get(dtype, Use())
        yield from _differs(f"{dtype!r} tensors", said.allocations, done.allocations)
        yield from _differs(f"{dtype!r} refusals", said.refusals, done.refusals)
        yield from _differs(
            f"bytes of the largest {dtype!r} tensor", said.largest_bytes, done.largest_bytes
        )
        yield from _differs(
            f"bytes of the largest {dtype!r} tensor refused",
            said.largest_refused_bytes,
            done.largest_refused_bytes,
        )


def _differs(what: str, said: int, done: Range | int) -> Iterator[str]:
    span = Range(done, done) if isinstance(done, int) else done
    if not span.holds(said):
        counted = str(span.least) if span.least == span.most else f"{span.least} to {span.most}"
        yield f"{what}: the log of the device says {said}, its core counted {counted}"


# ------------------------------------------------------------------ sizes


def _of_another_size(log: DeviceLog, account: Account, card: Card) -> Iterator[str]:
    """Yield what does not fit the card that was chosen, or what was held on it."""
    yield from _differs("bytes allocated at the peak", log.peak_allocated, account.peak_bytes)
    largest = max(log.peak_allocated, log.peak_reserved, log.fits_before, account.peak_bytes.least)
    if largest > card.usable:
        yield f"{largest} bytes of the device were in use, and {card.key} has {card.usable}"
    allowed = min(card.usable, int(account.lowest_fraction * card.total_memory))
    least_fit = _least_fit(account, allowed)
    if log.fits_before < least_fit:
        yield (
            f"the log of the device says that {log.fits_before} bytes fitted when the cell began, "
            f"and at least {least_fit} did"
        )
    refused = [] if account.least_refused_bytes is None else [account.least_refused_bytes]
    if log.refusal_count > account.refusals.least:
        refused.append(account.most_doubtful_bytes)
    if refused and min(refused) + _SLACK_BYTES <= allowed:
        yield (
            f"the device refused where at most {min(refused)} bytes were in use and asked for, "
            f"and {card.key} has {allowed}"
        )


def _least_fit(account: Account, allowed: int) -> int:
    """Return what fitted at least when the stretch began, of what the process may have in all."""
    return allowed - account.pinned_before_bytes - _SLACK_BYTES
