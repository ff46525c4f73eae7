"""Does once, before any fork, what torch, pandas and matplotlib otherwise do in every child."""

import collections.abc
import io
import numbers
import sys

import numpy
import torch

from grader.sandbox.shell import FileState, QuietShell
from grader.sandbox.untouched import Foreign

_CELL = """
import random, math, collections, itertools, functools, typing, dataclasses, warnings, copy, time
import numpy as np
import pandas as pd
import matplotlib.pyplot as plt
import torch
from torch import nn, optim
import torch.nn.functional as F
from torch.utils.data import Dataset, DataLoader, TensorDataset
model = nn.Sequential(nn.Linear(3, 5), nn.Sigmoid(), nn.Linear(5, 2))
optimizer = optim.Adam(model.parameters(), lr=0.1)
F.mse_loss(model(torch.ones(4, 3)), torch.ones(4, 2))
for parameter in model.parameters():
    parameter.grad = torch.zeros_like(parameter)
optimizer.step()
optim.SGD(model.parameters(), lr=0.1).step()
torch.heaviside(torch.cat((torch.ones(1), torch.zeros(1)), 0), torch.tensor([0.0]))
copy.deepcopy(model).load_state_dict(model.state_dict())
frame = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]})
print(model, torch.ones(2, 2), frame)
frame
"""


def warm(shell: QuietShell) -> None:
    """Run what a first cell usually runs, and throw it away.

    Without it a child loses between one and two seconds to imports that torch puts off and to the
    list of fonts. No backward runs here: its first run starts a thread for each device, and a
    server with a second thread must not fork (`Engine::start_device_threads`, PyTorch v2.13,
    torch/csrc/autograd/engine.cpp).
    """
    _draw()
    saved = sys.stdout, sys.stderr, sys.modules["__main__"]
    sys.stdout = sys.stderr = io.StringIO()
    state = FileState(shell)
    try:
        state.enter()
        run_cell: Foreign = shell.run_cell
        result = run_cell(_CELL, store_history=True)
        for special in ("%%time\nlen('')", "!ls", " len('')"):
            run_cell(special, store_history=True)
        result.raise_error()
    finally:
        state.leave()
        FileState(shell).enter()
        sys.stdout, sys.stderr, sys.modules["__main__"] = saved
        shell.last_execution_result = None
        shell.cell_tree = None
        shell.commands = []
    numpy.random.default_rng(0)
    torch.manual_seed(0)
    _ask_abstract_classes()


def _ask_abstract_classes() -> None:
    """Ask what torch's layers and pandas ask of plain values, once nothing is registered any more.

    The first answer of an abstract class looks through all classes below it, some hundreds, and
    takes up to 3 ms in a child, which copies their pages; the next ones come from its cache.
    """
    values: tuple[object, ...] = (
        0,
        0.0,
        True,
        "",
        b"",
        None,
        (),
        [],
        {},
        set(),
        torch.ones(1),
        numpy.ones(1),
    )
    kinds = [getattr(collections.abc, name) for name in collections.abc.__all__]
    kinds += [numbers.Number, numbers.Complex, numbers.Real, numbers.Integral]
    for value in values:
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


def _draw() -> None:
    """Draw a figure: the list of fonts is made with the first text.

    The fonts themselves are dropped: matplotlib lets each fork drop them, which costs every child
    more than reading one costs the few that draw.
    """
    import matplotlib
    from matplotlib import font_manager, pyplot

    matplotlib.use("Agg")
    figure, axes = pyplot.subplots()
    axes.plot([0, 1], label="x")
    axes.set_title("x")
    axes.legend()
    figure.canvas.draw()
    pyplot.close(figure)
    fonts: Foreign = font_manager
    forget = getattr(getattr(fonts, "_get_font", None), "cache_clear", None)
    if forget is not None:
        forget()
