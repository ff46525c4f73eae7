"""What students do with a device, against the CPU's own answers."""

import pytest
from device_process import on_device

# The body of a test gets these where it runs; its process alone has the virtual GPU.
torch = nn = F = None


@on_device
def test_cuda_is_available_and_is_the_accelerator():
    assert torch.cuda.is_available()
    assert torch.cuda.device_count() == 1
    assert torch.cuda.get_device_name() == "Tesla T4"
    assert torch.accelerator.current_accelerator() == torch.device("cuda")
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    assert torch.zeros(3).to(device).device == device


@pytest.mark.parametrize(
    "expression",
    [
        "x + 1", "1 - x", "x * y", "x / (y.abs() + 1)", "x @ y.t()", "x.sum()", "x.mean(0)",
        "x.max(1).values", "x.argmax()", "x.std()", "x.softmax(1)", "x.log_softmax(0)", "x.relu()",
        "x.sigmoid()", "F.gelu(x)", "x.clamp(-1, 1)", "x.pow(2).sqrt()", "torch.where(x > 0, x, y)",
        "torch.cat([x, y])", "torch.stack([x, y], 1)", "x.view(-1)[::3]", "x[1]", "x[:, 2:4]",
        "x[x > 0]", "x[torch.tensor([0, 2])]", "x.t().contiguous()", "x.reshape(6, -1)",
        "x.unsqueeze(0).expand(3, -1, -1)", "x.half().float()", "x.double()", "x.int()", "x.bool()",
        "x.sort(1).values", "x.topk(2).indices", "x.cumsum(0)", "x.norm()", "x.flip(0)", "x.roll(1, 0)",
        "torch.einsum('ij,kj->ik', x, y)", "torch.linalg.svdvals(x)", "F.layer_norm(x, (6,))",
        "F.conv1d(x[None], y[:, None, :3].expand(4, 4, 3))", "F.max_pool2d(x[None, None], 2)",
        "F.interpolate(x[None, None], scale_factor=2, mode='bilinear')", "x.nonzero()", "x.unique()",
        "F.one_hot(torch.tensor([0, 2])).to(x.device)", "torch.cdist(x, y)", "torch.fft.fft(x).abs()",
        "F.mse_loss(x, y)", "F.cross_entropy(x, torch.tensor([0, 1, 2, 3]).to(x.device))",
        "F.binary_cross_entropy(x.sigmoid(), y.sigmoid())", "F.smooth_l1_loss(x, y)",
        "x.masked_fill(x > 0, 7.0)", "torch.tril(x)", "x.bfloat16() @ y.bfloat16().t()",
        "torch.complex(x, y).conj() * 2", "torch.heaviside(x, torch.zeros(1).to(x.device))",
        "F.scaled_dot_product_attention(x[None, None], y[None, None], y[None, None])",
        "F.scaled_dot_product_attention(x[None, None], y[None, None], y[None, None], is_causal=True)",
        "F.group_norm(x[None], 2)", "F.unfold(x[None, None], 2)", "x.quantile(0.3)", "x.median()",
        "torch.kaiser_window(5, device=x.device)", "x.nanmedian()", "x.count_nonzero(1)",
        "x.masked_select(y > 0)", "torch.isin(x, x[0])", "torch.isin(x.repeat(9, 9), x, invert=True)",
        "x.round().unique(return_inverse=True)[1]", "x.round().unique(return_counts=True)[1]",
        "x.round().unique_consecutive(return_inverse=True)[1]", "x.round().unique(dim=0)",
        "x.index_put((torch.tensor([0, 0]).to(x.device),), y[:2], accumulate=True)",
        "x.index_put((x > 0,), y[x > 0], accumulate=True)",
        "F.scaled_dot_product_attention(x[None, None], y[None, None], y[None, None],"
        " attn_mask=torch.zeros(4, 4, dtype=torch.bool, device=x.device))",
        "torch.linalg.solve(torch.complex(x, y)[:, :4], torch.complex(y, x)[:, :4], left=False)",
        "F.ctc_loss(x[:, None].log_softmax(2), torch.tensor([[1]]).to(x.device), (4,), (1,))",
    ],
)  # fmt: skip
@on_device
def test_an_operator_gives_what_the_cpu_gives(expression):
    torch.manual_seed(1)
    x, y = torch.randn(4, 6), torch.randn(4, 6)
    wanted = eval(expression, {"torch": torch, "F": F, "x": x, "y": y})
    got = eval(expression, {"torch": torch, "F": F, "x": x.cuda(), "y": y.cuda()})
    assert got.is_cuda
    assert got.dtype == wanted.dtype
    assert got.stride() == wanted.stride() or not wanted.is_contiguous()
    torch.testing.assert_close(got.cpu(), wanted)


