"""The gradebook: results, attempts and reviews of a folder of submissions, in SQLite.

A result is committed before it counts, in write-ahead mode, so that a run killed at any moment
resumes with what is missing. Results are found again by key: a digest of everything that decides
them (`result_key`).
"""

import datetime
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from grader.model import Outcome, Report

if TYPE_CHECKING:
    import pandas

SCHEMA = 2

_CREATE = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    assignment TEXT NOT NULL,
    started TEXT NOT NULL,
    ended TEXT,
    settings TEXT NOT NULL
);
CREATE TABLE reports (
    key TEXT PRIMARY KEY,
    reusable INTEGER NOT NULL,
    report BLOB NOT NULL
);
CREATE TABLE results (
    run INTEGER NOT NULL REFERENCES runs (id),
    submission TEXT NOT NULL,
    key TEXT NOT NULL REFERENCES reports (key),
    source TEXT NOT NULL,
    cached INTEGER NOT NULL,
    PRIMARY KEY (run, submission)
);
CREATE TABLE attempts (
    run INTEGER NOT NULL REFERENCES runs (id),
    submission TEXT NOT NULL,
    number INTEGER NOT NULL,
    ended TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE TABLE pages (
    submission TEXT PRIMARY KEY,
    drawn TEXT NOT NULL
);
"""

_REVIEWS = """
CREATE TABLE reviews (
    submission TEXT NOT NULL,
    task TEXT NOT NULL,
    check_id TEXT NOT NULL,
    answer TEXT NOT NULL,
    points INTEGER NOT NULL,
    comment TEXT NOT NULL,
    decided TEXT NOT NULL,
    PRIMARY KEY (submission, task, check_id, answer)
);
CREATE TABLE origins (
    submission TEXT PRIMARY KEY,
    origin BLOB NOT NULL
);
"""

_FROM_1 = "\n".join(
    (
        "ALTER TABLE reviews RENAME TO reviews_1;",
        _REVIEWS,
        "INSERT INTO reviews SELECT * FROM reviews_1;",
        "DROP TABLE reviews_1;",
    )
)

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
    checks = (check.outcome for task in report.tasks for check in task.checks)
    cells = (cell.outcome for cell in report.cells)
    return not any(outcome in _NEVER_REUSED for outcome in (*checks, *cells))


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
            self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._migrate()
        except sqlite3.DatabaseError as error:
            raise GradebookError(
                "gradebook.unusable", {"path": str(path), "reason": str(error)}
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _migrate(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA:
            raise GradebookError(
                "gradebook.too-new", {"path": str(self._path), "version": str(version)}
            )
        if version < SCHEMA:
            changes = _FROM_1 if version == 1 else _CREATE + _REVIEWS
            self._db.executescript(f"BEGIN; {changes} PRAGMA user_version = {SCHEMA}; COMMIT;")

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

    def end_run(self, run: int) -> None:
        """Note that every submission of the run has its result."""
        self._db.execute("UPDATE runs SET ended = ? WHERE id = ?", (_now(), run))

    def latest_run(self) -> int | None:
        """Return the id of the latest run, or None in an empty gradebook."""
        row = self._db.execute("SELECT max(id) FROM runs").fetchone()
        return None if row[0] is None else int(row[0])

    def previous_run(self, run: int) -> int | None:
        """Return the id of the run before `run`, or None."""
        row = self._db.execute("SELECT max(id) FROM runs WHERE id < ?", (run,)).fetchone()
        return None if row[0] is None else int(row[0])

    def assignment_of(self, run: int) -> str:
        """Return the name or folder of the assignment that `run` graded."""
        (name,) = self._db.execute("SELECT assignment FROM runs WHERE id = ?", (run,)).fetchone()
        return str(name)

    # ------------------------------------------------------------------ results

    def find_report(self, key: str) -> Report | None:
        """Return a report that may be taken again for this key, or None."""
        row = self._db.execute(
            "SELECT report FROM reports WHERE key = ? AND reusable", (key,)
        ).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=Report)

    def add_result(
        self, run: int, report: Report, *, key: str, source: str, cached: bool = False
    ) -> None:
        """Commit a result; one that is there already for this run and submission is replaced."""
        data = msgspec.json.encode(report)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute(
                "INSERT INTO reports (key, reusable, report) VALUES (?, ?, ?) "
                "ON CONFLICT (key) DO UPDATE SET reusable = excluded.reusable, "
                "report = excluded.report",
                (key, is_reusable(report), data),
            )
            self._db.execute(
                "INSERT OR REPLACE INTO results (run, submission, key, source, cached) "
                "VALUES (?, ?, ?, ?, ?)",
                (run, report.submission, key, source, cached),
            )
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def carry_over(self, run: int, *, except_for: str) -> None:
        """Take the results of the run before into `run`, but for one submission."""
        before = self.previous_run(run)
        if before is not None:
            self._db.execute(
                "INSERT OR IGNORE INTO results (run, submission, key, source, cached) "
                "SELECT ?, submission, key, source, 1 FROM results "
                "WHERE run = ? AND submission != ?",
                (run, before, except_for),
            )

    def add_attempt(self, run: int, submission: str, number: int, reason: str) -> None:
        """Note that grading a submission was tried and did not give a result."""
        self._db.execute(
            "INSERT INTO attempts (run, submission, number, ended, reason) VALUES (?, ?, ?, ?, ?)",
            (run, submission, number, _now(), reason),
        )

    def graded(self, run: int) -> dict[str, str]:
        """Return the submissions that have a result in `run`, with its key."""
        rows = self._db.execute("SELECT submission, key FROM results WHERE run = ?", (run,))
        return dict(rows.fetchall())

    def reports(self, run: int) -> Iterator[Report]:
        """Yield the reports of a run by name, one at a time."""
        rows = self._db.execute(
            "SELECT results.submission, report FROM results JOIN reports USING (key) "
            "WHERE run = ? ORDER BY submission",
            (run,),
        )
        for name, data in rows:
            report = msgspec.json.decode(data, type=Report)
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
