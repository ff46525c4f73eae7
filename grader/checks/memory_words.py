"""Where the device tells nothing: no device, nothing allocated, or an answer in words."""

import ast
import re

from grader.checks.answers import find_attempt, find_failure, for_all
from grader.checks.memory_log import grouped, host_bytes
from grader.checks.student_text import (
    MOST_EXCERPT,
    Piece,
    picture_evidence,
    text_evidence,
    text_pieces,
    without_magics,
)
from grader.checks.view import SectionView
from grader.evidence import (
    Comparison,
    StudentText,
)
from grader.model import Finding, Outcome, Task

_FEWEST_WORDS = 3

COURSE_HOST_BYTES = 12 << 30
"""What the machine of a course is taken to have of its own memory: a choice, not a measurement."""


_MOST_PRINTED = 2000


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
    pieces = prose(view)
    if not pieces and not touches_device(view):
        return for_all(task, find_failure(view) or missing(""))
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
    pieces = prose(view)
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


def missing(check: str) -> Finding:
    """Return that nothing was found."""
    return Finding(check=check, outcome=Outcome.MISSING, code="memory.missing")


def nothing_on_device(view: SectionView) -> Finding:
    """Return why a section used no device: an error, code for the CPU, or no code."""
    failure = out_of_host_memory(view) or find_failure(view)
    if failure is not None:
        return failure
    if view.ended is not None:
        return missing("")  # its log went with the child: the judge says how it ended
    if touches_device(view):
        return Finding(check="", outcome=Outcome.FAILED, code="memory.nothing-allocated")
    return find_attempt(view) or missing("")


def out_of_host_memory(view: SectionView) -> Finding | None:
    """Return that a cell asked the computer's own memory for too much, None where none did.

    What a course's machine would have had is for a person: the grader gives a submission less.
    """
    for ran in view.ran:
        asked = host_bytes(ran)
        if asked is None:
            continue
        ours = 0 < asked <= COURSE_HOST_BYTES
        code = ran.cell.source[:MOST_EXCERPT]
        return Finding(
            check="",
            outcome=Outcome.REVIEW if ours else Outcome.FAILED,
            code="memory.host-memory-here" if ours else "memory.host-memory",
            values={"bytes": grouped(asked)} if ours else {},
            evidence=(StudentText(where="code", text=code),),
            cells=(ran.cell.index or 0,),
            excerpt=code if ours else "",
        )
    return None


def without_use(view: SectionView, checks: tuple[str, ...]) -> list[Finding]:
    """Return the same for several checks."""
    finding = nothing_on_device(view)
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


def prose(view: SectionView) -> tuple[Piece, ...]:
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
