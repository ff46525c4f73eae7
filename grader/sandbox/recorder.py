"""Records what runs backward: the graph before it runs, the gradients before and after.

Nothing is kept alive by it: a record is text and numbers, tensors are told apart by weak
references, and what is held while backward runs are leaves, which live anyway.
"""

import contextlib
import functools
from collections import deque
from typing import Literal

import torch

from grader.sandbox.device import Device
from grader.sandbox.protocol import BackwardNode, BackwardRun, TensorFact
from grader.sandbox.untouched import Foreign, shield
from grader.sandbox.values import (
    TensorNumbers,
    bounded,
    device_of,
    grad_fn_of,
    is_tensor,
    no_modes,
    requires_grad,
    small_grad,
    small_values,
    type_name,
)

shield(globals())

MOST_NODES = 256
MOST_RUNS = 8
MOST_SAVED = 16


class Graph:
    """A backward graph, walked from its root, breadth first."""

    def __init__(self, root: Foreign, numbers: TensorNumbers) -> None:
        self.nodes: list[BackwardNode] = []
        self.tensors: dict[int, TensorFact] = {}
        self.leaves: dict[int, Foreign] = {}
        self.cut = False
        self._numbers = numbers
        function = grad_fn_of(root)
        if function is None:
            if requires_grad(root):
                tensor = self._note(root, leaf=True)
                self.nodes.append(BackwardNode(id=0, name="AccumulateGrad", tensor=tensor))
            return
        self._walk(function)

    def _walk(self, root: Foreign) -> None:
        numbered: dict[Foreign, int] = {root: 0}
        queue = deque([root])
        while queue:
            function = queue.popleft()
            inputs: list[int] = []
            for following, _ in function.next_functions:
                if following is None:
                    inputs.append(-1)
                    continue
                if following not in numbered:
                    if len(numbered) >= MOST_NODES:
                        self.cut = True
                        inputs.append(-1)
                        continue
                    numbered[following] = len(numbered)
                    queue.append(following)
                inputs.append(numbered[following])
            self.nodes.append(self._read_node(function, numbered[function], tuple(inputs)))

    def _read_node(self, function: Foreign, number: int, inputs: tuple[int, ...]) -> BackwardNode:
        name = type_name(function)
        leaf = getattr(function, "variable", None) if name == "AccumulateGrad" else None
        if leaf is not None:
            return BackwardNode(
                id=number, name=name, inputs=inputs, tensor=self._note(leaf, leaf=True)
            )
        operands: list[tuple[str, int]] = []
        scalars: list[tuple[str, str]] = []
        for attribute in _saved_attributes(function.__class__):
            try:
                value = getattr(function, attribute)
            except RuntimeError:
                continue  # freed by an earlier run, or changed in place since
            short = attribute.removeprefix("_saved_")
            if is_tensor(value):
                operands.append((short, self._note(value)))
            elif type(value) in (int, float, bool, complex):
                scalars.append((short, repr(value)))
        return BackwardNode(
            id=number,
            name=bounded(name, 100),
            inputs=inputs,
            operands=tuple(operands),
            scalars=tuple(scalars),
        )

    def _note(self, tensor: Foreign, *, leaf: bool = False) -> int:
        fact = self._numbers.fact(tensor)
        self.tensors[fact.id] = fact
        if leaf or (fact.leaf and fact.requires_grad):
            self.leaves[fact.id] = tensor
        return fact.id


@functools.cache
def _saved_attributes(kind: Foreign) -> tuple[str, ...]:
    return tuple(name for name in dir(kind) if name.startswith("_saved_"))[:MOST_SAVED]


def read_grads(leaves: dict[int, Foreign]) -> dict[int, tuple[str, ...]]:
    """Return the gradients of those leaves that have one."""
    grads = {number: small_grad(leaf) for number, leaf in leaves.items()}
    return {number: grad for number, grad in grads.items() if grad is not None}


