"""Libraries that the warm server loads once the first submission has imported them."""

import contextlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from grader.model import Limits
from grader.sandbox import layers
from grader.sandbox.forking import OwnForkServer
from grader.sandbox.launch import cache_folder, child_uid
from grader.sandbox.protocol import Start
from grader.sandbox.session import FORKS, ChildGone, Server, door
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
    seen = "import os, tempfile\nprint(os.listdir(), os.listdir(os.environ['HOME']))\n"
    seen += "print(tempfile.tempdir, sorted(os.environ.items()))"
    output = run(used, seen).output
    assert output.startswith("[] []\nNone ")
    with new_server(once=True) as server:
        assert run(server, seen).output == output


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


@pytest.mark.parametrize("once", [True, False])
def test_without_a_folder_of_its_own_a_child_makes_optimizers(once):
    others = tuple(name for name in layers.ALL if name != layers.NAMESPACES)
    with new_server(once=once, use_layers=others) as server:
        loaded = [] if once else list(USES)
        for _ in range(2):
            assert run(server, USES["torch._dynamo"], LOADED).error is None
        if not once:
            assert run(server, USES["matplotlib"]).output == "Text(0.5, 1.0, 'x')\n"
            assert run(server, LOADED).output == f"{loaded}\n"


def test_a_file_of_the_students_own_comes_before_a_library_that_is_loaded(used):
    start = msgspec.structs.replace(START, files={"pandas.py": "mine = 1"})
    with used.spawn(start, Limits()) as child:
        source = "import pandas, matplotlib\nprint(pandas.mine, matplotlib.__name__)"
        done = child.run_cell(cell(source), seconds_wall=20)
    assert (done.output, done.error) == ("1 matplotlib\n", None)
    assert run(used, USES["pandas"]).output == "1\n"


def test_a_child_that_ends_while_the_server_loads_has_not_tampered():
    mine, theirs = door()
    with new_server() as server:
        with theirs:
            server.admit(theirs, child_uid() + 20_500)
        run(server, *USES.values())
        with (
            contextlib.closing(Server(unsafe=True, shared=mine)) as other,
            other.spawn(START, Limits()) as child,
            ThreadPoolExecutor() as threads,
        ):
            child.run_cell(cell("import os, time"), seconds_wall=20)
            loading = threads.submit(run, server, LOADED)  # seconds, in which nobody is reaped
            with pytest.raises(ChildGone) as gone:
                child.run_cell(cell("time.sleep(0.3); os._exit(3)"), seconds_wall=20)
            assert loading.result().output == f"{list(USES)}\n"
        assert gone.value.detail != "sandbox.ended.tampered"
        assert child.anomalies == []


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
