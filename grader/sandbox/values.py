"""Reads values that student code made, without asking the student's code.

Types are compared exactly, and elements are read by functions that were taken from torch and
numpy before the first line of the submission ran: a patched `torch.equal`, `builtins.float` or
`Tensor.__eq__`, a subclass with clever operators, or a function mode left switched on changes
nothing here.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import numpy
import torch

from grader.sandbox.protocol import Output, TensorFact, Value
from grader.sandbox.untouched import Foreign, shield

shield(globals())

MOST_VALUES = 512
MOST_FACT_VALUES = 16
MOST_TEXT = 500
MOST_JSON_BYTES = 4096

Base: Foreign = torch._C.TensorBase
Tensor = torch.Tensor
Parameter = torch.nn.Parameter
NumpyNumber = numpy.number
NumpyBool = numpy.bool_
Array = numpy.ndarray

_detach = Base.detach
_cpu = Base.cpu
_tolist = Base.tolist
_numel = Base.numel
_view = Base.view
_is_contiguous = Base.is_contiguous
_C: Foreign = torch._C
_weak = _C._WeakTensorRef
_NoFunctions, _NoDispatch = _C.DisableTorchFunction, _C._DisableTorchDispatch
_array_tolist = Array.tolist
_array_ravel = Array.ravel
_item = numpy.generic.item
_dumps = json.dumps
_SYNTAX_ERRORS = (SyntaxError, IndentationError, TabError)
DTYPES: dict[str, torch.dtype] = {
    name: dtype for name, dtype in vars(torch).items() if type(dtype) is torch.dtype
}
_names = {dtype: str(dtype).removeprefix("torch.") for dtype in DTYPES.values()}


def _getter(name: str) -> Foreign:
    """Return the function behind a property of tensors."""
    return getattr(Base, name).__get__


shape_of = _getter("shape")
dtype_of = _getter("dtype")
device_of = _getter("device")
grad_of = _getter("grad")
data_of = _getter("data")
is_leaf = _getter("is_leaf")
requires_grad = _getter("requires_grad")
retains_grad = _getter("retains_grad")
grad_fn_of = _getter("grad_fn")
_cdata = _getter("_cdata")


@contextmanager
def no_modes() -> Iterator[None]:
    """Switch off function modes and subclasses that the student may have left active."""
    with _NoFunctions(), _NoDispatch():
        yield


def is_tensor(value: object) -> bool:
    """Return whether `value` is a tensor, by its type alone and never by ``__class__``."""
    return issubclass(type(value), Tensor)


def number_text(value: object) -> str:
    """Return a number as ``repr(float)``; a complex one as its repr.

    Raises:
        TypeError: `value` is no number.
    """
    if type(value) is complex:
        return repr(value)
    try:
        return repr(float(value))  # type: ignore[arg-type]
    except OverflowError:
        return "inf" if value > 0 else "-inf"  # type: ignore[operator]


def bounded(text: str, most: int = MOST_TEXT) -> str:
    """Return `text` cut to `most` characters, without surrogates, which no message can carry."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return cut.encode("utf-8", "replace").decode()


def describe_error(error: BaseException) -> str:
    """Return class and message of an exception, whatever its ``__str__`` does."""
    return bounded(f"{type_name(error)}: {error_text(error)}".removesuffix(": "))


def error_text(error: BaseException) -> str:
    """Return the message of an exception, bounded; empty if it cannot be had."""
    try:
        # The message without IPython's name for the cell, which nobody gave it.
        text = error.msg if type(error) in _SYNTAX_ERRORS else str(error)  # type: ignore[attr-defined]
    except BaseException:  # noqa: BLE001 - the student's own __str__
        return ""
    return bounded(text) if type(text) is str else ""


def type_name(value: object) -> str:
    """Return the bounded name of the value's type."""
    return bounded(type.__getattribute__(type(value), "__name__"), 100)


def tensor_values(tensor: Foreign, most: int = MOST_VALUES) -> tuple[str, ...]:
    """Return the first elements of a tensor in C order.

    A larger tensor that is not contiguous gives nothing: flattening it would copy it.
    """
    with _NoFunctions(), _NoDispatch():
        flat = _detach(tensor)
        if _numel(flat) > most:
            if not _is_contiguous(flat):
                return ()
            flat = _view(flat, -1)[:most]
        return tuple([number_text(number) for number in _flatten(_tolist(_cpu(flat)))])


def _flatten(nested: Foreign) -> Foreign:
    """Return the numbers in nested lists as one list."""
    if type(nested) is not list:
        return [nested]
    if nested and type(nested[0]) is list:
        return [number for part in nested for number in _flatten(part)]
    return nested


def encode_output(value: object) -> Output:
    """Return what a call gave, as the judge sees it."""
    try:
        return _encode(value)
    except Exception as error:  # noqa: BLE001 - a tensor that cannot be read is a result too
        return Output(type="other", text=bounded(f"{type_name(value)} ({describe_error(error)})"))


