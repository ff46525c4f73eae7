"""The Python layer over the device: each call answers as on a card, or is refused by name."""

import pytest
from device_process import on_device

# The body of a test gets these where it runs; its process alone has the virtual GPU.
torch = nn = None


@on_device
def test_the_accelerators_memory_functions_are_those_of_cuda():
    x = torch.ones(1000, device="cuda")
    assert torch.accelerator.memory_allocated() == torch.cuda.memory_allocated() == 4096
    assert torch.accelerator.max_memory_reserved() == torch.cuda.max_memory_reserved()
    assert torch.accelerator.memory_stats() == torch.cuda.memory_stats()
    del x
    torch.accelerator.empty_cache()
    assert torch.cuda.memory_reserved() == 0
    torch.accelerator.reset_peak_memory_stats()
    torch.accelerator.reset_accumulated_memory_stats()
    assert torch.accelerator.max_memory_allocated() == 0
    assert torch.cuda.memory_stats()["allocation.all.allocated"] == 0


@on_device
def test_memory_without_a_tensor_is_taken_and_given_back_once():
    address = torch.cuda.caching_allocator_alloc(1000)
    assert torch.cuda.memory_allocated() == 1024
    torch.cuda.caching_allocator_delete(address)
    assert torch.cuda.memory_allocated() == 0
    with pytest.raises(RuntimeError, match="invalid device pointer: 0x"):
        torch.cuda.caching_allocator_delete(address)


@on_device
def test_what_says_nothing_about_memory_does_nothing():
    with torch.cuda.nvtx.range("a"):
        torch.cuda.nvtx.mark("b")
    assert torch.cuda.nvtx.range_push("c") == 0
    assert torch.cuda.nvtx.range_pop() == 0
    torch.cuda.nvtx.range_end(torch.cuda.nvtx.range_start("d"))
    assert not torch.cuda.is_current_stream_capturing()
    assert torch.backends.cuda.cufft_plan_cache.size == 0
    torch.backends.cuda.cufft_plan_cache.clear()
    assert "PyTorch built with" in torch.__config__.show()


@on_device
def test_the_profiler_times_what_ran_on_the_device_without_a_word():
    import os
    import tempfile

    from torch.profiler import ProfilerActivity, profile

    kept = os.dup(2)
    with tempfile.TemporaryFile() as words:
        os.dup2(words.fileno(), 2)
        try:
            with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
                torch.ones(30, device="cuda").add(1).sum().item()
        finally:
            os.dup2(kept, 2)
        words.seek(0)
        assert b"CUDA" not in words.read()
    assert "aten::add" in profiler.key_averages().table(sort_by="cuda_time_total")


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("torch.cuda.MemPool()", "private memory pool"),
        ("torch.cuda.graph_pool_handle()", "CUDA graph"),
        ("torch.ones(2, device='cuda').untyped_storage().resize_(0)", "resizing a storage"),
        (
            "torch.empty(0, device='cuda').set_(torch.ones(9).cuda().untyped_storage(), 9999, (9999,))",
            "resizing a storage",
        ),
        ("torch.ones(2, device='cuda').untyped_storage()._share_cuda_()", "IPC"),
        ("torch.sparse_coo_tensor([[0], [1]], [1.0], (2, 2), device='cuda')", "sparse"),
        ("torch.eye(2).to_sparse().cuda()", "sparse"),
        (
            "torch.nested.nested_tensor([torch.ones(2).cuda(), torch.ones(3).cuda()]).unbind()",
            "nested",
        ),
        (
            "nn.Embedding(3, 2, sparse=True).cuda()(torch.tensor([1]).cuda()).sum().backward()",
            "sparse",
        ),
    ],
)
@on_device
def test_what_is_not_modelled_is_refused_in_one_sentence(statement, named):
    import warnings

    warnings.simplefilter("ignore")
    with pytest.raises(NotImplementedError, match=r"^vgpu: ") as refusal:
        exec(statement, {"torch": torch, "nn": nn})
    assert named in str(refusal.value)
    assert "\n" not in str(refusal.value).strip()
