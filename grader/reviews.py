"""What waits for a person, and what persons decided.

A decision names the answer that it judged by a fingerprint. It holds as long as the answer is the
same; when the student's answer changed, the check waits again.
"""

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from grader.gradebook import Review
from grader.model import CheckResult, Outcome, Report, TaskResult, task_outcome

WAITING = (Outcome.REVIEW, Outcome.GRADER_ERROR)

_SHOWN_ANSWERS = ("student-text", "student-picture")
_PLACES = ("cell", "line")
"""Values of messages that move when a cell is put in elsewhere."""


def fingerprint(report: Report, task: TaskResult, check: CheckResult) -> str:
    """Return 12 characters that stand for the answer that a person judges.

    The answer is the excerpt where the check gives one, else the code of the task's cells with
    what the check found in them, else the whole submission. A letter comes first, so that no
    spreadsheet takes it for a number.
    """
    shown = [
        msgspec.json.encode(item).decode()
        for item in check.evidence
        if item.get("kind") in _SHOWN_ANSWERS
    ]
    wanted = set(task.cells)
    if check.excerpt:
        answer = [check.excerpt, *shown]
    elif wanted or shown:
        code = [cell.source for cell in report.cells if cell.index in wanted]
        found = [f"{key}={check.values[key]}" for key in sorted(check.values) if key not in _PLACES]
        answer = [*code, *found, *shown]
    else:
        answer = [report.digest or repr(report.notes)]
    text = "\0".join([task.id, check.id, *answer])
    return "a" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:11]


def apply_reviews(report: Report, reviews: Iterable[Review]) -> Report:
    """Return the report with the decisions on its checks, where they still hold."""
    decided = {(r.task, r.check, r.answer): r for r in _of(report, reviews)}
    if not decided:
        return report
    tasks = [_decide(report, task, decided) for task in report.tasks]
    return msgspec.structs.replace(report, tasks=tasks)


def lapsed(report: Report, reviews: Iterable[Review]) -> dict[tuple[str, str], Review]:
    """Return the decisions, by task and check, whose answer is another one now.

    Where the machine gives the new answer what the person gave the earlier one, nothing is left to
    decide.
    """
    checks = {(task.id, check.id): (task, check) for task in report.tasks for check in task.checks}
    held = set()
    earlier = {}
    for review in _of(report, reviews):
        place = review.task, review.check
        if place not in checks:
            continue
        task, check = checks[place]
        if fingerprint(report, task, check) == review.answer:
            held.add(place)
        elif check.outcome in WAITING or check.points != min(review.points, check.possible):
            earlier[place] = review
        else:
            earlier.pop(place, None)
    return {place: review for place, review in earlier.items() if place not in held}


def _of(report: Report, reviews: Iterable[Review]) -> Iterator[Review]:
    return (review for review in reviews if review.submission == report.submission)


def _decide(
    report: Report, task: TaskResult, decided: dict[tuple[str, str, str], Review]
) -> TaskResult:
    checks = []
    for check in task.checks:
        review = decided.get((task.id, check.id, fingerprint(report, task, check)))
        checks.append(check if review is None else _decided(check, review))
    counted = [check for check in checks if check.possible > 0] or checks
    return msgspec.structs.replace(
        task,
        checks=checks,
        points=sum(check.points for check in checks),
        outcome=task_outcome([check.outcome for check in counted]),
    )


def _decided(check: CheckResult, review: Review) -> CheckResult:
    points = min(review.points, check.possible)
    if points == check.possible:
        outcome = Outcome.PASSED
    else:
        outcome = Outcome.PARTIAL if points else Outcome.FAILED
    return msgspec.structs.replace(
        check, outcome=outcome, points=points, reviewed=True, comment=review.comment
    )