class BackwardRecorder:
    """Stands around torch's three ways to run backward."""

    def __init__(self, numbers: TensorNumbers, device: Device) -> None:
        self._numbers = numbers
        self._device = device
        self._runs: list[BackwardRun] = []
        self._count = 0
        self._inside = False
        self._paused = True

    def install(self) -> None:
        """Wrap `Tensor.backward`, `torch.autograd.backward` and `torch.autograd.grad`."""
        torch.Tensor.backward = self._wrap(torch.Tensor.backward, "backward")  # type: ignore[method-assign]
        torch.autograd.backward = self._wrap(torch.autograd.backward, "backward")
        torch.autograd.grad = self._wrap(torch.autograd.grad, "grad")

    def begin_cell(self) -> None:
        """Start to record for a cell."""
        self._runs, self._count, self._paused = [], 0, False

    def take(self) -> tuple[tuple[BackwardRun, ...], int]:
        """Return what a cell ran backward and how many times, and stop recording."""
        self._paused = True
        self._inside = False
        taken = tuple(self._runs), self._count
        self._runs, self._count = [], 0
        return taken

    def _wrap(self, function: Foreign, how: Literal["backward", "grad"]) -> Foreign:
        @functools.wraps(function)
        def recorded(*args: Foreign, **keywords: Foreign) -> Foreign:
            if self._inside or self._paused:
                return function(*args, **keywords)
            self._inside = True
            result: Foreign = None
            failed = ""
            pending: list[_Pending] = []
            try:
                self._count += 1
                if len(self._runs) < MOST_RUNS:
                    pending = self._begin(how, args, keywords)
                try:
                    result = function(*args, **keywords)
                except BaseException as error:
                    failed = type_name(error)
                    raise
                finally:
                    self._end(how, pending, result, failed)
                    # A traceback keeps this frame: it must not keep the leaves.
                    pending.clear()
            finally:
                self._inside = False
            return result

        return recorded

    def _begin(
        self, how: str, args: tuple[Foreign, ...], keywords: dict[str, Foreign]
    ) -> "list[_Pending]":
        roots = _as_tensors(_argument(args, keywords, ("self", "tensors", "outputs"), 0))
        inputs = _as_tensors(_argument(args, keywords, ("inputs",), 1)) if how == "grad" else []
        pending: list[_Pending] = []
        for root in roots[: MOST_RUNS - len(self._runs)]:
            # A record that fails may not disturb the run.
            with contextlib.suppress(Exception):
                pending.append(self._read(root, inputs))
        return pending

    def _read(self, root: Foreign, inputs: list[Foreign]) -> "_Pending":
        with no_modes(), _apart(self._device, root):
            graph = Graph(root, self._numbers)
            fact = self._numbers.fact(root)
            asked = [self._numbers.fact(tensor) for tensor in inputs]
            graph.tensors.update((tensor.id, tensor) for tensor in asked)
            return _Pending(root=fact, graph=graph, inputs=[tensor.id for tensor in asked],
                            before=read_grads(graph.leaves))  # fmt: skip

    def _end(self, how: Foreign, pending: "list[_Pending]", result: Foreign, failed: str) -> None:
        for run in pending:
            try:
                after = self._read_after(how, run, result)
            except Exception:  # noqa: BLE001 - see `_begin`
                after = {}
            self._runs.append(
                BackwardRun(
                    how=how,
                    root=run.root,
                    nodes=tuple(run.graph.nodes),
                    tensors=tuple(run.graph.tensors.values()),
                    before=run.before,
                    after=after,
                    cut=run.graph.cut,
                    failed=failed,
                )
            )

    def _read_after(self, how: str, run: "_Pending", result: Foreign) -> dict[int, tuple[str, ...]]:
        if how == "backward":
            with _apart(self._device, *run.graph.leaves.values()):
                return read_grads(run.graph.leaves)
        if type(result) is not tuple:
            return {}
        return {
            number: small_values(grad)
            for number, grad in zip(run.inputs, result, strict=False)
            if is_tensor(grad)
        }


class _Pending:
    """A run that has begun."""

    def __init__(
        self,
        *,
        root: TensorFact,
        graph: Graph,
        inputs: list[int],
        before: dict[int, tuple[str, ...]],
    ) -> None:
        self.root = root
        self.graph = graph
        self.inputs = inputs
        self.before = before


def _apart(device: Device, *tensors: Foreign) -> Foreign:
    """Return the device's scratch where reading may take memory on it."""
    if all(device_of(tensor).type == "cpu" for tensor in tensors):
        return torch.no_grad()
    return device.scratch()


def _argument(
    args: tuple[Foreign, ...], keywords: dict[str, Foreign], names: tuple[str, ...], place: int
) -> Foreign:
    for name in names:
        if name in keywords:
            return keywords[name]
    return args[place] if len(args) > place else None


def _as_tensors(value: Foreign) -> list[Foreign]:
    if is_tensor(value):
        return [value]
    if type(value) in (list, tuple):
        return [item for item in value if is_tensor(item)]
    return []
