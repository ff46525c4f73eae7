"""Real backward runs of the real torch, recorded as the child records them."""

import torch

from grader.sandbox.protocol import BackwardRun, NamedTensor
from grader.sandbox.recorder import Graph, read_grads
from grader.sandbox.values import TensorNumbers, small_values


class Session:
    """A student's session: runs backward, keeps the records, knows what lives."""

    def __init__(self):
        self.numbers = TensorNumbers()
        self.runs = []

    def backward(self, root, **options):
        graph = Graph(root, self.numbers)
        before = read_grads(graph.leaves)
        failed = ""
        try:
            root.backward(**options)
        except RuntimeError:
            failed = "RuntimeError"
        self._keep("backward", root, graph, before, read_grads(graph.leaves), failed)

    def grad(self, root, *inputs):
        graph = Graph(root, self.numbers)
        before = read_grads(graph.leaves)
        found = torch.autograd.grad(root, inputs, retain_graph=True)
        after = {
            self.numbers.number(tensor): small_values(grad)
            for tensor, grad in zip(inputs, found, strict=True)
        }
        self._keep("grad", root, graph, before, after, "")

    def living(self, **tensors):
        return tuple(
            NamedTensor(
                name=name,
                fact=self.numbers.fact(tensor),
                grad=None if tensor.grad is None else small_values(tensor.grad),
            )
            for name, tensor in tensors.items()
        )

    def _keep(self, how, root, graph, before, after, failed):
        self.runs.append(
            BackwardRun(
                how=how,
                root=self.numbers.fact(root),
                nodes=tuple(graph.nodes),
                tensors=tuple(graph.tensors.values()),
                before=before,
                after=after,
                failed=failed,
            )
        )


def leaves(*values, needs=(True, True, True, False)):
    return tuple(
        torch.tensor(value, requires_grad=need)
        for value, need in zip(values or ([2.0], [4.0], [1.0], [5.0]), needs, strict=True)
    )
