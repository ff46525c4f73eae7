"""Describes the student's networks, and calls the student's counting function on networks."""

import functools
from collections import OrderedDict
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
Trained = torch.nn.Parameter
_rand, _ones, _zeros, _tensor = torch.rand, torch.ones, torch.zeros, torch.tensor
_LINEAR, _CONV, _SIGMOID = Linear(1, 1), Conv2d(1, 1, 1), Sigmoid()
_BATCH_NORM_1D, _BATCH_NORM_2D, _LAYER_NORM = BatchNorm1d(1), BatchNorm2d(1), LayerNorm(1)
_CONTAINERS = (dict, OrderedDict, set, list)
_new = object.__new__
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
    inputs, outputs, kernel = layer.inputs, layer.outputs, (layer.kernel, layer.kernel)
    if layer.type == "linear":
        parameters = {"weight": _rand(outputs, inputs), "bias": _rand(outputs)}
        made = _like(_LINEAR, parameters, in_features=inputs, out_features=outputs)
    elif layer.type == "conv":
        parameters = {"weight": _rand(outputs, inputs, *kernel), "bias": _rand(outputs)}
        sizes = {"in_channels": inputs, "out_channels": outputs, "kernel_size": kernel}
        made = _like(_CONV, parameters, **sizes)
    elif layer.type == "batchnorm":
        norm = _BATCH_NORM_2D if after_conv else _BATCH_NORM_1D
        made = _like(norm, {"weight": _ones(inputs), "bias": _zeros(inputs)}, num_features=inputs)
        buffers = {"running_mean": _zeros(inputs), "running_var": _ones(inputs)}
        _dict_of(made, "__dict__")["_buffers"] |= {**buffers, "num_batches_tracked": _tensor(0)}
    elif layer.type == "layernorm":
        parameters = {"weight": _ones(inputs), "bias": _zeros(inputs)}
        made = _like(_LAYER_NORM, parameters, normalized_shape=(inputs,))
    else:
        return _like(_SIGMOID, {})
    if not layer.bias and layer.type != "batchnorm":
        _dict_of(made, "__dict__")["_parameters"]["bias"] = None
    return made


def _like(prototype: Foreign, parameters: dict[str, Foreign], **sizes: object) -> Foreign:
    """Return a layer as its class makes it, of other sizes, in a third of the time.

    Nothing that can be changed is shared with the prototype (`Module.__init__`, PyTorch v2.13,
    torch/nn/modules/module.py).
    """
    made = _new(type(prototype))
    state: dict[str, Foreign] = _dict_of(made, "__dict__")
    for name, value in _dict_of(prototype, "__dict__").items():
        state[name] = value.copy() if type(value) in _CONTAINERS else value
    state |= sizes
    state["_parameters"] = {name: Trained(value) for name, value in parameters.items()}
    return made
