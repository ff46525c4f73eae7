"""Reads the tensors that live in a namespace, with their gradients."""

from grader.sandbox.device import Device
from grader.sandbox.protocol import Gradients, NamedTensor
from grader.sandbox.untouched import Foreign, shield
from grader.sandbox.values import Base, TensorNumbers, bounded, is_tensor, no_modes, small_grad

shield(globals())

MOST_TENSORS = 256
MOST_ELEMENTS = 16

_numel = Base.numel


def read_gradients(
    namespace: dict[str, Foreign], numbers: TensorNumbers, device: Device
) -> Gradients:
    """Return the small tensors that names are bound to, without IPython's own names."""
    found: list[NamedTensor] = []
    with no_modes(), device.scratch():
        for name, value in list(namespace.items()):
            if type(name) is not str or name.startswith("_") or not is_tensor(value):
                continue
            if _numel(value) > MOST_ELEMENTS:
                continue
            found.append(
                NamedTensor(
                    name=bounded(name, 100), fact=numbers.fact(value), grad=small_grad(value)
                )
            )
            if len(found) >= MOST_TENSORS:
                break
    return Gradients(tensors=tuple(found))