def _encode(value: object) -> Output:
    kind = type(value)
    if kind is Tensor or kind is Parameter:
        return Output(type="tensor", values=tensor_values(value), shape=tuple(shape_of(value)))
    if kind is bool:
        return Output(type="bool", values=(number_text(value),))
    if kind is int or kind is float:
        return Output(type="number", values=(number_text(value),))
    if kind is Array or issubclass(kind, NumpyNumber | NumpyBool):
        return _encode_array(value)
    if (kind is list or kind is tuple) and _plain_numbers(value):
        items: Foreign = value
        return Output(
            type="array",
            values=tuple(number_text(item) for item in items[:MOST_VALUES]),
            shape=(len(items),),
        )
    return Output(type="other", text=type_name(value))


def _plain_numbers(items: Foreign) -> bool:
    return len(items) > 0 and all(type(item) in (int, float, bool) for item in items[:MOST_VALUES])


def _encode_array(value: Foreign) -> Output:
    if type(value) is not Array:
        return Output(type="array", values=(number_text(_item(value)),))
    if value.dtype.kind not in "biufc":
        return Output(type="other", text=f"ndarray of {value.dtype}")
    # `flat` copies what is taken; `ravel` would copy a large array that is not contiguous.
    flat = _array_ravel(value) if value.size <= MOST_VALUES else value.flat[:MOST_VALUES]
    return Output(
        type="array",
        values=tuple(number_text(number) for number in _array_tolist(flat)),
        shape=tuple(value.shape),
    )


# ------------------------------------------------------------------ tensors with an identity


class TensorNumbers:
    """Numbers for tensors: the same tensor has the same number while it lives.

    Nothing is kept alive: the table holds weak references to what is behind the Python object,
    and a number whose tensor has died is never given to another one.
    """

    def __init__(self) -> None:
        self._table: dict[int, tuple[Foreign, int]] = {}
        self._next = 1

    def number(self, tensor: Foreign) -> int:
        """Return the number of `tensor`."""
        address = _cdata(tensor)
        known = self._table.get(address)
        if known is not None and not known[0].expired():
            return known[1]
        if len(self._table) > 4096:
            self._table = {key: row for key, row in self._table.items() if not row[0].expired()}
        self._table[address] = (_weak(tensor), self._next)
        self._next += 1
        return self._next - 1

    def fact(self, tensor: Foreign) -> TensorFact:
        """Return what is known about `tensor`, with its values if there are few."""
        with no_modes():
            return TensorFact(
                id=self.number(tensor),
                shape=tuple(shape_of(tensor)),
                dtype=_names.get(dtype_of(tensor), ""),
                values=small_values(tensor),
                requires_grad=requires_grad(tensor),
                leaf=is_leaf(tensor),
            )


def small_values(tensor: Foreign) -> tuple[str, ...]:
    """Return the values of a tensor of at most 16 elements; nothing of a larger one."""
    try:
        if _numel(tensor) > MOST_FACT_VALUES:
            return ()
        return tensor_values(tensor, MOST_FACT_VALUES)
    except Exception:  # noqa: BLE001 - sparse, meta and the like have no plain elements
        return ()


def small_grad(tensor: Foreign) -> tuple[str, ...] | None:
    """Return the gradient of a tensor as small values, None where there is none."""
    with no_modes():
        if not (is_leaf(tensor) or retains_grad(tensor)):
            return None
        grad = grad_of(tensor)
    return None if grad is None else small_values(grad)


# ------------------------------------------------------------------ plain values


class _NotPlain(Exception):
    """A value is no plain data."""


def encode_value(name: str, value: object) -> Value:
    """Return a plain value as JSON text; `plain` is False for anything else or anything large."""
    try:
        text = _dumps(_plain(value, 6, [1000]), ensure_ascii=True)
    except (_NotPlain, ValueError, RecursionError):
        return Value(name=name, plain=False)
    if len(text) > MOST_JSON_BYTES:
        return Value(name=name, plain=False)
    return Value(name=name, json=text)


def _plain(value: Foreign, depth: int, budget: list[int]) -> Foreign:
    kind = type(value)
    budget[0] -= 1
    if depth < 0 or budget[0] < 0:
        raise _NotPlain
    if kind in (int, float, bool, str, type(None)):
        return value
    if kind in (list, tuple):
        return [_plain(item, depth - 1, budget) for item in value[:1001]]
    if kind in (set, frozenset):
        return sorted((_plain(item, depth - 1, budget) for item in list(value)[:1001]), key=_dumps)
    if kind is dict:
        return {
            _plain_key(key): _plain(item, depth - 1, budget) for key, item in list(value.items())
        }
    if issubclass(kind, NumpyNumber | NumpyBool):
        return _plain(_item(value), depth - 1, budget)
    raise _NotPlain


def _plain_key(key: object) -> str:
    if type(key) not in (str, int, float, bool, type(None)):
        raise _NotPlain
    return key if type(key) is str else repr(key)
