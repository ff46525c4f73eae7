"""Networks made by the judge: how many parameters they have, and the Python that builds them."""

from grader.sandbox.protocol import Layer


def count_parameters(network: tuple[Layer, ...]) -> int:
    """Return the number of trainable parameters; a shared layer counts once."""
    return sum(
        0 if layer.frozen or layer.same_as >= 0 else _count_layer(layer) for layer in network
    )


def _count_layer(layer: Layer) -> int:
    if layer.type == "sigmoid":
        return 0
    if layer.type in ("batchnorm", "layernorm"):
        return 2 * layer.inputs
    # `kernel` is 1 for a linear layer.
    weights = layer.inputs * layer.outputs * layer.kernel**2
    return weights + (layer.outputs if layer.bias else 0)


def source_of(network: tuple[Layer, ...]) -> str:
    """Return a Python expression that builds the network."""
    shared = {layer.same_as for layer in network if layer.same_as >= 0}
    parts, after_conv = [], False
    for position, layer in enumerate(network):
        if layer.same_as >= 0:
            parts.append(f"layer{layer.same_as + 1}")
            continue
        part = _layer_source(layer, after_conv=after_conv)
        after_conv = layer.type == "conv" or (after_conv and layer.type != "linear")
        parts.append(f"layer{position + 1} := {part}" if position in shared else part)
    return f"nn.Sequential({', '.join(parts)})"


def _layer_source(layer: Layer, *, after_conv: bool) -> str:
    if layer.type == "sigmoid":
        return "nn.Sigmoid()"
    arguments = [layer.inputs]
    if layer.type in ("linear", "conv"):
        arguments.append(layer.outputs)
    if layer.type == "conv":
        arguments.append(layer.kernel)
    name = {
        "linear": "Linear",
        "conv": "Conv2d",
        "batchnorm": "BatchNorm2d" if after_conv else "BatchNorm1d",
        "layernorm": "LayerNorm",
    }[layer.type]
    bias = "" if layer.bias else ", bias=False"
    source = f"nn.{name}({', '.join(map(str, arguments))}{bias})"
    return f"{source}.requires_grad_(False)" if layer.frozen else source
