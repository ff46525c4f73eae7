"""The words and numbers that the terminal and the pages share, in the reader's language."""

from collections.abc import Iterable, Mapping

from grader.messages import has_message, message, plural
from grader.model import CheckResult, Late, Outcome, Report, TaskResult
from grader.reports.clean import clean, clean_line

STOPPED = (Outcome.TIMEOUT, Outcome.MEMORY, Outcome.CRASHED)
"""Outcomes of a cell that was ended before its last line."""

_BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def outcome_words(language: str) -> dict[Outcome, str]:
    """Return how each outcome is called."""
    return {outcome: message(f"outcome.{outcome.value}", language=language) for outcome in Outcome}


def shown_points(hundredths: int, language: str) -> str:
    """Return points as people of the language write them: 0.75 or 0,75; whole ones without."""
    text = f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")
    return text.replace(".", ",") if language == "ru" else text


def first_to_fix(report: Report) -> tuple[TaskResult, CheckResult] | None:
    """Return the failed check that is worth most, the earliest of equals; None if none failed."""
    wrong = [
        (task, check)
        for task in report.tasks
        for check in task.checks
        if check.possible > check.points
        and check.outcome
        not in (Outcome.PASSED, Outcome.REVIEW, Outcome.GRADER_ERROR, Outcome.NOT_RUN)
    ]
    tried = [pair for pair in wrong if pair[1].outcome is not Outcome.MISSING] or wrong
    if not tried:
        return None
    return max(tried, key=lambda pair: pair[1].possible - pair[1].points)


def all_passed(report: Report) -> bool:
    """Tell whether all that was judged passed, and something was judged; lateness has no say."""
    counted = [check for task in report.tasks for check in task.checks if check.possible > 0]
    outcomes = {check.outcome for check in counted}
    return Outcome.PASSED in outcomes and outcomes <= {Outcome.PASSED, Outcome.REVIEW}


def note_texts(report: Report, language: str) -> Iterable[str]:
    """Return what is to be said of a submission as a whole, cleaned.

    To the notes of the report come the cells that were stopped and that no check tells of.
    """
    for code, values in report.notes:
        if has_message(code, language):
            yield clean(message(code, values, language=language))
    checks = [check for task in report.tasks for check in task.checks]
    told = {n for check in checks if check.outcome is not Outcome.PASSED for n in check.cells}
    for cell in report.cells:
        if cell.outcome in STOPPED and cell.index not in told:
            where = message("page.cell", {"cell": str(cell.index)}, language=language)
            yield f"{where}: {message(f'outcome.{cell.outcome.value}', language=language)}."


def late_text(late: Late, language: str) -> str:
    """Return the line that tells what was taken for handing in late."""
    values = {"points": shown_points(late.points, language), "percent": str(late.percent)}
    return plural("late.line", late.days, values, language=language)


def check_text(check: CheckResult, language: str) -> str:
    """Return the sentence of a check, cleaned; the bare code if a later version wrote it."""
    return code_text(check.code, check.values, language)


def code_text(code: str, values: Mapping[str, str], language: str) -> str:
    """Return the sentence of a stored code on one line, or the bare code if it is unknown here."""
    if not has_message(code, language):
        return clean_line(code)
    return clean_line(message(code, values, language=language), most=1500)


def shown_number(value: float, decimals: int, language: str) -> str:
    """Return a number with its digits in groups of three and the language's decimal mark."""
    text = f"{value:,.{decimals}f}".replace(",", "\u00a0")
    return text.replace(".", ",") if language == "ru" else text


def shown_bytes(count: int, language: str) -> str:
    """Return a size in the largest binary unit that leaves a whole: 14.16 GiB or 14,16 ГиБ."""
    size, place = float(count), 0
    while size >= 1024 and place < len(_BINARY_UNITS) - 1:
        size, place = size / 1024, place + 1
    unit = message(f"unit.{_BINARY_UNITS[place]}", language=language)
    return f"{shown_number(size, 2 if place else 0, language)}\u00a0{unit}"


def shown_percent(part: float, whole: float) -> int:
    """Return a share in percent, rounded down but for a trace: 0 and 100 only where exact."""
    if part <= 0 or whole <= 0:
        return 0
    return max(1, int(100 * part / whole)) if part < whole else 100


def is_advice(check: CheckResult) -> bool:
    """Tell whether a check only advises here: it is worth no points and did not pass."""
    return check.possible == 0 and check.outcome in (Outcome.FAILED, Outcome.PARTIAL)
