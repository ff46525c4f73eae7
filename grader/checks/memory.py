"""Video memory, judged from the device's own log of what the section's cells did.

Without a device a person reads what the notebook printed; where the device could not be set up the
error is ours.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

from grader.checks.answers import find_failure, for_all, read_values
from grader.checks.student_text import (
    MOST_EXCERPT,
    Piece,
    picture_evidence,
    text_evidence,
    text_pieces,
    without_magics,
)
from grader.checks.view import Card, Ran, SectionView
from grader.evidence import (
    Comparison,
    Evidence,
    MemoryBars,
    MemoryTimeline,
    Refusal,
    StudentText,
)
from grader.model import Finding, Outcome, Task
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

FILLED_PERCENT = 90
"""How much of the usable memory counts as all of it."""

APPLIED_PERCENT = 40
"""How much of it has to be allocated where a layer is applied without a refusal."""

_HALF_PERCENT = 30
_RATIO_TOLERANCE = 0.05
_FEWEST_WORDS = 3
_MOST_PRINTED = 2000

_Log = tuple[Ran, DeviceLog]


@dataclass(frozen=True, slots=True)
class LargestTensors:
    """The largest tensor of each dtype that fits the card, and how the sizes compare.

    Attributes:
        dtypes: the dtypes, which are ids of checks too.
        comparison_names: variables in which the handout asks for the ratios.
        comparison_base: the dtype that the ratios refer to.
    """

    dtypes: tuple[str, ...] = ("float32", "float64", "float16", "int32", "int64")
    comparison_names: tuple[str, ...] = ("ratios",)
    comparison_base: str = "float32"

    @property
    def check_ids(self) -> tuple[str, ...]:
        """Ids of the checks it judges."""
        return (*self.dtypes, "comparison")

    def judge(self, task: Task, view: SectionView) -> list[Finding]:
        """Return one finding for each check of `task`."""
        unjudged = find_unjudged(task, view)
        if unjudged is not None:
            return unjudged
        logs = device_logs(view)
        if not logs:
            return [*_without_use(view, self.dtypes), self._compare(view)]
        best = {dtype: _best_use([log for _, log in logs], dtype) for dtype in self.dtypes}
        fits = logs[0][1].fits_before or view.card.usable_bytes
        findings = [self._largest(view, dtype, best[dtype], fits, logs) for dtype in self.dtypes]
        bars = MemoryBars(
            card=view.card.name,
            exact=view.card.exact,
            rows=tuple((d, best[d].largest_bytes, fits - fits % _width(d)) for d in self.dtypes),
        )
        first = findings[0]
        findings[0] = _with_evidence(first, bars, timeline(view.card, logs))
        return [*findings, self._compare(view)]

    def _largest(
        self, view: SectionView, dtype: str, use: DtypeUse, fits: int, logs: list[_Log]
    ) -> Finding:
        width = _width(dtype)
        values = {
            "dtype": dtype,
            "elements": grouped(use.largest_bytes // width),
            "bytes": grouped(use.largest_bytes),
            "most_elements": grouped(fits // width),
            "most_bytes": grouped(fits - fits % width),
            "percent": str(percent(use.largest_bytes, fits)),
            "card": view.card.name,
        }
        outcome, code = self._verdict(view.card, dtype, use, fits, logs, values)
        cells = tuple(
            ran.cell.index or 0
            for ran, log in logs
            if use.largest_bytes
            and log.by_dtype.get(dtype, DtypeUse()).largest_bytes == use.largest_bytes
        )
        return Finding(
            check=dtype,
            outcome=outcome,
            code=code,
            values=values,
            cells=cells[:3],
            excerpt=f"{dtype}: {values['elements']}" if outcome is Outcome.REVIEW else "",
        )

    def _verdict(
        self,
        card: Card,
        dtype: str,
        use: DtypeUse,
        fits: int,
        logs: list[_Log],
        values: dict[str, str],
    ) -> tuple[Outcome, str]:
        if use.allocations and _reaches(use.largest_bytes, fits, FULL_PERCENT):
            return Outcome.PASSED, "memory.largest"
        other = _other_card(card, use, logs[0][1].allocated_before)
        if other:
            values["other"] = other
            return Outcome.REVIEW, "memory.other-card"
        if not use.allocations:
            if use.refusals:
                return Outcome.FAILED, "memory.only-refused"
            return Outcome.MISSING, "memory.dtype-missing"
        if _was_halved(dtype, use, fits, logs):
            return Outcome.FAILED, "memory.half"
        if _reaches(use.largest_bytes, fits, 50):
            return Outcome.FAILED, "memory.not-largest"
        return Outcome.FAILED, "memory.far-too-small"

    # -------------------------------------------------------------- the ratios

    def _compare(self, view: SectionView) -> Finding:
        found = read_values(view, self.comparison_names)
        for name in self.comparison_names:
            ratios = _as_ratios(found.get(name), self.dtypes)
            if ratios:
                return self._judge_ratios(name, ratios, view)
        return judge_words(view, "comparison", "memory.comparison-to-read")

    def _judge_ratios(self, name: str, ratios: Mapping[str, float], view: SectionView) -> Finding:
        expected = {dtype: _width(self.comparison_base) / _width(dtype) for dtype in self.dtypes}
        # The base itself says nothing, so it may be left out.
        asked = {
            d: ratio for d, ratio in expected.items() if d in ratios or d != self.comparison_base
        }
        wrong = [d for d, ratio in asked.items() if not _close(ratios.get(d), ratio)]
        turned = [d for d, ratio in asked.items() if not _close(ratios.get(d), 1 / ratio)]
        shown = _shown_ratios(ratios)
        values = {"graded_name": name, "graded_type": "", "graded_cell": str(view.where(name))}
        evidence = Comparison(
            label="memory.comparison-label", expected=_shown_ratios(expected), shown=shown
        )
        if not wrong:
            outcome, code = Outcome.PASSED, "memory.comparison-right"
        elif not turned:
            outcome, code = Outcome.REVIEW, "memory.comparison-turned"
        else:
            outcome, code = Outcome.FAILED, "memory.comparison-wrong"
            values["dtypes"] = ", ".join(wrong)
        return Finding(
            check="comparison",
            outcome=outcome,
            code=code,
            values=values,
            evidence=(evidence,),
            excerpt=shown if outcome is Outcome.REVIEW else "",
        )


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """Code that runs out of video memory: the device itself has to refuse."""

    @property
    def check_ids(self) -> tuple[str, ...]:
        """Ids of the checks it judges."""
        return ("out-of-memory",)

    def judge(self, task: Task, view: SectionView) -> list[Finding]:
        """Return one finding for each check of `task`."""
        unjudged = find_unjudged(task, view)
        if unjudged is not None:
            return unjudged
        logs = device_logs(view)
        refused = [(ran, log) for ran, log in logs if log.refusal_count]
        if refused:
            return for_all(task, self._refused(view, refused, logs))
        by_hand = next((ran for ran in view.ran if _tells_of_refusal(ran)), None)
        if by_hand is not None:
            finding = Finding(
                check="",
                outcome=Outcome.FAILED,
                code=_by_hand_code(by_hand),
                evidence=(StudentText(where="code", text=by_hand.cell.source[:MOST_EXCERPT]),),
                cells=(by_hand.cell.index or 0,),
            )
        elif logs:
            peak = max(log.peak_allocated for _, log in logs)
            finding = Finding(
                check="",
                outcome=_ended_outcome(view) or Outcome.FAILED,
                code="memory.cell-ended" if _ended_outcome(view) else "memory.not-refused",
                values=_share(peak, view.card, logs),
                evidence=(timeline(view.card, logs),),
            )
        else:
            finding = _nothing_on_device(view)
        return for_all(task, finding)

    def _refused(self, view: SectionView, refused: list[_Log], logs: list[_Log]) -> Finding:
        ran, log = refused[0]
        first = log.refusals[0] if log.refusals else None
        evidence: list[Evidence] = [timeline(view.card, logs)]
        values = {"cell": str(ran.cell.index or 0), "count": str(log.refusal_count)}
        if first is not None:
            evidence.insert(
                0,
                Refusal(
                    cell=ran.cell.index or 0,
                    requested_bytes=first.requested_bytes,
                    allocated_bytes=first.allocated_bytes,
                    text=_refusal_text(ran),
                ),
            )
        return Finding(
            check="",
            outcome=Outcome.PASSED,
            code="memory.refused",
            values=values,
            evidence=tuple(evidence),
            cells=(ran.cell.index or 0,),
        )


@dataclass(frozen=True, slots=True)
class FillMemory:
    """A linear layer and its input that fill the memory, the layer applied, and why it ends so."""

    @property
    def check_ids(self) -> tuple[str, ...]:
        """Ids of the checks it judges."""
        return ("fills", "forward", "explanation")

    def judge(self, task: Task, view: SectionView) -> list[Finding]:
        """Return one finding for each check of `task`."""
        unjudged = find_unjudged(task, view)
        if unjudged is not None:
            return unjudged
        logs = device_logs(view)
        words = judge_words(view, "explanation", "memory.explanation-to-read")
        if not logs:
            return [*_without_use(view, ("fills", "forward")), words]
        return [self._fills(view, logs), self._forward(view, logs), words]

    def _fills(self, view: SectionView, logs: list[_Log]) -> Finding:
        ran, log = max(logs, key=lambda item: item[1].peak_allocated)
        full = _reaches(log.peak_allocated, _usable(view.card, logs), FILLED_PERCENT)
        return Finding(
            check="fills",
            outcome=Outcome.PASSED if full else Outcome.FAILED,
            code="memory.filled" if full else "memory.not-filled",
            values=_share(log.peak_allocated, view.card, logs),
            evidence=(timeline(view.card, logs),),
            cells=(ran.cell.index or 0,),
        )

    def _forward(self, view: SectionView, logs: list[_Log]) -> Finding:
        applied = [(ran, log) for ran, log in logs if log.linear_calls or log.linear_refused]
        if not applied:
            return Finding(check="forward", outcome=Outcome.FAILED, code="memory.not-applied")
        refused = [(ran, log) for ran, log in applied if log.refusal_count or log.linear_refused]
        ran, log = refused[0] if refused else max(applied, key=lambda item: item[1].peak_allocated)
        values = _share(log.peak_allocated, view.card, logs)
        cells = (ran.cell.index or 0,)
        if refused:
            return Finding(
                check="forward",
                outcome=Outcome.PASSED,
                code="memory.applied-refused",
                values=values,
                evidence=_refusals(ran, log),
                cells=cells,
            )
        enough = _reaches(log.peak_allocated, _usable(view.card, logs), APPLIED_PERCENT)
        return Finding(
            check="forward",
            outcome=Outcome.PASSED if enough else Outcome.FAILED,
            code="memory.applied" if enough else "memory.applied-small",
            values=values,
            cells=cells,
        )


# ------------------------------------------------------------------ shared by the three


def device_logs(view: SectionView) -> list[_Log]:
    """Return the section's cells that used the device, with their logs, in order."""
    return [
        (ran, ran.done.device)
        for ran in view.ran
        if ran.done is not None and ran.done.device is not None
    ]


