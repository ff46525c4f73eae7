"""The gradebook: results, attempts and reviews of a folder of submissions, in SQLite.

A result is committed before it counts, in write-ahead mode, so that a run killed at any moment
resumes with what is missing. Results are found again by key: a digest of everything that decides
them (`result_key`). A report is never changed once it is there, so that an earlier run stays what
it was.
"""

import contextlib
import datetime
import hashlib
import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from grader.gradebook_schema import SCHEMA, migrate, schema_of, transaction
from grader.lms.origin import Origin
from grader.model import Outcome, Report

if TYPE_CHECKING:
    import pandas

Kept = TypeVar("Kept", Report, Origin)

_NEVER_REUSED = frozenset({Outcome.TIMEOUT, Outcome.GRADER_ERROR})


class GradebookError(Exception):
    """The gradebook cannot be used; `code` and `values` are a message for the instructor."""

    def __init__(self, code: str, values: Mapping[str, str]) -> None:
        super().__init__(f"{code}: {dict(values)}")
        self.code = code
        self.values = dict(values)


@dataclass(frozen=True, slots=True)
class Review:
    """A person's decision on one check of one submission.

    Attributes:
        answer: fingerprint of the answer it judged; it holds only while the answer is the same.
        points: hundredths.
    """

    submission: str
    task: str
    check: str
    answer: str
    points: int
    comment: str


