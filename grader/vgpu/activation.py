"""Change this process' torch: load the native core, register what is written in Python."""

import importlib.machinery
import importlib.util
import warnings
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch.library import Library

from grader.vgpu import cuda_api, legacy_types, placement
from grader.vgpu.build import MODULE_NAME, Unavailable
from grader.vgpu.cards import Card
from grader.vgpu.device import Device, find_profile_named
from grader.vgpu.ghost import Ghosts
from grader.vgpu.patterns import Patterns

Native: TypeAlias = Any
"""The native core, which has no stubs."""

_GHOST_KEY = "TESTING_ONLY_GenericMode"
_CUDA_VERSION = "13.0"


def activate(
    core_path: Path,
    card: Card,
    profile: str | None,
    *,
    real_limit_bytes: int,
    real_total_bytes: int,
) -> tuple[Device, tuple[Any, ...]]:
    """Make cuda the accelerator of this process.

    Returns:
        The device, and what must live as long as the process.

    Raises:
        Unavailable: this torch has CUDA of its own, or the core does not fit it.
    """
    if torch.version.cuda is not None or hasattr(torch._C, "_cuda_getDeviceCount"):
        raise Unavailable(
            "cuda-build",
            "The virtual GPU needs the CPU build of PyTorch, and this is a CUDA build.",
        )
    chosen = find_profile_named(profile)
    core = _load(core_path)
    core.set_limits(real_limit_bytes, real_total_bytes)
    device = Device(core, card, chosen)
    patterns = Patterns(core, real_limit_bytes)
    library: Any = Library("_", "IMPL")  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library.fallback(Ghosts(core, patterns), _GHOST_KEY)
    cuda_api.install(device)
    legacy_types.install()
    placement.preload()
    torch.version.cuda = _CUDA_VERSION
    if torch.accelerator.current_accelerator() != torch.device("cuda"):
        raise Unavailable(
            "install-failed", "PyTorch did not take the virtual GPU as its accelerator."
        )
    return device, (library, core)


def _load(path: Path) -> Native:
    loader = importlib.machinery.ExtensionFileLoader(MODULE_NAME, str(path))
    spec = importlib.util.spec_from_loader(MODULE_NAME, loader)
    if spec is None:
        raise Unavailable("install-failed", f"{path} is not a Python extension module.")
    try:
        core = importlib.util.module_from_spec(spec)
        loader.exec_module(core)
    except ImportError as error:
        raise Unavailable(
            "install-failed", f"The native core does not fit this Python and PyTorch: {error}."
        ) from None
    return core
