"""Video memory, judged from the device's own log of what the section's cells did.

Without a device a person reads what the notebook printed; where the device could not be set up the
error is ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from grader.checks.answers import for_all, read_values
from grader.checks.memory_elsewhere import (
    Elsewhere,
    applied_elsewhere,
    filled_elsewhere,
    largest_elsewhere,
    refused_elsewhere,
)
from grader.checks.memory_log import (
    FULL_PERCENT,
    CellLog,
    best_use,
    device_logs,
    grouped,
    is_limited,
    item_bytes,
    percent,
    reaches,
    refusal_evidence,
    refusal_text,
    share,
    tells_of_refusal,
    timeline,
    usable,
    was_halved,
)
from grader.checks.memory_printed import printed_figures
from grader.checks.memory_words import (
    find_unjudged,
    judge_words,
    nothing_on_device,
    out_of_host_memory,
    without_use,
)
from grader.checks.student_text import (
    MOST_EXCERPT,
)
from grader.checks.view import Card, SectionView
from grader.evidence import (
    Comparison,
    Evidence,
    MemoryBars,
    Refusal,
    StudentText,
)
from grader.model import Finding, Outcome, Task
from grader.sandbox.protocol import DtypeUse

FILLED_PERCENT = 90
"""How much of the usable memory counts as all of it."""


APPLIED_PERCENT = 40
"""How much of it has to be allocated where a layer is applied without a refusal."""


_RATIO_TOLERANCE = 0.05


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

    has_parts: ClassVar[bool] = False

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
            return [*without_use(view, self.dtypes), self._compare(view)]
        best = {dtype: best_use([log for _, log in logs], dtype) for dtype in self.dtypes}
        fits = logs[0][1].fits_before or view.card.usable_bytes
        findings = [self._largest(view, dtype, best[dtype], fits, logs) for dtype in self.dtypes]
        bars = MemoryBars(
            card=view.card.name,
            exact=view.card.exact,
            rows=tuple(
                (d, best[d].largest_bytes, fits - fits % item_bytes(d)) for d in self.dtypes
            ),
        )
        host = out_of_host_memory(view)
        if host is not None and host.outcome is Outcome.REVIEW:
            # A search that went through the computer's memory ended at our bound, not at its own.
            findings = [
                replace(host, check=finding.check) if finding.outcome is Outcome.FAILED else finding
                for finding in findings
            ]
        first = findings[0]
        findings[0] = _with_evidence(first, bars, *_over_cells(view, logs))
        return [*findings, self._compare(view)]

    def _largest(
        self, view: SectionView, dtype: str, use: DtypeUse, fits: int, logs: list[CellLog]
    ) -> Finding:
        width = item_bytes(dtype)
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
        logs: list[CellLog],
        values: dict[str, str],
    ) -> tuple[Outcome, str]:
        if use.allocations and reaches(use.largest_bytes, fits, FULL_PERCENT):
            if is_limited(card, logs[0][1]):
                return Outcome.REVIEW, "memory.limited"
            return Outcome.PASSED, "memory.largest"
        elsewhere = largest_elsewhere(card, dtype, use, fits, logs)
        if elsewhere is not None:
            values["other"], values["bytes"] = elsewhere.other, grouped(elsewhere.nbytes)
            values["elements"] = grouped(elsewhere.nbytes // item_bytes(dtype))
            return Outcome.REVIEW, elsewhere.code
        if not use.allocations:
            if use.refusals:
                return Outcome.FAILED, "memory.only-refused"
            return Outcome.MISSING, "memory.dtype-missing"
        if was_halved(dtype, use, fits, logs):
            return Outcome.FAILED, "memory.half"
        if reaches(use.largest_bytes, fits, 50):
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
        expected = {
            dtype: item_bytes(self.comparison_base) / item_bytes(dtype) for dtype in self.dtypes
        }
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

    has_parts: ClassVar[bool] = False

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
        by_hand = next((ran for ran in view.ran if tells_of_refusal(ran)), None)
        host = out_of_host_memory(view)
        if host is not None:
            finding = host
        elif by_hand is not None:
            finding = Finding(
                check="",
                outcome=Outcome.FAILED,
                code="memory.raised-by-hand",
                evidence=(StudentText(where="code", text=by_hand.cell.source[:MOST_EXCERPT]),),
                cells=(by_hand.cell.index or 0,),
            )
        elif logs:
            finding = self._not_refused(view, logs)
        else:
            finding = nothing_on_device(view)
        return for_all(task, finding)

    def _not_refused(self, view: SectionView, logs: list[CellLog]) -> Finding:
        peak = max(log.peak_allocated for _, log in logs)
        ended, elsewhere = _ended_outcome(view), refused_elsewhere(view.card, logs)
        if ended is None and elsewhere is not None:
            return replace(_to_person(elsewhere, view, logs), evidence=_over_cells(view, logs))
        return Finding(
            check="",
            outcome=ended or Outcome.FAILED,
            code="memory.cell-ended" if ended else "memory.not-refused",
            values=share(peak, view.card, logs),
            evidence=_over_cells(view, logs),
        )

    def _refused(self, view: SectionView, refused: list[CellLog], logs: list[CellLog]) -> Finding:
        ran, log = refused[0]
        first = log.refusals[0] if log.refusals else None
        evidence: list[Evidence] = [*_over_cells(view, logs)]
        values = {"cell": str(ran.cell.index or 0), "count": str(log.refusal_count)}
        if first is not None:
            evidence.insert(
                0,
                Refusal(
                    cell=ran.cell.index or 0,
                    requested_bytes=first.requested_bytes,
                    allocated_bytes=first.allocated_bytes,
                    text=refusal_text(ran),
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

    has_parts: ClassVar[bool] = False

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
            return [*without_use(view, ("fills", "forward")), words]
        judged = [self._fills(view, logs), self._forward(view, logs)]
        host = out_of_host_memory(view)
        if host is not None:
            judged = [
                finding if finding.outcome is Outcome.PASSED else replace(host, check=finding.check)
                for finding in judged
            ]
        return [*judged, words]

    def _fills(self, view: SectionView, logs: list[CellLog]) -> Finding:
        ran, log = max(logs, key=lambda item: item[1].peak_allocated)
        full = reaches(log.peak_allocated, usable(view.card, logs), FILLED_PERCENT)
        found = Finding(
            check="fills",
            outcome=Outcome.PASSED if full else Outcome.FAILED,
            code="memory.filled" if full else "memory.not-filled",
            values=share(log.peak_allocated, view.card, logs),
        )
        elsewhere = filled_elsewhere(view.card, logs, FILLED_PERCENT)
        if not full and elsewhere is not None:
            found = _to_person(elsewhere, view, logs)
        return replace(
            found,
            check="fills",
            evidence=_over_cells(view, logs),
            cells=(ran.cell.index or 0,),
        )

    def _forward(self, view: SectionView, logs: list[CellLog]) -> Finding:
        applied = [(ran, log) for ran, log in logs if log.linear_calls or log.linear_refused]
        if not applied:
            return Finding(check="forward", outcome=Outcome.FAILED, code="memory.not-applied")
        refused = [(ran, log) for ran, log in applied if log.refusal_count or log.linear_refused]
        ran, log = refused[0] if refused else max(applied, key=lambda item: item[1].peak_allocated)
        values = share(log.peak_allocated, view.card, logs)
        cells = (ran.cell.index or 0,)
        if refused:
            return Finding(
                check="forward",
                outcome=Outcome.PASSED,
                code="memory.applied-refused",
                values=values,
                evidence=refusal_evidence(ran, log),
                cells=cells,
            )
        enough = reaches(log.peak_allocated, usable(view.card, logs), APPLIED_PERCENT)
        elsewhere = applied_elsewhere(view.card, log.peak_allocated, APPLIED_PERCENT)
        if not enough and elsewhere is not None:
            found = _to_person(elsewhere, view, logs)
            return replace(found, check="forward", cells=cells)
        return Finding(
            check="forward",
            outcome=Outcome.PASSED if enough else Outcome.FAILED,
            code="memory.applied" if enough else "memory.applied-small",
            values=values,
            cells=cells,
        )


def _to_person(elsewhere: Elsewhere, view: SectionView, logs: list[CellLog]) -> Finding:
    """Return the finding for bytes in use at once that may be right elsewhere."""
    return Finding(
        check="",
        outcome=Outcome.REVIEW,
        code=elsewhere.code,
        values={**share(elsewhere.nbytes, view.card, logs), "other": elsewhere.other},
        excerpt=grouped(elsewhere.nbytes),
    )


def _over_cells(view: SectionView, logs: list[CellLog]) -> tuple[Evidence, ...]:
    """Return the memory over the section's cells, and what the notebook itself printed of it."""
    return timeline(view.card, logs), *printed_figures(view, logs)


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
