"""The tables of the gradebook, as the steps that lead from an empty file to the latest schema.

A new gradebook takes every step, one of an earlier version those that it lacks, so that both end
the same. A step that was released is never changed; a change of the tables is a step more.
"""

import contextlib
import sqlite3
from collections.abc import Iterator

_TABLES = """
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
CREATE TABLE reviews (
    submission TEXT NOT NULL,
    task TEXT NOT NULL,
    check_id TEXT NOT NULL,
    answer TEXT NOT NULL,
    points INTEGER NOT NULL,
    comment TEXT NOT NULL,
    decided TEXT NOT NULL,
    PRIMARY KEY (submission, task, check_id)
);
"""

_A_DECISION_FOR_EACH_ANSWER = """
ALTER TABLE reviews RENAME TO reviews_1;
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
INSERT INTO reviews SELECT * FROM reviews_1;
DROP TABLE reviews_1;
CREATE TABLE origins (
    submission TEXT PRIMARY KEY,
    origin BLOB NOT NULL
);
"""

_REPORTS_THAT_STAY = """
ALTER TABLE reports RENAME TO reports_2;
ALTER TABLE results RENAME TO results_2;
CREATE TABLE reports (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    reusable INTEGER NOT NULL,
    report BLOB NOT NULL
);
CREATE INDEX reports_by_key ON reports (key);
INSERT INTO reports (key, reusable, report) SELECT key, reusable, report FROM reports_2;
CREATE TABLE results (
    run INTEGER NOT NULL REFERENCES runs (id),
    submission TEXT NOT NULL,
    report INTEGER NOT NULL REFERENCES reports (id),
    source TEXT NOT NULL,
    cached INTEGER NOT NULL,
    PRIMARY KEY (run, submission)
);
INSERT INTO results (run, submission, report, source, cached)
    SELECT run, submission, reports.id, source, cached FROM results_2 JOIN reports USING (key);
DROP TABLE results_2;
DROP TABLE reports_2;
"""

STEPS = (_TABLES, _A_DECISION_FOR_EACH_ANSWER, _REPORTS_THAT_STAY)

SCHEMA = len(STEPS)
"""The schema of this version, kept as SQLite's ``user_version``."""


def schema_of(db: sqlite3.Connection) -> int:
    """Return the schema of a gradebook; 0 for an empty file."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


def migrate(db: sqlite3.Connection) -> None:
    """Take the steps that a gradebook lacks, all or none, whoever else opens it meanwhile.

    Call it before foreign keys are switched on: tables are replaced on the way.
    """
    if schema_of(db) == SCHEMA:
        return
    with transaction(db):
        for step in STEPS[schema_of(db) :]:
            for statement in step.split(";"):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA}")


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit everything that is executed inside, or nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk makes SQLite roll back by itself
            db.execute("ROLLBACK")
        raise