def find_unjudged(task: Task, view: SectionView) -> list[Finding] | None:
    """Return the findings where there is no device to judge by, None where there is one."""
    if view.device in ("virtual", "real"):
        return None
    if view.device.startswith("unavailable"):
        reason = view.device.partition(":")[2].strip()
        return for_all(
            task,
            Finding(
                check="",
                outcome=Outcome.GRADER_ERROR,
                code="memory.unavailable",
                values={"reason": reason},
            ),
        )
    pieces = _prose(view)
    if not pieces and not touches_device(view):
        return for_all(task, find_failure(view) or _missing(""))
    code = "\n\n".join(ran.cell.source for ran in view.ran)
    evidence = (
        StudentText(where="code", text=code[: 2 * MOST_EXCERPT]),
        *_printed_beside(view),
        *text_evidence(pieces),
        *picture_evidence(view),
    )
    excerpt = "\n\n".join([*(piece.text for piece in pieces), *_printed(view)])
    return for_all(
        task,
        Finding(
            check="",
            outcome=Outcome.REVIEW,
            code="memory.no-device",
            evidence=evidence,
            excerpt=(excerpt or code)[:MOST_EXCERPT],
        ),
    )


def judge_words(view: SectionView, check: str, code: str) -> Finding:
    """Return a review of what the student wrote in this section, or that there is nothing."""
    pieces = _prose(view)
    pictures = picture_evidence(view)
    if not pieces and not pictures:
        return Finding(check=check, outcome=Outcome.MISSING, code="memory.words-missing")
    return Finding(
        check=check,
        outcome=Outcome.REVIEW,
        code=code,
        evidence=(*text_evidence(pieces), *pictures),
        excerpt="\n\n".join(piece.text for piece in pieces)[:MOST_EXCERPT],
    )


