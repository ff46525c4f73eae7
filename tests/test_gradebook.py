"""Tests of grader.gradebook and grader.reviews."""

import multiprocessing
import os
import signal
import sqlite3
import time
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import gradebook_schema
from grader.gradebook import Gradebook, GradebookError, Review, is_reusable, result_key
from grader.gradebook_schema import SCHEMA, STEPS, schema_of
from grader.lms.origin import Origin
from grader.model import CellResult, CheckResult, Outcome, Report, TaskResult
from grader.reviews import apply_reviews, fingerprint, lapsed


def make_report(name="ivanova", *, outcome=Outcome.REVIEW, excerpt="my answer", source="x = 1"):
    check = CheckResult(
        id="answer", outcome=outcome, points=0, possible=100, code="judge.missing", excerpt=excerpt
    )
    task = TaskResult(id="q", outcome=outcome, points=0, possible=100, checks=[check], cells=[1])
    cell = CellResult(index=1, outcome=Outcome.PASSED, seconds=0.0, source=source)
    return Report(
        assignment="a",
        submission=name,
        card="Tesla T4",
        profile="",
        seconds=0.1,
        tasks=[task],
        cells=[cell],
    )


def test_a_result_reads_back_as_it_was_added(tmp_path):
    report = make_report()
    with Gradebook(tmp_path / "g.db") as book:
        run = book.begin_run("a", "s")
        book.add_result(run, report, key="k", source="p")
        assert list(book.reports(run)) == [report]
        assert book.find_report("k") == (1, report)
        assert book.find_report("other") is None


def test_an_unfinished_run_of_the_same_settings_goes_on(tmp_path):
    with Gradebook(tmp_path / "g.db") as book:
        first = book.begin_run("a", "s")
        assert book.begin_run("a", "s") == first
        assert book.begin_run("a", "other") != first
        last = book.begin_run("a", "other")
        book.end_run(last, [])
        assert book.begin_run("a", "other") != last


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.GRADER_ERROR])
def test_a_timeout_or_our_failure_is_never_taken_again(tmp_path, outcome):
    report = make_report(outcome=outcome)
    assert not is_reusable(report)
    with Gradebook(tmp_path / "g.db") as book:
        run = book.begin_run("a", "s")
        book.add_result(run, report, key="k", source="p")
        assert book.find_report("k") is None
        assert [r.submission for r in book.reports(run)] == ["ivanova"]


def _write_until_killed(path, ready):
    with Gradebook(path) as book:
        run = book.begin_run("a", "s")
        for number in range(100_000):
            book.add_result(run, make_report(f"s{number}"), key=f"k{number}", source="p")
            if number == 20:
                ready.set()


def test_a_writer_killed_at_any_moment_leaves_a_gradebook_that_can_be_read(tmp_path):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    writer = context.Process(target=_write_until_killed, args=(tmp_path / "g.db", ready))
    writer.start()
    assert ready.wait(20)
    time.sleep(0.05)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    with Gradebook(tmp_path / "g.db") as book:
        reports = list(book.reports(book.latest_run()))
        assert len(reports) > 20
        assert all(book.find_report(f"k{number}") for number in range(20))


def test_a_file_that_is_no_gradebook_is_refused_with_its_path(tmp_path):
    path = tmp_path / "g.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(GradebookError) as caught:
        Gradebook(path)
    assert caught.value.values["path"] == str(path)


def test_a_gradebook_of_a_later_version_is_refused(tmp_path):
    path = tmp_path / "g.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(GradebookError) as caught:
        Gradebook(path)
    assert caught.value.code == "gradebook.too-new"


def test_keys_tell_where_one_part_ends():
    assert result_key(["ab", "c"]) != result_key(["a", "bc"])


def test_frame_has_a_row_a_check(tmp_path):
    with Gradebook(tmp_path / "g.db") as book:
        run = book.begin_run("a", "s")
        book.add_result(run, make_report(), key="k", source="p")
        frame = book.frame()
    assert list(frame["submission"]) == ["ivanova"]
    assert list(frame["possible"]) == [1.0]


def review_of(report, points=50):
    task = report.tasks[0]
    return Review(
        submission=report.submission,
        task="q",
        check="answer",
        answer=fingerprint(report, task, task.checks[0]),
        points=points,
        comment="well said",
    )


@pytest.mark.parametrize(
    ("points", "outcome"),
    [(0, Outcome.FAILED), (50, Outcome.PARTIAL), (100, Outcome.PASSED), (900, Outcome.PASSED)],
)
def test_a_person_decides_points_and_outcome_up_to_what_is_possible(points, outcome):
    report = make_report()
    decided = apply_reviews(report, [review_of(report, points)])
    assert decided.points == min(points, 100)
    assert decided.tasks[0].outcome is outcome
    assert decided.to_review == 0
    assert decided.tasks[0].checks[0].comment == "well said"


def test_a_decision_lapses_when_the_answer_changes():
    report = make_report()
    review = review_of(report)
    assert apply_reviews(make_report(excerpt="another"), [review]).to_review == 100
    assert apply_reviews(make_report(source="y = 2"), [review]).to_review == 0


