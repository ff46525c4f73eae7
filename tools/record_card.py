"""Record what a card and its PyTorch do, for the virtual GPU to be compared with.

    python tools/record_card.py > card.jsonl

needs a GPU, a CUDA build of PyTorch from 2.5 on, and NumPy, and takes about a minute. Each line of
the output is one recording ``{"section": ..., "key": ..., ...}``. The same code is run on the
virtual card by `tests/vgpu/test_recorded_card.py`, which compares.
"""

import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy  # noqa: F401 - values are read through it; missing, each recording would fail
import torch
import torch.nn.functional as F
from torch import nn

Recording = Iterator[tuple[str, dict[str, Any]]]

MIB = 1 << 20
_SEED = 20261126
_NAMES = {"torch": torch, "F": F, "nn": nn, "C": "cuda"}
"""What the expressions below use."""

_PROPERTIES = (
    "name", "total_memory", "major", "minor", "multi_processor_count",
    "max_threads_per_multi_processor", "L2_cache_size", "shared_memory_per_block",
    "shared_memory_per_block_optin", "shared_memory_per_multiprocessor",
    "regs_per_multiprocessor", "warp_size", "is_integrated", "is_multi_gpu_board",
)  # fmt: skip
_STATISTICS = (
    "allocated_bytes.all.current", "reserved_bytes.all.current", "active_bytes.all.current",
    "inactive_split_bytes.all.current", "requested_bytes.all.current", "allocated_bytes.all.peak",
    "reserved_bytes.all.peak", "allocation.all.allocated", "segment.all.current",
    "num_alloc_retries", "num_ooms",
)  # fmt: skip


def of_the_card() -> Recording:
    """What it says of itself, and how much of it is free while a program goes on."""
    yield "versions", {"torch": torch.__version__, "cuda": torch.version.cuda}
    torch.cuda.init()
    properties = torch.cuda.get_device_properties(0)
    yield "properties", {name: getattr(properties, name, None) for name in _PROPERTIES}
    kept = []
    for step, action in {
        "at the start": lambda: None,
        "after an empty tensor": lambda: kept.append(torch.empty(1, device="cuda")),
        "after a kernel": lambda: kept.append(torch.zeros(1000, device="cuda")),
        "after a sum": lambda: kept.append(torch.zeros(1000, device="cuda").sum()),
        "after random numbers": lambda: kept.append(torch.randn(1000, device="cuda")),
        "after a product of matrices": lambda: kept.append(
            torch.zeros(64, 64, device="cuda") @ torch.zeros(64, 64, device="cuda")
        ),
        "after a layer": lambda: kept.append(
            nn.Linear(64, 64, device="cuda")(torch.zeros(64, 64, device="cuda"))
        ),
    }.items():
        action()
        torch.cuda.synchronize()
        free, total = torch.cuda.mem_get_info()
        yield step, {"free": free, "total": total, **_figures()}


def of_its_size() -> Recording:
    """The largest tensor, how many of one size fit, and what is said when none does."""
    _begin_anew()
    least, most = 0, torch.cuda.mem_get_info()[1]
    while most - least > 2 * MIB:
        middle = (least + most) // 2 // (2 * MIB) * (2 * MIB)
        if _fits(middle):
            least = middle
        else:
            most = middle
    yield "largest tensor", {"bytes": least}
    for size in (MIB, 11 * MIB, 20 * MIB + 1, 1 << 30):
        _begin_anew()
        kept = []  # the tensors before go now, so their segments are in the cache
        try:
            while True:
                kept.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
        except torch.OutOfMemoryError as error:
            text = str(error)
        free = torch.cuda.mem_get_info()[0]
        yield (
            f"tensors of {size} bytes",
            {"count": len(kept), "text": text, "free": free, **_figures()},
        )
    kept = []
    _begin_anew()
    try:
        torch.zeros(1 << 50, device="cuda")
    except torch.OutOfMemoryError as error:
        yield "far too large", {"text": str(error)}


