"""Messages between the judge and the child in which a submission runs.

Frames are a 4-byte little-endian length and msgpack (`grader.sandbox.wire`). The child is not
trusted: it reports what it observed, and the judge decides what that is worth. The judge decodes
with these types, caps every length, and treats anything else as a `ProtocolError`.

Numbers that student code returned travel as text, since NaN and infinity do not survive every
encoding: ``repr(float)``.
"""

from typing import Literal

import msgspec


class ProtocolError(Exception):
    """The child broke the protocol: a bug of ours, or code that tampers."""


# ------------------------------------------------------------------ judge to child


REAL = "real"
"""In place of a card's name: the machine's own card."""

Library = Literal["matplotlib", "pandas", "torch._dynamo"]
"""Modules that take long to load, and that not every submission needs: `CellDone.imported`."""


class Start(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="start"):
    """First message: what every cell of the submission needs.

    Attributes:
        seed: for random, numpy and torch.
        files: sibling modules by path, importable.
        card: name of the card that the virtual GPU imitates, `REAL` for the machine's own; empty
            for none.
        profile: runtime profile, as ``1.12``; empty for the installed one.
        output_bytes: output kept a cell.
    """

    seed: int
    files: dict[str, str] = {}
    card: str = ""
    profile: str = ""
    output_bytes: int = 4096


class RunCell(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="run-cell"
):
    """Run one cell.

    Attributes:
        index: place among the code cells, from 1.
        file: whose namespace it runs in.
        source: the code.
        style: IPython's semantics for ``notebook``; as a script does for ``script``.
        cpu_seconds: processor time after which it is interrupted.
        device_seconds: the same for a cell that works on the device.
        line: first line of the cell in its file, from 1, for scripts.
        mark: a number for `DeviceLog.account`, which nobody can have known before.
    """

    index: int
    file: str
    source: str
    style: Literal["notebook", "script"]
    cpu_seconds: float
    device_seconds: float
    line: int = 1
    mark: int = 0


class ListNames(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="list-names"
):
    """Ask which of these names live now, and what they are.

    Attributes:
        file: whose namespace.
        names: the names; empty for all that cells have bound so far.
    """

    file: str
    names: tuple[str, ...] = ()


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object of the student's.

    Attributes:
        file: whose namespace.
        name: its name there.
        build: call it without arguments first, and use what that gives (classes). The child
            keeps the instance for further questions about the same target while the class is
            the same object.
    """

    file: str
    name: str
    build: bool = False


class CallGate(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="call-gate"
):
    """Call an object on rows of inputs and report what it returned for each.

    Attributes:
        target: the object.
        form: ``vector`` one tensor (n,) a call; ``batch`` all rows as one tensor (k, n);
            ``mapped`` as ``vector``, but a copy of the object for all rows at once, under
            `torch.vmap`; ``scalars`` n 0-d tensors a call; ``numbers`` n Python numbers a call.
        rows: the inputs.
        weights: ``negated`` or ``zeroed``: every tensor that the object owns or closes over, for
            these calls; then they are put back, and the calls made again. `Called.changed` tells
            how many.
        dtype: of the inputs; empty for that of the object's parameters, else float32.
        device: of the inputs; empty for that of the object's parameters, else the CPU.
    """

    target: Target
    form: Literal["vector", "batch", "mapped", "scalars", "numbers"]
    rows: tuple[tuple[float, ...], ...]
    weights: Literal["own", "negated", "zeroed"] = "own"
    dtype: str = ""
    device: str = ""


class CallGates(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="call-gates"
):
    """Answer several questions, one after the other."""

    questions: tuple[CallGate, ...]


class DescribeNetworks(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="describe-networks"
):
    """Ask for the parameters of these objects where they are `torch.nn.Module`."""

    file: str
    names: tuple[str, ...]


class Layer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One layer of a network made by the judge.

    Attributes:
        type: ``linear``, ``conv``, ``batchnorm``, ``layernorm`` or ``sigmoid``.
        inputs: input features or channels.
        outputs: output features or channels.
        kernel: side of a convolution's kernel.
        bias: whether it has one.
        frozen: its parameters do not require gradients.
        same_as: index of an earlier layer whose parameters it shares (the same module), or -1.
    """

    type: Literal["linear", "conv", "batchnorm", "layernorm", "sigmoid"]
    inputs: int = 1
    outputs: int = 1
    kernel: int = 1
    bias: bool = True
    frozen: bool = False
    same_as: int = -1


class CountNetworks(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="count-networks"
):
    """Call the student's function on networks, and report the number that it returns for each.

    Attributes:
        target: the function.
        networks: layers of each network (`torch.nn.Sequential`).
        names: instead of networks, objects of the student's own by name.
    """

    target: Target
    networks: tuple[tuple[Layer, ...], ...] = ()
    names: tuple[str, ...] = ()


