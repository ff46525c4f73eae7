"""Random numbers of the native core against the model in numpy, which published values check."""

import pytest
from device_process import on_device

# The body of a test gets these where it runs; its process alone has the virtual GPU.
torch = F = nn = vgpu = None


@pytest.mark.parametrize("count", [1, 5, 1000, 163_841, 700_000])
@pytest.mark.parametrize("kind", ["uniform", "normal"])
@on_device
def test_floats_are_the_models(kind, count):
    from grader.vgpu.philox import CudaGenerator

    model = CudaGenerator(42)
    torch.manual_seed(42)
    for _ in range(2):
        draw = torch.rand if kind == "uniform" else torch.randn
        wanted = torch.from_numpy(getattr(model, kind)(count).copy())
        got = draw(count, device="cuda").cpu()
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=2e-6)
    assert torch.cuda.get_rng_state()[8:].view(torch.int64).item() == model.offset


@pytest.mark.parametrize("bounds", [(0, 10), (-5, 1000), (0, 1 << 40)])
@on_device
def test_integers_are_the_models(bounds):
    from grader.vgpu.philox import CudaGenerator

    torch.manual_seed(7)
    wanted = CudaGenerator(7).integers(1000, *bounds)
    assert torch.randint(*bounds, (1000,), device="cuda").tolist() == wanted.tolist()


@on_device
def test_one_seed_gives_one_sequence_however_it_is_set():
    generator = torch.Generator(device="cuda")
    generator.manual_seed(3)
    wanted = torch.rand(5, device="cuda", generator=generator)
    for seed in (torch.manual_seed, torch.cuda.manual_seed, torch.cuda.manual_seed_all):
        seed(3)
        assert torch.equal(torch.rand(5, device="cuda"), wanted)
    state = torch.cuda.get_rng_state()
    first = torch.randn(3, device="cuda")
    torch.cuda.set_rng_state(state)
    assert torch.equal(torch.randn(3, device="cuda"), first)


@pytest.mark.parametrize(
    "expression",
    [
        "torch.bernoulli(torch.full((50,), 0.5, device='cuda'))",
        "torch.randperm(50, device='cuda')",
        "torch.multinomial(torch.ones(50, device='cuda'), 20)",
        "torch.nn.functional.dropout(torch.ones(50, device='cuda'))",
        "torch.empty(50, device='cuda').exponential_()",
        "torch.rand(50, device='cuda', dtype=torch.float64)",
        "torch.randn(50, device='cuda', dtype=torch.float16)",
    ],
)
@on_device
def test_whatever_is_random_repeats_with_the_seed_and_not_without(expression):
    torch.manual_seed(1)
    of_the_cpu = torch.get_rng_state()
    first = eval(expression)
    again = eval(expression)
    assert torch.equal(torch.get_rng_state(), of_the_cpu)
    torch.manual_seed(1)
    assert torch.equal(eval(expression), first)
    assert not torch.equal(again, first)


@pytest.mark.parametrize(
    "expression",
    [
        "torch.rand(3, device='cuda', generator=cpu)",
        "torch.randperm(3, device='cuda', generator=cpu)",
        "torch.multinomial(ones, 2, generator=cpu)",
        "torch.binomial(ones, ones, generator=cpu)",
    ],
)
@on_device
def test_a_generator_of_the_cpu_is_refused_in_pytorchs_words(expression):
    names = {"torch": torch, "cpu": torch.Generator(), "ones": torch.ones(3, device="cuda")}
    with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator but found"):
        eval(expression, names)


@pytest.mark.parametrize(
    ("expression", "offset"),
    [
        ("F.dropout(large)", 1224),
        ("torch.rand_like(large).bernoulli_(0.5)", 2 * 1224),
        ("torch.bernoulli(large)", 12),
        ("torch.empty_like(large).exponential_()", 1224),
        ("F.rrelu(large, training=True)", 1224),
        ("torch.normal(large, large)", 1224),
        ("torch.multinomial(large, 2)", 1224),
        ("torch.poisson(large)", 20),
        ("torch.randperm(20_000_000, device='cuda')", 980 + 20_000_000),
        # Beyond 2 GiB once for the whole, and once for each half.
        ("torch.empty((1 << 29) + 1, device='cuda').uniform_()", 13_108 + 2 * 6556),
    ],
)
@on_device
def test_what_is_too_large_for_values_moves_the_generator_as_on_a_card(expression, offset):
    large = torch.ones(5000, 10_000, device="cuda")
    values = eval(expression, {"torch": torch, "F": F, "large": large})
    assert torch.cuda.get_rng_state()[8:].view(torch.int64).item() == offset
    with pytest.raises(RuntimeError, match="are not known"):
        values.flatten()[0].item()


