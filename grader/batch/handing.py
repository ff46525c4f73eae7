"""What is known of a hand-in beside its answers: files, attempts, lateness, and who is absent."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from grader.lateness import apply_policy
from grader.lms.handed_in import HandedIn, find_handed_in
from grader.lms.layout import Handed, same_participant
from grader.lms.origin import Origin
from grader.lms.roster import NOBODY_ABSENT, Attendance, attend, read_roster
from grader.lms.sheets import read_sheet
from grader.model import Policy, Report
from grader.reports.clean import clean_line, csv_cell

SUBMISSIONS_FILE = "submissions.csv"
SUBMISSIONS_COLUMNS = (
    *("submission", "system", "id", "submitted", "late"),
    *("attempt", "attempts", "file", "state"),
)

_MOST_SHOWN = 10


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """How to find what was handed in.

    Attributes:
        system: the system whose layout it is; recognised where None.
        attempt: which attempt counts: ``last``, ``first`` or a number.
        roster: a table of who should have handed in; none where None.
    """

    system: str | None = None
    attempt: str = "last"
    roster: Path | None = None


AS_IT_LIES = Source()


def find(
    paths: Sequence[Path],
    source: Source,
    known: Mapping[str, Origin],
    *,
    leave_out: Path | None = None,
) -> tuple[HandedIn, Attendance]:
    """Return what was handed in, and how the roster compares with it.

    Args:
        paths: as the instructor gave them.
        source: how to read them.
        known: where earlier submissions came from, by name.
        leave_out: a folder in which nothing was handed in.

    Raises:
        Refused: a path or the roster cannot be read.
    """
    people = None if source.roster is None else read_roster(read_sheet(source.roster))
    handed_in = find_handed_in(
        paths, system=source.system, attempt=source.attempt, known=known, leave_out=leave_out
    )
    if people is None:
        return handed_in, NOBODY_ABSENT
    return handed_in, attend(people, handed_in.submissions)


def origins_of(
    handed: Sequence[Handed], attendance: Attendance, origin_of: Callable[[str], Origin | None]
) -> Iterator[tuple[str, Origin]]:
    """Yield where submissions came from, each with its name.

    The roster's times go before a system's; where neither tells one, that of an earlier roster
    stays, so that grading again without the roster takes back no penalty.

    Args:
        handed: what was handed in.
        attendance: what the roster tells.
        origin_of: tells what the gradebook has, by the submission's name.
    """
    for one in handed:
        before = origin_of(one.name)
        same = before is not None and same_participant(before, one.origin)
        earlier = before.submitted if before is not None and same else ""
        times = (attendance.submitted.get(one.name, ""), one.origin.submitted, earlier)
        submitted = next(filter(None, times), "")
        yield one.name, msgspec.structs.replace(one.origin, submitted=submitted)


def with_origin(report: Report, origin: Origin, policy: Policy | None) -> Report:
    """Return the report with what the policy takes, and notes on files, attempts and lateness."""
    notes = list(report.notes)
    unopened = [path for path, state in origin.files if state == "unopened"]
    if unopened:
        notes.append(("lms.unopened", {"files": listed(unopened)}))
    if origin.attempts > 1:
        values = {"attempt": str(origin.attempt), "attempts": str(origin.attempts)}
        notes.append(("lms.attempt", values))
    if policy is not None and origin.late and not origin.submitted:
        notes.append(("lms.late-by-unknown", {}))
    return apply_policy(msgspec.structs.replace(report, notes=notes), policy, origin.submitted)


def listed(names: Sequence[str]) -> str:
    """Return names on one line, the first few where there are many."""
    shown = ", ".join(clean_line(name, most=100) for name in names[:_MOST_SHOWN])
    return f"{shown}, …" if len(names) > _MOST_SHOWN else shown


def submission_rows(
    origins: Iterable[tuple[str, Origin]], unclaimed: Sequence[str], attendance: Attendance
) -> Iterator[list[str]]:
    """Yield the rows of `submissions.csv`: a file each, then nobody's files, then the absent."""
    for name, origin in origins:
        facts = [
            csv_cell(name),
            origin.system,
            csv_cell(origin.id),
            csv_cell(origin.submitted),
            "late" if origin.late else "",
            str(origin.attempt),
            str(origin.attempts),
        ]
        for path, state in origin.files or [("", "read")]:
            yield [*facts, csv_cell(path), state]
    empty = [""] * (len(SUBMISSIONS_COLUMNS) - 2)
    for path in unclaimed:
        yield [*empty, csv_cell(path), "nobody's"]
    for name in attendance.absent:
        yield [csv_cell(name), *empty[1:], "", "absent"]