@pytest.mark.parametrize("expression", ["y.masked_select(y > 0)", "y[None].masked_select(y > 0)"])
@on_device
def test_a_mask_selects_from_what_needs_no_expanding(expression):
    y = torch.arange(3.0, device="cuda").max()
    assert eval(expression, {"y": y}).tolist() == [2.0]


@pytest.mark.parametrize(
    "call",
    [
        "nn.Conv2d(1, 2, 3).to(device)(images[:0].requires_grad_()).sum().backward()",
        "nn.ConvTranspose2d(1, 2, 3).to(device)(images[:0].requires_grad_()).sum().backward()",
        "F.conv2d(images, kernel[:0])",
        "F.conv_transpose2d(images, kernel[:, :0])",
        "F.conv2d(images, kernel, stride=0)",
        "F.conv2d(images, kernel, dilation=0)",
        "F.conv_transpose2d(images, kernel, stride=0)",
        "F.conv1d(images[0, :, :, 0], kernel.view(1, 1, 9))",
        "torch.convolution(images, kernel, None, [1], [0], [1], False, [0], 1)",
        "torch.convolution(images, kernel, None, [2], [1], [1], True, [1], 1)",
        "torch.convolution(images, kernel, None, [1, 1, 1], [0], [1], False, [0], 1)",
        "torch.convolution(images, kernel[0], None, [1], [0], [1], False, [0], 1)",
        "torch.convolution(images[0, 0, 0], kernel, None, [1], [0], [1], False, [0], 1)",
    ],
)
@on_device
def test_a_convolution_without_cudnn_ends_as_on_the_cpu(call):
    torch.backends.cudnn.enabled = False
    found = []
    for device in ("cpu", "cuda"):
        names = {"images": torch.ones(2, 1, 5, 5), "kernel": torch.ones(1, 1, 3, 3)}
        names = {name: value.to(device) for name, value in names.items()}
        try:
            result = eval(call, {"torch": torch, "nn": nn, "F": F, "device": device, **names})
        except RuntimeError as error:
            result = str(error)
        found.append(result.tolist() if torch.is_tensor(result) else result)
    assert found[1] == found[0]


@pytest.mark.parametrize(
    "change",
    [
        "x.add_(1)", "x.mul_(x)", "x[0] = 5", "x[x > 0] = 0", "x[:, 1] += 2", "x.zero_()", "x.fill_(3)",
        "x.copy_(x.t().reshape(4, 6))", "x.clamp_(0)", "x.t().mul_(2)", "x.scatter_(1, i, 1.0)",
        "x.index_add_(0, i[0], x[:2] * 2)", "x.masked_fill_(x > 0, 1)", "x.data.sub_(1)",
    ],
)  # fmt: skip
@on_device
def test_a_change_in_place_is_what_the_cpu_makes(change):
    torch.manual_seed(1)
    x = torch.randn(4, 6)
    i = torch.tensor([[0, 1], [1, 0], [3, 2], [1, 2]])
    there, index = x.cuda(), i.cuda()
    exec(change, {"x": x, "i": i})
    exec(change, {"x": there, "i": index})
    torch.testing.assert_close(there.cpu(), x)