def of_the_allocator() -> Recording:
    """The statistics after each step of programs that take and give back at random."""
    for seed, (smallest, largest) in enumerate([(0, 22), (9, 25), (18, 28), (20, 35), (0, 36)]):
        _begin_anew()
        chance = random.Random(_SEED + seed)
        kept: list[torch.Tensor] = []
        for step in range(400):
            text, choice = "", chance.random()
            if choice < 0.6 or not kept:
                count = int(2 ** chance.uniform(smallest, largest))
                try:
                    kept.append(torch.empty(count, dtype=torch.uint8, device="cuda"))
                except torch.OutOfMemoryError as error:
                    text = str(error)
                    del kept[: len(kept) // 2]
            elif choice < 0.96:
                kept.pop(chance.randrange(len(kept)))
            elif choice < 0.98:
                torch.cuda.empty_cache()
            else:
                torch.cuda.reset_peak_memory_stats()
            found = torch.cuda.memory_stats()
            yield (
                f"program {seed}, step {step}",
                {"found": [found[name] for name in _STATISTICS], "text": text},
            )
        yield f"program {seed}, segments", {"segments": _segments()}


_RANDOM = (
    "torch.rand(n, device=C)", "torch.randn(n, device=C)", "torch.randint(10, (n,), device=C)",
    "torch.randint(-5, 1 << 40, (n,), device=C)", "torch.rand(n, device=C, dtype=torch.float64)",
    "torch.randn(n, device=C, dtype=torch.float64)", "torch.rand(n, device=C, dtype=torch.float16)",
    "torch.randn(n, device=C, dtype=torch.float16)",
    "torch.rand(n, device=C, dtype=torch.bfloat16)",
    "torch.randn(n, device=C, dtype=torch.bfloat16)",
    "torch.randint(100, (n,), device=C, dtype=torch.int32)",
    "torch.randint(100, (n,), device=C, dtype=torch.uint8)",
    "torch.randint(2, (n,), device=C, dtype=torch.bool)",
    "torch.randint(10, (n,), device=C, dtype=torch.float32)",
    "torch.empty(n, device=C).uniform_(-3, 5)", "torch.empty(n, device=C).normal_(2, 3)",
    "torch.empty(n, device=C, dtype=torch.int64).random_()",
    "torch.empty(n, device=C).random_()", "torch.empty(n, device=C).random_(3, 17)",
    "torch.empty(n, device=C).exponential_(2)", "torch.empty(n, device=C).cauchy_()",
    "torch.empty(n, device=C).log_normal_()", "torch.empty(n, device=C).geometric_(0.3)",
    "torch.empty(n, device=C).bernoulli_(0.3)",
    "torch.empty(n, device=C, dtype=torch.bool).bernoulli_(0.3)",
    "torch.empty(n, device=C, dtype=torch.int64).bernoulli_(0.3)",
    "torch.bernoulli(torch.full((n,), 0.3, device=C))",
    "torch.poisson(torch.full((n,), 3.0, device=C))",
    "torch.randperm(n, device=C)", "torch.normal(0.0, 1.0, (n,), device=C)",
    "torch.normal(torch.zeros(n, device=C), torch.ones(n, device=C))",
    "torch.normal(torch.zeros(n, device=C), 2.0)",
    "F.dropout(torch.ones(n, device=C), 0.5)", "F.dropout(torch.ones(n, device=C), 0.1)",
    "F.dropout(torch.ones(n, device=C).half(), 0.5)",
    "F.dropout(torch.ones(2, n, device=C).t(), 0.5)",
    "F.dropout(torch.ones(n, device=C).requires_grad_(), 0.5).detach()",
    "F.alpha_dropout(torch.ones(n, device=C), 0.5, training=True)",
    "F.dropout1d(torch.ones(n, 2, 1, device=C), 0.5)",
    "F.rrelu(-torch.ones(n, device=C), training=True)",
    "torch.multinomial(torch.ones(n, device=C), min(n, 5))",
    "torch.multinomial(torch.ones(n, device=C), 7, replacement=True)",
    "nn.Linear(n, 3, device=C).weight.detach()",
    "nn.init.trunc_normal_(torch.empty(n, device=C))",
    "nn.init.orthogonal_(torch.empty(min(n, 20), 5, device=C)).sign()",
    "nn.init.kaiming_normal_(torch.empty(n, 3, device=C))",
    "F.gumbel_softmax(torch.zeros(n, device=C), dim=0)",
    "torch.rand(n, device=C, dtype=torch.complex64)",
    "torch.randn(n, device=C, dtype=torch.complex64)",
)  # fmt: skip
_COUNTS = (1, 2, 5, 255, 1000, 4096, 4097, 100_000, 1_000_003, 3_000_001)


def of_random_numbers() -> Recording:
    """The first and last values that each way to draw gives, and how far the generator went."""
    for expression in _RANDOM:
        for count in _COUNTS:
            yield f"{expression}, n={count}", _or_error(_drawn, expression, count)


def _drawn(expression: str, count: int) -> dict[str, Any]:
    torch.manual_seed(_SEED + count)
    torch.rand(3, device="cuda")
    values = eval(expression, {**_NAMES, "n": count}).cpu().reshape(-1)
    values = torch.view_as_real(values).reshape(-1) if values.is_complex() else values
    data = values.contiguous().view(torch.uint8).numpy().tobytes()
    some = torch.cat([values[:6], values[len(values) // 2 :][:4], values[-6:]])
    return {
        "some": (some.double() if some.is_floating_point() else some).tolist(),
        "digest": hashlib.sha256(data).hexdigest()[:16],
        "offset": torch.cuda.get_rng_state()[8:].view(torch.int64).item(),
    }


_OPERATORS = (
    "a.sum()", "a.sum(0)", "a.sum(1)", "a.mean()", "a.max()", "a.max(0)", "a.max(1)", "a.argmax()",
    "a.argmax(0)", "a.argmax(1)", "a.std()", "a.var(0)", "a.var(1)", "a.norm()", "a.norm(dim=1)",
    "a.prod()", "a.prod(0)", "a.all()", "a.any(1)", "a.amax(0)", "a.amin(1)", "a.aminmax()",
    "a.logsumexp(0)", "a.logsumexp(1)", "a.nansum()", "a.count_nonzero()", "a.count_nonzero(1)",
    "a.median()", "a.median(1)", "a.nanmedian()", "a.kthvalue(2, 1)", "a.mode(1)",
    "a.quantile(0.5)", "a.quantile(0.5, dim=1)", "a.cumsum(0)", "a.cumsum(1)",
    "a.flatten().cumsum(0)", "a.cumprod(1)", "a.cummax(1)", "a.logcumsumexp(1)",
    "a.topk(2)", "a.topk(2, 0)", "a.flatten().topk(5)", "a.sort()", "a.sort(0)",
    "a.flatten().sort()", "a.argsort()", "a.long().sort()", "a.half().sort()",
    "a.sort(stable=True)", "a.msort()", "a.unique()", "a.long().unique(return_counts=True)",
    "a.unique(dim=0)", "a.unique_consecutive()", "a.nonzero()", "a[a > 0]", "torch.where(a > 0)",
    "a.masked_select(a > 0)", "a.masked_fill(a > 0, 1)", "a.histc(10)",
    "a.flatten().abs().long().bincount()", "torch.bucketize(a, a[0].sort().values)",
    "torch.searchsorted(a[0].sort().values, a)", "torch.isin(a, a[0])", "a.flip(0)", "a.roll(1, 0)",
    "a.tril()", "a.diag()", "torch.diag(a[0])", "a.trace()", "a.t() @ a", "a @ a.t()", "a @ a[0]",
    "torch.einsum('ij,kj->ik', a, a)", "torch.outer(a[0], a[0])", "a.half() @ a.half().t()",
    "a.bfloat16() @ a.bfloat16().t()", "a.double() @ a.double().t()", "torch.cdist(a[:64], a[:64])",
    "torch.pdist(a[:64])", "F.cosine_similarity(a, a)", "F.normalize(a)", "torch.cov(a[:64])",
    "torch.corrcoef(a[:64])", "torch.linalg.norm(a)", "torch.linalg.vector_norm(a, dim=1)",
    "torch.cross(a[:, :3], a[:, :3], dim=1)", "torch.kron(a[:4, :4], a[:4, :4])",
    "torch.tensordot(a, a, 2)", "torch.combinations(a[0, :9])", "torch.cartesian_prod(a[0], a[0])",
    "a.repeat_interleave(2)", "a[torch.randperm(len(a), device=C)]",
    "a[torch.zeros(50, dtype=torch.long, device=C)]", "a.gather(1, a[:, :2].abs().long() * 0)",
    "a.clone().scatter_add_(1, a.long() * 0, a)", "a.clone().index_add_(0, a[:, 0].long() * 0, a)",
    "a.clone().index_put_((a[:, 0].long() * 0,), a, accumulate=True)",
    "a.clone().index_copy_(0, torch.arange(len(a), device=C), a)", "a.renorm(2, 0, 1)",
    "torch.softmax(a, 1)", "torch.log_softmax(a, 0)", "F.layer_norm(a, a.shape[1:])",
    "F.group_norm(a[:, :, None].expand(-1, -1, 4).contiguous(), 2)", "F.glu(a)", "F.gelu(a)",
    "F.one_hot(a[:, 0].abs().long())", "F.embedding(a[:, 0].abs().long() % len(a), a)",
    "F.cross_entropy(a, a[:, 0].long() * 0)", "F.nll_loss(a, a[:, 0].long() * 0)",
    "F.mse_loss(a, a * 2)", "F.kl_div(a, a)", "F.huber_loss(a, a)",
    "F.triplet_margin_loss(a, a, a)",
    "F.ctc_loss(a[:, None].expand(-1, 2, -1).log_softmax(2), torch.ones(2, 3, dtype=torch.long), "
    "(50, 50), (3, 3))",
    "torch.fft.fft(a)", "torch.fft.rfft2(a)", "torch.stft(a[0], 16, return_complex=True)",
    "torch.linalg.inv(s)", "torch.linalg.solve(s, s)", "torch.linalg.det(s)",
    "torch.linalg.cholesky(s)", "torch.linalg.qr(s)", "torch.linalg.svd(s)",
    "torch.linalg.eigh(s)", "torch.linalg.lstsq(s, s)", "torch.linalg.matrix_power(s, 5)",
    "torch.linalg.matrix_exp(s)", "torch.linalg.pinv(s)", "torch.logdet(s)",
)  # fmt: skip
_SHAPES = ((8, 8), (64, 100), (1000, 256), (3, 200_000), (200_000, 4))

_BACKWARD = (
    "(a * a).sum()", "a.mean()", "a.max()", "a.max(1).values.sum()", "a.std()", "a.norm()",
    "a.prod()", "a.cumsum(1).sum()", "a.sort().values.sum()", "a.topk(2).values.sum()",
    "torch.softmax(a, 1).pow(2).sum()", "F.layer_norm(a, a.shape[1:]).sum()",
    "F.gelu(a).sum()", "F.relu(a).sum()", "F.dropout(a).sum()", "(a @ a.t()[:, :50]).sum()",
    "F.cross_entropy(a, a[:, 0].long() * 0)", "F.mse_loss(a, a.detach() * 2)",
    "a[:, 0].sum()", "a[a > 0].sum()", "a.gather(1, a[:, :1].long() * 0).sum()",
    "a[torch.zeros(50, dtype=torch.long, device=C)].sum()", "torch.cat([a, a]).sum()",
    "F.embedding(torch.arange(len(a), device=C) % 8 % len(a), a).sum()", "a.var(0).sum()",
    "a.logsumexp(1).sum()",
    "F.batch_norm(a, None, None, training=True).pow(2).sum()", "a.clamp(0, 1).sum()",
    "F.linear(a, a[:4]).sum()", "torch.where(a > 0, a, -a).sum()", "a.expand(3, *a.shape).sum()",
)  # fmt: skip

_NETWORKS = {
    "mlp": "nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)), (32, 64)",
    "wide": "nn.Linear(1, 100_000), (64, 1)",
    "deep": "nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.Tanh()) for _ in range(9)]), "
    "(8, 64)",
    "bn": "nn.Sequential(nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU()), (32, 64)",
    "ln": "nn.Sequential(nn.Linear(64, 128), nn.LayerNorm(128), nn.Dropout()), (32, 64)",
    "conv": "nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), "
    "nn.Linear(16 * 15 * 15, 10)), (32, 3, 32, 32)",
    "conv bn": "nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)), (8, 3, 32, 32)",
    "conv1": "nn.Conv1d(4, 8, 5), (8, 4, 100)",
    "deconv": "nn.ConvTranspose2d(4, 8, 3, 2), (8, 4, 16, 16)",
    "lstm": "nn.LSTM(16, 32, 2, batch_first=True), (4, 10, 16)",
    "gru": "nn.GRU(16, 32, bidirectional=True), (10, 4, 16)",
    "rnn": "nn.RNN(16, 32), (10, 4, 16)",
    "attention": "nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), (4, 10, 32)",
    "half": "nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)).half(), (32, 64)",
}  # fmt: skip
_OPTIMIZERS = ("SGD(p, lr=0.1)", "SGD(p, lr=0.1, momentum=0.9)", "Adam(p)", "AdamW(p)")


def of_operators() -> Recording:
    """What an operator leaves allocated, and the most that it took."""
    for shape in _SHAPES:
        for expression in _OPERATORS:
            yield f"{expression} of {shape}", _or_error(_operate, expression, shape)


def _operate(expression: str, shape: tuple[int, int]) -> dict[str, Any]:
    torch.manual_seed(_SEED)
    a = torch.randn(*shape, device="cuda")
    side = min(*shape, 64)
    s = a[:side, :side] @ a[:side, :side].t() + side * torch.eye(side, device="cuda")
    return _taken(lambda: eval(expression, {**_NAMES, "a": a, "s": s}))


def of_gradients() -> Recording:
    """The same of expressions whose gradient is wanted, and of their backward."""
    for shape in _SHAPES:
        for expression in _BACKWARD:
            yield f"{expression} of {shape}", _or_error(_differentiate, expression, shape)


def _differentiate(expression: str, shape: tuple[int, int]) -> dict[str, Any]:
    torch.manual_seed(_SEED)
    a = torch.randn(*shape, device="cuda", requires_grad=True)
    forward = _taken(lambda: eval(expression, {**_NAMES, "a": a}))
    result = eval(expression, {**_NAMES, "a": a})
    return {"forward": forward, "backward": _taken(result.backward)}


def of_training() -> Recording:
    """What is allocated after each part of two steps of training."""
    for name, built in _NETWORKS.items():
        for optimizer in _OPTIMIZERS:
            for cudnn in (True, False):
                key = f"{name}, {optimizer}, cudnn {cudnn}"
                yield key, _or_error(_train, built, optimizer, cudnn)


def _train(built: str, optimizer: str, cudnn: bool) -> dict[str, Any]:  # noqa: FBT001
    # Workspaces stay, and how many there are differs between versions of PyTorch.
    F.linear(*torch.ones(2, 16, 16, device="cuda"), torch.ones(16, device="cuda"))
    steps = []
    with torch.backends.cudnn.flags(enabled=cudnn):
        torch.manual_seed(_SEED)
        network, size = eval(built, _NAMES)
        _begin_anew()
        before = torch.cuda.memory_allocated()
        network.cuda()
        optim = eval(f"torch.optim.{optimizer}", {**_NAMES, "p": network.parameters()})
        given = torch.randn(*size, device="cuda").to(next(network.parameters()).dtype)
        for _ in range(2):
            steps.append(_held(before))
            result = network(given)
            result = result[0] if isinstance(result, tuple) else result
            steps.append(_held(before))
            result.float().pow(2).mean().backward()
            steps.append(_held(before))
            optim.step()
            optim.zero_grad()
            steps.append(_held(before))
    return {"steps": steps}


def _held(before: int) -> list[int]:
    found = torch.cuda.memory_stats()
    return [
        found["allocated_bytes.all.current"] - before,
        found["allocated_bytes.all.peak"] - before,
        found["allocation.all.allocated"],
    ]


def of_texts() -> Recording:
    """What is printed of the device's memory, and by its command."""
    _begin_anew()
    kept = [torch.zeros(1000, 1000, device="cuda"), torch.zeros(10, device="cuda")]
    yield "summary", {"text": torch.cuda.memory_summary()}
    yield "short summary", {"text": torch.cuda.memory_summary(abbreviated=True)}
    yield "statistics", {"names": sorted(torch.cuda.memory_stats())}
    yield "processes", {"text": torch.cuda.list_gpu_processes().split("\n")[0]}
    yield "properties", {"text": str(torch.cuda.get_device_properties(0))}
    yield "tensors", {"text": str(kept[1])}
    try:
        command = ["nvidia-smi"]
        text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError as error:
        text = str(error)
    yield "nvidia-smi", {"text": text}


SECTIONS: dict[str, Callable[[], Recording]] = {
    "card": of_the_card,
    "texts": of_texts,
    "size": of_its_size,
    "allocator": of_the_allocator,
    "random": of_random_numbers,
    "operators": of_operators,
    "gradients": of_gradients,
    "training": of_training,
}


def record(section: str) -> Iterator[dict[str, Any]]:
    """Yield the recordings of one of `SECTIONS`, made on this process' device."""
    for key, found in SECTIONS[section]():
        yield {"section": section, "key": key, **found}


def _begin_anew() -> None:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.reset_accumulated_memory_stats()


def _figures() -> dict[str, int]:
    found = torch.cuda.memory_stats()
    return {name: found[name] for name in _STATISTICS}


def _taken(action: Callable[[], Any]) -> dict[str, int]:
    """Return what an action left allocated, the most it held, and what it reserved for that."""
    _begin_anew()
    before = torch.cuda.memory_stats()
    kept = action()
    after = torch.cuda.memory_stats()
    del kept
    return {
        "left": after["allocated_bytes.all.current"] - before["allocated_bytes.all.current"],
        "peak": after["allocated_bytes.all.peak"] - before["allocated_bytes.all.current"],
        "reserved": after["reserved_bytes.all.peak"] - before["reserved_bytes.all.current"],
        "allocations": after["allocation.all.allocated"],
    }


def _or_error(action: Callable[..., dict[str, Any]], *arguments: object) -> dict[str, Any]:
    try:
        return action(*arguments)
    except Exception as error:  # noqa: BLE001 - what a card refuses is recorded too
        return {"error": f"{type(error).__name__}: {str(error)[:300]}"}


def _fits(size: int) -> bool:
    try:
        torch.empty(size, dtype=torch.uint8, device="cuda")
    except torch.OutOfMemoryError:
        return False
    torch.cuda.empty_cache()
    return True


def _segments() -> list[Any]:
    return sorted(
        [segment["total_size"], [[block["size"], block["state"]] for block in segment["blocks"]]]
        for segment in torch.cuda.memory_snapshot()
    )


def main() -> None:
    """Print the recordings of the section named, or of all, each in a process of its own."""
    if not torch.cuda.is_available():
        sys.exit(f"PyTorch {torch.__version__} finds no GPU here, so there is nothing to record.")
    if len(sys.argv) > 1:
        for recording in record(sys.argv[1]):
            print(json.dumps(recording), flush=True)
        return
    for section in SECTIONS:
        subprocess.run([sys.executable, __file__, section], check=True)


if __name__ == "__main__":
    main()
