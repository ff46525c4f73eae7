"""What goes wrong around a batch: each time everybody is graded once, or it can go on."""

import errno
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from grader.batch.pages import write_file
from grader.batch.run import draw_again
from grader.gradebook import Gradebook
from grader.messages import message
from grader.model import Outcome
from tests.batch.faults import (
    ENDLESS,
    RIGHT,
    SLOW,
    WRONG,
    command,
    descendants,
    grade,
    hand_in,
    kill,
    living,
    outcomes,
    start,
    wait_until,
    write_assignment,
)

NAMES = {f"s{number}": (RIGHT, WRONG)[number % 2] for number in range(6)}
EXPECTED = {
    name: (1.0, "passed") if source == RIGHT else (0.0, "failed") for name, source in NAMES.items()
}


@pytest.fixture
def base(tmp_path):
    write_assignment(tmp_path / "short")
    return tmp_path


def book_of(base):
    """Return points by name of the latest run, and how many runs there are and have ended."""
    with Gradebook(base / "out" / "gradebook.db") as book:
        found = {report.submission: report.points for report in book.reports(book.latest_run())}
    with closing(sqlite3.connect(base / "out" / "gradebook.db")) as db:
        runs = db.execute("SELECT count(*), count(ended) FROM runs").fetchone()
    return found, runs


def assert_everybody_once(base, expected=EXPECTED, *, ended=1):
    assert outcomes(base / "out") == expected
    found, (_, runs_ended) = book_of(base)
    assert found == {name: round(100 * points) for name, (points, _) in expected.items()}
    assert runs_ended == ended


def slow_one(base):
    """Start a run whose submission sleeps, and return it once its cell runs in a child."""
    hand_in(base / "in", slow=SLOW)
    run = start(base, workers=1)

    def in_a_child():
        below = descendants(run.pid)
        return len([line for line in below.values() if "sandbox.server" in line]) >= 4 and below

    return run, wait_until(in_a_child)


def test_a_parent_killed_at_random_moments_resumes_to_the_same_gradebook(base):
    hand_in(base / "in", **NAMES)
    chance = random.Random(20261124)
    for done in (0, 3):
        run = start(base)

        def reached(done=done):
            return len(list((base / "out").glob("*/result.json"))) >= done

        wait_until(reached)
        time.sleep(chance.uniform(0, 0.3))
        below = list(descendants(run.pid))
        kill(run.pid)
        run.communicate()
        wait_until(lambda below=below: not living(below), seconds=20)
    before = book_of(base)[1][1]  # a kill may come after the end, and the next run is another
    last = grade(base)
    assert last.returncode == 0, last.stderr
    assert_everybody_once(base, ended=before + 1)
    assert book_of(base)[1] == (before + 1, before + 1)


def test_a_parent_that_dies_takes_everything_it_started_with_it(base):
    run, below = slow_one(base)
    kill(run.pid)
    run.communicate()
    wait_until(lambda: not living(below), seconds=10)


def test_an_interrupt_says_that_the_command_goes_on(base):
    run, below = slow_one(base)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "What was graded is kept" in said
    wait_until(lambda: not living(below), seconds=10)
    assert grade(base).returncode == 0
    assert_everybody_once(base, {"slow": (1.0, "passed")})


def victim(below, kind):
    """Return the process to kill: the worker, the warm server, or the child."""
    if kind == "worker":
        return next(pid for pid, line in below.items() if "batch.worker" in line)
    servers = sorted(pid for pid, line in below.items() if "sandbox.server" in line)
    return servers[-1] if kind == "child" else servers[0]


@pytest.mark.parametrize("kind", ["worker", "server", "child"])
def test_a_process_killed_over_a_submission_costs_no_points(base, kind):
    run, below = slow_one(base)
    kill(victim(below, kind))
    _, said = run.communicate(timeout=100)
    assert run.returncode == 0, said
    assert_everybody_once(base, {"slow": (1.0, "passed")})
    assert ("trying it once more" in said) == (kind == "worker")


def test_workers_share_a_warm_server_which_a_dead_one_does_not_take_along(base):
    hand_in(base / "in", **{f"slow{number}": SLOW for number in range(3)})
    run = start(base)

    def two_children():
        below = descendants(run.pid)
        servers = sorted(pid for pid, line in below.items() if "sandbox.server" in line)
        return len(servers) >= 5 and (below, servers)

    below, servers = wait_until(two_children)
    kill(victim(below, "worker"))
    wait_until(lambda: len(living(servers[-2:])) == 1, seconds=5)  # its child, soon after it
    assert living(servers[:3]) == servers[:3]
    _, said = run.communicate(timeout=100)
    assert run.returncode == 0, said
    assert_everybody_once(base, {f"slow{number}": (1.0, "passed") for number in range(3)})


