"""Does once, before a fork, what torch and other libraries otherwise do in every child."""

import collections.abc
import importlib
import io
import linecache
import numbers
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy
import torch
from torch import optim

from grader.sandbox.protocol import (
    CallGate,
    CountNetworks,
    DescribeNetworks,
    Failed,
    FromChild,
    FromJudge,
    Layer,
    Library,
    ListNames,
    ReadGradients,
    ReadValues,
    RunCell,
    Target,
)
from grader.sandbox.shell import FileState, QuietShell
from grader.sandbox.untouched import Foreign

_CELL = """
import random, math, collections, itertools, functools, typing, dataclasses, warnings, copy, time
import numpy as np
import torch
from torch import nn, optim
import torch.nn.functional as F
from torch.utils.data import Dataset, DataLoader, TensorDataset
model = nn.Sequential(nn.Linear(3, 5), nn.Sigmoid(), nn.Linear(5, 2))
F.mse_loss(model(torch.ones(4, 3)), torch.ones(4, 2))
torch.heaviside(torch.cat((torch.ones(1), torch.zeros(1)), 0), torch.tensor([0.0]))
copy.deepcopy(model).load_state_dict(model.state_dict())
print(model, torch.ones(2, 2))
torch.ones(2)
"""
_LIBRARY_CELLS: dict[Library, str] = {
    "matplotlib": """
import matplotlib.pyplot as plt
figure, axes = plt.subplots()
axes.plot([0, 1], label="x")
axes.set_title("x")
axes.legend()
figure.canvas.draw()
plt.close(figure)
""",
    "pandas": """
import pandas as pd
frame = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]})
print(frame)
frame
""",
    # The compiler: optimizers ask it for leave, whether anything is compiled or not.
    "torch._dynamo": """
import torch
model = torch.nn.Linear(3, 5)
for parameter in model.parameters():
    parameter.grad = torch.zeros_like(parameter)
torch.optim.Adam(model.parameters(), lr=0.1).step()
torch.optim.SGD(model.parameters(), lr=0.1).step()
""",
}

_cuda: Foreign = torch.cuda

REHEARSAL_CARD = "Tesla T4"
_FILE = "rehearsal.ipynb"
_REHEARSED = (
    "import numpy as np\nimport torch\nfrom torch import nn",
    """
net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x):
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return x * self.scale

other = Net()
print(other, other(torch.randn(3, 4)).shape)

def count(network):
    return sum(parameter.numel() for parameter in network.parameters())

count(other)
""",
    """
class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([1.0, 1.0]))
        self.bias = nn.Parameter(torch.tensor([-1.5]))

    def forward(self, x):
        return torch.where(x @ self.weights + self.bias >= 0, 1.0, 0.0)

class Threshold(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)
        with torch.no_grad():
            self.fc.weight.copy_(torch.tensor([[1.0, 1.0]]))
            self.fc.bias.fill_(-0.5)

    def forward(self, x):
        return (self.fc(x) > 0).float()

gate = Threshold()
""",
    "def plain(x, y):\n    return torch.heaviside(torch.tensor(x + y - 1.5), torch.tensor(0.0))",
    "for x in ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0)):\n    print(x, gate(torch.tensor(x)).item())",
    "answer = 'B'\ntable = {'a': [1, 2.5, True], 'b': (None, 'x')}\ntable",
    """
a = torch.tensor([1.5, 2.0], requires_grad=True)
b = torch.tensor(2.5, requires_grad=True)
loss = (a * b + a / b).sum()
print(loss, loss.grad_fn, a.grad)
""",
)


def warm(shell: QuietShell) -> None:
    """Run what a first cell usually runs, and throw it away.

    No backward runs here: its first run starts a thread for each device, and a server with a second
    thread must not fork (`Engine::start_device_threads`, PyTorch v2.13,
    torch/csrc/autograd/engine.cpp).
    """
    with _without_device():
        torch.manual_seed(0)
    _run(shell, _CELL, "%%time\nlen('')", "!ls", " len('')")
    numpy.random.default_rng(0)
    _ask_abstract_classes()


def load(library: Library, shell: QuietShell) -> None:
    """Load a library and run what is usually done with it first.

    Raises:
        Exception: it cannot be loaded, for whatever reason.
    """
    _run(shell, _LIBRARY_CELLS[library])
    if library == "matplotlib":
        _forget_fonts()
    _ask_abstract_classes()


def _run(shell: QuietShell, *cells: str) -> None:
    """Run cells and throw away what they print and bind.

    Raises:
        Exception: a cell did.
    """
    saved = sys.stdout, sys.stderr, sys.modules["__main__"]
    sys.stdout = sys.stderr = io.StringIO()
    state = FileState(shell)
    run_cell: Foreign = shell.run_cell
    try:
        state.enter()
        with _without_device():
            results = [run_cell(cell, store_history=True) for cell in cells]
        for result in results:
            result.raise_error()
    finally:
        state.leave()
        sys.stdout, sys.stderr, sys.modules["__main__"] = saved
        _forget(shell)


