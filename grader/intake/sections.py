"""The cells of a submission are grouped into sections, one a task."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from grader.intake.attribution import attribute
from grader.intake.headings import FoundHeading
from grader.intake.labels import Labels
from grader.intake.pieces import pieces_by_heading
from grader.model import Assignment, Cell, Heading, Section, Submission, Task

_MOST_CUTS = 1000  # a submission with more headings inside of its cells was not written by hand


@dataclass(slots=True)
class Draft:
    """A section in the making.

    Attributes:
        file: the file of its cells.
        heading: the heading that opened it, None for what stands before the first.
        tied: ids of the tasks that its heading and content fit equally well.
    """

    file: str
    heading: FoundHeading | None
    cells: list[Cell] = field(default_factory=list)
    task: str | None = None
    found_by: str = ""
    tied: tuple[str, ...] = ()


def cut_sections(submission: Submission, assignment: Assignment) -> list[Section]:
    """Return the sections of a submission in the order of its cells; every cell is in one.

    Cells that belong to no task stand in sections whose task is None. A cell in which several
    sections begin is cut: its parts keep its `index`, later ones have a `line`, and `position`
    counts the parts.
    """
    drafts = _by_heading(submission.cells)
    labels = Labels(assignment)
    for draft in drafts:
        _choose_task(draft, assignment, labels)
    _settle_ties(drafts, assignment)
    sections = [
        Section(draft.task, tuple(draft.cells), draft.found_by, draft.tied) for draft in drafts
    ]
    return _renumbered(attribute(sections, assignment))


def _by_heading(cells: Iterable[Cell]) -> list[Draft]:
    drafts: list[Draft] = []
    room = _MOST_CUTS
    for cell in cells:
        pieces = pieces_by_heading(cell)
        room -= len(pieces) - 1
        for part, heading in pieces if room >= 0 else [(cell, pieces[0][1])]:
            if heading or not drafts or drafts[-1].file != part.file:
                drafts.append(Draft(part.file, heading))
            drafts[-1].cells.append(part)
    return drafts


def _choose_task(draft: Draft, assignment: Assignment, labels: Labels) -> None:
    """Set the task that the heading names, or the tasks between which it leaves the choice."""
    heading = draft.heading
    if heading is None or heading.number is None:
        return
    wanted = Heading(heading.kind, heading.number)
    tasks = [task for task in assignment.tasks if wanted in task.headings]
    named = labels.of_title(heading.title)
    if len(tasks) == 1 and len(named) == 1:
        # The student counts otherwise than the statement: what the title says is the task.
        tasks = [task for task in assignment.tasks if task.id == named[0]]
    if len(tasks) == 1:
        draft.task, draft.found_by = tasks[0].id, "heading"
        return
    text = "\n".join(cell.source for cell in draft.cells)
    scores = {task.id: _content_score(task, text) for task in tasks}
    best = max(scores.values(), default=0)
    if best > 0:
        draft.tied = tuple(task for task, score in scores.items() if score == best)


def _content_score(task: Task, text: str) -> int:
    lower = text.lower()
    return sum(
        1 for word in task.content if re.search(rf"(?<!\w){re.escape(word.lower())}(?!\w)", lower)
    )


def _settle_ties(drafts: list[Draft], assignment: Assignment) -> None:
    """Give each undecided section the first task that nothing else took, in the usual order.

    The others it fits stay as rivals unless they have a section of their own.
    """
    taken = {draft.task for draft in drafts if draft.task}
    for draft in sorted(drafts, key=lambda draft: len(draft.tied)):
        if not draft.tied:
            continue
        free = [task for task in draft.tied if task not in taken]
        draft.task = (free or draft.tied)[0]
        draft.found_by = "heading"
        taken.add(draft.task)
    for draft in drafts:
        draft.tied = tuple(task for task in draft.tied if task not in taken)


def _renumbered(sections: list[Section]) -> list[Section]:
    position = 0
    numbered: list[Section] = []
    for section in sections:
        cells: list[Cell] = []
        for cell in section.cells:
            cells.append(cell if cell.position == position else replace(cell, position=position))
            position += 1
        numbered.append(replace(section, cells=tuple(cells)))
    return numbered
