"""The tensor types of old code: `torch.cuda.FloatTensor(3)`, `x.type(torch.cuda.HalfTensor)`.

A CPU build has these names and refuses to use them, in a part that no registration reaches.
"""

from typing import Any, TypeAlias

import torch

Argument: TypeAlias = Any
"""Whatever PyTorch's own function takes."""

_TYPES = {
    "FloatTensor": torch.float32,
    "DoubleTensor": torch.float64,
    "HalfTensor": torch.float16,
    "BFloat16Tensor": torch.bfloat16,
    "ByteTensor": torch.uint8,
    "CharTensor": torch.int8,
    "ShortTensor": torch.int16,
    "IntTensor": torch.int32,
    "LongTensor": torch.int64,
    "BoolTensor": torch.bool,
}


class _TensorType(type):
    """A type that is made of tensors of one dtype on the device."""

    dtype: torch.dtype

    def __call__(cls, *args: Argument, **_: Argument) -> torch.Tensor:
        sizes = args[0] if len(args) == 1 and isinstance(args[0], torch.Size) else args
        if all(isinstance(size, int) for size in sizes):
            return torch.empty(tuple(sizes) or (0,), dtype=cls.dtype, device="cuda")
        return torch.tensor(args[0], dtype=cls.dtype, device="cuda")

    def __instancecheck__(cls, instance: object) -> bool:
        return (
            isinstance(instance, torch.Tensor) and instance.is_cuda and instance.dtype == cls.dtype
        )


def install() -> None:
    """Replace the types that refuse."""
    cuda: Any = torch.cuda
    tensor: Any = torch.Tensor
    for name, dtype in _TYPES.items():
        made = _TensorType(name, (), {"dtype": dtype, "__module__": "torch.cuda"})
        setattr(cuda, name, made)
    original = tensor.type

    def to_type(
        self: torch.Tensor, dtype: Argument = None, *args: Argument, **kwargs: Argument
    ) -> Argument:
        if isinstance(dtype, _TensorType):
            return self.to("cuda", dtype.dtype)
        return original(self, dtype, *args, **kwargs)

    tensor.type = to_type
    _install_default_type()


def _install_default_type() -> None:
    """Let `torch.set_default_tensor_type` take the types of the device, as on a CUDA build."""
    module: Any = torch
    original = module.set_default_tensor_type

    def set_default_tensor_type(t: Argument, /) -> None:
        name = t.rpartition(".")[2] if isinstance(t, str) else ""
        if isinstance(t, str) and t == f"torch.cuda.{name}" and name in _TYPES:
            t = getattr(torch.cuda, name)
        if isinstance(t, _TensorType):
            torch.set_default_dtype(t.dtype)
            torch.set_default_device("cuda")
            return
        original(t)
        torch.set_default_device(None)

    module.set_default_tensor_type = set_default_tensor_type
