"""What waits for a person, and what persons decided.

A decision names the answer that it judged by a fingerprint. It holds as long as the answer is the
same; when the student's answer changed, the check waits again.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from grader.gradebook import Review
from grader.model import CheckResult, Outcome, Report, TaskResult, task_outcome

WAITING = (Outcome.REVIEW, Outcome.GRADER_ERROR)


def fingerprint(report: Report, task: TaskResult, check: CheckResult) -> str:
    """Return 12 hexadecimal digits that stand for the answer that a person judges.

    The answer is the excerpt where the check gives one, else the code of the task's cells.
    """
    if check.excerpt:
        answer = [check.excerpt]
    else:
        wanted = set(task.cells)
        answer = [cell.source for cell in report.cells if cell.index in wanted]
    text = "\0".join([task.id, check.id, *answer])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def apply_reviews(report: Report, reviews: Iterable[Review]) -> Report:
    """Return the report with the decisions on its checks, where they still hold."""
    decided = {(r.task, r.check): r for r in reviews if r.submission == report.submission}
    if not decided:
        return report
    tasks = [_decide(report, task, decided) for task in report.tasks]
    return msgspec.structs.replace(report, tasks=tasks)


def _decide(report: Report, task: TaskResult, decided: dict[tuple[str, str], Review]) -> TaskResult:
    checks = []
    for check in task.checks:
        review = decided.get((task.id, check.id))
        if review is not None and review.answer == fingerprint(report, task, check):
            checks.append(_decided(check, review))
        else:
            checks.append(check)
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
