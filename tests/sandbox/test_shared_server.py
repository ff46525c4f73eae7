"""Judges of several processes share a warm server, and none depends on another."""

import contextlib
import itertools
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from grader.model import Limits
from grader.sandbox import forking, jail
from grader.sandbox.forking import OwnForkServer
from grader.sandbox.launch import child_uid
from grader.sandbox.protocol import Start
from grader.sandbox.session import FORKS, ChildGone, Server, ServerFailed, door
from tests.batch.faults import descendants, kill, living, wait_until
from tests.sandbox.cells import cell
from tests.sandbox.levels import ROOT, Missing, as_ordinary_user

pytestmark = pytest.mark.skipif(not FORKS, reason="no fork is safe here")

START = Start(seed=1, card="Tesla T4")
# Far apart, as processes that run the tests side by side have users that follow each other.
USERS = itertools.count(child_uid() + 20_000, 1000)


@pytest.fixture
def first():
    with Server(unsafe=True, once=True) as server:
        yield server


@contextlib.contextmanager
def sharing(first):
    mine, theirs = door()
    with theirs:
        first.admit(theirs, next(USERS))
    with Server(unsafe=True, once=True, shared=mine) as second:
        yield second


def wait_until_gone(user):
    """Wait until no process of a user lives."""

    def lives(folder):
        try:
            return folder.name.isdigit() and folder.stat().st_uid == user
        except OSError:
            return False

    end = time.monotonic() + 20
    while any(map(lives, Path("/proc").iterdir())) and time.monotonic() < end:
        time.sleep(0.01)


def run(child, source):
    """Return what a cell prints."""
    return child.run_cell(cell(source, style="script", seconds=5), seconds_wall=20).output.strip()


def pid_of(server):
    return server._process._process.pid


def test_another_judge_is_served_before_and_after_the_server_is_warm(first):
    with sharing(first) as second:  # the server is still loading
        assert second.layers == first.layers
        assert second.torch == first.torch
        assert second.device == first.device
        assert type(second._process) is not OwnForkServer
    with sharing(first) as third, third.spawn(START, Limits()) as child:
        assert run(child, "print(6 * 7)") == "42"


def test_children_of_two_judges_are_different_users_where_they_can_be(first):
    with sharing(first) as second:
        who = "import os; print(os.getuid(), os.getpid())"
        with first.spawn(START, Limits()) as one, second.spawn(START, Limits()) as other:
            answers = {run(one, who), run(other, who)}
    if "user" in first.layers:
        assert len({answer.split()[0] for answer in answers}) == 2
    if "namespaces" in first.layers:  # each alone in a tree of its own
        assert {answer.split()[1] for answer in answers} == {"1"}


THREADS = """
import threading
event = threading.Event()
started = 0
try:
    for _ in range(COUNT):
        threading.Thread(target=event.wait, daemon=True).start()
        started += 1
except RuntimeError as error:
    print(error)
print(started)
"""
BACKWARD = "import torch\ntorch.ones(1, requires_grad=True).sum().backward()\nprint('went')"


def test_threads_that_one_may_start_are_not_taken_by_others_that_come_later(first):
    limits = Limits(threads=8)
    with (
        sharing(first) as second,
        second.spawn(START, limits) as mine,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(3):
            judge = stack.enter_context(sharing(first))
            theirs = stack.enter_context(judge.spawn(START, limits))
            assert run(theirs, THREADS.replace("COUNT", "8")) == "8"
        assert run(mine, THREADS.replace("COUNT", "8")) == "8"
        assert run(mine, BACKWARD) == "went"


def test_too_many_threads_end_alike_in_a_shared_server_and_in_an_own_one(first):
    many = THREADS.replace("COUNT", "30")
    limits = Limits(threads=8)
    wait_until_gone(child_uid())  # those of the tests before, whose threads count
    with first.spawn(START, limits) as own:
        alone = told(own, many)
    with sharing(first) as second, sharing(first), second.spawn(START, limits) as shared:
        assert told(shared, many) == alone


def told(child, source):
    try:
        return run(child, source)
    except ChildGone as gone:
        return gone.detail


@pytest.mark.skipif(os.getuid() != 0, reason="it takes root to become another user")
def test_all_of_this_holds_for_an_ordinary_user():
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to other users
        home = Path(folder, "home")
        home.mkdir()
        try:
            begin = as_ordinary_user(Path(folder), home)
        except Missing as missing:
            pytest.skip(str(missing))
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home)}
        done = subprocess.run(
            [*begin, *line], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-500:]
    assert " passed" in done.stdout


