"""Submissions that write into the virtual GPU's ledger: noticed, and never a point more for it.

The control switches the comparison with the sealed account off: there each forgery earns points.
"""

import textwrap

import pytest

from grader.assignments import load_assignment
from grader.intake import read_submission
from grader.judge import Judge
from grader.model import Limits
from grader.reports.html import render_report
from grader.sandbox.audit import Audit
from grader.sandbox.protocol import Start
from grader.sandbox.session import Server
from tests.intake.notebooks import sections_notebook
from tests.sandbox.cells import cell

LARGEST, REFUSED, FILLED = "ДЗ 3", "ДЗ 4", "ДЗ 5"
FOUND = """
import sys, torch
vgpu = sys.modules["grader.vgpu"]
device = vgpu._installed.device
core, allocator, memory = device.core, device.ledger.allocator, device.ledger.memory
Tally = sys.modules["grader.vgpu.log"].Tally
OutOfMemory = sys.modules["grader.vgpu.profiles"].OutOfMemory
fits = device._stretch.fits_before
DTYPES = {6: torch.float32, 7: torch.float64, 5: torch.float16, 3: torch.int32, 4: torch.int64}
def refuse(nbytes, stream=0):
    raise OutOfMemory("CUDA out of memory.")
def make(nbytes, dtype=torch.float32):
    return torch.empty(nbytes // dtype.itemsize, dtype=dtype, device="cuda")
def survives(step, *arguments):
    try: return step(*arguments)
    except RuntimeError as error: print(type(error).__name__)
def mark_of_the_cell():
    frame = sys._getframe()
    while True:
        ours = getattr(frame.f_locals.get("self"), "_device", None)
        if hasattr(type(ours), "begin_cell"): return ours._mark
        frame = frame.f_back
"""
SMALLER = "sys.modules['dataclasses'].replace(device.card, total_memory=1 << 30)"
FORGED = {
    "refusal-counted": (REFUSED, "make(9)\ndevice._stretch.refusal_count = 1"),
    "refusal-noted": (REFUSED, "make(9)\ndevice._note_refusal(1 << 50, 6)"),
    "refusal-without-a-birth": (REFUSED, "survives(device.birth, 1 << 50, 6, None)"),
    "malloc-that-refuses": (REFUSED, "allocator.malloc = refuse\nsurvives(make, 9)"),
    "birth-that-refuses": (
        REFUSED,
        "make(9)\ndef birth(self, nbytes, code, dead):\n    self._note_refusal(nbytes, code)\n"
        "    raise type(self).refusal('CUDA out of memory.')\n"
        "type(device).refusal = OutOfMemory\ntype(device).birth.__code__ = birth.__code__\n"
        "survives(make, 9)",
    ),
    "full-from-the-start": (REFUSED, "memory.used = fits - (1 << 30)\nsurvives(make, 2 << 30)"),
    "limit-without-the-api": (REFUSED, "allocator.allowed_max = 1\nsurvives(make, 9)"),
    "smaller-memory": (REFUSED, "memory.total = 1 << 30\nsurvives(make, 1 << 30)"),
    "smaller-card": (REFUSED, f"vgpu.reset({SMALLER})\nsurvives(make, 1 << 30)"),
    "tallies": (
        LARGEST,
        "make(9)\ntallies = device._stretch.tallies\nfor code in DTYPES:\n"
        "    tally = tallies.setdefault(code, Tally())\n"
        "    tally.allocations, tally.largest = 1, fits",
    ),
    "births-by-hand": (
        LARGEST,
        "for code in DTYPES:\n    device._bury([device.birth(fits, code, None)])",
    ),
    "fits-shrunk": (
        LARGEST,
        "device._stretch.fits_before, device._stretch.reserved_before = 1 << 20, 15 << 30\n"
        "for dtype in DTYPES.values(): make(1 << 20, dtype)",
    ),
    "larger-memory": (
        LARGEST,
        "memory.total = 1 << 40\nheld = [make(fits, dtype) for dtype in DTYPES.values()]",
    ),
    "malloc-that-takes-little": (
        LARGEST,
        "malloc = allocator.malloc\nallocator.malloc = lambda nbytes, stream=0: malloc(512)\n"
        "held = [make(fits, dtype) for dtype in DTYPES.values()]",
    ),
    "scratch": (
        LARGEST,
        "stretch = device._stretch\nheld = [make(fits)]\nwith vgpu.scratch():\n"
        "    device._stretch = stretch\n    held.append(make(fits, torch.float64))",
    ),
    "scratch-by-halves": (
        LARGEST,
        "core.begin_scratch()\nmemory.total = 1 << 40\n"
        "held = [make(fits, dtype) for dtype in DTYPES.values()]\ncore.end_scratch()",
    ),
    "log-taken-in-between": (
        LARGEST,
        "held = make(fits - (64 << 20))\nvgpu.take_log()\n"
        "for dtype in DTYPES.values(): make(device._stretch.fits_before, dtype)",
    ),
    "cell-begun-again": (
        LARGEST,
        "held = make(fits - (64 << 20))\nvgpu.take_log()\nvgpu.take_log(mark_of_the_cell())\n"
        "for dtype in DTYPES.values(): make(device._stretch.fits_before, dtype)",
    ),
    "epoch": (
        LARGEST,
        "held = []\nfor dtype in DTYPES.values():\n    stretch = device._stretch\n"
        "    device._begin(device.card, device.profile)\n    device._stretch = stretch\n"
        "    held.append(make(fits, dtype))",
    ),
    "peak": (FILLED, "make(9)\ndevice._stretch.peak_allocated = fits"),
    "layer-that-is-refused": (
        FILLED,
        "layer = torch.nn.Linear(3, 3).cuda()\nx = torch.zeros(2, 3).cuda()\n"
        "allocator.malloc = refuse\nsurvives(layer, x)",
    ),
    "log-made-up": (
        FILLED,
        "import dataclasses\nmake(9)\ntake = type(device).take_log\n"
        "type(device).take_log = lambda self, mark=0: dataclasses.replace(\n"
        "    take(self, mark), peak_allocated=fits, linear_calls=1, refusal_count=1, account=b'')",
    ),
    "account-made-up": (
        REFUSED,
        "make(9)\ndevice._stretch.refusal_count = 1\ntake = core.read_account\n"
        "def read(mark):\n    account, *rest = take(mark)\n    account = bytearray(account)\n"
        "    account[48] = account[56] = 1\n    return bytes(account), *rest\n"
        "core.read_account = read",
    ),
    "birth-installed": (
        REFUSED,
        "make(9)\nsurvives(core.install, refuse, OutOfMemory, print, print)\n"
        "device._stretch.refusal_count = 1",
    ),
}
EARLIER = """
def keep(mark):
    found.append(take(mark))
    return found[-1]
found, take = [], core.read_account
core.read_account = keep
survives(make, 1 << 50)
"""
REPLAYED = """
def again(mark):
    take(mark)
    return found[0]
core.read_account = again
make(9)
stretch = device._stretch
stretch.refusal_count = 1
for tally in stretch.tallies.values():
    tally.allocations, tally.largest, tally.refusals, tally.largest_refused = 0, 0, 1, 1 << 50
"""


