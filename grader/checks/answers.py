"""Questions answered in words or by a choice, and what every kind of question says of nothing."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from grader.checks.comments import find_commented_code, find_own_code
from grader.checks.student_text import (
    MOST_EXCERPT,
    Piece,
    answer_text,
    normalised,
    picture_evidence,
    text_evidence,
    text_pieces,
    title_text,
)
from grader.checks.view import Child, Ran, SectionView, graded_object
from grader.evidence import StudentText
from grader.model import Finding, Outcome, Task
from grader.sandbox.protocol import ReadValues, Values

__all__ = [
    "Choice",
    "FreeText",
    "answer_text",
    "find_attempt",
    "find_failure",
    "find_gap",
    "for_all",
    "read_values",
]

_YES = frozenset({"yes", "y", "true", "да"})
_NO = frozenset({"no", "n", "false", "нет"})
_MOST_ANSWER = 200


@dataclass(frozen=True, slots=True)
class FreeText:
    """A question answered in the student's own words, which a person reads."""

    has_parts: ClassVar[bool] = False

    @property
    def check_ids(self) -> tuple[str, ...]:
        """Ids of the checks it judges."""
        return ("answer",)

    def judge(self, task: Task, view: SectionView) -> list[Finding]:
        """Return one finding for each check of `task`."""
        return for_all(task, _judge_text(view))


@dataclass(frozen=True, slots=True)
class Choice:
    """A question answered by letters or a word in a variable that the handout declares.

    Without a key at hand, and where there is only text, a person reads it.

    Attributes:
        variable: the handout's variable.
        options: letters or words that may be chosen; empty where anything may.
    """

    variable: str
    options: tuple[str, ...] = ()

    has_parts: ClassVar[bool] = False

    @property
    def check_ids(self) -> tuple[str, ...]:
        """Ids of the checks it judges."""
        return ("answer",)

    def judge(self, task: Task, view: SectionView) -> list[Finding]:
        """Return one finding for each check of `task`."""
        value = read_values(view, (self.variable,)).get(self.variable)
        chosen = _chosen(value, self.options)
        if not chosen:
            found = _judge_text(view)
            if found.outcome is Outcome.MISSING:
                found = _judge_remark(task, view) or found
            return for_all(task, found)
        return for_all(task, self._judge_choice(view, chosen, value))

    def _judge_choice(self, view: SectionView, chosen: frozenset[str], value: object) -> Finding:
        shown = _shown(value)
        values = {
            "answer": shown,
            **graded_object(self.variable, "", view.where(self.variable)),
        }
        evidence = (StudentText(where="variable", text=shown), *text_evidence(_words(view)))
        known = {_folded(option) for option in self.options}
        key = _chosen(view.key, self.options)
        if not key:
            outcome, code = Outcome.REVIEW, "answers.no-key"
        elif known and not chosen <= known:
            outcome, code = Outcome.REVIEW, "answers.unknown-option"
        elif chosen == key:
            outcome, code = Outcome.PASSED, "answers.right-choice"
        else:
            outcome, code = Outcome.FAILED, "answers.wrong-choice"
        return Finding(
            check="answer",
            outcome=outcome,
            code=code,
            values=values,
            evidence=evidence,
            excerpt=shown if outcome is Outcome.REVIEW else "",
        )


def for_all(task: Task, finding: Finding) -> list[Finding]:
    """Return the same finding for every check of a task."""
    return [
        Finding(
            check=check.id,
            outcome=finding.outcome,
            code=finding.code,
            values=finding.values,
            evidence=finding.evidence if position == 0 else (),
            cells=finding.cells,
            excerpt=finding.excerpt,
        )
        for position, check in enumerate(task.checks)
    ]


def find_failure(view: SectionView) -> Finding | None:
    """Return why a section holds no answer: it is commented out, or a cell raised; else None.

    A cell that failed since a module is missing here is for a person: the gap is ours.
    """
    commented = find_commented_code(view)
    if commented:
        return Finding(
            check="",
            outcome=Outcome.REVIEW,
            code="answers.commented-out",
            evidence=(StudentText(where="comment", text=commented[: 2 * MOST_EXCERPT]),),
            excerpt=commented[:MOST_EXCERPT],
        )
    for ran in view.ran:
        if ran.done is not None and ran.done.error is not None:
            return _raised(ran)
    return None


def find_gap(view: SectionView) -> Finding | None:
    """Return the review of a cell that failed since a module is missing here, None without one."""
    for ran in view.ran:
        if ran.done is not None and ran.done.error is not None and ran.done.error.placeholder:
            return _raised(ran)
    return None