def test_a_judge_that_goes_takes_its_own_children_only(first):
    first.wait()
    with first.spawn(START, Limits()) as mine:
        before = set(descendants(pid_of(first)))
        with sharing(first) as second:
            theirs = second.spawn(START, Limits())
            (left,) = set(descendants(pid_of(first))) - before
        wait_until(lambda: not living([left]), seconds=5)
        theirs.close()
        assert run(mine, "print('here')") == "here"
    with first.spawn(START, Limits()) as again:
        assert run(again, "print('again')") == "again"


def test_where_the_shared_server_ends_a_judge_starts_its_own(first):
    with sharing(first) as second:
        first.wait()
        with second.spawn(START, Limits()) as child:
            assert run(child, "print(1)") == "1"
        kill(pid_of(first))
        wait_until(lambda: not living([pid_of(first)]))
        with second.spawn(START, Limits()) as child:
            assert run(child, "print(2)") == "2"
        assert isinstance(second._process, OwnForkServer)


def test_where_the_shared_server_never_gets_warm_a_judge_starts_its_own(first):
    with sharing(first) as second:
        kill(pid_of(first))
        with second.spawn(START, Limits()) as child:
            assert run(child, "print(3)") == "3"


def test_where_the_shared_server_hangs_a_judge_starts_its_own(first, monkeypatch):
    first.wait()
    start = Server._start

    def start_with_time(server):
        monkeypatch.setattr(forking, "START_SECONDS", 120.0)
        return start(server)

    everything = (pid_of(first), *descendants(pid_of(first)))
    for pid in everything:
        os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(forking, "START_SECONDS", 0.5)
    monkeypatch.setattr(Server, "_start", start_with_time)
    with sharing(first) as second, second.spawn(START, Limits()) as child:
        assert run(child, "print(5)") == "5"
        assert isinstance(second._process, OwnForkServer)
    for pid in everything:
        os.kill(pid, signal.SIGCONT)


def test_descriptors_of_a_child_are_its_own_whatever_their_numbers():
    mine, theirs = socket.socketpair()
    log = os.memfd_create("log")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            high = [os.dup2(theirs.fileno(), 199), os.dup2(log, 200), os.dup2(1, 201)]
            jail._keep_descriptors(high[0], high[1], high[2])
            kinds = [os.fstat(number).st_mode for number in (jail.SOCKET, 1, 2)]
            right = stat.S_ISSOCK(kinds[0]) and all(map(stat.S_ISREG, kinds[1:]))
            code = 0 if right and len(list(Path("/proc/self/fd").iterdir())) == 6 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    mine.close()
    theirs.close()
    os.close(log)


def test_a_shared_server_that_has_died_is_started_again_for_the_next_judge(first):
    kill(pid_of(first))
    wait_until(lambda: not living([pid_of(first)]))
    time.sleep(0.05)
    with sharing(first) as second, second.spawn(START, Limits()) as child:
        assert run(child, "print(4)") == "4"
        assert type(second._process) is not OwnForkServer


def test_a_server_without_forks_cannot_be_shared():
    mine, theirs = door()
    alone = Server(unsafe=True, device=False, fork=False)
    with alone, mine, theirs, pytest.raises(ServerFailed):
        alone.admit(theirs, child_uid())
