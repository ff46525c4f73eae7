"""The allocator against recordings of the real one, driven over a stub of the CUDA driver."""

import gzip
import json
from pathlib import Path

import pytest

from grader.vgpu.allocator import CachingAllocator, Config, DeviceMemory, OutOfMemory

RECORDED = Path(__file__).parent / "data" / "allocator_traces.jsonl.gz"
COUNTERS = ("allocated_bytes", "reserved_bytes", "active", "inactive_split_bytes")
EVENTS = (
    "num_alloc_retries",
    "num_ooms",
    "num_sync_all_streams",
    "num_device_alloc",
    "num_device_free",
    "num_oom_rejections",
    "max_split_size",
)
COLUMNS = [
    "command",
    *COUNTERS,
    "requested_bytes",
    "segment",
    f"misc[{','.join(EVENTS)}]",
    "error",
]


def read_traces():
    with gzip.open(RECORDED, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


TRACES = read_traces()


class Replay:
    """Runs recorded commands: a and f (allocate, free by slot), e, rp, ra, mf."""

    def __init__(self, trace):
        memory = DeviceMemory(trace["total"], trace["overhead"])
        self.allocator = CachingAllocator(memory, Config(trace["conf"]))
        self.slots = {}

    def run(self, command):
        name, *arguments = command.split()
        try:
            getattr(self, f"run_{name}")(*arguments)
        except OutOfMemory as error:
            return str(error)
        return ""

    def run_a(self, slot, nbytes):
        self.slots[slot] = self.allocator.malloc(int(nbytes))

    def run_f(self, slot):
        self.allocator.free(self.slots.pop(slot))

    def run_e(self):
        self.allocator.empty_cache()

    def run_rp(self):
        self.allocator.reset_peak()

    def run_ra(self):
        self.allocator.reset_accumulated()

    def run_mf(self, fraction):
        self.allocator.set_memory_fraction(float(fraction))

    def figures(self):
        stats = self.allocator.nested_stats()
        names = (*COUNTERS, "requested_bytes", "segment")
        counters = [
            [stats[name]["all"][key] for key in ("current", "peak", "allocated", "freed")]
            for name in names
        ]
        return [*counters, [stats[name] for name in EVENTS]]


def name_of(trace):
    fraction = "" if trace["fraction"] is None else f"-{trace['fraction']}"
    return (trace["conf"] or "default") + fraction


@pytest.mark.parametrize("trace", TRACES, ids=name_of)
def test_every_recorded_step_gives_the_recorded_figures_and_message(trace):
    assert trace["columns"] == COLUMNS
    replay = Replay(trace)
    for number, (command, *figures, message) in enumerate(trace["steps"]):
        said = replay.run(command)
        assert (said, replay.figures()) == (message, figures), f"step {number}: {command}"


def test_the_recordings_are_complete():
    steps = [step for trace in TRACES for step in trace["steps"]]
    assert len(steps) == 3465
    assert len({(trace["conf"], trace["fraction"]) for trace in TRACES}) == 7
    assert sum(bool(step[-1]) for step in steps) > 50
    assert {step[0].split()[0] for step in steps} == {"a", "f", "e", "rp", "ra", "mf"}


@pytest.mark.parametrize("trace", TRACES, ids=name_of)
def test_a_state_put_back_after_every_step_changes_nothing(trace):
    replay = Replay(trace)
    for command, *figures, message in trace["steps"][:120]:
        before = replay.allocator.state()
        slots = dict(replay.slots)
        first = replay.run(command), replay.figures(), replay.allocator.blocks()
        replay.allocator.set_state(before)
        replay.slots = slots
        second = replay.run(command), replay.figures(), replay.allocator.blocks()
        assert [b.ptr for b in first[2]] == [b.ptr for b in second[2]]
        assert first[:2] == second[:2] == (message, figures)
