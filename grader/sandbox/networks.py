"""Describes the student's networks, and calls the student's counting function on networks."""

import functools
from collections.abc import Callable, Iterator

import torch

from grader.sandbox.asking import Asking
from grader.sandbox.gates import Targets
from grader.sandbox.names import kind_of
from grader.sandbox.protocol import Called, CountNetworks, Layer, Network, Networks, Parameter
from grader.sandbox.untouched import Foreign, shield
from grader.sandbox.values import (
    Base,
    TensorNumbers,
    bounded,
    is_tensor,
    no_modes,
    requires_grad,
    shape_of,
    type_name,
)

shield(globals())

MOST_PARAMETERS = 2048
MOST_DEPTH = 32

Module = torch.nn.Module
Sequential = torch.nn.Sequential
Linear = torch.nn.Linear
Conv2d = torch.nn.Conv2d
BatchNorm2d = torch.nn.BatchNorm2d
BatchNorm1d = torch.nn.BatchNorm1d
LayerNorm = torch.nn.LayerNorm
Sigmoid = torch.nn.Sigmoid
_set_requires_grad = Base.requires_grad_
_dict_of = object.__getattribute__


def describe_networks(
    names: tuple[str, ...], namespace: dict[str, Foreign], numbers: TensorNumbers
) -> Networks:
    """Return the parameters of those names that are networks."""
    return Networks(
        networks=tuple(
            Network(
                name=name,
                type_name=type_name(namespace[name]),
                parameters=_read_parameters(namespace[name], numbers),
            )
            for name in names
            if name in namespace and issubclass(type(namespace[name]), Module)
        )
    )


def _read_parameters(network: Foreign, numbers: TensorNumbers) -> tuple[Parameter, ...]:
    found: list[Parameter] = []
    with no_modes():
        for name, parameter, module in _walk(network, "", ()):
            try:
                shape = tuple(shape_of(parameter))
            except RuntimeError:
                shape = ()  # a lazy layer that has not seen an input
            found.append(
                Parameter(
                    name=bounded(name, 200),
                    shape=shape,
                    requires_grad=requires_grad(parameter),
                    id=numbers.number(parameter),
                    module=type_name(module),
                )
            )
            if len(found) >= MOST_PARAMETERS:
                break
    return tuple(found)


def _walk(
    module: Foreign, prefix: str, above: tuple[object, ...]
) -> Iterator[tuple[str, Foreign, Foreign]]:
    """Yield name, parameter and module in the order of `named_parameters`, shared ones again."""
    if any(module is each for each in above) or len(above) > MOST_DEPTH:
        return
    state = _dict_of(module, "__dict__")
    for name, parameter in list(state.get("_parameters", {}).items()):
        if is_tensor(parameter):
            yield f"{prefix}{name}", parameter, module
    for name, child in list(state.get("_modules", {}).items()):
        if issubclass(type(child), Module):
            yield from _walk(child, f"{prefix}{name}.", (*above, module))


class NetworkCounter:
    """Answers `CountNetworks`."""

    def __init__(self, targets: Targets, asking: Asking) -> None:
        self._targets = targets
        self._asking = asking

    def answer(self, question: CountNetworks, namespace: dict[str, Foreign]) -> Called:
        """Return what the function gave for each network."""
        with self._asking.apart():
            found, failed = self._targets.look_up(question.target, self._asking)
            if not found:
                return Called(outputs=(), built=failed)
            function = found[0]
            calls: list[Callable[[], Foreign]]
            if question.names:
                calls = [
                    functools.partial(lambda name: function(namespace[name]), name)
                    for name in question.names
                ]
            else:
                calls = [
                    functools.partial(lambda layers: function(build_network(layers)), layers)
                    for layers in question.networks
                ]
            return Called(
                outputs=self._asking.calls(calls),
                type_name=type_name(function),
                kind=kind_of(function),
            )


def build_network(layers: tuple[Layer, ...]) -> Foreign:
    """Return the network that the judge describes."""
    modules: list[Foreign] = []
    after_conv = False
    for layer in layers:
        if 0 <= layer.same_as < len(modules):
            modules.append(modules[layer.same_as])
            continue
        module = _build_layer(layer, after_conv=after_conv)
        after_conv = layer.type == "conv" or (after_conv and layer.type != "linear")
        if layer.frozen:
            for _, parameter, _ in _walk(module, "", ()):
                _set_requires_grad(parameter, False)  # noqa: FBT003 - a C function
        modules.append(module)
    return Sequential(*modules)


def _build_layer(layer: Layer, *, after_conv: bool) -> Foreign:
    if layer.type == "linear":
        return Linear(layer.inputs, layer.outputs, bias=layer.bias)
    if layer.type == "conv":
        return Conv2d(layer.inputs, layer.outputs, layer.kernel, bias=layer.bias)
    if layer.type == "batchnorm":
        return BatchNorm2d(layer.inputs) if after_conv else BatchNorm1d(layer.inputs)
    if layer.type == "layernorm":
        return LayerNorm(layer.inputs, bias=layer.bias)
    return Sigmoid()