def touches_device(view: SectionView) -> bool:
    """Tell whether the section's code, without its comments, mentions the device."""
    for cell in view.section.cells:
        if cell.kind != "code":
            continue
        try:
            code = ast.unparse(ast.parse(without_magics(cell.source)))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            code = cell.source
        if re.search(r"\bcuda\b|\bdevice\b|nvidia|memory_", code):
            return True
    return False


def timeline(card: Card, logs: list[_Log]) -> MemoryTimeline:
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


def _reaches(part: int, whole: int, share: int) -> bool:
    return whole > 0 and 100 * part >= share * whole


def _width(dtype: str) -> int:
    return ITEM_BYTES.get(dtype, 4)


def _usable(card: Card, logs: list[_Log]) -> int:
    return card.usable_bytes or max(log.fits_before + log.allocated_before for _, log in logs)


def _share(peak: int, card: Card, logs: list[_Log]) -> dict[str, str]:
    usable = _usable(card, logs)
    return {
        "bytes": grouped(peak),
        "usable": grouped(usable),
        "percent": str(percent(peak, usable)),
        "card": card.name,
    }


def _best_use(logs: list[DeviceLog], dtype: str) -> DtypeUse:
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


def _was_halved(dtype: str, use: DtypeUse, fits: int, logs: list[_Log]) -> bool:
    """Tell whether an earlier tensor that was still alive took the room."""
    beside = use.largest_beside_bytes
    if _reaches(beside, fits, _HALF_PERCENT) and _reaches(beside + use.largest_bytes, fits, 85):
        return True
    return _reaches(use.largest_bytes, fits, _HALF_PERCENT) and any(
        refusal.dtype == dtype
        and _reaches(refusal.held_dtype_bytes, fits, _HALF_PERCENT)
        and refusal.requested_bytes <= fits
        for _, log in logs
        for refusal in log.refusals
    )