def result_key(parts: Iterable[str]) -> str:
    """Return the key of a result: SHA-256 over everything that decides it, in order."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def is_reusable(report: Report) -> bool:
    """Tell whether the same input may take this report again instead of running.

    A timeout may be the machine's doing and a grader error is ours, so neither is.
    """
    return not has_outcome(report, _NEVER_REUSED)


def has_outcome(report: Report, outcomes: Container[Outcome]) -> bool:
    """Tell whether any check or cell of a report ended in one of these."""
    checks = (check.outcome for task in report.tasks for check in task.checks)
    cells = (cell.outcome for cell in report.cells)
    return any(outcome in outcomes for outcome in (*checks, *cells))


def known_origins(path: Path) -> dict[str, Origin]:
    """Return where the submissions in a gradebook came from, without touching it.

    It is empty where there is no gradebook yet, or none that can be read; opening it for a run says
    what is wrong then.
    """
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as db:
            rows = db.execute("SELECT submission, origin FROM origins").fetchall()
            return {name: msgspec.json.decode(data, type=Origin) for name, data in rows}
    except (sqlite3.Error, msgspec.MsgspecError):
        return {}


class Gradebook:
    """The gradebook of one output folder, a context manager.

    Args:
        path: the file; created if missing.

    Raises:
        GradebookError: the file is no gradebook, of a later version, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with contextlib.ExitStack() as opening:
                self._db = opening.enter_context(
                    contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=10))
                )
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
                self._require_known_schema()
                migrate(self._db)
                self._db.execute("PRAGMA foreign_keys = ON")
                opening.pop_all()  # it stays open
        except sqlite3.DatabaseError as error:
            raise self._trouble("gradebook.unusable", error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file; what went wrong with it becomes a message.

        Raises:
            GradebookError: the file could not be read or written, as on a full disk.
        """
        self.close()
        if isinstance(error, sqlite3.Error):
            raise self._trouble("gradebook.stopped", error) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _decoded(self, data: bytes, kind: type[Kept]) -> Kept:
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._trouble("gradebook.unusable", error) from error

    def _trouble(self, code: str, error: Exception) -> GradebookError:
        return GradebookError(code, {"path": str(self._path), "reason": str(error)})

    def _require_known_schema(self) -> None:
        version = schema_of(self._db)
        if version > SCHEMA:
            values = {"path": str(self._path), "version": str(version)}
            raise GradebookError("gradebook.too-new", values)

    # ------------------------------------------------------------------ runs

    def begin_run(self, assignment: str, settings: str) -> int:
        """Return the id of a run: the unfinished one of the same settings, else a new one."""
        row = self._db.execute(
            "SELECT id, settings, ended FROM runs ORDER BY id DESC LIMIT 1"
        ).fetchone()
        if row is not None and row[2] is None and row[1] == settings:
            return int(row[0])
        cursor = self._db.execute(
            "INSERT INTO runs (assignment, started, settings) VALUES (?, ?, ?)",
            (assignment, _now(), settings),
        )
        return int(cursor.lastrowid or 0)

    def end_run(self, run: int, submissions: Iterable[str]) -> bool:
        """Drop results of what is no longer handed in; note and return whether the run is whole.

        It is none where one submission was graded again and others have never been.

        Args:
            run: its id.
            submissions: all that are handed in.
        """
        wanted, graded = set(submissions), self.graded(run)
        gone = graded - wanted
        with transaction(self._db):
            self._db.executemany(
                "DELETE FROM results WHERE run = ? AND submission = ?",
                [(run, name) for name in gone],
            )
            whole = graded >= wanted
            if whole:
                self._db.execute("UPDATE runs SET ended = ? WHERE id = ?", (_now(), run))
        return whole

    def is_whole(self, run: int) -> bool:
        """Tell whether every submission of a run has its result; one that was killed lacks some."""
        (ended,) = self._db.execute("SELECT ended FROM runs WHERE id = ?", (run,)).fetchone()
        return ended is not None

    def latest_run(self) -> int | None:
        """Return the id of the latest run, or None in an empty gradebook."""
        row = self._db.execute("SELECT max(id) FROM runs").fetchone()
        return None if row[0] is None else int(row[0])

    def previous_run(self, run: int) -> int | None:
        """Return the id of the last whole run of the same assignment before `run`, or None."""
        row = self._db.execute(
            "SELECT max(id) FROM runs WHERE id < ? AND ended IS NOT NULL AND assignment = ?",
            (run, self.assignment_of(run)),
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def assignment_of(self, run: int) -> str:
        """Return the name or folder of the assignment that `run` graded."""
        (name,) = self._db.execute("SELECT assignment FROM runs WHERE id = ?", (run,)).fetchone()
        return str(name)

    # ------------------------------------------------------------------ results

    def find_report(self, key: str, *, run: int = 0) -> tuple[int, Report] | None:
        """Return a report that may be taken again for this key with its id, or None.

        A timeout is taken again only by the run that saw it, which goes on after it was killed;
        a failure of our own never is, nor what is damaged.
        """
        row = self._db.execute(
            "SELECT id, report FROM reports WHERE key = :key AND (reusable OR EXISTS "
            "(SELECT 1 FROM results WHERE run = :run AND results.report = reports.id)) "
            "ORDER BY id DESC LIMIT 1",
            {"key": key, "run": run},
        ).fetchone()
        if row is None:
            return None
        try:
            report = self._decoded(row[1], Report)
        except GradebookError:
            return None
        return None if has_outcome(report, {Outcome.GRADER_ERROR}) else (row[0], report)

    def add_result(self, run: int, report: Report, *, key: str, source: str) -> None:
        """Commit a result; one that is there already for this run and submission is replaced."""
        data = msgspec.json.encode(report)
        with transaction(self._db):
            cursor = self._db.execute(
                "INSERT INTO reports (key, reusable, report) VALUES (?, ?, ?)",
                (key, is_reusable(report), data),
            )
            self._set_result(run, report.submission, cursor.lastrowid or 0, source, cached=False)

    def add_known(self, run: int, submission: str, report: int, *, source: str) -> None:
        """Commit as a result a report that is there already, by its id."""
        self._set_result(run, submission, report, source, cached=True)

    def _set_result(
        self, run: int, submission: str, report: int, source: str, *, cached: bool
    ) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO results (run, submission, report, source, cached) "
            "VALUES (?, ?, ?, ?, ?)",
            (run, submission, report, source, cached),
        )

    def carry_over(self, run: int, submissions: Iterable[str]) -> None:
        """Take into `run` the latest result that each of these has in runs of its assignment."""
        rows = self._db.execute(
            "SELECT submission, results.report, source, max(run) FROM results "
            "JOIN runs ON runs.id = run WHERE run < ? AND assignment = ? GROUP BY submission",
            (run, self.assignment_of(run)),
        ).fetchall()
        wanted = set(submissions)
        with transaction(self._db):
            for name, report, source, _ in rows:
                if name in wanted:
                    self._set_result(run, name, report, source, cached=True)

    def add_attempt(self, run: int, submission: str, number: int, reason: str) -> None:
        """Note that grading a submission was tried and did not give a result."""
        self._db.execute(
            "INSERT INTO attempts (run, submission, number, ended, reason) VALUES (?, ?, ?, ?, ?)",
            (run, submission, number, _now(), reason),
        )

    def graded(self, run: int) -> set[str]:
        """Return the submissions that have a result in `run`."""
        rows = self._db.execute("SELECT submission FROM results WHERE run = ?", (run,))
        return {name for (name,) in rows}

    def reports(self, run: int) -> Iterator[Report]:
        """Yield the reports of a run by name, one at a time.

        Raises:
            GradebookError: one is damaged.
        """
        rows = self._db.execute(
            "SELECT submission, reports.report FROM results "
            "JOIN reports ON reports.id = results.report WHERE run = ? ORDER BY submission",
            (run,),
        )
        for name, data in rows:
            report = self._decoded(data, Report)
            yield msgspec.structs.replace(report, submission=name)

    # ------------------------------------------------------------------ pages

    def is_drawn(self, submission: str, drawn: str) -> bool:
        """Tell whether the submission's files were written from just this."""
        row = self._db.execute("SELECT drawn FROM pages WHERE submission = ?", (submission,))
        found = row.fetchone()
        return found is not None and found[0] == drawn

    def add_drawn(self, submission: str, drawn: str) -> None:
        """Note from what the submission's files were written."""
        self._db.execute(
            "INSERT OR REPLACE INTO pages (submission, drawn) VALUES (?, ?)", (submission, drawn)
        )

    # ------------------------------------------------------------------ reviews

    def add_review(self, review: Review) -> None:
        """Keep a person's decision; a later one on the same answer replaces it."""
        self._db.execute(
            "INSERT OR REPLACE INTO reviews "
            "(submission, task, check_id, answer, points, comment, decided) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                review.submission,
                review.task,
                review.check,
                review.answer,
                review.points,
                review.comment,
                _now(),
            ),
        )

    def reviews(self) -> list[Review]:
        """Return all decisions, the earliest first."""
        rows = self._db.execute(
            "SELECT submission, task, check_id, answer, points, comment FROM reviews "
            "ORDER BY decided, rowid"
        )
        return [Review(*row) for row in rows]

    # ------------------------------------------------------------------ origins

    def set_origins(self, origins: Iterable[tuple[str, Origin]]) -> None:
        """Keep where submissions came from, by name; what was known of the same is replaced."""
        with transaction(self._db):
            self._db.executemany(
                "INSERT OR REPLACE INTO origins (submission, origin) VALUES (?, ?)",
                ((name, msgspec.json.encode(origin)) for name, origin in origins),
            )

    def origin(self, submission: str) -> Origin | None:
        """Return where a submission came from, None where that is not known.

        Raises:
            GradebookError: what is kept of it is damaged.
        """
        rows = self._db.execute("SELECT origin FROM origins WHERE submission = ?", (submission,))
        found = rows.fetchone()
        return None if found is None else self._decoded(found[0], Origin)

    # ------------------------------------------------------------------ analysis

    def frame(self, run: int | None = None) -> "pandas.DataFrame":
        """Return one row a check of a run (the latest by default) as a DataFrame.

        Columns: submission, task, check, outcome, points, possible (points as decimals), code.
        """
        import pandas

        chosen = self.latest_run() if run is None else run
        rows = [
            {
                "submission": report.submission,
                "task": task.id,
                "check": check.id,
                "outcome": check.outcome.value,
                "points": check.points / 100,
                "possible": check.possible / 100,
                "code": check.code,
            }
            for report in (self.reports(chosen) if chosen is not None else ())
            for task in report.tasks
            for check in task.checks
        ]
        columns = ["submission", "task", "check", "outcome", "points", "possible", "code"]
        return pandas.DataFrame(rows, columns=columns)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