def test_a_decision_without_excerpt_judges_the_code():
    report = make_report(excerpt="")
    review = review_of(report)
    assert apply_reviews(make_report(excerpt="", source="y = 2"), [review]).to_review == 100
    assert apply_reviews(make_report(excerpt=""), [review]).to_review == 0


def changed_check(report, **changes):
    task = report.tasks[0]
    check = msgspec.structs.replace(task.checks[0], **changes)
    return msgspec.structs.replace(report, tasks=[msgspec.structs.replace(task, checks=[check])])


def test_a_decision_lapses_when_what_was_found_in_the_answer_changes():
    report = changed_check(make_report(excerpt=""), values={"number": "31", "cell": "3"})
    review = review_of(report)
    moved = changed_check(report, values={"number": "31", "cell": "4"})
    assert apply_reviews(moved, [review]).to_review == 0
    other = changed_check(report, values={"number": "32", "cell": "3"})
    assert apply_reviews(other, [review]).to_review == 100


def test_another_picture_is_another_answer():
    def with_picture(data):
        picture = {"kind": "student-picture", "name": "a", "media": "image/png", "data": data}
        return changed_check(make_report(excerpt="see picture"), evidence=[picture])

    review = review_of(with_picture("QQ=="))
    assert apply_reviews(with_picture("QQ=="), [review]).to_review == 0
    assert apply_reviews(with_picture("Qg=="), [review]).to_review == 100


def test_a_decision_on_nothing_found_lapses_when_the_submission_changes():
    report = msgspec.structs.replace(make_report(excerpt=""), digest="1")
    task = msgspec.structs.replace(report.tasks[0], cells=[])
    report = msgspec.structs.replace(report, tasks=[task])
    review = review_of(report)
    assert apply_reviews(report, [review]).to_review == 0
    assert apply_reviews(msgspec.structs.replace(report, digest="2"), [review]).to_review == 100


@given(excerpt=st.text(max_size=20))
def test_no_spreadsheet_takes_a_fingerprint_for_a_number(excerpt):
    report = make_report(excerpt=excerpt)
    with pytest.raises(ValueError, match="could not convert"):
        float(review_of(report).answer)


def test_a_decision_on_an_earlier_answer_is_told_until_there_is_a_new_one():
    before, now = make_report(excerpt="first"), make_report(excerpt="second")
    old, new = review_of(before), review_of(now)
    assert lapsed(before, [old]) == {}
    assert lapsed(now, [old]) == {("q", "answer"): old}
    assert lapsed(now, [old, new]) == {}


@pytest.mark.parametrize(
    ("outcome", "points", "asked"),
    [
        (Outcome.PASSED, 100, False),
        (Outcome.FAILED, 0, True),
        (Outcome.MISSING, 0, True),
        (Outcome.REVIEW, 0, True),
    ],
)
def test_what_a_machine_now_gives_as_a_person_did_is_not_asked_again(outcome, points, asked):
    before = make_report(excerpt="first")
    [task] = before.tasks
    full = replace(review_of(before), points=task.checks[0].possible)
    now = changed_check(before, excerpt="second", outcome=outcome, points=points)
    assert bool(lapsed(now, [full])) is asked
    none = replace(full, points=0)
    assert bool(lapsed(now, [none])) is (outcome in (Outcome.PASSED, Outcome.REVIEW))


def test_decisions_on_two_answers_are_both_kept(tmp_path):
    first, second = review_of(make_report(excerpt="first")), review_of(make_report())
    with Gradebook(tmp_path / "g.db") as book:
        book.add_review(second)
        book.add_review(first)
        book.add_review(second)
        assert book.reviews() == [first, second]


def gradebook_of_schema(path, schema, report, review):
    """Write a gradebook as the version with this schema did, with a run and a decision in it."""
    db = sqlite3.connect(path)
    for step in STEPS[:schema]:
        db.executescript(step)
    db.execute("INSERT INTO runs VALUES (1, 'a', '2026-01-01', '2026-01-01', 's')")
    columns = "(key, reusable, report) VALUES ('k', 1, ?)"
    db.execute(f"INSERT INTO reports {columns}", (msgspec.json.encode(report),))
    db.execute("INSERT INTO results VALUES (1, 'ivanova', 'k', 'p', 0)")
    db.execute("INSERT INTO results VALUES (1, 'petrov', 'k', 'p', 1)")
    db.execute("INSERT INTO attempts VALUES (1, 'petrov', 1, '2026-01-01', 'signal SIGKILL')")
    fields = (review.submission, review.task, review.check, review.answer, review.points)
    db.execute("INSERT INTO reviews VALUES (?, ?, ?, ?, ?, ?, 'now')", (*fields, review.comment))
    db.execute(f"PRAGMA user_version = {schema}")
    db.commit()
    db.close()


