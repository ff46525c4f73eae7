"""Figures of memory, and tensors larger than any memory of this machine."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from device_process import ROOT, on_device

# The body of a test gets these where it runs; its process alone has the virtual GPU.
torch = nn = F = vgpu = None


@on_device
def test_a_tensor_of_fifteen_gigabytes_touches_no_memory():
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    x = torch.zeros(4096, 927610, device="cuda")
    page = 2 << 20
    assert torch.cuda.memory_reserved() == -(-4096 * 927610 * 4 // page) * page
    assert x[17, 5].item() == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 << 10


@on_device
def test_large_tensors_that_repeat_keep_their_values():
    x = torch.ones(1 << 29, device="cuda")
    x += 2
    assert x[5] == 3
    y = torch.sigmoid(x * 0)
    assert y[1 << 28].item() == 0.5
    assert y.sum().item() == 1 << 28
    assert y.mean().item() == 0.5
    assert "0.5000, 0.5000" in repr(y)
    layer = nn.Linear(1, 2).to("cuda")
    with torch.no_grad():
        rows = layer(x[: 1 << 27].view(-1, 1))
    torch.testing.assert_close(rows[9].cpu(), layer(x[:1].view(1, 1))[0].detach().cpu())
    assert (x[3:7] - 3).tolist() == [0, 0, 0, 0]


@on_device
def test_unknown_values_are_refused_in_clear_words_and_never_invented():
    x = torch.rand(1 << 28, device="cuda")
    for use in (
        str,
        lambda t: t.cpu(),
        lambda t: t[0].item(),
        lambda t: t.sum().item(),
        lambda t: t[t > 0.5],
    ):
        with pytest.raises(RuntimeError, match=r"vgpu: .*(not known|depends on values)"):
            use(x)


@on_device
def test_a_part_written_into_a_large_tensor_makes_it_unknown_rather_than_wrong():
    x = torch.zeros(1 << 28, device="cuda")
    x[7] = 1
    with pytest.raises(RuntimeError, match="not known"):
        x[7].item()


@pytest.mark.parametrize(
    "statement", ["x.median(1)", "x.cummax(1)", "x.svd()", "x.frexp()", "F.rrelu(x)"]
)
@on_device
def test_an_operator_with_several_results_on_a_large_tensor_gives_their_shapes(statement):
    x = torch.rand(4096, 8192, device="cuda")
    small = torch.rand(16, 32)
    x[0, 0] = 5
    small_results = eval(statement, {"x": small, "F": F})
    results = eval(statement, {"x": x, "F": F})
    if isinstance(results, torch.Tensor):
        results, small_results = (results,), (small_results,)
    for result, wanted in zip(results, small_results, strict=True):
        assert result.is_cuda
        assert result.dtype == wanted.dtype
        assert result.shape == torch.Size(size * 256 for size in wanted.shape)


@on_device
def test_part_of_a_large_tensor_is_computed_with_where_it_repeats():
    large = torch.ones(4096, 8192, device="cuda")
    assert large[:, :4000].median(0).values.tolist() == [1.0] * 4000
    whole = torch.full((9000, 9000), 7, device="cuda")
    assert (whole % 4)[5, 5].item() == 3
    assert torch.frexp(large)[0][1, 1].item() == 0.5
    assert torch.mm(
        torch.ones(1 << 25, 0, device="cuda"), torch.ones(0, 2, device="cuda")
    ).shape == (1 << 25, 2)


@pytest.mark.parametrize("options", [{}, {"foreach": True}, {"fused": True}, {"foreach": False}])
@pytest.mark.parametrize("mixed", [False, True])
@on_device
def test_a_network_too_large_to_compute_with_is_trained_and_accounted_for(options, mixed):
    net = nn.Sequential(nn.Linear(5000, 5000), nn.ReLU(), nn.Linear(5000, 10)).to("cuda")
    weights = torch.cuda.memory_allocated()
    steps = torch.optim.AdamW(net.parameters(), **options)
    scaler = torch.amp.GradScaler("cuda", enabled=mixed)
    for _ in range(2):
        steps.zero_grad()
        with torch.autocast("cuda", enabled=mixed):
            loss = F.cross_entropy(net(torch.randn(8, 5000, device="cuda")), torch.arange(8).cuda())
        scaler.scale(loss).backward()
        scaler.unscale_(steps)
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        scaler.step(steps)
        scaler.update()
    # Weights, gradients and two moments.
    assert torch.cuda.memory_allocated() == pytest.approx(4 * weights, rel=0.1)
    assert steps.state[net[0].weight]["step"].item() == 2
    with pytest.raises(RuntimeError, match=r"^vgpu: the values of this tensor"):
        loss.item()


@on_device
def test_statistics_that_follow_from_unknown_values_are_unknown():
    layer = nn.BatchNorm1d(8192).to("cuda")
    layer(torch.rand(4096, 8192, device="cuda"))
    with pytest.raises(RuntimeError, match=r"^vgpu: the values"):
        layer.running_mean[0].item()
    assert layer.num_batches_tracked.item() == 1


@on_device
def test_filling_the_card_with_small_tensors_is_quick_and_small():
    import resource
    import time

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    kept = []
    try:
        while True:
            kept.append(torch.zeros(1 << 18, device="cuda"))
    except torch.cuda.OutOfMemoryError:
        pass
    seconds = time.perf_counter() - start
    assert len(kept) << 20 == torch.cuda.memory_allocated() > 14 << 30
    assert seconds < 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10


@pytest.mark.parametrize(
    ("scan", "beside_the_result_mib"),
    [
        ("x.cumsum(0)", 16),
        ("x.cumprod(0, dtype=torch.float32)", 8),
        ("torch.cumsum(x, 0, out=whole)", 8),
        ("x.view(1024, 2048).t().cumsum(0)", 32),
        ("x[::2].cumsum(0)", 8),
        ("single.cumsum(0)", 0),
        ("single.logcumsumexp(0)", 0),
        ("single.view(1024, 2048).t().cumsum(1)", 8),
        ("whole.cumsum(0, dtype=torch.int32)", 0),
    ],
)
@on_device
def test_a_scan_converts_and_lays_out_its_input_first(scan, beside_the_result_mib):
    names = {"torch": torch, "x": torch.ones(1 << 21, dtype=torch.bool, device="cuda")}
    names["single"] = torch.ones(1 << 21, device="cuda")
    names["whole"] = torch.ones(1 << 21, dtype=torch.int32, device="cuda")
    held = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    result = eval(scan, names)
    if result is names["whole"]:
        held -= result.nbytes
    beside = torch.cuda.max_memory_allocated() - held - result.nbytes
    # What CUB takes for all of a tensor is some KiB.
    assert 0 <= beside - (beside_the_result_mib << 20) < 65_536
    whole_by_cub = result.dim() == 1
    assert (beside > beside_the_result_mib << 20) == whole_by_cub


@on_device
def test_real_memory_is_bounded_and_what_is_beyond_is_only_accounted():
    kept = [torch.rand(4 << 20, device="cuda") for _ in range(40)]
    known = 0
    for each in kept:
        try:
            each[0].item()
            known += 1
        except RuntimeError:
            break
    assert 0 < known * (16 << 20) <= 256 << 20
    assert torch.cuda.memory_allocated() == 40 * (16 << 20)
    del kept, each
    assert 0 <= torch.rand(3, device="cuda")[0].item() < 1


@on_device
def test_views_keep_their_base_alive_and_deaths_are_seen_at_once():
    x = torch.zeros(1000, device="cuda")
    view = x[10:20]
    del x
    assert torch.cuda.memory_allocated() == 4096
    del view
    assert torch.cuda.memory_allocated() == 0


@on_device(card="NVIDIA A100-SXM4-40GB")
def test_another_card_has_its_own_size():
    assert torch.cuda.get_device_properties(0).total_memory > 39 << 30
    torch.zeros(30 << 28, device="cuda")


@on_device
def test_a_fraction_of_the_card_can_be_set():
    torch.cuda.set_per_process_memory_fraction(0.5)
    with pytest.raises(torch.cuda.OutOfMemoryError, match=r"7\.38 GiB allowed"):
        torch.zeros(10 << 30, dtype=torch.uint8, device="cuda")
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.zeros(10 << 30, dtype=torch.uint8, device="cuda")


@on_device
def test_torch_cudas_own_reports_work():
    torch.ones(1000, device="cuda")
    assert "CUDA OOMs: 0" in torch.cuda.memory_summary()
    assert torch.cuda.memory_stats()["allocation.all.allocated"] == 1
    assert torch.cuda.max_memory_allocated() == 4096
    assert torch.cuda.mem_get_info() == (15843721216 - 612 * 2**20, 15843721216)
    (segment,) = torch.cuda.memory_snapshot()
    assert segment["total_size"] == 2 << 20


@on_device
def test_expandable_segments_hold_values_too():
    import os

    os.environ["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"
    vgpu.reset()
    x = torch.arange(5.0, device="cuda")
    assert (x * 2).tolist() == [0, 2, 4, 6, 8]


@on_device
def test_a_reset_takes_less_than_five_milliseconds():
    import time

    def measure():
        start = time.perf_counter()
        vgpu.reset()
        return time.perf_counter() - start

    assert min(measure() for _ in range(5)) < 0.005


@on_device
def test_a_reset_forgets_and_what_outlives_it_hurts_nobody():
    old = torch.arange(5.0, device="cuda")
    vgpu.reset(seed=7)
    assert torch.cuda.memory_allocated() == 0
    new = torch.zeros(5, device="cuda")
    assert old.tolist() == [0, 1, 2, 3, 4]
    del old
    assert torch.cuda.memory_allocated() == 512
    assert new.tolist() == [0] * 5
    assert torch.cuda.initial_seed() == 7


def test_the_first_use_of_memory_counts_for_the_processs_own_limit():
    """What is reserved before a fork must not escape RLIMIT_DATA after it."""
    code = """
        import resource
        import torch
        import grader.vgpu as vgpu
        vgpu.install(real_total_bytes=2 << 30)
        with open("/proc/self/status") as status:
            used = next(int(line.split()[1]) << 10 for line in status if "VmData" in line)
        resource.setrlimit(resource.RLIMIT_DATA, (used + (192 << 20),) * 2)
        kept = [torch.ones(8 << 20, device="cuda") for _ in range(12)]
        real = sum(vgpu._installed.device.core.make_real(each) for each in kept)
        with open("/proc/self/status") as status:
            now = next(int(line.split()[1]) << 10 for line in status if "VmData" in line)
        assert now <= used + (192 << 20)
        assert 0 < real < 12, real
        del kept[0]
        assert kept[-1][0].item() == 1
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=True, timeout=60)


