"""A batch on a real Dask cluster on loopback: the same results, whatever joins or dies."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from grader.gradebook import Gradebook
from grader.messages import message
from tests.batch.faults import (
    RIGHT,
    SLOW,
    WRONG,
    descendants,
    grade,
    hand_in,
    kill,
    outcomes,
    start,
    wait_until,
    write_assignment,
)

pytest.importorskip("distributed")


class DaskCluster:
    """A scheduler and its workers, each a process as the documentation starts them."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        self._file = folder / "scheduler.json"
        more = ["--port", "0", "--scheduler-file", str(self._file)]
        self.scheduler = self._start("dask_scheduler", *more)
        self.address = wait_until(self._find_address)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def add_worker(self):
        """Start a worker of one thread without a nanny that would restart it."""
        return self._start("dask_worker", self.address, "--nthreads", "1", "--no-nanny")

    def _start(self, module, *more):
        line = [sys.executable, "-m", f"distributed.cli.{module}", *more]
        with (self.folder / f"{module}.log").open("ab") as log:
            process = subprocess.Popen(
                [*line, "--host", "127.0.0.1", "--no-dashboard"],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        self.processes.append(process)
        return process

    def _find_address(self):
        try:
            return json.loads(self._file.read_text())["address"]
        except (OSError, ValueError):
            return None


@pytest.fixture
def base(tmp_path):
    write_assignment(tmp_path / "short")
    return tmp_path


@pytest.fixture
def cluster(base):
    with DaskCluster(base) as cluster:
        yield cluster


def without_times(path):
    result = json.loads(Path(path).read_text("utf-8"))
    cells = [{**cell, "seconds": 0} for cell in result["cells"]]
    return {**result, "seconds": 0, "cells": cells}


def everything(out):
    """Return all results, tables and class rows of an output folder, but for times."""
    results = {path.parent.name: without_times(path) for path in out.glob("*/result.json")}
    with Gradebook(out / "gradebook.db") as book:
        reports = [
            (report.submission, report.digest, report.points, report.tasks, report.notes)
            for report in book.reports(book.latest_run())
        ]
    tables = [(out / name).read_text("utf-8") for name in ("review.csv", "item_analysis.csv")]
    return results, reports, tables


def test_a_cluster_of_two_workers_gives_the_gradebook_of_this_machine(base, cluster):
    sources = {f"s{number}": (RIGHT, WRONG)[number % 2] for number in range(6)}
    hand_in(base / "in", **sources)
    (base / "in" / "broken.ipynb").write_text("{ no notebook")
    (base / "in" / os.fsdecode(b"\xff.py")).write_text(RIGHT)
    local = grade(base)
    assert local.returncode == 0, local.stderr
    here = everything(base / "out")
    (base / "out").rename(base / "local")
    cluster.add_worker()
    cluster.add_worker()
    there = grade(base, "--scheduler", cluster.address)
    assert there.returncode == 0, there.stderr
    assert everything(base / "out") == here
    again = grade(base, "--scheduler", cluster.address)
    assert "7 of them known already" in again.stdout


def test_a_worker_killed_and_one_added_lose_nothing(base, cluster):
    sources = {f"s{number}": SLOW for number in range(6)}
    hand_in(base / "in", **sources)
    first = cluster.add_worker()
    run = start(base, "--scheduler", cluster.address)
    wait_until(lambda: len(outcomes(base / "out")) >= 2, seconds=100)
    cluster.add_worker()
    kill(first.pid)
    _, said = run.communicate(timeout=100)
    assert run.returncode == 0, said
    assert outcomes(base / "out") == dict.fromkeys(sources, (1.0, "passed"))


def test_a_submission_whose_warm_server_dies_twice_is_our_failure_and_the_rest_is_graded(
    base, cluster
):
    hand_in(base / "in", good=RIGHT, slow=SLOW)
    worker = cluster.add_worker()
    run = start(base, "--scheduler", cluster.address)
    killed = []

    def kill_the_server_under_slow():
        graded = (base / "out" / "good" / "result.json").is_file()
        below = descendants(worker.pid)
        servers = sorted(pid for pid, line in below.items() if "sandbox.server" in line)
        if graded and len(servers) >= 4 and servers[0] not in killed:  # the fourth is the child
            kill(servers[0])
            killed.append(servers[0])
        return len(killed) == 2 or run.poll() is not None

    wait_until(kill_the_server_under_slow, seconds=90)
    _, said = run.communicate(timeout=100)
    assert run.returncode == 0, said
    assert outcomes(base / "out") == {"good": (1.0, "passed"), "slow": (0.0, "grader-error")}
    tables = ("gradebook.csv", "item_analysis.csv", "index.html")
    assert all((base / "out" / name).is_file() for name in tables)


def test_a_scheduler_without_workers_is_said_and_the_run_goes_on_once_one_joins(base, cluster):
    hand_in(base / "in", good=RIGHT)
    run = start(base, "--scheduler", cluster.address)
    assert select.select([run.stderr], [], [], 30)[0], "nothing was said"
    said = run.stderr.readline().strip()
    assert said == message("cli.no-workers", {"address": cluster.address})
    cluster.add_worker()
    _, more = run.communicate(timeout=100)
    assert run.returncode == 0, more
    assert more == ""
    assert outcomes(base / "out") == {"good": (1.0, "passed")}


def test_a_lost_scheduler_is_said_and_the_run_goes_on_here(base, cluster):
    sources = {f"s{number}": SLOW for number in range(4)}
    hand_in(base / "in", **sources)
    cluster.add_worker()
    run = start(base, "--scheduler", cluster.address)
    wait_until(lambda: outcomes(base / "out"), seconds=100)
    cluster.scheduler.kill()
    _, said = run.communicate(timeout=100)
    assert run.returncode == 2, said
    assert said.strip() == message("batch.scheduler-gone", {"address": cluster.address})
    assert outcomes(base / "out")
    here = grade(base)
    assert here.returncode == 0, here.stderr
    assert outcomes(base / "out") == dict.fromkeys(sources, (1.0, "passed"))


def test_a_scheduler_that_is_not_there_is_said_at_once(base):
    hand_in(base / "in", good=RIGHT)
    done = grade(base, "--scheduler", "tcp://127.0.0.1:9")
    assert done.returncode == 2
    assert "tcp://127.0.0.1:9 cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "address",
    [
        "nope",
        "tcp://localhost",
        "tcp://",
        "http://127.0.0.1:80",
        "foo://x:1",
        "127.0.0.1:notaport",
    ],
)
def test_what_is_no_address_of_a_scheduler_is_said(base, address):
    hand_in(base / "in", good=RIGHT)
    done = grade(base, "--scheduler", address)
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip() == message("batch.no-address", {"address": address})