@pytest.mark.parametrize("layer", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(
    "options", [{}, {"bias": False}, {"num_layers": 2, "bidirectional": True, "batch_first": True}]
)
@on_device
def test_a_recurrent_layer_has_the_cpus_outputs_and_gradients(layer, options):
    import copy

    torch.manual_seed(0)
    here = getattr(nn, layer)(5, 7, **options)
    there = copy.deepcopy(here).to("cuda")
    x = torch.randn(4, 3, 5)
    mine, other = here(x)[0], there(x.cuda())[0]
    torch.testing.assert_close(other.cpu(), mine)
    mine.pow(2).sum().backward()
    other.pow(2).sum().backward()
    for name, parameter in here.named_parameters():
        torch.testing.assert_close(there.get_parameter(name).grad.cpu(), parameter.grad)


@pytest.mark.parametrize(
    "build",
    [
        "nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)",
        "nn.Sequential(nn.Linear(8, 4), nn.Sigmoid(), nn.LayerNorm(4), nn.Linear(4, 2))",
        "nn.Sequential(nn.Unflatten(1, (1, 5)), nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(),"
        " nn.MaxPool2d(2), nn.Flatten(), nn.Linear(9, 2))",
    ],
)
@on_device
def test_a_network_has_the_cpus_outputs_and_gradients(build):
    import copy

    torch.manual_seed(0)
    here = eval(build, {"nn": nn})
    there = copy.deepcopy(here).to("cuda")
    x = torch.randn(4, 5, 8)
    for mode in (True, False):
        here.train(mode)
        there.train(mode)
        mine, other = here(x), there(x.cuda())
        torch.testing.assert_close(other.cpu(), mine, rtol=1e-4, atol=1e-4)
        here.zero_grad()
        there.zero_grad()
        mine.pow(2).sum().backward()
        other.pow(2).sum().backward()
        for name, parameter in here.named_parameters():
            there_grad = there.get_parameter(name).grad.cpu()
            torch.testing.assert_close(there_grad, parameter.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "optimizer",
    "SGD Adam AdamW RMSprop Adagrad Adadelta Adamax NAdam RAdam Rprop ASGD LBFGS".split(),
)
@on_device
def test_an_optimizer_moves_parameters_as_on_the_cpu(optimizer):
    import copy

    torch.manual_seed(0)
    here = nn.Linear(4, 3)
    there = copy.deepcopy(here).to("cuda")
    for network, x in ((here, torch.ones(5, 4)), (there, torch.ones(5, 4, device="cuda"))):
        steps = getattr(torch.optim, optimizer)(network.parameters(), lr=0.01)

        def closure(network=network, x=x, steps=steps):
            steps.zero_grad()
            loss = network(x).pow(2).sum()
            loss.backward()
            return loss

        for _ in range(3):
            steps.step(closure)
    torch.testing.assert_close(there.weight.cpu(), here.weight, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "loss",
    [
        "torch.autograd.grad(x.abs().pow(2).sum(), x, create_graph=True)[0].norm().pow(2)",
        "torch.sgn(x).sum() + x.sum()",
        "F.rms_norm(x, (6,), w).pow(3).sum()",
        "F.rms_norm(x, (4, 6)).pow(3).sum()",
        "F.batch_norm(x, m, v, w, w, training=False).pow(2).sum()",
    ],
)
@on_device
def test_a_gradient_is_the_cpus(loss):
    torch.manual_seed(1)
    given = {"x": torch.randn(4, 6), "w": torch.rand(6), "m": torch.rand(6), "v": torch.rand(6)}
    found = []
    for device in ("cpu", "cuda"):
        names = {name: value.to(device) for name, value in given.items()}
        leaves = [names["x"].requires_grad_(), names["w"].requires_grad_()]
        value = eval(loss, {"torch": torch, "F": F, **names})
        grads = torch.autograd.grad(value, leaves, allow_unused=True)
        found.append([grad if grad is None else grad.cpu() for grad in grads])
    torch.testing.assert_close(found[1], found[0])


@pytest.mark.parametrize("function", ["softmax", "log_softmax"])
@on_device
def test_half_precision_goes_into_a_softmax_and_single_comes_out(function):
    torch.manual_seed(1)
    x = torch.randn(4, 6).half()
    there = x.cuda().requires_grad_()
    here = x.float().requires_grad_()
    given, wanted = (
        getattr(F, function)(there, 1, dtype=torch.float32),
        getattr(F, function)(here, 1),
    )
    assert given.dtype == torch.float32
    torch.testing.assert_close(given.cpu(), wanted)
    given.pow(2).sum().backward()
    wanted.pow(2).sum().backward()
    torch.testing.assert_close(there.grad.cpu().float(), here.grad, rtol=1e-2, atol=1e-3)
    with torch.autocast("cuda"):
        assert getattr(torch, function)(there, 0).dtype == torch.float32


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@on_device
def test_a_normalised_network_of_half_precision_is_trained_in_both_modes(dtype):
    layer = nn.BatchNorm1d(3).to("cuda", getattr(torch, dtype))
    x = torch.ones(4, 3, device="cuda", dtype=getattr(torch, dtype), requires_grad=True)
    for mode in (True, False):
        layer.train(mode)
        layer(x).sum().backward()
    assert x.grad.dtype == layer.weight.grad.dtype == getattr(torch, dtype)


@on_device
def test_tensors_are_equal_where_every_element_is():
    x = torch.randn(4, 6, device="cuda")
    assert torch.equal(x, x.clone())
    assert not torch.equal(x, x + 1)
    assert not torch.equal(x, x[0])


@on_device
def test_a_tensor_equals_itself_whatever_its_values_are():
    x = torch.randn(20_000_000, device="cuda")
    assert torch.equal(x, x)
    assert torch.equal(x[1:], x[1:])
    with pytest.raises(RuntimeError, match="not known"):
        torch.equal(x[1:], x[:-1])
    nan = torch.full((3,), float("nan"), device="cuda")
    assert torch.equal(nan, nan)  # as cuda_equal has it; the CPU looks for them
    assert not torch.equal(nan, nan.clone())


@pytest.mark.parametrize("dtype", ["int64", "bool", "float16"])
@on_device
def test_the_median_of_nothing_is_what_the_cpu_makes_of_no_number(dtype):
    x = torch.zeros(0, dtype=getattr(torch, dtype))
    for name in ("median", "nanmedian"):
        there = getattr(x.cuda(), name)()
        assert there.dtype == x.dtype
        torch.testing.assert_close(there.cpu(), getattr(x, name)(), equal_nan=True)


@pytest.mark.parametrize("function", ["unique", "unique_consecutive"])
@on_device
def test_counts_are_known_however_much_room_they_were_given(function):
    few = getattr(torch.zeros(10, dtype=torch.uint8, device="cuda"), function)(return_counts=True)
    assert [found.tolist() for found in few] == [[0], [10]]
    x = torch.zeros(9_000_000, dtype=torch.uint8, device="cuda")
    before = torch.cuda.memory_allocated()
    values, counts = getattr(x, function)(return_counts=True)
    assert (values.tolist(), (counts + 1).tolist()) == ([0], [9_000_001])
    assert torch.cuda.memory_allocated() - before == 9_000_448 + 72_000_000


@on_device
def test_counts_are_known_where_their_room_is_more_than_may_be_real():
    x = torch.zeros(40_000_000, dtype=torch.uint8, device="cuda")
    torch.cuda.reset_peak_memory_stats()
    values, counts = x.unique_consecutive(return_counts=True)
    assert (values.tolist(), counts.tolist()) == ([0], [40_000_000])
    assert torch.cuda.max_memory_allocated() > 400_000_000


@on_device
def test_different_values_of_bool_are_counted_without_a_sort():
    x = torch.zeros(1_000_000, dtype=torch.bool, device="cuda")
    x[::4] = True
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    values, counts = x.unique(return_counts=True)
    assert values.tolist() == [False, True]
    assert counts.tolist() == [750_000, 250_000]
    assert torch.cuda.memory_allocated() - before == 2 * 512
    assert torch.cuda.max_memory_allocated() - before < 16_384
    assert x[:8].unique(return_inverse=True)[1].tolist() == [1, 0, 0, 0] * 2
    assert (~x[1:3]).unique().tolist() == [True]


@on_device
def test_attention_lays_out_heads_after_the_sequence_and_joins_them_without_a_copy():
    x = torch.randn(2, 4, 16, 8, device="cuda", requires_grad=True)
    y = F.scaled_dot_product_attention(x, x, x).transpose(1, 2)
    assert y.is_contiguous()
    before = torch.cuda.memory_allocated()
    joined = y.reshape(2, 16, 32)
    assert torch.cuda.memory_allocated() == before
    joined.sum().backward()


@on_device
def test_storages_over_the_bytes_of_others_have_their_values():
    import io
    import pickle

    x = torch.arange(6.0, device="cuda")
    assert pickle.loads(pickle.dumps(x)).tolist() == x.tolist()
    file = io.BytesIO()
    torch.save(x, file, _use_new_zipfile_serialization=False)
    file.seek(0)
    assert torch.load(file).tolist() == x.tolist()
    shared = torch.from_dlpack(x[2:])
    assert shared.is_cuda
    assert shared.tolist() == [2.0, 3.0, 4.0, 5.0]
    shared.mul_(2)
    assert x.tolist() == [0.0, 1.0, 4.0, 6.0, 8.0, 10.0]


@on_device
def test_random_complex_numbers_have_the_variance_asked_for():
    x = torch.randn(20000, dtype=torch.cfloat, device="cuda")
    assert x.real.var().item() == pytest.approx(0.5, rel=0.05)
    assert torch.view_as_real(torch.rand(100, dtype=torch.cfloat, device="cuda")).max() < 1


@on_device
def test_mixed_precision_training_runs():
    layer = nn.Linear(8, 8).to("cuda")
    scaler = torch.amp.GradScaler("cuda")
    steps = torch.optim.SGD(layer.parameters(), 0.1)
    before = layer.weight.detach().clone()
    with torch.autocast("cuda", dtype=torch.float16):
        y = layer(torch.randn(4, 8, device="cuda"))
    assert y.dtype == torch.float16
    scaler.scale(y.float().pow(2).mean()).backward()
    scaler.step(steps)
    scaler.update()
    assert not torch.equal(before, layer.weight)


@on_device
def test_a_state_is_saved_and_loaded_on_either_device():
    import io

    layer = nn.Linear(8, 8).to("cuda")
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    for where in ("cuda", "cpu"):
        file.seek(0)
        weight = torch.load(file, map_location=where)["weight"]
        assert weight.device.type == where
        assert torch.equal(weight.cpu(), layer.weight.cpu())


@on_device
def test_batches_come_pinned_from_a_loader():
    data = torch.utils.data.TensorDataset(torch.arange(10.0))
    for (batch,) in torch.utils.data.DataLoader(data, batch_size=5, pin_memory=True):
        assert batch.is_pinned()
        assert batch.to("cuda", non_blocking=True).is_cuda
    assert not torch.ones(3).is_pinned()


@on_device
def test_streams_and_events_exist():
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        assert torch.cuda.current_stream() == stream
        x = torch.ones(3, device="cuda")
    x.record_stream(stream)
    torch.cuda.current_stream().wait_stream(stream)
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    first, second = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    second.record()
    torch.cuda.synchronize()
    assert first.elapsed_time(second) >= 0


@on_device
def test_autograd_works_in_its_several_forms():
    x = torch.randn(3, device="cuda", requires_grad=True)
    (grad,) = torch.autograd.grad(x.pow(3).sum(), x, create_graph=True)
    grad.sum().backward()
    torch.testing.assert_close(x.grad, 6 * x)
    with torch.no_grad():
        assert not (x * 2).requires_grad
    with torch.inference_mode():
        assert (x * 2 + 1).is_inference()
    torch.testing.assert_close(torch.func.grad(lambda t: (t**2).sum())(x), 2 * x)


@on_device
def test_old_tensor_types_work():
    assert torch.cuda.FloatTensor([1.0, 2.0]).tolist() == [1.0, 2.0]
    x = torch.ones(2).type(torch.cuda.HalfTensor)
    assert x.type() == "torch.cuda.HalfTensor"
    assert isinstance(x, torch.cuda.HalfTensor)
    assert not isinstance(x.cpu(), torch.cuda.HalfTensor)
    assert torch.cuda.IntTensor(2, 3).shape == (2, 3)


@on_device
def test_dataparallel_over_the_one_card_is_the_module_itself():
    layer = nn.Linear(3, 3).to("cuda")
    x = torch.ones(2, 3)
    assert torch.equal(nn.DataParallel(layer)(x), layer(x.cuda()))


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("torch.eye(3, device='cuda').to_sparse()", "sparse"),
        ("torch.compile(nn.Linear(3, 3).cuda())(torch.ones(3).cuda())", "torch.compile"),
        ("torch.compile(torch.neg)(torch.ones(3, device='cuda'))", "torch.compile"),
        ("torch.cuda.CUDAGraph()", "CUDA graph"),
        ("torch.cuda.memory._record_memory_history()", "memory history"),
        ("torch._C._cuda_customAllocator()", "custom allocator"),
        (
            "torch._nested_tensor_from_mask(torch.ones(2, 3, 4).cuda(), torch.ones(2, 3).bool().cuda())",
            "nested",
        ),
    ],
)
@on_device
def test_what_is_not_modelled_is_refused_by_name(statement, named):
    with pytest.raises((NotImplementedError, RuntimeError), match=r"^vgpu: ") as refusal:
        exec(statement, {"torch": torch, "nn": nn})
    assert named in str(refusal.value)
    assert "\n" not in str(refusal.value).strip()


@on_device
def test_what_a_student_forks_from_the_process_with_the_gpu_is_refused_in_pytorchs_words():
    import os

    torch.ones(3, device="cuda")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            torch.ones(3, device="cuda")
        except RuntimeError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        assert "Cannot re-initialize CUDA in forked subprocess" in pipe.read()
    os.waitpid(child, 0)


@on_device
def test_the_default_type_of_old_code_makes_tensors_on_the_device():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that the function is old
        torch.set_default_tensor_type("torch.cuda.FloatTensor")
        assert torch.zeros(2).is_cuda
        assert nn.Linear(2, 2).weight.is_cuda
        torch.set_default_tensor_type(torch.cuda.HalfTensor)
        assert torch.zeros(2).dtype == torch.float16
        torch.set_default_tensor_type("torch.FloatTensor")
        assert torch.zeros(2).type() == "torch.FloatTensor"
