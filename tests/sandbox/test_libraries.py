"""Libraries that the warm server loads once the first submission has imported them."""

import contextlib
import os
import signal
from pathlib import Path

import pytest

from grader.model import Limits
from grader.sandbox import layers
from grader.sandbox.forking import OwnForkServer
from grader.sandbox.launch import cache_folder
from grader.sandbox.protocol import Start
from grader.sandbox.session import FORKS, Server
from tests.sandbox.cells import cell
from tests.sandbox.test_rehearsal import facts

pytestmark = pytest.mark.skipif(not FORKS, reason="no fork is safe here")

USES = {
    "matplotlib": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.title('x')",
    "pandas": "import pandas as pd\nprint(pd.DataFrame({'a': [1]}).a.sum())",
    "torch._dynamo": "import torch\n"
    "net = torch.nn.Linear(1, 1)\n"
    "optimizer = torch.optim.Adam(net.parameters())\n"
    "net(torch.ones(1)).backward()\n"
    "optimizer.step()",
}
START = Start(seed=7, card="Tesla T4")
LOADED = f"import sys\nprint([name for name in {list(USES)} if name in sys.modules])"


@contextlib.contextmanager
def new_server(**arguments):
    with contextlib.closing(Server(unsafe=True, **arguments)) as server:
        yield server


def run(server, *sources):
    """Return what is observed of the last of some cells in a new child."""
    with server.spawn(START, Limits()) as child:
        for index, source in enumerate(sources, 1):
            done = child.run_cell(cell(source, index, seconds=30), seconds_wall=60)
            assert done.error is None
    return done


@pytest.fixture(scope="module")
def used():
    """Return a server of which one child after another has used every library."""
    with new_server(once=True) as server:
        for name, use in USES.items():
            assert run(server, "import torch", use).imported == (name,)
        yield server


def test_what_a_child_imports_is_there_for_the_next():
    with new_server(once=True) as server:
        assert run(server, LOADED).output == "[]\n"
        assert run(server, USES["pandas"], LOADED).output == "['pandas']\n"
        assert run(server, LOADED).output == "['pandas']\n"
        assert run(server, USES["pandas"]).imported == ()


def test_libraries_leave_no_other_trace_in_a_child(server, used):
    done = run(used, LOADED)
    assert (done.output, done.replaced) == (f"{list(USES)}\n", ())
    assert facts(used) == facts(server)


def test_a_child_sees_nothing_of_what_the_server_keeps_on_disk(used):
    if layers.NAMESPACES not in used.layers:
        pytest.skip("no namespaces here")
    seen = "import os\nprint(os.listdir(), os.listdir(os.environ['HOME']), os.environ)"
    output = run(used, seen).output
    assert output.startswith("[] [] ")
    assert "MPLCONFIGDIR" not in output


def test_a_server_keeps_nothing_but_a_list_of_fonts(used):
    if layers.NAMESPACES not in used.layers:
        pytest.skip("no namespaces here")
    kept = [path.name for path in Path(cache_folder()).iterdir()]
    assert [name for name in kept if not name.startswith("fontlist-")] == []


def test_what_is_loaded_later_takes_nothing_of_a_childs_memory():
    limit = "import resource\nprint(resource.getrlimit(resource.RLIMIT_DATA)[0])"
    with new_server(once=True) as server:
        if layers.LIMITS not in server.layers:
            pytest.skip("no limits here")
        before = int(run(server, limit).output)
        run(server, USES["pandas"])
        assert int(run(server, limit).output) > before + (8 << 20)


def test_a_library_that_the_server_dies_of_is_left_to_the_children(monkeypatch):
    asked = []
    fork = OwnForkServer.fork

    def die_of_pandas(process, limits, libraries=()):
        asked.append(sorted(libraries))
        if "pandas" in libraries:
            os.kill(process._process.pid, signal.SIGKILL)
            process._process.wait()
        return fork(process, limits, libraries)

    monkeypatch.setattr(OwnForkServer, "fork", die_of_pandas)
    with new_server(once=True) as server:
        run(server, USES["torch._dynamo"])
        run(server, USES["pandas"])
        for _ in range(2):
            assert run(server, USES["pandas"]).imported == ("pandas",)
    assert asked == [[], ["torch._dynamo"], ["pandas", "torch._dynamo"], *[["torch._dynamo"]] * 2]