NOTEBOOK = os.environ.get("GRADER_EXAMPLE_NOTEBOOK")
PRINTED = {
    "1.12": [
        *["allocated: 4096", "reserved: 15200157696"] * 4,
        "CUDA out of memory. Tried to allocate 28.31 GiB (GPU 0; 14.76 GiB total capacity; 4.00 KiB "
        "already allocated; 14.16 GiB free; 2.00 MiB reserved in total by PyTorch) If reserved memory "
        "is >> allocated memory try setting max_split_size_mb to avoid fragmentation.  See "
        "documentation for Memory Management and PYTORCH_CUDA_ALLOC_CONF",
        *["allocated: 4096", "reserved: 2097152"] * 2,
        "allocated: 6580868096",
        "reserved: 6582960128",
    ],
}
PLAY = """
import json, sys, types, warnings
warnings.simplefilter("ignore")
import grader.vgpu as vgpu
vgpu.install(profile=sys.argv[2])
from IPython.core.interactiveshell import InteractiveShell
lightning = types.ModuleType("pytorch_lightning")
lightning.seed_everything = lambda number, workers=False: number
sys.modules["pytorch_lightning"] = lightning
shell = InteractiveShell.instance()
shell.history_manager.enabled = False
shell.system = lambda command: None
shell.run_line_magic("xmode", "Minimal")
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code":
        shell.run_cell("".join(cell["source"]), store_history=True)
"""