def test_a_submission_that_no_worker_survives_is_our_failure_and_the_rest_is_graded(base):
    hand_in(base / "in", good=RIGHT, slow=SLOW)
    run = start(base, workers=1)
    killed = set()

    def kill_the_worker_on_slow():
        for pid, line in descendants(run.pid).items():
            if "batch.worker" in line and pid not in killed and is_on("slow", run.pid):
                kill(pid)
                killed.add(pid)
        return len(killed) == 2 or run.poll() is not None

    def is_on(name, pid):
        below = [line for line in descendants(pid).values() if "sandbox.server" in line]
        return (base / "out" / "good" / "result.json").is_file() and len(below) >= 4

    wait_until(kill_the_worker_on_slow, seconds=90)
    _, said = run.communicate(timeout=100)
    assert run.returncode == 0, said
    assert "for the second time (signal SIGKILL)" in said
    expected = {"good": (1.0, "passed"), "slow": (0.0, "grader-error")}
    assert_everybody_once(base, expected)
    with closing(sqlite3.connect(base / "out" / "gradebook.db")) as db:
        attempts = db.execute("SELECT submission, number, reason FROM attempts").fetchall()
    assert attempts == [("slow", 1, "signal SIGKILL"), ("slow", 2, "signal SIGKILL")]
    drawn = draw_again(base / "out", language="en", assignment=str(base / "short"))
    assert (drawn.failed, drawn.waiting) == (1, 1)
    again = grade(base)
    assert again.returncode == 0, again.stderr
    assert outcomes(base / "out") == {"good": (1.0, "passed"), "slow": (1.0, "passed")}


def test_a_submission_that_takes_the_whole_time_is_a_timeout_and_the_rest_is_graded(tmp_path):
    write_assignment(tmp_path / "short", seconds=3)
    hand_in(tmp_path / "in", endless=ENDLESS, good=RIGHT)
    done = grade(tmp_path)
    assert done.returncode == 0, done.stderr
    assert_everybody_once(tmp_path, {"endless": (1.0, "passed"), "good": (1.0, "passed")})
    with Gradebook(tmp_path / "out" / "gradebook.db") as book:
        cells = {
            report.submission: [cell.outcome for cell in report.cells] for report in book.reports(1)
        }
    assert cells["endless"][:2] == [Outcome.PASSED, Outcome.TIMEOUT]  # the comment after it may run
    assert set(cells["good"]) == {Outcome.PASSED}


def small_disk(path, size):
    path.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    try:
        done = subprocess.run(line, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")


def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(base):
    hand_in(base / "in", **NAMES)
    small_disk(base / "out", "160k")
    try:
        full = grade(base, workers=1)
        assert full.returncode == 2, full.stderr
        assert "Traceback" not in full.stderr
        assert "full" in full.stderr or "No space left" in full.stderr
        assert str(base / "out") in full.stderr
        subprocess.run(["mount", "-o", "remount,size=20m", str(base / "out")], check=True)
        assert grade(base, workers=1).returncode == 0
        assert_everybody_once(base)
    finally:
        subprocess.run(["umount", str(base / "out")], check=True)


def test_files_that_may_not_grow_are_said_and_the_run_goes_on_without_the_bound(base):
    hand_in(base / "in", **NAMES)

    def bound():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))

    full = subprocess.run(
        command(base, workers=1), capture_output=True, text=True, preexec_fn=bound, timeout=100
    )
    assert full.returncode == 2, full.stderr
    assert "Traceback" not in full.stderr
    assert grade(base, workers=1).returncode == 0
    assert_everybody_once(base)


def test_a_file_that_may_not_grow_is_named_and_nothing_of_it_is_left(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=r"report\.html") as caught:
            write_file(tmp_path / "report.html", bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is always full")
def test_a_summary_that_cannot_be_printed_leaves_the_results_as_they_are(base):
    hand_in(base / "in", good=RIGHT)
    draw = [sys.executable, "-m", "grader.cli", "report", str(base / "out"), "--lang", "en"]
    for line in (command(base), draw):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, timeout=100)
        assert done.returncode == 0
        values = {"path": str(base / "out"), "reason": "ENOSPC"}
        assert done.stderr.strip() == message("cli.unprinted", values)
    assert_everybody_once(base, {"good": (1.0, "passed")})


def test_a_read_only_folder_is_said_before_anything_runs(base):
    hand_in(base / "in", good=RIGHT)
    small_disk(base / "out", "1m")
    try:
        subprocess.run(["mount", "-o", "remount,ro", str(base / "out")], check=True)
        done = grade(base)
        assert done.returncode == 2
        assert str(base / "out") in done.stderr
        assert "read-only" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        subprocess.run(["umount", str(base / "out")], check=True)


def test_a_file_in_place_of_the_output_folder_is_said(base):
    hand_in(base / "in", good=RIGHT)
    (base / "out").write_text("mine")
    done = grade(base)
    assert done.returncode == 2
    assert str(base / "out") in done.stderr
    assert (base / "out").read_text() == "mine"


def test_a_second_grader_in_the_same_folder_is_refused(base):
    run, _ = slow_one(base)
    second = grade(base)
    assert second.returncode == 2
    assert "Another grader is at work" in second.stderr
    run.communicate(timeout=100)
    assert run.returncode == 0
    assert_everybody_once(base, {"slow": (1.0, "passed")})


def test_a_page_that_cannot_be_drawn_loses_no_result(base):
    hand_in(base / "in", good=RIGHT)
    assert grade(base).returncode == 0
    broken = "import grader.batch.pages as p, runpy, sys\np.render_report = lambda *a, **k: 1 / 0\n"
    broken += "sys.argv = sys.argv[1:]\nrunpy.run_module('grader.cli', run_name='__main__')\n"
    again = subprocess.run(
        [sys.executable, "-c", broken, "grader", "report", str(base / "out"), "--lang", "en"],
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0, again.stderr
    assert "could not be drawn" in again.stderr
    assert not (base / "out" / "good" / "report.html").exists()
    assert outcomes(base / "out") == {"good": (1.0, "passed")}
    assert grade(base).returncode == 0
    assert (base / "out" / "good" / "report.html").is_file()
