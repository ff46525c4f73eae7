"""The trial of a new assignment: what it declares fits together, and it grades as it should.

Its solution must get all points but for those that wait for a person, and its handout none.
Loading it has already refused what no assignment may have (`grader.assignments`).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from grader.assignments import find_folder
from grader.intake import Refused, cut_sections, read_submission
from grader.judge import Judge
from grader.messages import LANGUAGES, codes
from grader.model import Assignment, Outcome, Report, Submission
from grader.sandbox.session import Server

_CODE = re.compile(r"""["']([a-z]+(?:-[a-z]+)*\.[a-z0-9]+(?:-[a-z0-9]+)*)["']""")


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that was found.

    Attributes:
        good: whether it is as it should be.
        code: the message that says it.
        values: fills the message.
        mere_note: not as it should be, and no fault either.
    """

    good: bool
    code: str
    values: dict[str, str] = field(default_factory=dict)
    mere_note: bool = False


def try_assignment(name_or_folder: str, assignment: Assignment, server: Server) -> Iterator[Remark]:
    """Yield what is right and wrong about an assignment; the solution and handout are run."""
    folder = find_folder(name_or_folder)
    wrong = [*_words(assignment), *_clashes(assignment), *_points(assignment)]
    wrong += _unknown_codes(folder)
    handouts = _notebooks(folder / "handout")
    solutions = _notebooks(folder / "solution")
    wrong += _unbound_names(assignment, [*handouts, *solutions])
    yield from wrong
    if not wrong:
        yield Remark(good=True, code="trial.declared", values=_amounts(assignment))
    judge = Judge(assignment, server)
    if not solutions:
        yield Remark(good=False, code="trial.no-solution", mere_note=True)
    if not handouts:
        yield Remark(good=False, code="trial.no-handout", mere_note=True)
    for path, submission in solutions:
        yield from _headless(assignment, path, submission)
        yield from _judged(judge.grade(submission), path, "solution", _short_of_full)
    for path, submission in handouts:
        yield from _judged(judge.grade(submission), path, "handout", _more_than_nothing)


# ------------------------------------------------------------------ what it declares


def _words(assignment: Assignment) -> Iterator[Remark]:
    """Yield titles that lack a language."""
    named = [(assignment.name, assignment.title)]
    for task in assignment.tasks:
        named.append((task.id, task.title))
        named += [(f"{task.id}.hint", task.hint)] if task.hint else []
        named += [(f"{task.id}.{check.id}", check.title) for check in task.checks]
    for what, words in named:
        for language in LANGUAGES:
            if not words.get(language, "").strip():
                yield Remark(
                    good=False, code="trial.no-words", values={"what": what, "language": language}
                )


def _clashes(assignment: Assignment) -> Iterator[Remark]:
    """Yield names and aliases that stand for two tasks."""
    owners: dict[str, str] = {}
    for task in assignment.tasks:
        for name in dict.fromkeys(word.lower() for word in (*task.names, *task.aliases)):
            other = owners.setdefault(name, task.id)
            if other != task.id:
                values = {"name": name, "first": other, "second": task.id}
                yield Remark(good=False, code="trial.name-twice", values=values)


def _points(assignment: Assignment) -> Iterator[Remark]:
    """Yield points that are none, or others than the statement promises."""
    if not assignment.possible:
        yield Remark(good=False, code="trial.no-points", values={})
    elif assignment.total is not None and assignment.total != assignment.possible:
        values = {"total": _decimal(assignment.total), "possible": _decimal(assignment.possible)}
        yield Remark(good=False, code="trial.wrong-total", values=values)


def _amounts(assignment: Assignment) -> dict[str, str]:
    checks = sum(len(task.checks) for task in assignment.tasks)
    counts = {"tasks": str(len(assignment.tasks)), "checks": str(checks)}
    return {**counts, "possible": _decimal(assignment.possible)}


def _decimal(hundredths: int) -> str:
    return f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")


def _unknown_codes(folder: Path) -> Iterator[Remark]:
    """Yield message codes in the assignment's Python files that no message has."""
    known = codes()
    areas = {code.partition(".")[0] for code in known}
    for path in sorted(folder.glob("*.py")):
        for found in sorted(set(_CODE.findall(path.read_text(encoding="utf-8")))):
            if found.partition(".")[0] in areas and found not in known:
                yield Remark(
                    good=False, code="trial.unknown-code", values={"code": found, "path": str(path)}
                )


def _unbound_names(
    assignment: Assignment, submissions: Iterable[tuple[Path, Submission]]
) -> Iterator[Remark]:
    """Yield names that a task declares and that neither handout nor solution mentions."""
    source = "\n".join(cell.source for _, one in submissions for cell in one.cells)
    if not source:
        return
    for task in assignment.tasks:
        for name in task.names:
            if not re.search(rf"\b{re.escape(name)}\b", source):
                yield Remark(
                    good=False, code="trial.name-nowhere", values={"task": task.id, "name": name}
                )


# ------------------------------------------------------------------ how it grades


def _notebooks(folder: Path) -> list[tuple[Path, Submission]]:
    """Return the notebooks of a folder that can be read."""
    found = []
    for path in sorted(folder.glob("*.ipynb")):
        try:
            found.append((path, read_submission(path)))
        except Refused:
            continue
    return found


def _headless(assignment: Assignment, path: Path, submission: Submission) -> Iterator[Remark]:
    """Yield tasks with a heading that no cell of the solution stands under."""
    there = {section.task for section in cut_sections(submission, assignment)}
    for task in assignment.tasks:
        if task.headings and task.id not in there:
            yield Remark(
                good=False, code="trial.no-section", values={"task": task.id, "path": path.name}
            )


def _short_of_full(outcome: Outcome, points: int, possible: int) -> bool:
    return points < possible and outcome is not Outcome.REVIEW


def _more_than_nothing(outcome: Outcome, points: int, possible: int) -> bool:
    del possible
    return points > 0 or outcome in (Outcome.REVIEW, Outcome.GRADER_ERROR)


def _judged(
    report: Report, path: Path, kind: str, is_wrong: Callable[[Outcome, int, int], bool]
) -> Iterator[Remark]:
    """Yield the checks that a report of the solution or the handout should not have so."""
    fine = True
    known = codes()
    for task in report.tasks:
        for check in task.checks:
            values = {"path": path.name, "check": f"{task.id}.{check.id}", "code": check.code}
            if check.code not in known:
                yield Remark(good=False, code="trial.unknown-code", values=values)
            if check.outcome is Outcome.GRADER_ERROR:
                fine = False
                text = next((v.get("text", "") for _, v in check.staff), "")
                yield Remark(good=False, code="trial.raised", values={**values, "text": text})
            elif check.possible and is_wrong(check.outcome, check.points, check.possible):
                fine = False
                yield Remark(good=False, code=f"trial.{kind}-wrong", values=values)
    if fine:
        yield Remark(good=True, code=f"trial.{kind}-right", values={"path": path.name})
