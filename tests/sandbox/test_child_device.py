"""The virtual GPU in a child: a log a cell, and questions that leave no figure changed."""

import pytest

from grader.sandbox.protocol import DeviceLog, DtypeUse
from grader.vgpu import Unavailable, ensure
from tests.sandbox.forks import Warm

ROWS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))
STATE = (
    "(torch.cuda.memory_allocated(), torch.cuda.memory_reserved(),"
    " torch.cuda.max_memory_allocated())"
)


@pytest.fixture(scope="module")
def warm_device(tmp_path_factory):
    try:
        core = ensure()
    except Unavailable as error:
        pytest.skip(error.text)
    with Warm(tmp_path_factory.mktemp("device"), core=core) as process:
        yield process


@pytest.fixture
def child(warm_device):
    with warm_device.child(card="Tesla T4", profile="1.12") as living:
        living.cell("import torch\nfrom torch import nn")
        yield living


def test_a_child_has_the_card_it_was_given(child):
    assert child.ready.device == "virtual"
    assert child.cell("torch.cuda.get_device_name(0)").output == "'Tesla T4'\n"
    assert "Tesla T4" in child.cell("!nvidia-smi").output
    assert "Tesla T4" in child.cell("lines = !nvidia-smi\nprint(lines)").output


def test_an_unknown_card_is_told(warm_device):
    with warm_device.child(card="Voodoo 2") as living:
        assert living.ready.device.startswith("unavailable: ")
        assert living.cell("1").output == "1\n"


def test_without_a_card_there_is_no_device(warm):
    with warm.child() as living:
        assert living.ready.device == "none"
        assert living.cell("1").device is None


def test_a_cell_is_logged_and_the_next_one_begins_anew(child):
    log = child.cell("x = torch.zeros(1000, device='cuda')").device
    assert isinstance(log, DeviceLog)
    assert log.by_dtype == {"float32": DtypeUse(largest_bytes=4000, allocations=1)}
    assert log.allocated_after == log.allocated_before + 4096
    assert child.cell("1 + 1").device is None
    refused = child.cell("torch.zeros(2 ** 40, device='cuda')")
    assert refused.outcome == "raised"
    assert refused.device.refusal_count == 1


def test_questions_leave_every_figure_as_it_was(child):
    child.cell(
        "class Gate(nn.Module):\n"
        "  def __init__(self):\n    super().__init__(); self.fc = nn.Linear(2, 1).to('cuda')\n"
        "  def forward(self, x): return self.fc(x) + torch.zeros(10 ** 6, device='cuda')[0]\n"
        "gate = Gate()"
    )
    before = child.cell(f"print({STATE}, torch.cuda.get_rng_state().sum())").output
    for build, name in ((False, "gate"), (True, "Gate"), (True, "Gate")):
        called = child.call(name, ROWS, build=build, weights="negated")
        assert called.device == "cuda:0"
        assert [output.type for output in called.outputs] == ["tensor"] * 4
        assert child.cell(f"print({STATE}, torch.cuda.get_rng_state().sum())").output == before
    child.cell("class Gate(Gate): pass")
    child.call("Gate", ROWS, build=True)
    child.cell("import gc; gc.collect();")
    assert child.cell(f"print({STATE}, torch.cuda.get_rng_state().sum())").output == before


def test_gradients_on_the_device_are_read_without_a_trace(child):
    child.cell("a = torch.tensor([2.0], device='cuda', requires_grad=True)\nloss = a * 3")
    (run,) = child.cell("loss.backward()").backward
    assert list(run.after.values()) == [("3.0",)]
    before = child.cell(f"print({STATE})").output
    assert {named.name: named.grad for named in child.gradients().tensors}["a"] == ("3.0",)
    assert child.cell(f"print({STATE})").output == before


def test_a_cell_that_works_on_the_device_has_more_time(child):
    done = child.cell(
        "import time\nx = torch.zeros(9, device='cuda')\nend = time.perf_counter() + 2\n"
        "while time.perf_counter() < end: len('')",
        cpu_seconds=1.0,
        device_seconds=20.0,
    )
    assert done.outcome == "passed"
    assert done.device.by_dtype["float32"].allocations == 1


def test_a_wait_without_the_device_has_no_more_time(child):
    done = child.cell("while True: len('')", cpu_seconds=0.1, device_seconds=5.0)
    assert done.outcome == "timeout"
    assert done.seconds < 2
