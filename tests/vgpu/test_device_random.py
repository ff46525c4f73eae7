"""Random numbers of the native core against the model in numpy, which published values check."""

import pytest
from device_process import on_device

# The body of a test gets these where it runs; its process alone has the virtual GPU.
torch = None


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
    first = eval(expression)
    again = eval(expression)
    torch.manual_seed(1)
    assert torch.equal(eval(expression), first)
    assert not torch.equal(again, first)


@on_device
def test_a_generator_of_the_cpu_is_refused_in_pytorchs_words():
    with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator but found"):
        torch.rand(3, device="cuda", generator=torch.Generator())
