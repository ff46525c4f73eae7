"""The cells of a submission are grouped into sections, one a task."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from grader.intake.attribution import attribute
from grader.intake.headings import FoundHeading, folded
from grader.intake.labels import Labels, labels_of, words_of
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
    drafts = _without_bare(_by_heading(submission.cells))
    labels = labels_of(assignment)
    _settle_homework(drafts, assignment)
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


def _without_bare(drafts: list[Draft]) -> list[Draft]:
    """Keep a bare number as a heading only behind the heading with the number before it."""
    kept: list[Draft] = []
    for draft in drafts:
        heading = draft.heading
        last = next((d.heading for d in reversed(kept) if d.heading), None)
        if heading is None or not heading.bare:
            kept.append(draft)
        elif last is not None and last.number is not None and heading.number == last.number + 1:
            draft.heading = replace(heading, kind=last.kind)
            kept.append(draft)
        elif kept and kept[-1].file == draft.file:
            kept[-1].cells += draft.cells
        else:
            draft.heading = None
            kept.append(draft)
    return kept


def _settle_homework(drafts: list[Draft], assignment: Assignment) -> None:
    """Tell a chapter of homework from a title that only says "Homework 1".

    Where numbers begin again below a chapter "Homework", they count the homework; so do those of
    a submission of nothing but homework. What stands at the top and names no task is the title.
    """
    highest: dict[str, int] = {}
    chapter, again = False, False
    for place, draft in enumerate(drafts):
        heading = draft.heading
        if heading is None:
            continue
        if heading.number is None:
            chapter = heading.kind == "homework"
            again = chapter and not highest and _counts_homework(drafts[place + 1 :], assignment)
        elif heading.kind == "task":
            again = again or (chapter and heading.number <= highest.get(draft.file, 0))
            chapter = False
            if again:
                draft.heading = replace(heading, kind="homework")
            highest[draft.file] = max(heading.number, highest.get(draft.file, 0))
        elif place == 0 and heading.kind == "homework" and _is_title(draft, assignment):
            draft.heading = None


def _counts_homework(drafts: list[Draft], assignment: Assignment) -> bool:
    """Tell whether all sections, headed as tasks, look like the homework of their number."""
    headed = [(draft.heading, draft) for draft in drafts if draft.heading is not None]
    if len(headed) < 2:
        return False
    for heading, draft in headed:
        if heading.kind != "task" or heading.number is None:
            return False
        text = "\n".join(cell.source for cell in draft.cells)
        fits = {
            kind: max(
                (
                    _content_score(task, text)
                    for task in assignment.tasks
                    if Heading(kind, heading.number) in task.headings
                ),
                default=0,
            )
            for kind in ("task", "homework")
        }
        if fits["homework"] <= fits["task"]:
            return False
    return True


def _is_title(draft: Draft, assignment: Assignment) -> bool:
    """Tell whether a heading in the first cell, such as "# Homework 1. Torch", names no task."""
    heading = draft.heading
    assert heading is not None
    opening = draft.cells[0].source.lstrip()
    if not re.match(r"#\s", opening) or not re.search(r"\w", heading.title):
        return False
    wanted = Heading(heading.kind, heading.number or 0)
    text = "\n".join(cell.source for cell in draft.cells)
    said = {folded(word) for word in words_of(heading.title) if len(word) > 2}
    for task in assignment.tasks:
        if wanted in task.headings:
            names = " ".join((*task.aliases, *task.title.values()))
            own = {folded(word) for word in words_of(names)}
            if own & said or _content_score(task, text) == len(task.content):
                return False
    return True


def _choose_task(draft: Draft, assignment: Assignment, labels: Labels) -> None:
    """Set the task that the heading names, or the tasks between which it leaves the choice."""
    heading = draft.heading
    if heading is None or heading.number is None:
        return
    wanted = Heading(heading.kind, heading.number)
    tasks = [task for task in assignment.tasks if wanted in task.headings]
    named = labels.of_title(heading.title)
    if len(tasks) == 1 and len(named) == 1:
        # The student counts otherwise than the statement: what the title says is the task. But
        # homework stays homework: "Homework 1. XOR" is not the XOR of the tasks.
        tasks = [
            task
            for task in assignment.tasks
            if task.id == named[0] and any(h.kind == heading.kind for h in task.headings)
        ] or tasks
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
