"""A class's files become submissions: who handed in which of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from grader.intake.names import clean_name, format_of
from grader.lms.containers import Member
from grader.lms.origin import FileState, Origin


@dataclass(frozen=True, slots=True)
class Handed:
    """A submission to be read.

    Attributes:
        name: fit for a folder's name; unique once a batch is put together.
        path: the file or folder that it is, or that holds its members.
        members: its files inside `path`, by their paths inside the submission; empty where `path`
            is the submission.
        origin: where it came from.
    """

    name: str
    path: Path
    origin: Origin
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose a file is, and its path inside the submission."""

    origin: Origin
    path: str


@dataclass(slots=True)
class Layout:
    """What a folder or an archive holds: submissions, and files that are nobody's."""

    handed: list[Handed] = field(default_factory=list)
    unclaimed: list[str] = field(default_factory=list)


def split_members(
    container: Path, members: Iterable[Member], claim: Callable[[str], Claim | None]
) -> Layout:
    """Return the submissions that files belong to, as `claim` tells by their paths."""
    layout = Layout()
    origins: dict[tuple[str, str], Origin] = {}
    files: dict[tuple[str, str], list[Member]] = {}
    for member in members:
        claimed = claim(member.path)
        if claimed is None:
            layout.unclaimed.append(member.path)
            continue
        who = identity(claimed.origin)
        known = origins.setdefault(who, claimed.origin)
        origins[who] = msgspec.structs.replace(known, late=known.late or claimed.origin.late)
        files.setdefault(who, []).append(Member(member.key, claimed.path))
    ambiguous = _shared_labels(origins.values())
    for who, origin in origins.items():
        mine = files[who]
        states = [(member.path, file_state(member.path)) for member in mine]
        layout.handed.append(
            Handed(
                name=clean_name(_name(origin, ambiguous)),
                path=container,
                origin=msgspec.structs.replace(origin, files=states),
                members=tuple(mine),
            )
        )
    return layout


def identity(origin: Origin) -> tuple[str, str]:
    """Return what tells one participant of a system from another."""
    return origin.system, origin.id or origin.label


def file_state(path: str) -> FileState:
    """Tell whether a file is of a kind that is read."""
    return "read" if format_of(path) else "unopened"


def _shared_labels(origins: Iterable[Origin]) -> set[str]:
    seen: set[str] = set()
    shared: set[str] = set()
    for origin in origins:
        (shared if origin.label in seen else seen).add(origin.label)
    return shared


def _name(origin: Origin, ambiguous: set[str]) -> str:
    """Return a name: the label, and the number where several have that label or none has one."""
    if origin.label and (origin.label not in ambiguous or not origin.id):
        return origin.label
    return f"{origin.label} {origin.id}".strip()


def choose_attempts(handed: Sequence[Handed], attempt: str) -> list[Handed]:
    """Return one submission a participant, of those that are attempts of the same.

    Args:
        handed: in the order in which their containers were given.
        attempt: ``last``, ``first``, or a number from 1; who has fewer attempts gives the last.
    """
    groups: dict[tuple[str, str, str], list[Handed]] = {}
    for number, one in enumerate(handed):
        who = identity(one.origin)
        # A plain path is a submission of its own, whatever its name.
        key = (*who, "") if one.members else (*who, str(number))
        groups.setdefault(key, []).append(one)
    return [_chosen(group, attempt) for group in groups.values()]


def _chosen(group: list[Handed], attempt: str) -> Handed:
    if len(group) == 1:
        return group[0]
    if all(one.origin.submitted for one in group):
        group = sorted(group, key=lambda one: one.origin.submitted)
    wanted = {"last": len(group), "first": 1}.get(attempt) or int(attempt)
    number = min(wanted, len(group))
    chosen = group[number - 1]
    others: list[tuple[str, FileState]] = [
        (f"{one.path.name}/{path}", "earlier-attempt")
        for one in group
        if one is not chosen
        for path, _ in one.origin.files
    ]
    origin = msgspec.structs.replace(
        chosen.origin,
        attempt=number,
        attempts=len(group),
        files=[*chosen.origin.files, *others],
    )
    return Handed(chosen.name, chosen.path, origin, chosen.members)
