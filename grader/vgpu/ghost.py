"""Operators on memory that is only accounted for: shapes always, values where they repeat.

The native core sends a call here when the values of one of its tensors cannot be in memory.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from grader.vgpu.patterns import Patterns, UnknownValue, common_period, shorten

Operator: TypeAlias = Any
"""An operator of PyTorch, `torch._ops.OpOverload`, used by its private schema."""
Native: TypeAlias = Any
"""The native core, which has no stubs."""
Value: TypeAlias = Any
"""An argument or a result: a tensor, a list of them, a number, a device, ..."""

_OF_LISTS = ("aten::_foreach_", "aten::_fused_", "aten::_amp_foreach_")
_CHECKS_FINITE = "aten::_amp_foreach_non_finite_check_and_unscale_"
_FILLS = frozenset({"aten::fill_", "aten::zero_"})
_KEEPS_UNIFORM = frozenset({"aten::mean", "aten::amax", "aten::amin", "aten::max", "aten::min"})


@dataclass(frozen=True, slots=True)
class _Written:
    """An argument that an operator writes to."""

    index: int
    name: str
    is_out: bool


@dataclass(frozen=True, slots=True)
class _Shape:
    """What matters of an operator's schema."""

    written: tuple[_Written, ...]
    returns: tuple[int | None, ...]
    """Per return: which of `written` it is, or None for a new value."""
    makes_tensors: bool