def _notebook_prints(profile):
    done = subprocess.run(
        [sys.executable, "-c", PLAY, NOTEBOOK, profile],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return [
        line
        for line in done.stdout.splitlines()
        if line.startswith(("allocated:", "reserved:", "CUDA out of memory"))
    ]


def _kept_outputs():
    cells = json.loads(Path(NOTEBOOK).read_text())["cells"]
    texts = [
        "".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", ())
    ]
    return [
        line
        for text in texts
        for line in text.splitlines()
        if line.startswith(("allocated:", "reserved:", "CUDA out of memory"))
    ]


@pytest.mark.skipif(not NOTEBOOK, reason="GRADER_EXAMPLE_NOTEBOOK is not set")
def test_the_example_notebook_prints_every_figure_that_it_printed_on_a_real_card():
    kept, printed = _kept_outputs(), _notebook_prints("1.12")
    assert len(kept) >= 13
    assert printed[: len(kept)] == kept
    assert printed[len(kept) :] == PRINTED["1.12"][len(kept) :]


@pytest.mark.skipif(not NOTEBOOK, reason="GRADER_EXAMPLE_NOTEBOOK is not set")
def test_the_example_notebook_prints_what_the_newer_allocator_gives():
    printed = _notebook_prints("2.13")
    assert printed[:8] == PRINTED["1.12"][:8]
    assert printed[-2:] == ["allocated: 6589387776", "reserved: 6603931648"]
