"""Finds the tensors that an object owns or closes over, changes them, and puts them back.

Owned are parameters, buffers and attributes, whatever holds them (modules, objects, lists, dicts),
closures, defaults, class attributes, and globals that the object's code mentions. Libraries are
not entered. Depth and counts are bounded: a search that ends early finds less, never runs on.
"""

import functools
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy
import torch

from grader.sandbox.placeholders import is_library
from grader.sandbox.untouched import Foreign, shield
from grader.sandbox.values import Base, data_of, dtype_of, is_tensor, no_modes

shield(globals())

MOST_OBJECTS = 5000
MOST_TENSORS = 256
MOST_ELEMENTS = 4_000_000
MOST_ITEMS = 1000
MOST_DEPTH = 16

Module = torch.nn.Module

_clone = Base.clone
_copy = Base.copy_
_neg = Base.neg_
_zero = Base.zero_
_numel = Base.numel
_storage = Base.untyped_storage
_address = torch.UntypedStorage.data_ptr
_multiply = numpy.multiply
_array_copy = numpy.ndarray.copy
_instance_dict = object.__getattribute__
_is_floating = torch.dtype.is_floating_point.__get__  # type: ignore[attr-defined]
_PLAIN = (int, float, complex, bool, str, bytes, bytearray, type(None), types.ModuleType,
          types.BuiltinFunctionType, range, slice)  # fmt: skip
_SEQUENCES = (list, tuple, set, frozenset, deque)
_WRAPPERS: tuple[tuple[type, tuple[str, ...]], ...] = (
    (types.MethodType, ("__self__", "__func__")),
    (functools.partial, ("func", "args", "keywords")),
    (staticmethod, ("__func__",)),
    (classmethod, ("__func__",)),
    (property, ("fget", "fset")),
)
_MAPPINGS = (dict, OrderedDict, defaultdict, types.MappingProxyType)


def _with_subclasses(kind: type) -> Iterator[type]:
    yield kind
    subclasses: list[type] = type.__subclasses__(kind)
    for each in subclasses:
        yield from _with_subclasses(each)


_TORCH_CLASSES: dict[int, type] = {id(kind): kind for kind in (object, *_with_subclasses(Module))}
"""Classes that were there before the submission, by identity: student code may define equality."""


