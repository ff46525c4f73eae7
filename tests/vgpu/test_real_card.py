"""What `torch.cuda` tells of a card, read as on a real one, beside the virtual card's own log.

The mode was run on a real card (docs/vgpu.md). Here the virtual one answers `torch.cuda`, and knows
besides what happened.
"""

import pytest
from device_process import on_device

LIMITS = (
    "for dtype in (torch.float32, torch.float64, torch.float16, torch.int32, torch.int64):\n"
    "  x = torch.zeros(15_000_000_000 // dtype.itemsize, dtype=dtype, device='cuda'); del x"
)
PROGRAMS = {
    "limits": LIMITS,
    "the previous tensor alive": "x = torch.zeros(4096, 460000, device='cuda')\n"
    "x = torch.zeros(4096, 480000, device='cuda')",
    "out of memory": "torch.zeros(4096, 927605, dtype=torch.int64, device='cuda') + 1",
    "a growing list": "xs = []\nwhile True: xs.append(torch.zeros(1 << 28, device='cuda'))",
    "a linear layer": "layer = nn.Linear(1, 200800).to('cuda')\n"
    "y = layer(torch.zeros(4096, 1, device='cuda'))",
    "copies and views": "x = torch.zeros(1000).cuda(); y = x.half(); z = x[:10]; x += 1",
    "raised by hand": "raise torch.cuda.OutOfMemoryError('CUDA out of memory.')",
    "statistics set to zero": "torch.cuda.reset_accumulated_memory_stats()\n"
    "torch.zeros(2 ** 40, device='cuda')",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@on_device
def test_a_card_is_read_by_its_statistics_as_its_own_log_says(program):
    import contextlib

    from grader.sandbox.real_card import RealCard

    real = RealCard()
    real.reset("real", profile=None, seed=1)
    vgpu.take_log()
    names = {"torch": torch, "nn": nn}
    with contextlib.suppress(RuntimeError):
        exec(program, names)
    read, known = real.take_log(), vgpu.take_log()
    for name in ("allocated_before", "allocated_after", "reserved_before", "reserved_after"):
        assert getattr(read, name) == getattr(known, name)
    assert (read.peak_allocated, read.peak_reserved) == (known.peak_allocated, known.peak_reserved)
    assert (read.refusals, read.refusal_count) == (known.refusals, known.refusal_count)
    assert read.linear_calls == known.linear_calls
    assert abs(read.fits_before - known.fits_before) <= 4 << 20
    assert set(read.by_dtype) == set(known.by_dtype)
    for dtype, use in read.by_dtype.items():
        other = known.by_dtype[dtype]
        assert (use.largest_bytes, use.allocations) == (other.largest_bytes, other.allocations)
        assert use.largest_refused_bytes == other.largest_refused_bytes
        assert use.refusals == other.refusals
        # What a block has above its tensor shows as another's: 1 MiB for each large block.
        assert abs(use.largest_beside_bytes - other.largest_beside_bytes) <= 12 << 20


@on_device
def test_watching_a_card_moves_none_of_its_figures():
    program = (
        "m = nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 1)).cuda()\n"
        "o = torch.optim.Adam(m.parameters())\n"
        "for _ in range(3):\n"
        "  o.zero_grad(); m(torch.randn(32, 10, device='cuda')).pow(2).mean().backward(); o.step()\n"
        "found = dict(torch.cuda.memory_stats()), m[0].weight.tolist()"
    )

    def run():
        vgpu.reset("Tesla T4", seed=1)
        torch.manual_seed(1)
        names = {"torch": torch, "nn": nn}
        exec(program, names)
        return names["found"]

    from grader.sandbox.real_card import RealCard

    before = run()
    real = RealCard()
    real.reset("real", profile=None, seed=1)
    assert run() == before
    assert real.take_log().linear_calls == 6


@on_device
def test_the_questions_of_the_judge_are_not_logged():
    from grader.sandbox.real_card import RealCard

    real = RealCard()
    real.reset("real", profile=None, seed=1)
    with real.scratch():
        torch.zeros(1 << 28, device="cuda")
        with pytest.raises(torch.OutOfMemoryError):
            torch.zeros(1 << 40, device="cuda")
        nn.Linear(2, 2, device="cuda")(torch.zeros(2, device="cuda"))
    log = real.take_log()
    assert (log.by_dtype, log.refusal_count, log.linear_calls) == ({}, 0, 0)


def test_without_a_card_there_is_none():
    import torch

    from grader.sandbox.real_card import NoCard, RealCard

    with pytest.raises(NoCard) as refused:
        RealCard().reset("real", profile=None, seed=1)
    assert refused.value.reason_code == ("real-none" if torch.version.cuda else "real-cpu-build")