@functools.cache
def _shape_of(op: Operator) -> _Shape:
    schema = op._schema
    aliases = [
        (_Written(index, argument.name, argument.is_out), argument.alias_info)
        for index, argument in enumerate(schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    returns: list[int | None] = []
    for result in schema.returns:
        found = None
        if result.alias_info is not None:
            for number, (_, alias) in enumerate(aliases):
                if alias.before_set == result.alias_info.before_set:
                    found = number
                    break
        returns.append(found)
    return _Shape(
        written=tuple(written for written, _ in aliases),
        returns=tuple(returns),
        makes_tensors=any("Tensor" in str(result.type) for result in schema.returns),
    )


class _Call:
    """One call: its operator, its arguments, and the tensors that it reads and writes."""

    def __init__(self, op: Operator, args: tuple[Value, ...], kwargs: dict[str, Value]) -> None:
        self.op, self.args, self.kwargs = op, args, kwargs
        self.shape = _shape_of(op)
        self.name: str = op._schema.name
        self.written = [self.argument(each) for each in self.shape.written]
        self.targets = _tensors(self.written)
        self.outs = {each.name for each in self.shape.written if each.is_out}
        # By name, not by identity: an operator in place is called with one tensor as both.
        read = [value for name, value in kwargs.items() if name not in self.outs]
        self.inputs = _tensors([*args, *read])

    def argument(self, written: _Written) -> Value:
        """Return what was given for an argument, or None."""
        if written.name in self.kwargs:
            return self.kwargs[written.name]
        return self.args[written.index] if written.index < len(self.args) else None

    def mapped(self, change: Callable[[Value], Value]) -> tuple[list[Value], dict[str, Value]]:
        """Return the arguments without those of out=, each tensor and device changed."""
        return (
            [_mapped(value, change) for value in self.args],
            {
                name: _mapped(value, change)
                for name, value in self.kwargs.items()
                if name not in self.outs
            },
        )

    def results(self, computed: Value, make: Callable[[Value], Value]) -> Value:
        """Return what the call returns: the tensors that it wrote, and new ones."""
        returns = self.shape.returns
        if not returns:
            return None
        values = computed if len(returns) > 1 else (computed,)
        results = [
            make(value) if number is None else self.written[number]
            for number, value in zip(returns, values, strict=True)
        ]
        return results[0] if len(results) == 1 else tuple(results)


class Ghosts:
    """Answers calls on memory without values."""

    def __init__(self, core: Native, patterns: Patterns) -> None:
        self.core = core
        self.patterns = patterns

    def __call__(self, op: Operator, *args: Value, **kwargs: Value) -> Value:
        """Run an operator: on the CPU if what it reads is small, else on patterns."""
        call = _Call(op, args, kwargs)
        if call.name == "aten::copy_":
            return self._copy(call)
        if call.name.startswith(_OF_LISTS) and isinstance(args[0], list | tuple):
            return self._each(call)
        targets_are_real = all(map(self.patterns.is_real, call.targets))
        known = all(map(self._is_at_hand, call.inputs))
        only_tells = not call.shape.makes_tensors and not call.targets
        if only_tells or (known and targets_are_real):
            return self._on_host(call)
        if call.targets:
            return self._write(call)
        return self._make(call)

    def _is_at_hand(self, tensor: Tensor) -> bool:
        return self.patterns.is_small(tensor) and self.patterns.is_known(tensor)

    def _each(self, call: _Call) -> Value:
        """Run an operator of lists of tensors, as optimizers use them, on one tensor at a time.

        So the values of small parameters stay known beside those of large ones.
        """
        count = len(call.args[0])
        if count == 1:
            if call.name == _CHECKS_FINITE:
                # Values that nobody knows count as finite: else no step would ever be taken.
                for tensor in call.args[0]:
                    self.patterns.write(tensor, None)
                return None
            return self._write(call) if call.targets else self._make(call)
        made: list[Value] = []
        for number in range(count):
            args, kwargs = _one_of_lists(call, number, count)
            made.extend(call.op(*args, **kwargs) or ())
        return made if call.shape.returns else None

    # On the CPU.

    def _on_host(self, call: _Call) -> Value:
        targets = {id(target): self.core.alias(target) for target in call.targets}

        def cross(value: Value) -> Value:
            if isinstance(value, Tensor):
                return targets[id(value)] if id(value) in targets else self.patterns.values(value)
            return _to("cpu", value)

        args, kwargs = call.mapped(cross)
        outs = {name: targets[id(call.kwargs[name])] for name in call.outs if name in call.kwargs}
        computed = call.op(*args, **kwargs, **outs)
        for target in call.targets:
            host = targets[id(target)]
            if host.shape != target.shape:
                self.core.grow(target, list(host.shape), list(host.stride()))
                if self.patterns.is_real(target):
                    self.core.alias(target).copy_(host)
                else:
                    self.core.set_unknown(target)
        return call.results(computed, lambda value: _mapped(value, _to_device))

    def _copy(self, call: _Call) -> Tensor:
        target, source = call.args[0], call.args[1]
        if not target.is_cuda:
            target.copy_(self.patterns.values(source))
        elif self.patterns.is_real(target) and self._is_at_hand(source):
            self.core.alias(target).copy_(self.patterns.values(source))
        else:
            self.patterns.write(target, self._pattern_of_copy(target, source))
        written: Tensor = target
        return written

    def _pattern_of_copy(self, target: Tensor, source: Tensor) -> Tensor | None:
        if source.is_cuda:
            pattern = self.patterns.of_operand(source, target.shape)
        elif all(
            stride == 0 or size == 1
            for size, stride in zip(source.shape, source.stride(), strict=True)
        ):
            pattern = source.reshape(-1)[:1]
        else:
            pattern = shorten(source.reshape(-1)) if source.shape == target.shape else None
            if pattern is not None and pattern.numel() > 1:
                pattern = None
        return None if pattern is None else pattern.detach().to(target.dtype).clone()

    # On patterns.

    def _write(self, call: _Call) -> Value:
        returns = call.shape.returns
        grows = call.outs and any(target.numel() == 0 for target in call.targets)
        shaped = self._shapes(call) if returns and (grows or None in returns) else None
        values = shaped if len(returns) > 1 and shaped is not None else [shaped] * len(returns)
        for number, value in zip(returns, values, strict=True):
            target = None if number is None else call.written[number]
            if grows and isinstance(target, Tensor) and target.numel() == 0:
                self.core.grow(target, list(value.shape), list(value.stride()))
        patterns = self._result_patterns(call, call.targets[0])
        of_target = dict(zip(returns, patterns, strict=True)) if patterns else {}
        for number, target in enumerate(call.written):
            for tensor in _tensors([target]):
                self.patterns.write(tensor, of_target.get(number))
        computed = values if len(returns) > 1 else shaped
        return call.results(computed, lambda value: _mapped(value, self._unknown_like))

    def _make(self, call: _Call) -> Value:
        shaped = self._shapes(call)
        made = call.results(shaped, lambda value: _mapped(value, self._unknown_like))
        if isinstance(made, Tensor):
            for pattern in self._result_patterns(call, made):
                self.patterns.write(made, pattern)
        return made

    def _unknown_like(self, value: Value) -> Value:
        if not isinstance(value, Tensor):
            return value
        made = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="cuda")
        if value.numel():
            self.core.set_unknown(made)
        return made

    def _shapes(self, call: _Call) -> Value:
        args, kwargs = call.mapped(functools.partial(_to, "meta"))
        op = _callable(call)
        try:
            return op(*args, **kwargs)
        except (NotImplementedError, RuntimeError) as error:
            if "meta" not in str(error).lower():
                raise
            raise UnknownValue(
                f"vgpu: the result of {call.name} depends on values that the virtual GPU does not "
                "have: one of its tensors is too large to be computed with."
            ) from None

    def _result_patterns(self, call: _Call, out: Tensor) -> Sequence[Tensor | None]:
        """Return what each result repeats; nothing where none is known."""
        if torch.Tag.pointwise in call.op.tags and call.name not in _FILLS:
            return self._pointwise(call, out)
        pattern = self._result_pattern(call, out)
        return () if pattern is None else (pattern,)

    def _result_pattern(self, call: _Call, out: Tensor) -> Tensor | None:
        if call.name in _FILLS:
            value = 0 if call.name == "aten::zero_" else call.args[1]
            return torch.full((1,), value, dtype=out.dtype)
        if call.name in ("aten::mm", "aten::addmm"):
            return self._matmul(call)
        if call.name == "aten::sum" and out.numel() == 1:
            return self._total(call.args[0], out)
        if call.name in _KEEPS_UNIFORM and call.inputs and len(call.shape.returns) == 1:
            pattern = self.patterns.of_operand(call.inputs[0], call.inputs[0].shape)
            return pattern if pattern is not None and pattern.numel() == 1 else None
        return None

    def _pointwise(self, call: _Call, out: Tensor) -> Sequence[Tensor | None]:
        found: list[Tensor] = []
        for tensor in call.inputs:
            pattern = self.patterns.of_operand(tensor, out.shape)
            if pattern is None:
                return ()
            found.append(pattern)
        period = common_period(found)
        if not period:
            return ()
        patterns = {id(tensor): each for tensor, each in zip(call.inputs, found, strict=True)}

        def cross(value: Value) -> Value:
            if not isinstance(value, Tensor):
                return _to("cpu", value)
            pattern = patterns[id(value)]
            return pattern.repeat(period // pattern.numel())

        args, kwargs = call.mapped(cross)
        computed = _callable(call)(*args, **kwargs)
        results = computed if isinstance(computed, list | tuple) else (computed,)
        shortened: list[Tensor | None] = []
        for number, result in zip(call.shape.returns, results, strict=True):
            # A pattern has a dimension where its tensor may have none, so dtypes can differ.
            made = out.dtype if len(results) == 1 else result.dtype
            dtype = made if number is None else call.written[number].dtype
            shortened.append(shorten(result.to(dtype)))
        return shortened

    def _matmul(self, call: _Call) -> Tensor | None:
        """Rows that repeat, times a small matrix, give rows that repeat."""
        bias, rows, matrix = (None, *call.args[:2]) if call.name == "aten::mm" else call.args[:3]
        pattern = self.patterns.of_operand(rows, rows.shape)
        small = [each for each in (matrix, bias) if each is not None]
        if pattern is None or not all(map(self.patterns.is_real, small)):
            return None
        width = rows.shape[1]
        if not pattern.numel() or width % pattern.numel():
            return None
        row = pattern.repeat(width // pattern.numel()).reshape(1, width)
        scale = {name: call.kwargs.get(name, 1) for name in ("beta", "alpha")}
        result = row @ self.patterns.values(matrix) * scale["alpha"]
        if bias is not None:
            values = self.patterns.values(bias)
            if values.dim() > 1 and values.shape[0] != 1:
                return None
            result = result + values * scale["beta"]
        return shorten(result.reshape(-1).clone())

    def _total(self, tensor: Tensor, out: Tensor) -> Tensor | None:
        pattern = self.patterns.of_operand(tensor, tensor.shape)
        if pattern is None:
            return None
        mean = pattern.to(torch.float64).mean() if out.is_floating_point() else pattern.sum()
        repeats = tensor.numel() if out.is_floating_point() else tensor.numel() // pattern.numel()
        total: Tensor = mean * repeats
        return total.reshape(1).to(out.dtype)


def _functional(op: Operator) -> Value:
    """Return the form of an out= operator that makes its result."""
    packet = op.overloadpacket
    wanted = [
        (argument.name, str(argument.type))
        for argument in op._schema.arguments
        if not argument.is_out
    ]
    for name in packet.overloads():
        other = getattr(packet, name)
        if [(each.name, str(each.type)) for each in other._schema.arguments] == wanted:
            return other
    return op


def _callable(call: _Call) -> Value:
    """Return what computes a call without out= arguments."""
    parameters = call.op._schema.arguments
    if any(
        "Tensor" in str(parameter.type) and isinstance(value, bool | int | float | complex)
        for parameter, value in zip(parameters, call.args, strict=False)
    ):
        # PyTorch hands a number that stands for a tensor over as a number; an overload takes it.
        return call.op.overloadpacket
    return _functional(call.op) if call.outs else call.op


def _one_of_lists(call: _Call, number: int, count: int) -> tuple[list[Value], dict[str, Value]]:
    """Return the arguments of a call on lists for the tensors of one position."""

    def pick(value: Value) -> Value:
        is_list = isinstance(value, list | tuple) and len(value) == count
        return [value[number]] if is_list else value

    return [pick(value) for value in call.args], {k: pick(v) for k, v in call.kwargs.items()}


def _tensors(values: Sequence[Value]) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found.extend(each for each in value if isinstance(each, Tensor))
    return found


# Module-level functions, not closures that name themselves: such a closure is a reference cycle,
# and would keep a tensor's memory until the garbage collector comes by.
def _mapped(value: Value, change: Callable[[Value], Value]) -> Value:
    if isinstance(value, list | tuple):
        return [_mapped(each, change) for each in value]
    return change(value)


def _to(device: str, value: Value) -> Value:
    if isinstance(value, Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=device)
    if isinstance(value, torch.device):
        return torch.device(device)
    if isinstance(value, torch.Generator) and value.device.type != "cpu":
        return None
    return value


def _to_device(value: Value) -> Value:
    return value.to("cuda") if isinstance(value, Tensor) else value