def _other_card(card: Card, use: DtypeUse, held: int) -> str:
    """Return the name of another card that these sizes fill, empty if there is none.

    Sizes for a smaller card are allocated here; those for a larger one are refused.
    """
    for name, usable in card.others.items():
        room = usable - held
        tried = use.largest_bytes if usable < card.usable_bytes else use.largest_refused_bytes
        if name != card.name and _reaches(tried, room, FULL_PERCENT) and tried <= room:
            return name
    return ""


def _missing(check: str) -> Finding:
    return Finding(check=check, outcome=Outcome.MISSING, code="memory.missing")


def _nothing_on_device(view: SectionView) -> Finding:
    failure = find_failure(view)
    if failure is not None:
        return failure
    if touches_device(view):
        return Finding(check="", outcome=Outcome.FAILED, code="memory.nothing-allocated")
    return _missing("")


def _without_use(view: SectionView, checks: tuple[str, ...]) -> list[Finding]:
    finding = _nothing_on_device(view)
    return [
        Finding(
            check=check,
            outcome=finding.outcome,
            code=finding.code,
            values=finding.values,
            evidence=finding.evidence if place == 0 else (),
            cells=finding.cells,
            excerpt=finding.excerpt,
        )
        for place, check in enumerate(checks)
    ]


def _with_evidence(finding: Finding, *evidence: Evidence) -> Finding:
    return Finding(
        check=finding.check,
        outcome=finding.outcome,
        code=finding.code,
        values=finding.values,
        evidence=(*finding.evidence, *evidence),
        cells=finding.cells,
        excerpt=finding.excerpt,
    )