class ReadGradients(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="read-gradients"
):
    """Ask for the tensors that live now: values, gradients, and which leaf of a graph each is."""

    file: str


class ReadValues(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="read-values"
):
    """Ask for plain values by name: numbers, strings, and lists, tuples, sets and dicts of them."""

    file: str
    names: tuple[str, ...]


FromJudge = (
    Start
    | RunCell
    | ListNames
    | CallGate
    | CallGates
    | DescribeNetworks
    | CountNetworks
    | ReadGradients
    | ReadValues
)


# ------------------------------------------------------------------ child to judge


class Ready(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ready"):
    """The child is locked in and waits.

    Attributes:
        device: ``virtual``, ``real``, ``none``, or ``unavailable: REASON-CODE``.
        torch: version of torch.
    """

    device: str = "none"
    torch: str = ""


class BoundName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name that a cell bound, rebound or set attributes on, in the order of binding.

    Attributes:
        name: the name.
        kind: what it is now. ``network`` is an instance of `torch.nn.Module`, ``instance`` any
            other callable object, ``network-class`` and ``class`` can be built. A function or
            class that was imported from a library is ``other``.
        type_name: name of its type (of the class itself for classes).
        shown: short text of a number or string, bounded; else empty.
    """

    name: str
    kind: Literal[
        "network",
        "instance",
        "network-class",
        "class",
        "function",
        "tensor",
        "number",
        "text",
        "collection",
        "module",
        "other",
    ]
    type_name: str = ""
    shown: str = ""


class CellError(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An exception that a cell raised.

    Attributes:
        type: name of its class.
        text: its message, bounded.
        line: line inside the cell, from 1, or None.
        placeholder: name of the missing module, if it traces to one.
    """

    type: str
    text: str
    line: int | None = None
    placeholder: str = ""


class DtypeUse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a cell did with one dtype on the device; see `grader.vgpu.DtypeLog`."""

    largest_bytes: int = 0
    allocations: int = 0
    largest_refused_bytes: int = 0
    refusals: int = 0
    largest_beside_bytes: int = 0


class DeviceRefusal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that the device refused; see `grader.vgpu.Refusal`."""

    requested_bytes: int
    dtype: str
    allocated_bytes: int
    reserved_bytes: int
    held_dtype_bytes: int = 0


class DeviceLog(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a cell did on the device, from the device's own log; see `grader.vgpu.MemoryLog`.

    Attributes:
        account: the native core's own count of it, sealed; see `grader.sandbox.account`.
        limited: set by the judge where the account shows that less fitted than the card has beside
            what was held.
    """

    allocated_before: int
    reserved_before: int
    allocated_after: int
    reserved_after: int
    peak_allocated: int
    peak_reserved: int
    fits_before: int
    by_dtype: dict[str, DtypeUse] = {}
    refusals: tuple[DeviceRefusal, ...] = ()
    refusal_count: int = 0
    linear_calls: int = 0
    linear_refused: int = 0
    account: bytes = b""
    limited: bool = False


class TensorFact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tensor: small ones with their values.

    Attributes:
        id: number of the object within the child's life; the same tensor has the same number.
        shape: lengths of the axes.
        dtype: as ``float32``.
        values: elements in C order as text, at most 16, else empty.
        requires_grad: whether it does.
        leaf: whether it is a leaf of autograd.
    """

    id: int
    shape: tuple[int, ...]
    dtype: str
    values: tuple[str, ...] = ()
    requires_grad: bool = False
    leaf: bool = True


class BackwardNode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node of a recorded backward graph.

    Attributes:
        id: its number in this graph; the root is 0.
        name: ``AddBackward0``; ``AccumulateGrad`` for leaves.
        inputs: for each input of the forward operator in order, id of the node that receives its
            gradient, or -1 where none is needed.
        operands: tensors saved for backward, as (attribute such as ``self`` or ``other``, id of
            the tensor in `BackwardRun.tensors`).
        scalars: numbers saved for backward, as (attribute such as ``alpha``, text).
        tensor: for a leaf, id of its tensor in `BackwardRun.tensors`; else -1.
    """

    id: int
    name: str
    inputs: tuple[int, ...] = ()
    operands: tuple[tuple[str, int], ...] = ()
    scalars: tuple[tuple[str, str], ...] = ()
    tensor: int = -1


class BackwardRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of `Tensor.backward`, `torch.autograd.backward` or `torch.autograd.grad`.

    Attributes:
        how: which of them: ``backward`` or ``grad``.
        root: value of the root, as a tensor fact.
        nodes: the graph, at most 256 nodes, walked before it ran.
        tensors: leaves and saved operands.
        before: for each tensor id, its gradient before as text values, absent for None.
        after: the same after. For ``grad``, what it returned for each input.
        cut: whether nodes were left out.
        failed: exception type if it raised, else empty.
    """

    how: Literal["backward", "grad"]
    root: TensorFact
    nodes: tuple[BackwardNode, ...]
    tensors: tuple[TensorFact, ...]
    before: dict[int, tuple[str, ...]] = {}
    after: dict[int, tuple[str, ...]] = {}
    cut: bool = False
    failed: str = ""


class CellDone(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="cell-done"
):
    """A cell has ended.

    Attributes:
        index: the cell's.
        outcome: ``passed``, ``raised``, ``timeout`` (interrupted; the namespace lives) or
            ``memory``.
        output: what it printed and displayed, bounded.
        output_bytes: bytes it printed in all.
        error: the exception, if one was raised.
        seconds: time on the clock.
        bound: names it bound, in order.
        placeholders: modules it imported that are missing here.
        commands: shell commands it would have run.
        device: what it did on the device, None if nothing.
        backward: backward runs, at most 8 kept.
        backward_count: how many there were.
        replaced: functions of Python and PyTorch in whose place stands something else by now.
        imported: libraries that have been imported by now, and were not there at the start.
        full: whether hardly any memory is left, so that what follows would fail for want of it.
    """

    index: int
    outcome: Literal["passed", "raised", "timeout", "memory"]
    output: str = ""
    output_bytes: int = 0
    error: CellError | None = None
    seconds: float = 0.0
    bound: tuple[BoundName, ...] = ()
    placeholders: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    device: DeviceLog | None = None
    backward: tuple[BackwardRun, ...] = ()
    backward_count: int = 0
    replaced: tuple[str, ...] = ()
    imported: tuple[Library, ...] = ()
    full: bool = False


class Names(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="names"):
    """Reply to `ListNames`: those that live, in the order they were last bound."""

    names: tuple[BoundName, ...]


class Output(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one call returned.

    Attributes:
        type: ``tensor`` (exactly `torch.Tensor` or `torch.nn.Parameter`), ``array`` (exactly
            `numpy.ndarray` or a numpy number), ``number`` (exactly int or float), ``bool``
            (exactly bool), ``raised``, ``other`` (anything else, subclasses included).
        values: elements in C order as ``repr(float)``, at most 256; a complex one as its repr.
        shape: lengths of the axes; empty for numbers.
        text: for ``raised`` the exception's class and message; for ``other`` the type's name.
    """

    type: Literal["tensor", "array", "number", "bool", "raised", "other"]
    values: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    text: str = ""


class Called(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="called"):
    """Reply to `CallGate`.

    Attributes:
        outputs: one a call: one a row, but one in all for ``batch``.
        type_name: name of the object's class.
        kind: as in `BoundName.kind` of the object that was called.
        dtype: dtype of the inputs that were used.
        device: device of the inputs that were used.
        changed: tensors that were negated or zeroed.
        again: outputs with the weights put back, where they were asked to be changed.
        built: whether the target had to be built and could not: exception text, else empty.
    """

    outputs: tuple[Output, ...]
    type_name: str = ""
    kind: str = ""
    dtype: str = "float32"
    device: str = "cpu"
    changed: int = 0
    again: tuple[Output, ...] = ()
    built: str = ""


class CalledGates(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="called-gates"
):
    """Reply to `CallGates`: one a question."""

    replies: tuple[Called, ...]


class Parameter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A parameter of a network.

    Attributes:
        name: dotted, as `named_parameters` gives it.
        shape: lengths of the axes.
        requires_grad: whether it is trainable.
        id: the same for shared parameters.
        module: type name of the module that holds it, as ``Linear``.
    """

    name: str
    shape: tuple[int, ...]
    requires_grad: bool
    id: int
    module: str = ""


class Network(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network of the student's."""

    name: str
    type_name: str
    parameters: tuple[Parameter, ...]


class Networks(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="networks"
):
    """Reply to `DescribeNetworks`: those names that are networks."""

    networks: tuple[Network, ...]


class NamedTensor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A living tensor: its name, facts (`TensorFact.id` as in `BackwardRun`), gradient or None."""

    name: str
    fact: TensorFact
    grad: tuple[str, ...] | None = None


class Gradients(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="gradients"
):
    """Reply to `ReadGradients`: tensors of at most 16 elements bound to names, at most 256."""

    tensors: tuple[NamedTensor, ...]


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plain value as JSON text, bounded to 4 KB; `plain` is False where it is something else."""

    name: str
    json: str = ""
    plain: bool = True


class Values(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="values"):
    """Reply to `ReadValues` for the names that live."""

    values: tuple[Value, ...]


class Failed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="failed"):
    """Our own code in the child failed; becomes a grader error. `text` is for the instructor."""

    text: str


FromChild = Ready | CellDone | Names | Called | CalledGates | Networks | Gradients | Values | Failed
