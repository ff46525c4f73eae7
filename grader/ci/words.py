"""What a check has to say, in the student's words, for programs that show plain text."""

from grader.messages import message
from grader.model import Assignment, CheckResult, TaskResult
from grader.reports.clean import clean, clean_line
from grader.reports.wording import check_text


def check_words(check: CheckResult, *, language: str) -> str:
    """Return the sentence of a check, and what was read or its smallest counterexample, cleaned."""
    lines = [check_text(check, language)]
    for evidence in check.evidence:
        if evidence.get("kind") == "counterexample":
            values = {name: str(evidence[name]) for name in ("source", "expected", "actual")}
            for code in ("cli.paste", "cli.expected-actual"):
                lines.append(clean(message(code, values, language=language), most=1500))
        if evidence.get("kind") == "expression-tree":
            read = {"expression": clean_line(str(evidence["text"]), most=600)}
            lines.append(message("cli.read-as", read, language=language))
    return "\n".join(lines)


def check_title(assignment: Assignment, task: str, check: str, *, language: str) -> str:
    """Return what a check asks."""
    declared = assignment.task(task).checks
    return next(one.title[language] for one in declared if one.id == check)


def cell_of(task: TaskResult) -> int | None:
    """Return the index of the code cell that a student should look at; None where there is none."""
    for check in task.checks:
        if check.cells and check.points < check.possible:
            return check.cells[0]
    if task.graded is not None and task.graded[2]:
        return task.graded[2]
    return next((index for index in reversed(task.cells) if index), None)