def find_attempt(view: SectionView, *, given: tuple[str, ...] = ()) -> Finding | None:
    """Return the review of code in which no answer was recognised, None where there is no code.

    Args:
        view: the section.
        given: names that the statement itself binds.
    """
    code = find_own_code(view, given=given)
    if not code:
        return None
    return Finding(
        check="",
        outcome=Outcome.REVIEW,
        code="answers.unrecognised",
        evidence=(StudentText(where="code", text=code),),
        excerpt=code[:MOST_EXCERPT],
    )


def read_values(view: SectionView, names: Iterable[str]) -> dict[str, Any]:
    """Return the plain values of those names that this section bound.

    Raises:
        ChildGone: the child ended while it was asked.
    """
    bound = {name.name for name in view.bound()}
    wanted = tuple(name for name in names if name in bound)
    child: Child | None = view.child
    if not wanted or child is None:
        return {}
    reply = child.ask(ReadValues(file=view.file, names=wanted), Values)
    found: dict[str, Any] = {}
    for value in reply.values:
        if value.plain and value.name in wanted:
            try:
                found[value.name] = json.loads(value.json)
            except (ValueError, RecursionError):
                continue
    return found


def _raised(ran: Ran) -> Finding:
    assert ran.done is not None
    assert ran.done.error is not None
    error = ran.done.error
    values = {
        "error": f"{error.type}: {error.text}"[:300],
        "cell": str(ran.cell.index or 0),
        "module": error.placeholder,
    }
    return Finding(
        check="",
        outcome=Outcome.REVIEW if error.placeholder else Outcome.RAISED,
        code="answers.module-missing" if error.placeholder else "answers.raised",
        values=values,
        evidence=(StudentText(where="code", text=ran.cell.source[: 2 * MOST_EXCERPT]),),
        cells=(ran.cell.index or 0,),
        excerpt=ran.cell.source[:MOST_EXCERPT] if error.placeholder else "",
    )


def _words(view: SectionView) -> tuple[Piece, ...]:
    return tuple(piece for piece in text_pieces(view) if piece.where != "string")


def _judge_text(view: SectionView) -> Finding:
    pieces = text_pieces(view)
    pictures = picture_evidence(view)
    if not pieces and not pictures:
        return Finding(check="answer", outcome=Outcome.MISSING, code="answers.missing")
    return Finding(
        check="answer",
        outcome=Outcome.REVIEW,
        code="answers.to-read",
        evidence=(*text_evidence(pieces), *pictures),
        excerpt="\n\n".join(piece.text for piece in pieces)[:MOST_EXCERPT],
    )


def _judge_remark(task: Task, view: SectionView) -> Finding | None:
    """Return the review of an answer in the heading itself or of a bare yes or no in code."""
    title = title_text(view)
    known = {normalised(words) for words in task.title.values()}
    if title and normalised(title) not in known:
        return _to_read("markdown", title)
    for bound in view.bound():
        if bound.shown in ("True", "False"):
            return _to_read("code", f"{bound.name} = {bound.shown}")
    return None


def _to_read(where: Literal["markdown", "code"], text: str) -> Finding:
    return Finding(
        check="answer",
        outcome=Outcome.REVIEW,
        code="answers.to-read",
        evidence=(StudentText(where=where, text=text[: 2 * MOST_EXCERPT]),),
        excerpt=text[:MOST_EXCERPT],
    )


def _folded(text: str) -> str:
    word = text.strip().casefold()
    if word in _YES:
        return "yes"
    return "no" if word in _NO else word


def _chosen(value: object, options: tuple[str, ...]) -> frozenset[str]:
    """Return the letters or words that a value stands for, empty for nothing or a placeholder."""
    if isinstance(value, bool):
        return frozenset({"yes" if value else "no"})
    if isinstance(value, int | float):
        return frozenset({str(value)})
    if isinstance(value, str):
        words = [word for word in re.split(r"[\s,;.()]+", value) if word]
        known = {_folded(option) for option in options}
        if len(words) == 1 and len(words[0]) > 1 and {c.casefold() for c in words[0]} <= known:
            words = list(words[0])
        return frozenset(_folded(word) for word in words)
    if isinstance(value, dict):
        return frozenset(_folded(str(name)) for name, chosen in value.items() if chosen)
    if isinstance(value, list | tuple | set | frozenset):
        return frozenset(part for item in value for part in _chosen(item, options))
    return frozenset()


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:_MOST_ANSWER]