class Owned:
    """The tensors and arrays that an object owns, each storage once."""

    def __init__(self, owner: object) -> None:
        self._by_storage: dict[Foreign, Foreign] = {}
        self.arrays: list[Foreign] = []
        self.first_parameter: Foreign = None
        self.first_floating: Foreign = None
        self._seen: dict[int, object] = {}
        self._queue: deque[tuple[object, int]] = deque([(owner, 0)])
        with no_modes():
            while self._queue and len(self._seen) < MOST_OBJECTS:
                value, depth = self._queue.popleft()
                if id(value) not in self._seen and depth <= MOST_DEPTH:
                    self._seen[id(value)] = value
                    self._enter(value, depth + 1)
        self._seen.clear()

    @property
    def tensors(self) -> list[Foreign]:
        """The tensors, those of a shared storage by the largest."""
        return list(self._by_storage.values())[:MOST_TENSORS]

    def _enter(self, value: Foreign, depth: int) -> None:
        kind = type(value)
        if is_tensor(value):
            self._add_tensor(value)
        elif issubclass(kind, _PLAIN):
            return
        elif kind is numpy.ndarray:
            if value.dtype.kind in "fic" and value.flags.writeable:
                self.arrays.append(value)
        else:
            for part in _parts(value, kind):
                self._queue.append((part, depth))

    def _add_tensor(self, tensor: Foreign) -> None:
        if _is_floating(dtype_of(tensor)):
            if self.first_floating is None:
                self.first_floating = tensor
            if self.first_parameter is None and issubclass(type(tensor), torch.nn.Parameter):
                self.first_parameter = tensor
        try:
            key: Foreign = _address(_storage(tensor)) or id(tensor)
        except (RuntimeError, NotImplementedError):
            key = id(tensor)
        known = self._by_storage.get(key)
        if known is None or _numel(tensor) > _numel(known):
            self._by_storage[key] = tensor

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Put every tensor and array back as it was, whatever the body does."""
        kept: list[tuple[Foreign, Foreign]] = []
        budget = MOST_ELEMENTS
        with no_modes(), torch.no_grad():
            for tensor in self.tensors:
                budget -= _numel(tensor)
                if budget < 0:
                    break
                data = data_of(tensor)
                try:
                    kept.append((tensor, _clone(data)))
                except RuntimeError:
                    continue
        arrays = [
            (array, _array_copy(array)) for array in self.arrays if array.size <= MOST_ELEMENTS
        ]
        try:
            yield
        finally:
            with no_modes(), torch.no_grad():
                for tensor, saved in kept:
                    _put_back(tensor, saved)
            for array, saved in arrays:
                array[...] = saved

    def change(self, *, zero: bool) -> int:
        """Negate or zero every tensor and array in place, and return how many; bools stay.

        Call it inside `restored`, which has bounded what it can put back.
        """
        count = 0
        budget = MOST_ELEMENTS
        with no_modes(), torch.no_grad():
            for tensor in self.tensors:
                budget -= _numel(tensor)
                if budget < 0:
                    break
                if dtype_of(tensor) is torch.bool:
                    continue
                try:
                    (_zero if zero else _neg)(data_of(tensor))
                except RuntimeError:
                    continue
                count += 1
        for array in self.arrays:
            if array.size <= MOST_ELEMENTS:
                _multiply(array, 0 if zero else -1, out=array, casting="unsafe")
                count += 1
        return count


def _put_back(tensor: Foreign, saved: Foreign) -> None:
    try:
        _copy(data_of(tensor), saved)
    except RuntimeError:
        # The body resized it; its old elements have no place any more.
        return


def _parts(value: Foreign, kind: type) -> Iterator[object]:
    """Return what a value holds."""
    if issubclass(kind, _SEQUENCES):
        return _first(value)
    if issubclass(kind, _MAPPINGS):
        return _first(value.values())
    if issubclass(kind, types.FunctionType):
        return _function_parts(value)
    if issubclass(kind, type):
        return _class_parts(value)
    for wrapper, attributes in _WRAPPERS:
        if issubclass(kind, wrapper):
            return (getattr(value, name) for name in attributes)
    return _object_parts(value, kind)


def _first(items: Foreign) -> Iterator[object]:
    try:
        for number, item in enumerate(items):
            if number >= MOST_ITEMS:
                return
            yield item
    except Exception:  # noqa: BLE001 - a container of the student's that cannot be walked
        return


def _function_parts(function: Foreign) -> Iterator[object]:
    code = function.__code__
    if is_library(code.co_filename):
        if "__wrapped__" in vars(function):  # what `@torch.no_grad()` decorates is the student's
            yield vars(function)["__wrapped__"]
        return
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    names = function.__globals__
    for name in _mentioned(code, 0):
        if name in names:
            yield names[name]
    yield from vars(function).values()


def _mentioned(code: types.CodeType, depth: int) -> Iterator[str]:
    yield from code.co_names
    if depth < MOST_DEPTH:
        for constant in code.co_consts:
            if type(constant) is types.CodeType:
                yield from _mentioned(constant, depth + 1)


def _class_parts(owner: Foreign) -> Iterator[object]:
    for kind in type.__dict__["__mro__"].__get__(owner):
        if not _is_library_class(kind):
            yield from type.__dict__["__dict__"].__get__(kind).values()


def _is_library_class(kind: type) -> bool:
    """Return whether a class comes from C or from an installed package, by its methods' code."""
    if id(kind) in _TORCH_CLASSES:
        return True
    if not kind.__flags__ & 1 << 9:  # Py_TPFLAGS_HEAPTYPE: made by a class statement
        return True
    functions = [
        value for value in type.__dict__["__dict__"].__get__(kind).values()
        if type(value) is types.FunctionType
    ]  # fmt: skip
    return bool(functions) and all(is_library(each.__code__.co_filename) for each in functions)


def _object_parts(value: Foreign, kind: type) -> Iterator[object]:
    try:
        attributes = _instance_dict(value, "__dict__")
    except AttributeError:
        attributes = {}
    yield from _first(attributes.values())
    for base in type.__dict__["__mro__"].__get__(kind):
        if id(base) in _TORCH_CLASSES:
            continue
        for member in type.__dict__["__dict__"].__get__(base).values():
            if type(member) is types.MemberDescriptorType and not _is_library_class(base):
                try:
                    yield member.__get__(value, kind)
                except AttributeError:
                    continue
    yield kind