@pytest.fixture(scope="module")
def assignment():
    return load_assignment("intro-to-torch")


@pytest.fixture
def grade(assignment, server, tmp_path):
    def graded(*sections, server=server, **limits):
        path = tmp_path / "ivanova.ipynb"
        path.write_bytes(sections_notebook(*sections))
        return Judge(assignment.with_limits(limits), server).grade(read_submission(path))

    return graded


def points(report):
    return {f"{t.id}.{c.id}": c.points for t in report.tasks for c in t.checks if c.points}


def noticed(report):
    notes = (note for task in report.tasks for check in task.checks for note in check.staff)
    return [values["text"] for code, values in notes if code == "judge.anomaly"]


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_entry_is_noticed_and_earns_nothing(grade, assignment, name):
    heading, code = FORGED[name]
    report = grade((heading, FOUND + code))
    assert points(report) == {}  # what would have counted waits for a person
    (note,) = noticed(report)
    student = render_report(report, assignment, language="en")
    assert "unexpected" not in student
    assert note[:30] not in student


@pytest.mark.parametrize("name", FORGED)
def test_the_same_entry_earns_points_where_nobody_compares(grade, monkeypatch, name):
    heading, code = FORGED[name]
    honest = points(grade((heading, FOUND + "survives(make, fits)" * (heading == LARGEST))))
    monkeypatch.setattr(Audit, "find_contradiction", lambda *_: None)
    report = grade((heading, FOUND + code))
    assert sum(points(report).values()) > sum(honest.values()), points(report)
    assert noticed(report) == []


