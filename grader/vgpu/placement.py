"""Tensors on different devices: which operators take them, and PyTorch's words where they do not.

Reached only when a CPU tensor stands beside a device tensor. The rules come from
`native_functions.yaml`, which PyTorch ships, as the generated `wrapper_CUDA_*` functions follow it
(`torchgen/dest/register_dispatch_key.py`, PyTorch v2.13).
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

Placed = tuple[str, bool, Sequence[tuple[str, int]]]
"""An argument's name, whether it is an out= argument, and (device, dimensions) of its tensors."""


@dataclass(frozen=True, slots=True)
class _Rule:
    structured: bool
    delegate: str | None
    checks_devices: bool


def mixes_scalars(name: str, overload: str) -> bool:
    """Tell whether an operator takes CPU scalars beside device tensors, its kernel checking."""
    return not _wrapper(name, overload)[1]


def check_devices(name: str, overload: str, arguments: Sequence[Placed]) -> None:
    """Raise in PyTorch's words where the tensors of a call are not on one device.

    Raises:
        RuntimeError: they are not, and the operator does not take CPU scalars.
    """
    wrapper, checks = _wrapper(name, overload)
    placed = [
        (argument, device, dimensions)
        for argument, is_out, tensors in arguments
        if not is_out
        for device, dimensions in tensors
    ]
    for argument, device, _ in placed:
        common = placed[0][1]
        if device == common:
            continue
        if checks:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but got {argument} is on "
                f"{device}, different from other tensors on {common} "
                f"(when checking argument in method wrapper_CUDA_{wrapper})"
            )
        if any(dimensions > 0 for _, where, dimensions in placed if where == "cpu"):
            raise RuntimeError(
                "Expected all tensors to be on the same device, "
                "but found at least two devices, cuda:0 and cpu!"
            )


def preload() -> None:
    """Read PyTorch's file now: a jailed process could not read it when the first error comes."""
    _rules()


@functools.cache
def _wrapper(name: str, overload: str) -> tuple[str, bool]:
    """Return the name of the generated wrapper and whether it checks devices."""
    base = name.removeprefix("aten::")
    rules = _rules()
    rule = rules.get((base, overload), _Rule(structured=False, delegate=None, checks_devices=True))
    if rule.structured:
        # The functional form is what was called; it delegates to this out= form.
        for (other, other_overload), candidate in rules.items():
            if other == base and candidate.delegate == f"{base}.{overload}":
                called = f"{base}_{other_overload}" if other_overload else base
                return called, rule.checks_devices and candidate.checks_devices
    if rule.structured or rule.delegate is not None:
        return (f"{base}_{overload}" if overload else base), rule.checks_devices
    return f"{overload}_{base}", rule.checks_devices


@functools.cache
def _rules() -> dict[tuple[str, str], _Rule]:
    path = resources.files("torchgen") / "packaged" / "ATen" / "native" / "native_functions.yaml"
    rules = {}
    for entry in path.read_text("utf-8").split("\n- func: ")[1:]:
        named = re.match(r"(\w+)(?:\.(\w+))?\(", entry)
        if named is None:
            continue
        delegate = re.search(r"structured_delegate: (\S+)", entry)
        rules[named[1], named[2] or ""] = _Rule(
            structured="structured: True" in entry,
            delegate=delegate[1] if delegate else None,
            checks_devices="device_check: NoCheck" not in entry,
        )
    return rules
