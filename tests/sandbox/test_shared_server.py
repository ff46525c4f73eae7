"""Judges of several processes share a warm server, and none depends on another."""

import contextlib
import os
import time

import pytest

from grader.model import Limits
from grader.sandbox.forking import OwnForkServer
from grader.sandbox.protocol import RunCell, Start
from grader.sandbox.session import FORKS, Server, ServerFailed, door
from tests.batch.faults import descendants, kill, living, wait_until

pytestmark = pytest.mark.skipif(not FORKS, reason="no fork is safe here")

START = Start(seed=1, card="Tesla T4")


@pytest.fixture
def first():
    with Server(unsafe=True, once=True) as server:
        yield server


@contextlib.contextmanager
def sharing(first):
    mine, theirs = door()
    with theirs:
        first.admit(theirs)
    with Server(unsafe=True, once=True, shared=mine) as second:
        yield second


def run(child, source):
    """Return what a cell prints."""
    cell = RunCell(
        index=1, file="a.py", source=source, style="script", cpu_seconds=5, device_seconds=5
    )
    return child.run_cell(cell, seconds_wall=20).output.strip()


def pid_of(server):
    return server._process._process.pid


def test_another_judge_is_served_before_and_after_the_server_is_warm(first):
    with sharing(first) as second:  # the server is still loading
        assert second.layers == first.layers
        assert second.torch == first.torch
        assert second.device == first.device
    with sharing(first) as third, third.spawn(START, Limits()) as child:
        assert run(child, "print(6 * 7)") == "42"
    assert len([line for line in descendants(os.getpid()).values() if "server" in line]) <= 3


def test_children_of_two_judges_are_different_users_where_they_can_be(first):
    with sharing(first) as second:
        who = "import os; print(os.getuid(), os.getpid())"
        with first.spawn(START, Limits()) as one, second.spawn(START, Limits()) as other:
            answers = {run(one, who), run(other, who)}
    if "user" in first.layers:
        assert len({answer.split()[0] for answer in answers}) == 2
    if "namespaces" in first.layers:  # each alone in a tree of its own
        assert {answer.split()[1] for answer in answers} == {"1"}


def test_threads_that_one_may_start_are_not_taken_by_another(first):
    limits = Limits(threads=8)
    hold = (
        "import threading, time\n"
        "e = threading.Event()\n"
        "ts = [threading.Thread(target=e.wait, daemon=True) for _ in range(8)]\n"
        "[t.start() for t in ts]\nprint(len(ts))"
    )
    with sharing(first) as second, first.spawn(START, limits) as one:
        assert run(one, hold) == "8"
        with second.spawn(START, limits) as other:
            assert run(other, hold) == "8"


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
        alone.admit(theirs)