def _prose(view: SectionView) -> tuple[Piece, ...]:
    """Return the student's sentences: text cells, comments of some words, strings of more."""
    return tuple(
        piece
        for piece in text_pieces(view)
        if piece.where == "markdown"
        or (piece.where == "comment" and len(piece.text.split()) >= _FEWEST_WORDS)
        or (piece.where == "string" and len(piece.text.split()) > _FEWEST_WORDS)
    )


def _printed(view: SectionView) -> list[str]:
    return [ran.cell.printed[:_MOST_PRINTED] for ran in view.ran if ran.cell.printed.strip()]


def _printed_beside(view: SectionView) -> tuple[Comparison, ...]:
    """Return what the notebook itself printed beside what the rerun did, cell by cell."""
    return tuple(
        Comparison(
            label="memory.printed",
            expected=(ran.done.output if ran.done else "")[:_MOST_PRINTED],
            shown=ran.cell.printed[:_MOST_PRINTED],
        )
        for ran in view.ran
        if ran.cell.printed.strip() or (ran.done and ran.done.output.strip())
    )


def _refusals(ran: Ran, log: DeviceLog) -> tuple[Evidence, ...]:
    return tuple(
        Refusal(
            cell=ran.cell.index or 0,
            requested_bytes=refusal.requested_bytes,
            allocated_bytes=refusal.allocated_bytes,
            text=_refusal_text(ran),
        )
        for refusal in log.refusals[:1]
    )


def _refusal_text(ran: Ran) -> str:
    done = ran.done
    if done is None:
        return ""
    if done.error is not None and "memory" in done.error.text:
        return f"{done.error.type}: {done.error.text}"
    lines = [line for line in done.output.split("\n") if "out of memory" in line]
    return lines[0][:1000] if lines else ""


def _tells_of_refusal(ran: Ran) -> bool:
    done = ran.done
    if done is None:
        return False
    error = f"{done.error.type} {done.error.text}" if done.error else ""
    text = f"{error}\n{done.output}".casefold()
    return any(words in text for words in ("out of memory", "outofmemory", "can't allocate memory"))


def _by_hand_code(ran: Ran) -> str:
    done = ran.done
    error = done.error.text if done is not None and done.error is not None else ""
    output = done.output if done is not None else ""
    if "can't allocate memory" in error + output:
        return "memory.host-memory"
    return "memory.raised-by-hand"


def _ended_outcome(view: SectionView) -> Outcome | None:
    if view.ended is not None:
        return view.ended
    for ran in view.ran:
        if ran.done is not None and ran.done.outcome in ("timeout", "memory"):
            return Outcome(ran.done.outcome)
    return None


def _as_ratios(value: object, dtypes: tuple[str, ...]) -> dict[str, float]:
    """Return ratios by dtype from a dict or a list in the order of the dtypes."""
    if isinstance(value, list | tuple) and len(value) == len(dtypes):
        value = dict(zip(dtypes, value, strict=True))
    if not isinstance(value, dict):
        return {}
    return {
        str(name).removeprefix("torch."): float(ratio)
        for name, ratio in value.items()
        if isinstance(ratio, int | float) and not isinstance(ratio, bool)
    }


def _close(actual: float | None, expected: float) -> bool:
    return actual is not None and abs(actual - expected) <= _RATIO_TOLERANCE * expected


def _shown_ratios(ratios: Mapping[str, float]) -> str:
    return ", ".join(f"{dtype}: {ratio:g}" for dtype, ratio in list(ratios.items())[:20])