def test_an_account_of_an_earlier_cell_is_noticed(grade, monkeypatch):
    sections = ((FILLED, FOUND + EARLIER), (REFUSED, REPLAYED))
    report = grade(*sections)
    assert points(report) == {}
    assert noticed(report) == ["the account of the device is not of this cell"]
    monkeypatch.setattr(Audit, "find_contradiction", lambda *_: None)
    assert points(grade(*sections)) == {"oom.out-of-memory": 100}


@pytest.mark.parametrize(
    "again",
    [
        "vgpu.reset(device.card)",
        "survives(core.install, refuse, OutOfMemory, print, print)",
        "survives(vgpu.take_key, 0)",
    ],
)
def test_setting_the_device_up_again_is_noticed_whatever_it_is_for(grade, again):
    report = grade((REFUSED, f"{FOUND}{again}\nmake(9)"))
    assert noticed(report) == ["the device was set up again while the submission ran"]


LEAVES_A_HUNDREDTH = "torch.cuda.set_per_process_memory_fraction(0.01)\n"
SAYS_THE_REST_IS_HELD = "device._stretch.reserved_before = 15 << 30\n"


@pytest.mark.parametrize(
    "sections",
    [
        (
            (FILLED, FOUND + LEAVES_A_HUNDREDTH),
            (
                LARGEST,
                FOUND + SAYS_THE_REST_IS_HELD + "for dtype in DTYPES.values():\n"
                "    make(device._stretch.fits_before, dtype)",
            ),
        ),
        (
            (
                LARGEST,
                FOUND
                + LEAVES_A_HUNDREDTH
                + SAYS_THE_REST_IS_HELD
                + "device._stretch.fits_before = 1 << 20\n"
                "for dtype in DTYPES.values(): make(1 << 20, dtype)",
            ),
        ),
    ],
    ids=["before", "meanwhile"],
)
def test_a_card_that_the_notebook_made_small_waits_whatever_else_it_says(grade, sections):
    report = grade(*sections)
    assert points(report) == {}
    limits = next(task for task in report.tasks if task.id == "vram-limits")
    assert [check.code for check in limits.checks[:5]] == ["memory.limited"] * 5


def test_one_contradiction_is_told_of_once_a_child(grade):
    forged = FOUND + FORGED["refusal-counted"][1]
    report = grade((REFUSED, forged), (LARGEST, forged), (FILLED, forged))
    assert len(noticed(report)) == 1


# ------------------------------------------------------------------ honest submissions