@pytest.mark.parametrize("schema", [1, 2])
def test_a_gradebook_of_an_earlier_schema_keeps_all_it_holds(tmp_path, schema):
    path, report = tmp_path / "g.db", make_report()
    review = review_of(report)
    gradebook_of_schema(path, schema, report, review)
    with Gradebook(path) as book:
        assert [r.submission for r in book.reports(1)] == ["ivanova", "petrov"]
        assert book.find_report("k") == (1, report)
        assert book.reviews() == [review]
        book.add_review(review_of(make_report(excerpt="another")))
        assert len(book.reviews()) == 2
        run = book.begin_run("a", "s")
        book.add_result(run, report, key="k", source="p")
        assert book.previous_run(run) == 1
    with sqlite3.connect(path) as db:
        assert schema_of(db) == SCHEMA
        assert db.execute("SELECT count(*) FROM attempts").fetchone() == (1,)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    db.close()


def test_a_migrated_gradebook_has_the_tables_of_a_new_one(tmp_path):
    gradebook_of_schema(tmp_path / "old.db", 1, make_report(), review_of(make_report()))
    tables = []
    for name in ("old.db", "new.db"):
        Gradebook(tmp_path / name).close()
        with sqlite3.connect(tmp_path / name) as db:
            tables.append(db.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall())
        db.close()
    assert tables[0] == tables[1]


def test_a_migration_that_fails_leaves_the_old_gradebook(tmp_path, monkeypatch):
    path = tmp_path / "g.db"
    gradebook_of_schema(path, 1, make_report(), review_of(make_report()))
    monkeypatch.setattr(gradebook_schema, "STEPS", (*STEPS[:2], STEPS[2] + "SELECT nonsense"))
    with pytest.raises(GradebookError):
        Gradebook(path)
    monkeypatch.undo()
    with Gradebook(path) as book:
        assert [r.submission for r in book.reports(1)] == ["ivanova", "petrov"]


def test_a_run_stays_what_it_was_when_the_same_work_is_graded_again(tmp_path):
    with Gradebook(tmp_path / "g.db") as book:
        for outcome in (Outcome.TIMEOUT, Outcome.FAILED):
            run = book.begin_run("a", "s")
            book.add_result(run, make_report(outcome=outcome), key="k", source="p")
            book.end_run(run, ["ivanova"])
        outcomes = [next(book.reports(run)).tasks[0].outcome for run in (1, 2)]
    assert outcomes == [Outcome.TIMEOUT, Outcome.FAILED]


def test_a_run_that_goes_on_takes_its_own_timeout_but_never_our_failure(tmp_path):
    with Gradebook(tmp_path / "g.db") as book:
        run = book.begin_run("a", "s")
        book.add_result(run, make_report(outcome=Outcome.TIMEOUT), key="t", source="p")
        failed = make_report("petrov", outcome=Outcome.GRADER_ERROR)
        book.add_result(run, failed, key="g", source="p")
        assert book.find_report("t", run=run) is not None
        assert book.find_report("t", run=run + 1) is None
        assert book.find_report("g", run=run) is None


def test_results_of_what_is_no_longer_handed_in_leave_the_run(tmp_path):
    with Gradebook(tmp_path / "g.db") as book:
        run = book.begin_run("a", "s")
        for name in ("ivanova", "petrov"):
            book.add_result(run, make_report(name), key=name, source="p")
        book.end_run(run, ["ivanova"])
        assert book.graded(run) == {"ivanova"}


def test_only_whole_runs_of_the_same_assignment_are_compared(tmp_path):
    with Gradebook(tmp_path / "g.db") as book:
        first = book.begin_run("a", "s")
        book.end_run(first, [])
        book.end_run(book.begin_run("b", "s"), [])
        book.begin_run("a", "killed")
        assert book.previous_run(book.begin_run("a", "s")) == first


def test_a_full_disk_is_told_with_the_reason(tmp_path):
    with pytest.raises(GradebookError) as caught, Gradebook(tmp_path / "g.db"):
        raise sqlite3.OperationalError("database or disk is full")
    assert caught.value.code == "gradebook.stopped"
    assert caught.value.values["reason"] == "database or disk is full"


@pytest.mark.parametrize("damaged", [b"{", b"{}", b'{"assignment": "\xff"}', b"[" * 100_000])
def test_a_damaged_report_is_told_with_the_reason_and_never_taken_again(tmp_path, damaged):
    path = tmp_path / "g.db"
    with Gradebook(path) as book:
        run = book.begin_run("a", "s")
        book.add_result(run, make_report(outcome=Outcome.PASSED), key="k", source="p")
        assert book.find_report("k") is not None
        with sqlite3.connect(path) as db:
            db.execute("UPDATE reports SET report = ?", [damaged])
        db.close()
        assert book.find_report("k") is None
        with pytest.raises(GradebookError) as caught:
            list(book.reports(run))
    assert caught.value.code == "gradebook.unusable"
    assert caught.value.values == {"path": str(path), "reason": str(caught.value.__cause__)}


def test_a_damaged_origin_is_told_with_the_reason(tmp_path):
    with Gradebook(tmp_path / "g.db") as book:
        book.set_origins([("ivanova", Origin(system="moodle"))])
        with sqlite3.connect(tmp_path / "g.db") as db:
            db.execute("UPDATE origins SET origin = ?", [b"{"])
        db.close()
        with pytest.raises(GradebookError) as caught:
            book.origin("ivanova")
    assert caught.value.code == "gradebook.unusable"
