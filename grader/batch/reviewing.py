"""`review.csv` as persons filled it in: read, checked, and kept in the gradebook."""

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.gradebook import Gradebook, Review
from grader.lms.sheets import Sheet, read_sheet
from grader.model import Assignment, Check
from grader.reports.clean import clean, csv_cell, read_csv_cell
from grader.reviews import fingerprint

REVIEW_FILE = "review.csv"

_POINTS = re.compile(r"(\d{1,6})(?:[.,](\d{1,2}))?", re.ASCII)
_MOST_COMMENT = 4000


@dataclass(frozen=True, slots=True)
class Decision:
    """A filled row of `review.csv`.

    Attributes:
        answer: fingerprint of the answer it judges; empty for whatever the answer is now.
        points: hundredths.
    """

    submission: str
    task: str
    check: str
    answer: str
    points: int
    comment: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of decisions: how many hold, and how many judge an answer that has changed."""

    held: int = 0
    changed: int = 0


def read_decisions(path: Path, assignment: Assignment, names: Collection[str]) -> list[Decision]:
    """Return the filled rows of a review file; rows without points and comment wait on.

    Args:
        path: the file, as a spreadsheet saved it.
        assignment: which tasks and checks there are.
        names: the submissions there are.

    Raises:
        Refused: the file is no such table, or a row of it cannot be meant; the row is named.
    """
    sheet = read_sheet(path)
    columns = [sheet.column(name) for name in ("submission", "task", "check")]
    points_at, comment_at = sheet.column("points"), sheet.column("comment")
    answer_at = sheet.find_column(["answer"])
    submissions = {csv_cell(name): name for name in names} | {name: name for name in names}
    found: dict[tuple[str, ...], Decision] = {}
    for line, row in zip(sheet.lines, sheet.rows, strict=True):
        points, comment = row[points_at].strip(), row[comment_at].strip()
        if not points and not comment:
            continue
        cell, task_id, check_id = (row[at].strip() for at in columns)
        name = _known(sheet, line, "submission", cell, submissions)
        check = _check(sheet, line, assignment, task_id, check_id)
        decision = Decision(
            submission=submissions[name],
            task=task_id,
            check=check.id,
            answer=row[answer_at].strip() if answer_at is not None else "",
            points=_points(sheet, line, points, check),
            comment=clean(read_csv_cell(comment), most=_MOST_COMMENT),
        )
        place = (decision.submission, decision.task, decision.check, decision.answer)
        if found.setdefault(place, decision) != decision:
            raise sheet.refuse("twice", row=line, submission=cell, check=f"{task_id}.{check_id}")
    return list(found.values())


def require_taken(out: Path, reviews: Path | None) -> None:
    """Refuse to write over decisions in the output folder's `review.csv` that nobody has taken.

    Raises:
        Refused: that file has filled rows, and is not the one that is being taken.
    """
    path = out / REVIEW_FILE
    if not path.is_file() or (reviews is not None and reviews.resolve() == path.resolve()):
        return
    sheet = read_sheet(path)
    columns = [sheet.column("points"), sheet.column("comment")]
    filled = sum(any(row[at].strip() for at in columns) for row in sheet.rows)
    if filled:
        raise sheet.refuse("untaken", path=path, count=filled)


def keep_decisions(gradebook: Gradebook, run: int, decisions: Sequence[Decision]) -> Taken:
    """Keep decisions in the gradebook, and tell which of them judge what is there now."""
    if not decisions:
        return Taken()
    wanted = {decision.submission for decision in decisions}
    answers = {
        (report.submission, task.id, check.id): fingerprint(report, task, check)
        for report in gradebook.reports(run)
        if report.submission in wanted
        for task in report.tasks
        for check in task.checks
    }
    held = 0
    for decision in decisions:
        answer = answers.get((decision.submission, decision.task, decision.check), "")
        held += decision.answer in ("", answer)
        gradebook.add_review(
            Review(
                submission=decision.submission,
                task=decision.task,
                check=decision.check,
                answer=decision.answer or answer,
                points=decision.points,
                comment=decision.comment,
            )
        )
    return Taken(held=held, changed=len(decisions) - held)


def _check(sheet: Sheet, line: int, assignment: Assignment, task_id: str, check_id: str) -> Check:
    task = _known(sheet, line, "task", task_id, [task.id for task in assignment.tasks])
    checks = {check.id: check for check in assignment.task(task).checks}
    return checks[_known(sheet, line, "check", check_id, checks)]


def _known(sheet: Sheet, line: int, column: str, cell: str, known: Iterable[str]) -> str:
    names = list(known)
    if cell in names:
        return cell
    near = difflib.get_close_matches(cell, names, n=1)
    code = "unknown-near" if near else "unknown"
    raise sheet.refuse(code, row=line, column=column, cell=cell[:100], near="".join(near))


def _points(sheet: Sheet, line: int, cell: str, check: Check) -> int:
    found = _POINTS.fullmatch(cell)
    values = {"row": line, "cell": cell[:40], "possible": f"{check.possible / 100:g}"}
    if not cell:
        raise sheet.refuse("comment-alone", **values)
    if found is None:
        raise sheet.refuse("no-points", **values)
    hundredths = int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))
    if hundredths > check.possible:
        raise sheet.refuse("too-many-points", **values)
    return hundredths