def rehearse(shell: QuietShell, answer: Callable[[FromJudge], FromChild]) -> None:
    """Run a submission of our own and ask about it, as a child will be asked.

    Python adapts code that it runs to what it meets, and keeps for each class what it found there.
    Each child would do so anew, on pages that it copies for that: some 200 of them.

    Args:
        shell: the shell that the submission runs in.
        answer: answers a message of the judge's.

    Raises:
        RuntimeError: an answer says that our own code failed.
    """
    main = sys.modules["__main__"]
    sys._clear_type_cache()  # of what loading asked for, whose names a child would have to let go
    with _without_device():
        for message in _messages():
            reply = answer(message)
            if isinstance(reply, Failed):
                raise RuntimeError(f"the rehearsal failed: {reply.text}")
    sys.modules["__main__"] = main
    _forget(shell)
    for name in ("SIGPROF", "SIGALRM"):
        if hasattr(signal, name):  # not on Windows
            signal.signal(getattr(signal, name), signal.SIG_DFL)


def _messages() -> Iterator[FromJudge]:
    for index, source in enumerate(_REHEARSED, 1):
        yield RunCell(
            index=index,
            file=_FILE,
            source=source,
            style="notebook",
            cpu_seconds=60.0,
            device_seconds=60.0,
        )
        yield ListNames(file=_FILE)
    yield DescribeNetworks(file=_FILE, names=("net", "other"))
    linear, conv = Layer(type="linear", inputs=4, outputs=3), Layer(type="conv", kernel=3)
    network = (conv, Layer(type="batchnorm"), linear, Layer(type="layernorm", inputs=3))
    for names in ((), ("net", "other")):
        count = Target(file=_FILE, name="count")
        yield CountNetworks(target=count, networks=() if names else (network,) * 9, names=names)
    rows = tuple((number / 8, 1.0) for number in range(16))
    for target in (Target(file=_FILE, name="gate"), Target(file=_FILE, name="Gate", build=True)):
        for weights in ("own", "own", "negated", "zeroed"):
            yield CallGate(target=target, form="vector", rows=rows, weights=weights)
        yield CallGate(target=target, form="batch", rows=rows)
        yield CallGate(target=target, form="mapped", rows=rows)
    for form in ("scalars", "numbers"):
        yield CallGate(target=Target(file=_FILE, name="plain"), form=form, rows=rows)
    yield ReadGradients(file=_FILE)
    yield ReadValues(file=_FILE, names=("answer", "table"))


@contextmanager
def _without_device() -> Iterator[None]:
    """Let optimizers not ask for the device, and keep no seeds for it.

    Their steps would initialize CUDA, so that `torch.cuda.is_initialized()` were true in a
    notebook's first line (`_accelerator_graph_capture_health_check`, PyTorch v2.13,
    torch/optim/optimizer.py), and a seed that waits for the device would go before the child's own.
    """
    optimizer: Foreign = optim.Optimizer
    check = optimizer._accelerator_graph_capture_health_check
    waiting = len(_cuda._queued_calls)
    optimizer._accelerator_graph_capture_health_check = lambda _: None
    try:
        yield
    finally:
        optimizer._accelerator_graph_capture_health_check = check
        _cuda._lazy_seed_tracker = type(_cuda._lazy_seed_tracker)()
        del _cuda._queued_calls[waiting:]


def _forget(shell: QuietShell) -> None:
    """Let the shell keep nothing of what has run in it."""
    FileState(shell).enter()
    shell.last_execution_result = None
    shell.cell_tree = None
    shell.commands = []
    known: Foreign = shell.compile
    for name in known._filename_map:
        linecache.cache.pop(name, None)
    known._filename_map.clear()


def _ask_abstract_classes() -> None:
    """Ask what torch's layers and pandas ask of plain values, once nothing more is registered.

    The first answer of an abstract class looks through all classes below it, some hundreds, and
    takes up to 3 ms in a child, which copies their pages; the next ones come from its cache.
    """
    plain: list[object] = [0, 0.0, True, "", b"", None, (), [], {}, set()]
    kinds = [getattr(collections.abc, name) for name in collections.abc.__all__]
    kinds += [numbers.Number, numbers.Complex, numbers.Real, numbers.Integral]
    for value in (*plain, torch.ones(1), numpy.ones(1)):
        for kind in kinds:
            isinstance(value, kind)


def put_off_compiler() -> None:
    """Let `torch.manual_seed` work without torch's compiler, whose import takes a second.

    The function is wrapped so that the compiler leaves it alone, and the wrapper imports the
    compiler for that; it looks first whether it has been told what to call
    (`torch/_compile.py`, PyTorch v2.13).
    """
    seed: Foreign = torch.manual_seed
    wrapped = getattr(seed, "__wrapped__", None)
    if wrapped is not None:
        setattr(wrapped, "__dynamo_disable", wrapped)  # noqa: B010 - a class would mangle the name


def _forget_fonts() -> None:
    """Drop the fonts that drawing has loaded, but not the list of them.

    matplotlib lets each fork drop them, which costs every child more than reading one costs the few
    that draw.
    """
    fonts: Foreign = importlib.import_module("matplotlib.font_manager")
    forget = getattr(getattr(fonts, "_get_font", None), "cache_clear", None)
    if forget is not None:
        forget()