NOTHING = {}
OOM = {"oom.out-of-memory": 100}
GATE_ON_DEVICE = {"and.truth-table": 75, "and.weights": 25}
BACKGROUND = """
import threading, torch
def work():
    while True:
        held = [torch.empty(i << 20, dtype=torch.uint8, device="cuda") for i in range(9)]
threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
for thread in threads: thread.start()
for _ in range(500): torch.zeros(9, device="cuda")
"""
FRAGMENTS = """
import torch
small = []
try:
    while True: small.append(torch.empty(1200 << 10, dtype=torch.uint8, device="cuda"))
except torch.cuda.OutOfMemoryError: pass
kept = small[::34]
del small
torch.cuda.empty_cache()
large = []
while True: large.append(torch.empty(1 << 30, dtype=torch.uint8, device="cuda"))
"""
PINNED = """
import torch
huge = torch.empty(14 << 30, dtype=torch.uint8, device="cuda")
del huge
small = torch.empty(3 << 20, dtype=torch.uint8, device="cuda")
torch.cuda.empty_cache()
torch.empty(14 << 30, dtype=torch.uint8, device="cuda")
"""
CYCLES = """
import gc, torch
class Node:
    def __init__(self):
        self.me, self.held = self, torch.empty(9 << 20, dtype=torch.uint8, device="cuda")
gc.set_threshold(5)
for _ in range(2000): Node()
gc.set_threshold(700)
"""
ON_DEVICE = """
import torch
from torch import nn
class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1).to("cuda")
        with torch.no_grad():
            self.layer.weight.fill_(1.0)
            self.layer.bias.fill_(-1.5)
    def forward(self, x):
        big = torch.zeros(1 << 20, device="cuda")
        return (self.layer(x) > 0).float() + big[0]
neuron = Gate()
"""
LIMITED = """
import torch
torch.cuda.set_per_process_memory_fraction(0.1)
torch.cuda.reset_peak_memory_stats()
x = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
torch.cuda.empty_cache()
try: torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
except torch.cuda.OutOfMemoryError as error: print(error)
"""
RAW = """
import torch
address = torch.cuda.caching_allocator_alloc(12 << 30)
torch.cuda.caching_allocator_delete(address)
again = torch.cuda.caching_allocator_alloc(1 << 30)
x = torch.empty(13 << 30, dtype=torch.uint8, device="cuda")
torch.empty(13 << 30, dtype=torch.uint8, device="cuda")
"""
WORKSPACES = """
import threading, torch
layer = torch.nn.Linear(300, 300).cuda()
def apply(): layer(torch.zeros(9, 300, device="cuda")).sum().backward()
threads = [threading.Thread(target=apply) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
torch._C._cuda_clearCublasWorkspaces()
apply()
"""
DEEP = """
import torch
def descend(): return torch.empty(9, device="cuda"), descend()
try: descend()
except (RecursionError, RuntimeError): pass
x = torch.zeros(9, device="cuda")
"""
LOADED = """
import torch
data = torch.utils.data.TensorDataset(torch.zeros(9, 2))
x = torch.zeros(9, device="cuda")
try: next(iter(torch.utils.data.DataLoader(data, num_workers=2)))
except Exception as error: print(type(error).__name__)
torch.zeros(9, device="cuda")
"""
MANY = "import torch\nfor name in ('float16', 'bfloat16', 'float32', 'float64', 'int8', 'int16',"
MANY += " 'int32', 'int64', 'uint8', 'bool', 'complex64', 'complex128', 'float8_e5m2', 'uint32'):\n"
MANY += "    torch.empty(9, dtype=getattr(torch, name), device='cuda')"
WAITS = "import torch, time\nx = torch.zeros(9, device='cuda')\nend = time.perf_counter() + {}\n"
WAITS += "while time.perf_counter() < end: torch.zeros(9 << 20, device='cuda'), "
WAITS += "torch.cuda.memory_allocated()"
HONEST = {
    "threads-beyond-the-cell": ([BACKGROUND, BACKGROUND, "import time\ntime.sleep(0.3)"], NOTHING),
    "fragments": ([FRAGMENTS], OOM),
    "pinned": ([PINNED], OOM),
    "cycles": ([CYCLES], NOTHING),
    "limited": ([LIMITED], OOM),
    "raw": ([RAW], OOM),
    "workspaces": ([WORKSPACES], NOTHING),
    "deep": ([DEEP], NOTHING),
    "loaded": ([LOADED], NOTHING),
    "many-dtypes": ([MANY], NOTHING),
    "more-time-than-others": ([WAITS.format(1.0)], NOTHING),
    "too-much-time": ([WAITS.format(30), WAITS.format(0.1)], NOTHING),
    "too-much-time-with-threads": ([BACKGROUND, WAITS.format(30), WAITS.format(0.1)], NOTHING),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_code_contradicts_nothing(grade, name):
    cells, earned = HONEST[name]
    limits = {"cell_cpu_seconds": 0.5, "device_cell_seconds": 2.0, "submission_seconds": 60.0}
    report = grade(*((REFUSED, cell) for cell in cells), ("Задача 3", ON_DEVICE), **limits)
    assert noticed(report) == []
    assert points(report) == {**earned, **GATE_ON_DEVICE}


def test_cells_that_are_replayed_after_a_death_contradict_nothing(grade):
    filled = "import torch\nheld = torch.empty(14 << 30, dtype=torch.uint8, device='cuda')"
    refused = "again = torch.empty(1 << 30, dtype=torch.uint8, device='cuda')"
    dies = f"{filled}\nimport os\nos._exit(0)"
    report = grade((FILLED, filled), ("Задача 3", dies), (REFUSED, f"import torch\n{refused}"))
    assert noticed(report) == []
    assert points(report) == {**OOM, "linear-vram.fills": 50}


# ------------------------------------------------------------------ other kinds of children


@pytest.fixture(scope="module")
def open_server():
    """Children of it may fork, and nothing else holds them either."""
    with Server(unsafe=True, use_layers=("process",)) as server:
        server.wait()
        yield server


FORKS = """
import os, torch
x = torch.zeros(9, device="cuda")
reading, writing = os.pipe()
if os.fork() == 0:
    try: torch.zeros(9, device="cuda")
    except RuntimeError as error: os.write(writing, str(error).encode())
    os._exit(0)
print(os.read(reading, 99), os.wait()[1])
data = torch.utils.data.TensorDataset(torch.zeros(9, 2))
print(len(list(torch.utils.data.DataLoader(data, num_workers=2))), "loaded")
y = torch.zeros(9, device="cuda")
"""
SEALS = """
import os
reading, writing = os.pipe()
if os.fork() == 0:
    survives(make, 1 << 50)
    os.write(writing, core.read_account(mark_of_the_cell())[0] or b"nothing")
    os._exit(0)
sealed = os.read(reading, 8000)
print(sealed)
"""


def in_child(server, *cells, card="Tesla T4"):
    with server.spawn(Start(seed=1, card=card), Limits()) as child:
        done = [
            child.run_cell(cell(textwrap.dedent(source), index), seconds_wall=60.0)
            for index, source in enumerate(cells)
        ]
    return done, child.anomalies


def test_a_process_that_forks_contradicts_nothing(open_server):
    (done,), found = in_child(open_server, FORKS)
    assert "Cannot re-initialize CUDA in forked subprocess" in done.output
    assert done.output.endswith("\n9 loaded\n")
    assert (done.outcome, found) == ("passed", [])


def test_a_forked_process_cannot_seal_an_account_for_its_parent(open_server):
    (done,), _ = in_child(open_server, FOUND + SEALS)
    assert done.output.endswith("b'nothing'\n")


def test_no_object_of_the_child_holds_the_key(server, monkeypatch):
    looks = """
    import gc, sys
    if planted: sys.planted = [b"0123456789abcdef"[::-1]]
    seen = {}
    todo = [*gc.get_objects(), sys.modules, *map(vars, list(sys.modules.values()))]
    frame = sys._getframe()
    while frame := frame.f_back:
        todo += [frame.f_locals, frame.f_globals]
    while todo:
        thing = todo.pop()
        if id(thing) not in seen:
            seen[id(thing)] = thing
            todo.extend(gc.get_referents(thing))
    print([t for t in seen.values() if type(t) in (bytes, bytearray) and len(t) == 16
           and bytes(t) == b"0123456789abcdef"[::-1]])
    """
    monkeypatch.setattr("os.urandom", lambda count: b"fedcba9876543210"[:count])
    for planted, found in ((False, "[]\n"), (True, "[b'fedcba9876543210']\n")):
        (_, done), _ = in_child(server, f"planted = {planted}", looks)
        assert done.output == found


def test_a_fresh_process_has_no_account_and_nothing_is_compared():
    with Server(unsafe=True, fork=False) as server:
        (done,), found = in_child(server, "import torch\nx = torch.zeros(9, device='cuda')")
    assert (done.device.account, found) == (b"", [])
    assert done.device.by_dtype["float32"].allocations == 1


def test_without_a_card_nothing_is_compared(server):
    (done,), found = in_child(server, "1", card="")
    assert (done.device, found) == (None, [])
