"""A class's files become submissions: who handed in which of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from grader.intake.bounds import Bounds
from grader.intake.names import clean_name, format_of, path_text, unique_name
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
    for who, origin in origins.items():
        mine = files[who]
        states = [(member.path, file_state(member.path)) for member in mine]
        layout.handed.append(
            Handed(
                name=clean_name(origin.label or origin.id),
                path=container,
                origin=msgspec.structs.replace(origin, files=states),
                members=tuple(mine),
            )
        )
    return layout


def identity(origin: Origin) -> tuple[str, str]:
    """Return what tells one submission of a system from another.

    Canvas's numbers alone do not where names may end in numbers. A plain path has its file's name:
    the submission's own depends on what lies beside it.
    """
    if origin.system == "folder" and origin.files:
        return origin.system, origin.files[0][0]
    if origin.system == "canvas":
        return origin.system, f"{origin.label}_{origin.id}"
    return origin.system, origin.id or origin.label


def participant(origin: Origin) -> tuple[str, str] | None:
    """Return what tells who handed in, also in a later export; None where nothing does.

    Gradescope gives a number to each submission and not to each group, so those who handed it in
    tell, where all of them have an address or a number.
    """
    if origin.system != "gradescope":
        return identity(origin)
    who = [student.email or student.id for student in origin.students]
    return (origin.system, "\0".join(sorted(map(str.casefold, who)))) if who and all(who) else None


def same_participant(one: Origin, other: Origin) -> bool:
    """Tell whether two submissions are of the same participant, as far as is known."""
    if one.system == other.system == "folder" and not (one.files and other.files):
        return one.label == other.label  # an earlier version kept no file of a plain path
    who = participant(one)
    return identity(one) == identity(other) or (who is not None and who == participant(other))


def file_state(path: str) -> FileState:
    """Tell whether a file is of a kind that is read."""
    return "read" if format_of(path) else "unopened"


def give_names(
    handed: Sequence[Handed], reserved: Iterable[str], known: Mapping[str, Origin]
) -> list[Handed]:
    """Return the submissions with names that are unique, whatever case tells apart.

    Whoever had a name keeps it, since persons' decisions go by names, and nobody inherits the name
    of another. Those that one name fits get their number in it.

    Args:
        handed: of different participants.
        reserved: names that nobody may have, case-folded.
        known: origins of earlier submissions, by name.
    """
    systems = {one.origin.system for one in handed if one.members}
    lasting = {name: who for name, origin in known.items() if (who := participant(origin))}
    owners = {who: name for name, who in lasting.items()}
    # Files of one name in several folders are nobody's alone: they have their order's names.
    there = [_lasting(one) for one in handed]
    times = Counter(lasting.values()) | Counter(who for who in there if who)
    kept = [
        None if who is None or (not one.members and times[who] > 1) else owners.get(who)
        for one, who in zip(handed, there, strict=True)
    ]
    twice = Counter(name.casefold() for name in kept if name is not None)
    kept = [None if name is not None and twice[name.casefold()] > 1 else name for name in kept]
    fits = Counter(one.name.casefold() for one in handed)
    foreign = {name.casefold() for name, (system, _) in lasting.items() if system in systems}
    taken = {*reserved, *(name.casefold() for name in kept if name is not None)}
    named = []
    for one, name in zip(handed, kept, strict=True):
        folded = one.name.casefold()
        if name is None:
            shared = fits[folded] > 1 or folded in foreign
            wanted = _numbered(one) if one.members and shared else one.name
            name = unique_name(wanted, taken)
            taken.add(name.casefold())
        named.append(replace(one, name=name))
    return named


def _lasting(one: Handed) -> tuple[str, str] | None:
    """Return who keeps a name over several runs; None where nothing tells."""
    return participant(one.origin) if one.members or one.origin.system == "folder" else None


def _numbered(one: Handed) -> str:
    """Return a name that ends in the participant's number, where there is one."""
    number = one.origin.id
    if not number or one.origin.label in ("", number):
        return one.name
    room = Bounds().name_characters - len(number) - 1
    return f"{one.name[:room].rstrip()} {number}"


def choose_attempts(handed: Sequence[Handed], attempt: str) -> list[Handed]:
    """Return one submission a participant, of those that are attempts of the same.

    Args:
        handed: in the order in which their containers were given.
        attempt: ``last``, ``first``, or a number from 1; who has fewer attempts gives the last.
    """
    groups: dict[tuple[str, str, str], list[Handed]] = {}
    for number, one in enumerate(handed):
        who = participant(one.origin) or identity(one.origin)
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
        (f"{path_text(one.path.name)}/{path}", "earlier-attempt")
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
