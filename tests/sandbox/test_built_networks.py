"""The networks for a counting function are what their layers' classes make."""

import itertools

import pytest
import torch
from torch import nn

from grader.checks.inputs import networks
from grader.sandbox.networks import build_network
from grader.sandbox.protocol import Layer

SIZES = list(itertools.product((1, 3), (2, 5), (1, 3), (True, False)))


def made_by_class(layer, *, after_conv):
    """Return the layer as its class makes it."""
    match layer.type:
        case "linear":
            return nn.Linear(layer.inputs, layer.outputs, bias=layer.bias)
        case "conv":
            return nn.Conv2d(layer.inputs, layer.outputs, layer.kernel, bias=layer.bias)
        case "batchnorm":
            return (nn.BatchNorm2d if after_conv else nn.BatchNorm1d)(layer.inputs)
        case "layernorm":
            return nn.LayerNorm(layer.inputs, bias=layer.bias)
        case "sigmoid":
            return nn.Sigmoid()


def facts(module):
    """Return everything about a module but the values of its random parameters."""
    state = dict(vars(module))
    tensors = {name: state.pop(name) for name in ("_parameters", "_buffers")}
    shown = {
        (kind, name): None
        if value is None
        else (type(value), tuple(value.shape), value.dtype, value.device, value.requires_grad)
        for kind, held in tensors.items()
        for name, value in held.items()
    }
    kinds = {name: (type(value), value) for name, value in state.items()}
    return type(module), repr(module), list(vars(module)), kinds, shown, list(module.state_dict())


@pytest.mark.parametrize("kind", ["linear", "conv", "batchnorm", "layernorm", "sigmoid"])
def test_a_layer_is_what_its_class_makes(kind):
    for inputs, outputs, kernel, bias in SIZES:
        layer = Layer(type=kind, inputs=inputs, outputs=outputs, kernel=kernel, bias=bias)
        before = (Layer(type="conv"),) if kind == "batchnorm" and bias else ()
        built = build_network((*before, layer))[-1]
        made = made_by_class(layer, after_conv=bool(before))
        assert facts(built) == facts(made)
        fixed = [name for name, value in made.state_dict().items() if "norm" in kind]
        for name in fixed:
            assert torch.equal(built.state_dict()[name], made.state_dict()[name])


def test_networks_compute_and_share_nothing():
    layers = (Layer(type="conv", inputs=1, outputs=2, kernel=2), Layer(type="batchnorm", inputs=2))
    first, second = build_network(layers), build_network(layers)
    image = torch.rand(3, 1, 4, 4)
    expected = nn.functional.batch_norm(
        nn.functional.conv2d(image, first[0].weight, first[0].bias), None, None, training=True
    )
    assert torch.allclose(first(image), expected, atol=1e-6)
    assert not torch.equal(first[1].running_mean, second[1].running_mean)
    first[0].register_forward_hook(lambda *_: None)
    assert not second[0]._forward_hooks
    assert not build_network(layers)[0]._forward_hooks
    assert not torch.equal(first[0].weight, second[0].weight)


def test_every_network_of_the_judge_has_the_parameters_of_its_layers():
    for layers in networks():
        built = build_network(layers)
        after_conv = itertools.accumulate(
            layers,
            lambda after, layer: layer.type == "conv" or (after and layer.type != "linear"),
            initial=False,
        )
        shared = [layer.same_as for layer in layers]
        for module, layer, after, same_as in zip(built, layers, after_conv, shared, strict=False):
            if same_as >= 0:
                assert module is built[same_as]
                continue
            made = made_by_class(layer, after_conv=after).requires_grad_(not layer.frozen)
            assert facts(module) == facts(made)
