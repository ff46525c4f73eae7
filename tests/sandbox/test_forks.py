"""What Python's modules do in forks: nothing in the warm server's, the usual in a student's."""

import subprocess
import sys

import pytest

from grader.model import Limits
from grader.sandbox.protocol import Start
from grader.sandbox.session import FORKS, Server
from tests.sandbox.cells import cell
from tests.sandbox.test_preload import ROOT

pytestmark = pytest.mark.skipif(not FORKS, reason="no fork is safe here")

FORK = """
import logging, os, random, threading
def forked():
    random.seed(1)
    before, lock = random.getstate(), threading._active_limbo_lock
    reading, writing = os.pipe()
    if os.fork() == 0:
        logging.getLogger().debug("its lock is free")
        seen = random.getstate() == before, threading._active_limbo_lock is lock
        os.write(writing, repr(seen).encode())
        os._exit(0)
    os.wait()
    return os.read(reading, 99).decode()
"""


def test_modules_do_nothing_in_forks_until_they_may():
    source = "from grader.sandbox import forks\nforks.put_off()\n" + FORK
    source += "print(forked())\nforks.take_up()\nprint(forked())\n"
    source += "print(os.register_at_fork)"
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=False
    )
    builtin = "<built-in function register_at_fork>"
    assert (done.stdout, done.stderr) == (f"(True, True)\n(False, False)\n{builtin}\n", "")


def test_what_a_student_forks_finds_everything_as_usual():
    with (
        Server(unsafe=True, use_layers=(), once=True) as server,
        server.spawn(Start(seed=1), Limits()) as child,
    ):
        done = child.run_cell(cell(FORK + "print(forked())"), seconds_wall=20)
    assert (done.output, done.error) == ("(False, False)\n", None)
