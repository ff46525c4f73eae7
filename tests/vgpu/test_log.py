"""The device's own log of a cell, and the scratch ledger of probes."""

from device_process import on_device

from grader.vgpu.log import TIMELINE_POINTS, Timeline

# The body of a test gets these where it runs; its process alone has the virtual GPU.
torch = nn = vgpu = None


@on_device
def test_the_log_names_each_dtypes_largest_tensor_and_what_lay_beside_it():
    kept = torch.zeros(1000, dtype=torch.float64, device="cuda")
    torch.zeros(10 << 20, dtype=torch.float16, device="cuda")
    torch.zeros(30 << 20, dtype=torch.float16, device="cuda")
    log = vgpu.take_log()
    assert log.by_dtype["float16"].largest_bytes == 60 << 20
    assert log.by_dtype["float16"].allocations == 2
    assert log.by_dtype["float16"].largest_beside_bytes == 8192
    assert log.by_dtype["float64"].largest_bytes == kept.nbytes
    assert log.allocated_before == 0
    assert log.allocated_after == 8192
    assert log.peak_allocated == torch.cuda.max_memory_allocated()
    assert log.fits_before > 15 * 10**9
    assert vgpu.take_log().by_dtype == {}


@on_device
def test_the_largest_that_fits_is_exactly_what_fits():
    vgpu.take_log()
    for _ in range(3):
        _, _, largest = vgpu.memory_state()
        torch.zeros(largest, dtype=torch.uint8, device="cuda")
        with pytest.raises(torch.cuda.OutOfMemoryError):
            torch.zeros(largest + 1, dtype=torch.uint8, device="cuda")
        kept = torch.zeros(100_000_000, device="cuda")
    assert kept.is_cuda


@on_device
def test_a_refusal_is_logged_and_one_by_hand_is_not():
    held = torch.zeros(2 << 30, device="cuda")
    with pytest.raises(torch.cuda.OutOfMemoryError):
        torch.zeros(2 << 30, device="cuda")
    try:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
    except torch.cuda.OutOfMemoryError:
        pass
    log = vgpu.take_log()
    assert log.refusal_count == 1
    (refusal,) = log.refusals
    assert refusal.requested_bytes == refusal.held_dtype_bytes == held.nbytes
    assert refusal.dtype == "float32"
    assert log.by_dtype["float32"].largest_refused_bytes == held.nbytes
    assert log.by_dtype["float32"].refusals == 1


@on_device
def test_linear_layers_are_counted_also_when_they_are_refused():
    layer = nn.Linear(1, 2000).to("cuda")
    layer(torch.ones(3, 1, device="cuda"))
    nn.Linear(2, 2)(torch.ones(3, 2))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        layer(torch.zeros(1 << 22, 1, device="cuda"))
    log = vgpu.take_log()
    assert (log.linear_calls, log.linear_refused) == (2, 1)


@on_device
def test_many_births_are_logged_in_little_room_and_time():
    import time

    start = time.process_time()
    for size in range(20_000):
        torch.zeros(size + 1, device="cuda")
    assert (time.process_time() - start) / 20_000 < 60e-6
    log = vgpu.take_log()
    assert log.by_dtype["float32"].allocations == 20_000
    assert len(log.timeline) <= 64
    assert max(allocated for _, allocated, _ in log.timeline) == log.peak_allocated


@on_device
def test_a_million_refusals_keep_sixteen():
    for _ in range(100):
        with pytest.raises(torch.cuda.OutOfMemoryError):
            torch.zeros(1 << 33, device="cuda")
    log = vgpu.take_log()
    assert len(log.refusals) == 16
    assert log.refusal_count == 100


@on_device
def test_what_a_probe_does_moves_no_figure():
    layer = nn.Linear(4, 4).to("cuda")
    torch.manual_seed(3)
    torch.rand(5, device="cuda")

    def figures():
        return torch.cuda.memory_stats(), torch.cuda.get_rng_state().tolist(), vgpu.memory_state()

    before = figures()
    with vgpu.scratch():
        y = layer(torch.rand(1000, 4, device="cuda"))
        y.sum().backward()
        layer.zero_grad()
        with pytest.raises(torch.cuda.OutOfMemoryError):
            torch.zeros(1 << 33, device="cuda")
        torch.cuda.empty_cache()
        del y
    assert figures() == before
    log = vgpu.take_log()
    assert (log.refusal_count, log.linear_calls) == (0, 0)
    layer(torch.rand(2, 4, device="cuda"))
    assert torch.cuda.memory_allocated() > before[0]["allocated_bytes.all.current"] + 8 * 10**6


@on_device
def test_what_outlives_a_probe_stays_on_its_ledger():
    with vgpu.scratch():
        kept = torch.ones(1000, device="cuda")
    assert torch.cuda.memory_allocated() == 0
    assert kept.sum().item() == 1000
    del kept
    assert torch.cuda.memory_allocated() == 0


def test_a_timeline_keeps_few_points_and_every_peak():
    timeline = Timeline()
    for step in range(10_000):
        if step == 7_777:
            timeline.raise_highest(step, 99, 100)
        if step >= timeline.next_step:
            timeline.add(step, step % 50, 100)
    points = timeline.freeze((10_000, 0, 100))
    assert len(points) <= TIMELINE_POINTS
    assert (7_777, 99, 100) in points
    assert points == tuple(sorted(points))
