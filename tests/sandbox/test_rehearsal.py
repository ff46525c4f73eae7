"""What the warm server rehearses leaves nothing behind for a submission."""

import contextlib

import pytest

from grader.model import Limits
from grader.sandbox.protocol import Start
from grader.sandbox.session import Server
from tests.sandbox.cells import cell

FACTS = """
import gc, random, signal, sys
import numpy, torch
print([kind.__name__ for kind in torch.nn.Module.__subclasses__() if kind.__module__ == "__main__"])
print([type(each).__name__ for each in gc.get_objects() if type(each).__module__ == "__main__"])
print(sorted(name for name in globals() if name.strip("_")), len(In), Out, _)
print(torch.initial_seed(), torch.rand(2), numpy.random.rand(2), random.random())
print(torch.is_grad_enabled(), gc.isenabled(), sys.getrecursionlimit(), threading_count())
print(signal.getsignal(signal.SIGINT), sys.gettrace(), sys.getprofile())
print(torch.cuda.is_available() and any(torch.cuda.memory_stats().values()))
print(torch.cuda.is_initialized(), len(torch.cuda._queued_calls))
print(torch.cuda.is_available() and torch.cuda.initial_seed())
torch.manual_seed(5)
print(torch.cuda.is_available() and (torch.rand(3, device="cuda"), torch.cuda.initial_seed()))
print(torch.cuda.is_available() and sorted(torch.cuda.memory_stats().items())[:40])
print(plt_figures(), sys.modules["__main__"].__dict__ is globals())
"""
BEFORE = """
def threading_count():
    import threading
    return threading.active_count()
def plt_figures():
    import matplotlib.pyplot
    return matplotlib.pyplot.get_fignums()
"""


def facts(server):
    with server.spawn(Start(seed=7, card="Tesla T4"), Limits()) as child:
        for index, source in enumerate((BEFORE, FACTS), 1):
            done = child.run_cell(cell(source, index, seconds=30), seconds_wall=60)
            assert done.error is None
        assert child.anomalies == []
    return done.output.splitlines()


@pytest.fixture(scope="module")
def cold():
    with contextlib.closing(Server(unsafe=True, once=True)) as server:
        yield server


def test_a_warm_server_gives_a_child_what_one_that_never_ran_anything_gives(server, cold):
    assert facts(server) == facts(cold)
