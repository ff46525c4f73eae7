"""Batches with real worker processes and warm servers."""

import csv
import html
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from msgspec import structs

from grader.batch import run as batch_run
from grader.batch.exporting import export
from grader.batch.grading import Settings
from grader.batch.run import draw_again, grade_batch
from grader.gradebook import Gradebook, GradebookError
from grader.messages import message

SUBMISSIONS = Path(__file__).parents[2] / "submissions"
SETTINGS = Settings(assignment="intro-to-torch")
FEW = ("one-row-off", "sharp-sigmoids", "commented-out", "tarred")


def hand_in(folder, names=FEW):
    for name in names:
        shutil.copytree(SUBMISSIONS / name, folder / name)
    return folder


def results(out):
    return {
        path.parent.name: json.loads(path.read_text("utf-8")) for path in out.glob("*/result.json")
    }


def without_times(result):
    cells = [{**cell, "seconds": 0} for cell in result["cells"]]
    return {**result, "seconds": 0, "cells": cells}


def processes(marker):
    """Return the ids of living processes whose command line holds `marker`."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if marker in (folder / "cmdline").read_bytes().decode():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    base = tmp_path_factory.mktemp("batch")
    handed_in = hand_in(base / "in")
    (handed_in / "broken.ipynb").write_text("{ this is no notebook")
    (handed_in / "nothing").mkdir()
    (base / "elsewhere.py").write_text("# Task 2\nneuron = lambda x: 1.0 - x\n")
    (handed_in / "link.py").symlink_to(base / "elsewhere.py")
    (handed_in / "=cmd|'x'!A1.py").write_text("print(1)\n")
    (handed_in / "index.html").write_text("not a submission")
    grade_batch([handed_in], base / "out", SETTINGS, workers=2)
    return base


def test_a_card_of_its_own_serves_one_submission_at_a_time(monkeypatch, tmp_path):
    class Pool:
        def __init__(self, *_, count, **more):
            raise RuntimeError(f"{count} at once")

    monkeypatch.setattr(batch_run, "LocalWorkers", Pool)
    monkeypatch.setattr(batch_run, "_require_device", lambda settings: None)
    handed_in = hand_in(tmp_path / "in")
    for card, count in (("real", 1), ("Tesla T4", 4)):
        with pytest.raises(RuntimeError, match=f"^{count} at once"):
            grade_batch(
                [handed_in], tmp_path / "out", structs.replace(SETTINGS, card=card), workers=4
            )


def test_every_submission_has_its_files(graded):
    out = graded / "out"
    found = results(out)
    assert set(FEW) <= set(found)
    assert all((out / name / "report.html").is_file() for name in found)
    names = ("index.html", "gradebook.csv", "review.csv", "gradebook.db")
    assert all((out / name).is_file() for name in names)


def test_a_broken_file_is_named_and_stops_nothing(graded):
    broken = results(graded / "out")["broken"]
    assert broken["points"] == 0
    assert broken["notes"][0]["code"].startswith("intake.")
    assert "broken.ipynb" in json.dumps(broken["notes"])


def test_what_cannot_be_read_waits_for_a_person_and_nothing_is_missing(graded):
    found = results(graded / "out")
    assert found["broken"]["to_review"] == found["broken"]["possible"]
    assert found["nothing"]["to_review"] == 0
    assert {task["outcome"] for task in found["nothing"]["tasks"]} == {"missing"}


def test_a_link_out_of_the_folder_is_not_followed(graded):
    assert results(graded / "out")["link"]["notes"][0]["code"] == "intake.not-a-file"


def test_a_formula_in_a_name_is_text_in_the_tables(graded):
    with (graded / "out" / "gradebook.csv").open(encoding="utf-8-sig", newline="") as file:
        names = [row["submission"] for row in csv.DictReader(file)]
    assert len(names) >= len(FEW) + 2
    assert not any(name.startswith(("=", "+", "-", "@")) for name in names)


def test_what_waits_for_a_person_is_listed(graded):
    with (graded / "out" / "review.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["submission"], row["task"]) for row in rows] == [("commented-out", "xor")] or rows
    assert all(row["answer"] and row["points"] == "" for row in rows)


def test_an_unchanged_folder_is_not_run_again(graded):
    before = results(graded / "out")
    again = grade_batch([graded / "in"], graded / "out", SETTINGS, workers=2)
    assert again.cached >= len(FEW)
    assert results(graded / "out") == before


def test_pages_are_drawn_again_from_the_gradebook(graded, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(graded / "out", out)
    for page in out.rglob("*.html"):
        page.unlink()
    draw_again(out, language="ru")
    assert (out / "index.html").is_file()
    assert 'lang="ru"' in (out / FEW[0] / "report.html").read_text("utf-8")


def test_nothing_to_grade_is_said(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(GradebookError) as caught:
        grade_batch([tmp_path / "in"], tmp_path / "out", SETTINGS, workers=1)
    assert caught.value.code == "batch.nothing"


@pytest.mark.parametrize(
    ("only", "code", "near"),
    [("Anna Petrova", "batch.no-such", ""), ("anna ivanov", "batch.no-such-near", "anna ivanova")],
)
def test_only_of_somebody_who_is_not_there_is_answered_with_who_is(tmp_path, only, code, near):
    (tmp_path / "in").mkdir()
    for name in ("anna ivanova", "boris"):
        (tmp_path / "in" / f"{name}.py").write_text("x = 1\n", "utf-8")
    with pytest.raises(GradebookError) as caught:
        grade_batch([tmp_path / "in"], tmp_path / "out", SETTINGS, workers=1, only=only)
    assert caught.value.code == code
    assert caught.value.values == {"paths": str(tmp_path / "in"), "only": only, "near": near}
    assert not (tmp_path / "out").exists()


def test_one_graded_alone_makes_no_whole_run_of_a_class(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("anna", "boris", "clara"):
        (folder / f"{name}.py").write_text("x = 1\n", "utf-8")
    alone = grade_batch([folder], out, SETTINGS, workers=1, only="anna")
    assert (alone.count, alone.interrupted) == (1, True)
    assert draw_again(out, language="en").interrupted
    with pytest.raises(GradebookError) as caught:
        export(out, "csv")
    assert caught.value.code == "gradebook.interrupted"
    whole = grade_batch([folder], out, SETTINGS, workers=1)
    assert (whole.count, whole.interrupted) == (3, False)
    (folder / "dina.py").write_text("x = 2\n", "utf-8")
    assert grade_batch([folder], out, SETTINGS, workers=1, only="boris").interrupted


def test_one_graded_alone_is_graded_again_each_time(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "anna.py").write_text("while True: pass\n", "utf-8")
    (folder / "boris.py").write_text("x = 1\n", "utf-8")
    short = Settings(assignment="intro-to-torch", limits={"cell_cpu_seconds": 0.2})
    for _ in range(2):
        assert grade_batch([folder], out, short, workers=1, only="anna").cached == 0


def test_an_output_folder_among_the_paths_of_a_later_run_is_left_out(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "anna.py").write_text("x = 1\n", "utf-8")
    for _ in range(2):
        graded = grade_batch(sorted(folder.iterdir()), folder / "out", SETTINGS, workers=1)
        assert graded.count == 1


def test_pages_drawn_after_an_interrupted_run_say_that_it_was(graded, tmp_path):
    shutil.copytree(graded / "out", tmp_path / "out")
    assert not draw_again(tmp_path / "out", language="en").interrupted
    with Gradebook(tmp_path / "out" / "gradebook.db") as book:
        [first, *_] = book.reports(book.latest_run())
        run = book.begin_run("intro-to-torch", "again")
        book.add_result(run, first, key="k", source="p")
    said = message("cli.run-interrupted", language="en").replace("`", "")
    assert said not in page_text(tmp_path / "out" / "index.html")
    again = draw_again(tmp_path / "out", language="en")
    assert again.interrupted
    assert said in page_text(tmp_path / "out" / "index.html")
    assert again.count == 1


def page_text(path):
    return html.unescape(re.sub(r"<[^>]*>", "", path.read_text("utf-8")))


def test_a_killed_worker_loses_nothing(tmp_path):
    handed_in = hand_in(tmp_path / "in")
    killed = []

    def kill_one(event):
        if not killed and not event.lost:
            children = [int(p) for p in children_of(os.getpid()) if "batch.worker" in command(p)]
            os.kill(children[0], signal.SIGKILL)
            killed.append(children[0])

    result = grade_batch([handed_in], tmp_path / "out", SETTINGS, workers=2, progress=kill_one)
    assert killed
    assert result.count == len(FEW)
    assert set(results(tmp_path / "out")) == set(FEW)


def test_a_shared_server_that_cannot_be_started_costs_nobody_anything(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("grader.batch.local.start_server", refuse)
    handed_in = hand_in(tmp_path / "in", FEW[:2])
    assert grade_batch([handed_in], tmp_path / "out", SETTINGS, workers=2).count == 2
    assert not any("grader-error" in str(result) for result in results(tmp_path / "out").values())


def children_of(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def command(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()


def test_a_run_killed_at_any_moment_resumes_to_the_same_gradebook(tmp_path, graded):
    handed_in, out = hand_in(tmp_path / "in"), tmp_path / "out"
    line = [sys.executable, "-m", "grader.cli", "grade", str(handed_in), "--out", str(out)]
    process = subprocess.Popen([*line, "--workers", "1"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(out.glob("*/result.json")):
        time.sleep(0.01)
    process.kill()
    process.wait()
    done = subprocess.run([*line, "--workers", "2"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = results(out)
    whole = results(graded / "out")
    assert {n: without_times(r) for n, r in found.items()} == {
        n: without_times(whole[n]) for n in FEW
    }
    with Gradebook(out / "gradebook.db") as book:
        assert set(book.graded(book.latest_run())) == set(FEW)
    with sqlite3.connect(out / "gradebook.db") as db:
        ended = db.execute("SELECT count(*), count(ended) FROM runs").fetchone()
    db.close()
    assert ended == (1, 1)