@pytest.mark.parametrize(
    ("expression", "offset"),
    [
        ("torch.poisson(ones * 100)", 20),
        ("torch.binomial(ones, ones / 2)", 44),
        ("torch._standard_gamma(ones)", 12),
        ("torch._sample_dirichlet(ones)", 12),
    ],
)
@on_device
def test_values_of_the_cpus_kernels_leave_the_generator_where_a_card_does(expression, offset):
    names = {"torch": torch, "ones": torch.ones(50, device="cuda")}
    before = torch.get_rng_state()
    first = eval(expression, names)
    assert torch.cuda.get_rng_state()[8:].view(torch.int64).item() == offset
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(eval(expression, names), first)
    torch.cuda.set_rng_state(torch.cuda.get_rng_state().index_fill(0, torch.arange(8, 16), 0))
    assert torch.equal(eval(expression, names), first)


@on_device
def test_numbers_follow_the_order_of_memory():
    torch.manual_seed(5)
    wanted = torch.rand(12, device="cuda")
    torch.manual_seed(5)
    assert torch.equal(torch.empty(3, 4, device="cuda").t().uniform_(), wanted.view(3, 4).t())
    torch.manual_seed(5)
    every_other = torch.empty(4, 6, device="cuda").t()[::2]
    assert torch.equal(every_other.uniform_(), wanted.view(4, 3).t())


@on_device
def test_a_negative_rate_is_refused_in_pytorchs_words():
    with pytest.raises(
        RuntimeError, match="invalid Poisson rate, expected rate to be non-negative"
    ):
        torch.poisson(torch.tensor([1.0, -1.0], device="cuda"))


@on_device
def test_a_permutation_takes_what_its_dtype_takes_and_is_refused_in_pytorchs_words():
    count, taken = 1 << 20, {}
    for dtype in (torch.int32, torch.int64):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        found = torch.randperm(count, dtype=dtype, device="cuda")
        taken[dtype] = torch.cuda.max_memory_allocated() - before
        assert torch.equal(found.sort().values, torch.arange(count, dtype=dtype, device="cuda"))
        del found
    # The result, the range, and the copy that the sort makes of it.
    assert taken[torch.int64] - taken[torch.int32] == pytest.approx(3 * 4 * count, abs=1 << 20)
    with pytest.raises(NotImplementedError) as refusal:
        torch.randperm(4, dtype=torch.bfloat16, device="cuda")
    assert str(refusal.value) == "\"randperm_out_cuda\" not implemented for 'BFloat16'"


@pytest.mark.parametrize(
    "weights", ["-ones", "ones * 0", "ones / 0", "torch.stack([ones, ones * 0])"]
)
@on_device
def test_weights_that_are_no_distribution_are_refused(weights):
    weights = eval(weights, {"torch": torch, "ones": torch.ones(3, device="cuda")})
    with pytest.raises(RuntimeError, match="invalid multinomial distribution"):
        torch.multinomial(weights, 2, replacement=True)


@on_device
def test_attention_drops_weights_by_one_sequence_and_the_same_ones_in_the_backward():
    import numpy as np

    from grader.vgpu.philox import philox4x32

    torch.manual_seed(11)
    torch.rand(3, device="cuda")
    query, key = torch.zeros(2, 1, 2, 6, 5, device="cuda")
    value = torch.eye(6, device="cuda")[:, :5].expand(1, 2, 6, 5).clone().requires_grad_()
    kept = F.scaled_dot_product_attention(query, key, value, dropout_p=0.3)
    draws = np.arange(18)
    words = np.stack(philox4x32((1 + draws, 0 * draws, 0 * draws, 0 * draws), 11), 1)
    wanted = torch.from_numpy(words.reshape(2, 6, 6) * 2.0**-32 > 0.3)
    assert torch.equal(kept[0].detach().cpu() > 0, wanted[:, :, :5])
    assert torch.cuda.get_rng_state()[8:].view(torch.int64).item() == 4 + 72
    kept.sum().backward()
    drawn = wanted.sum(1).to(torch.float32)[..., None].expand(2, 6, 5) / 6 / 0.7
    torch.testing.assert_close(value.grad[0].cpu(), drawn)
