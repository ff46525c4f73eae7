"""What a recorded backward graph computes, as polynomials over the elements of its leaves.

A node is understood where its name is known and its operands are at hand: inputs that need a
gradient are nodes themselves, the others are tensors saved for backward. Whatever is not
understood raises `Unclear`, and a person decides.
"""

import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from grader.sandbox.protocol import BackwardNode, BackwardRun, TensorFact

Atom = tuple[int, int]
"""An element of a tensor: id of the tensor, index of the element. Below 0: an unknown number."""

Polynomial = dict[tuple[Atom, ...], Fraction]
"""Coefficients by the sorted factors of each term."""

MOST_TERMS = 200
_MOST_EXPONENT = 4
_SAVED = {
    "Mul": ("self", "other"),
    "Dot": ("self", "tensor"),
    "Mv": ("self", "vec"),
    "Mm": ("self", "mat2"),
    "Bmm": ("self", "mat2"),
    "Addcmul": ("", "tensor1", "tensor2"),
}
_SAME_ELEMENTS = frozenset(
    {"Squeeze", "Unsqueeze", "View", "UnsafeView", "Reshape", "ReshapeAlias", "Clone"}
) | {"ToCopy", "Alias", "Permute", "T", "Transpose", "Expand", "Contiguous"}


class Unclear(Exception):  # not a failure: a person decides
    """A graph that is not understood; the text names the node."""


@dataclass(frozen=True, slots=True)
class Products:
    """A sum of two products of four tensors.

    Attributes:
        pairs: tensor ids of the factors of each product.
        polynomial: the sum of all elements of what ran backward.
    """

    pairs: tuple[tuple[int, int], tuple[int, int]]
    polynomial: Polynomial


def read_polynomial(run: BackwardRun) -> Polynomial:
    """Return what ran backward, summed over its elements, as a polynomial.

    Raises:
        Unclear: some node is not understood, or the record is not whole.
    """
    if run.cut or not run.nodes:
        raise Unclear("cut" if run.cut else "no graph")
    interpreter = _Interpreter(run)
    total = _sum(interpreter.read(0))
    return _without_zero(total, run, interpreter.facts)


def find_products(polynomial: Polynomial, facts: Mapping[int, TensorFact]) -> Products | None:
    """Return the two products that a polynomial is the sum of, None where it is something else.

    Raises:
        Unclear: it sums products of the elements of fewer than four tensors, it is their mean, or
            an unknown number stands where a factor or a whole product should.
    """
    for candidate in (polynomial, _without_ones(polynomial, facts)):
        if any(value != 1 or len(atoms) != 2 for atoms, value in candidate.items()):
            continue
        pairs = sorted({(atoms[0][0], atoms[1][0]) for atoms in candidate})
        ids = {number for pair in pairs for number in pair}
        if len(pairs) == 2 and len(ids) == 4 and min(ids) >= 0:
            return Products((pairs[0], pairs[1]), polynomial)
        if len(candidate) == 2 and len({atom for atoms in candidate for atom in atoms}) == 4:
            raise Unclear("elements of one tensor" if min(ids) >= 0 else "a number")
    if _may_hold_a_product(polynomial):
        raise Unclear("a number")
    mean = Fraction(2, len(polynomial)) if len(polynomial) > 2 else Fraction(1)
    if mean != 1 and all(value == mean for value in polynomial.values()):
        # Whether the mean of the elements is meant as the expression, a person decides.
        whole = find_products(dict.fromkeys(polynomial, Fraction(1)), facts)
        if whole is not None:
            raise Unclear("MeanBackward")
    return None


def _may_hold_a_product(polynomial: Polynomial) -> bool:
    """Tell whether there is one product, and a number that was not recorded may be the other."""
    sizes = sorted(len(atoms) for atoms in polynomial)
    unknown = any(atom[0] < 0 for atoms in polynomial for atom in atoms)
    return unknown and sizes == [1, 2] and set(polynomial.values()) == {Fraction(1)}


def gradient(
    polynomial: Polynomial, tensor: TensorFact, facts: Mapping[int, TensorFact]
) -> tuple[float, ...]:
    """Return the partial derivatives by each element of a tensor, at the values of `facts`."""
    found = []
    for element in range(_elements(tensor)):
        atom = (tensor.id, element)
        total = 0.0
        for atoms, coefficient in polynomial.items():
            times = atoms.count(atom)
            if times:
                rest = list(atoms)
                rest.remove(atom)
                product = math.prod(_value(other, facts) for other in rest)
                total += float(coefficient) * times * product
        found.append(total)
    return tuple(found)


def add(first: Polynomial, second: Polynomial, factor: Fraction = Fraction(1)) -> Polynomial:
    """Return ``first + factor * second``."""
    total = dict(first)
    for atoms, coefficient in second.items():
        value = total.pop(atoms, Fraction(0)) + factor * coefficient
        if value:
            total[atoms] = value
    return total


def multiply(first: Polynomial, second: Polynomial) -> Polynomial:
    """Return the product.

    Raises:
        Unclear: it has too many terms.
    """
    if len(first) * len(second) > MOST_TERMS:
        raise Unclear("too many terms")
    total: Polynomial = {}
    for (left, a), (right, b) in itertools.product(first.items(), second.items()):
        total = add(total, {tuple(sorted(left + right)): a * b})
    return total


# ------------------------------------------------------------------ nodes


_Elements = tuple[Polynomial, ...]


class _Interpreter:
    """Reads nodes from the root, each once."""

    def __init__(self, run: BackwardRun) -> None:
        self.facts = {fact.id: fact for fact in run.tensors}
        self._nodes = {node.id: node for node in run.nodes}
        self._read: dict[int, _Elements | None] = {}
        self._unknown = 0

    def read(self, number: int) -> _Elements:
        """Return the elements of a node's output."""
        known = self._read.get(number)
        if known is not None:
            return known
        node = self._nodes.get(number)
        if node is None or number in self._read:  # a circle: no honest record has one
            raise Unclear("broken record")
        self._read[number] = None
        elements = self._node(node)
        if sum(map(len, elements)) > MOST_TERMS:
            raise Unclear("too many terms")
        self._read[number] = elements
        return elements

    def _node(self, node: BackwardNode) -> _Elements:
        name = node.name.rpartition("::")[2]
        if name == "AccumulateGrad":
            return self._tensor(node.tensor)
        name = re.sub(r"Backward\d*$", "", name)
        if name in _SAME_ELEMENTS and len(node.inputs) == 1:
            return self._input(node, 0)
        read = _READERS.get(name)
        if read is None:
            raise Unclear(node.name[:100])
        return read(self, node)

    def _tensor(self, number: int) -> _Elements:
        fact = self.facts.get(number)
        if fact is None or len(fact.values) != _elements(fact):
            raise Unclear("unknown tensor")
        return tuple({((number, i),): Fraction(1)} for i in range(len(fact.values)))

    def _input(self, node: BackwardNode, place: int) -> _Elements:
        """Return an input: a node, else a tensor saved for backward, else an unknown number."""
        if place >= len(node.inputs):
            raise Unclear(node.name[:100])
        if node.inputs[place] >= 0:
            return self.read(node.inputs[place])
        saved = _SAVED.get(re.sub(r"Backward\d*$", "", node.name), ())
        attribute = saved[place] if place < len(saved) else ""
        for name, number in node.operands:
            if name == attribute:
                return self._tensor(number)
        if attribute:
            raise Unclear(node.name[:100])
        self._unknown += 1
        return ({((-self._unknown, 0),): Fraction(1)},)

    def scalar(self, node: BackwardNode, name: str, default: str | None = None) -> Fraction:
        """Return a number saved for backward."""
        text = dict(node.scalars).get(name, default)
        try:
            return Fraction(text or "")
        except (ValueError, ZeroDivisionError):
            raise Unclear(node.name[:100]) from None

    def added(self, node: BackwardNode, sign: int) -> _Elements:
        """Read ``self + sign * alpha * other``."""
        alpha = self.scalar(node, "alpha", "1")
        left, right = _alike(self._input(node, 0), self._input(node, 1))
        return tuple(add(a, b, sign * alpha) for a, b in zip(left, right, strict=True))

    def multiplied(self, node: BackwardNode) -> _Elements:
        """Read ``self * other``."""
        left, right = _alike(self._input(node, 0), self._input(node, 1))
        return tuple(multiply(a, b) for a, b in zip(left, right, strict=True))

    def divided(self, node: BackwardNode) -> _Elements:
        """Read ``self / other`` where the divisor is a number."""
        fact = self.facts.get(dict(node.operands).get("other", -1))
        if fact is None or fact.requires_grad or len(fact.values) != 1 or node.inputs[1:] != (-1,):
            raise Unclear(node.name[:100])
        value = _number(fact.values[0])
        if not math.isfinite(value) or value == 0:
            raise Unclear(node.name[:100])
        factor = 1 / Fraction(value)
        return tuple(add({}, part, factor) for part in self._input(node, 0))

    def negated(self, node: BackwardNode) -> _Elements:
        """Read ``-self``."""
        return tuple(add({}, part, Fraction(-1)) for part in self._input(node, 0))

    def summed(self, node: BackwardNode) -> _Elements:
        """Read the sum of all elements."""
        return (_sum(self._input(node, 0)),)

    def averaged(self, node: BackwardNode) -> _Elements:
        """Read the mean of all elements."""
        parts = self._input(node, 0)
        return (add({}, _sum(parts), Fraction(1, len(parts))),)

    def joined(self, node: BackwardNode) -> _Elements:
        """Read `torch.stack` or `torch.cat` in the order of the elements."""
        parts = [self._input(node, place) for place in range(len(node.inputs))]
        if any(len(part) > 1 for part in parts) and self.scalar(node, "dim", "0") != 0:
            raise Unclear(node.name[:100])
        return tuple(itertools.chain.from_iterable(parts))

    def dotted(self, node: BackwardNode) -> _Elements:
        """Read a product of two vectors, however it is written."""
        left, right = self._input(node, 0), self._input(node, 1)
        if len(left) != len(right) or not self._is_vector_product(node):
            raise Unclear(node.name[:100])
        return (_sum(tuple(multiply(a, b) for a, b in zip(left, right, strict=True))),)

    def _is_vector_product(self, node: BackwardNode) -> bool:
        """Tell whether a product of matrices has one element: a row by a column."""
        shapes = {
            name: self.facts[number].shape for name, number in node.operands if number in self.facts
        }
        if "vec" in shapes or "tensor" in shapes:
            return True
        row, column = shapes.get("self", ()), shapes.get("mat2", ())
        return row[-2:-1] == (1,) or column[-1:] == (1,) or node.name.startswith("Dot")

    def selected(self, node: BackwardNode) -> _Elements:
        """Read one element by its index."""
        parts = self._input(node, 0)
        source = self._nodes.get(node.inputs[0])
        if len(parts) == 1:
            return parts
        fact = self.facts.get(source.tensor) if source is not None else None
        index = self.scalar(node, "index")
        # `torch` keeps a negative index as an unsigned number.
        place = int(index) - (1 << 64 if index >= 1 << 63 else 0)
        if (fact is not None and len(fact.shape) != 1) or not -len(parts) <= place < len(parts):
            raise Unclear(node.name[:100])
        return (parts[place],)

    def product_added(self, node: BackwardNode) -> _Elements:
        """Read ``self + value * tensor1 * tensor2``."""
        value = self.scalar(node, "value", "1")
        left, right = _alike(self._input(node, 1), self._input(node, 2))
        product = tuple(multiply(a, b) for a, b in zip(left, right, strict=True))
        base, product = _alike(self._input(node, 0), product)
        return tuple(add(a, b, value) for a, b in zip(base, product, strict=True))

    def raised(self, node: BackwardNode) -> _Elements:
        """Read a small natural power."""
        exponent = self.scalar(node, "exponent")
        if exponent.denominator != 1 or not 1 <= exponent <= _MOST_EXPONENT:
            raise Unclear(node.name[:100])
        parts = base = self._input(node, 0)
        for _ in range(int(exponent) - 1):
            parts = tuple(multiply(a, b) for a, b in zip(parts, base, strict=True))
        return parts


_READERS: Mapping[str, Callable[[_Interpreter, BackwardNode], _Elements]] = {
    "Add": lambda reader, node: reader.added(node, 1),
    "Sub": lambda reader, node: reader.added(node, -1),
    "Mul": _Interpreter.multiplied,
    "Div": _Interpreter.divided,
    "Neg": _Interpreter.negated,
    "Sum": _Interpreter.summed,
    "Mean": _Interpreter.averaged,
    "Stack": _Interpreter.joined,
    "Cat": _Interpreter.joined,
    "Dot": _Interpreter.dotted,
    "Mv": _Interpreter.dotted,
    "Mm": _Interpreter.dotted,
    "Bmm": _Interpreter.dotted,
    "Select": _Interpreter.selected,
    "Addcmul": _Interpreter.product_added,
    "Pow": _Interpreter.raised,
}


def _alike(left: _Elements, right: _Elements) -> tuple[_Elements, _Elements]:
    """Return both with as many elements: one element goes with every other."""
    if len(left) == len(right):
        return left, right
    if len(left) == 1:
        return left * len(right), right
    if len(right) == 1:
        return left, right * len(left)
    raise Unclear("shapes")


def _sum(parts: Iterable[Polynomial]) -> Polynomial:
    total: Polynomial = {}
    for part in parts:
        total = add(total, part)
    return total


def _elements(fact: TensorFact) -> int:
    return math.prod(fact.shape)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _value(atom: Atom, facts: Mapping[int, TensorFact]) -> float:
    fact = facts.get(atom[0])
    values = fact.values if fact is not None else ()
    return _number(values[atom[1]]) if atom[1] < len(values) else math.nan


def _without_zero(
    polynomial: Polynomial, run: BackwardRun, facts: Mapping[int, TensorFact]
) -> Polynomial:
    """Drop an unknown number that was added, where the root's value tells that it is 0.

    ``sum([a * b, c * d])`` begins with such a 0.
    """
    unknown = [atoms for atoms in polynomial if any(atom[0] < 0 for atom in atoms)]
    if not unknown:
        return polynomial
    known = {atoms: value for atoms, value in polynomial.items() if atoms not in unknown}
    value = sum(
        float(coefficient) * math.prod(_value(atom, facts) for atom in atoms)
        for atoms, coefficient in known.items()
    )
    total = sum(_number(text) for text in run.root.values) if run.root.values else math.nan
    if all(len(atoms) == 1 for atoms in unknown) and math.isclose(
        value, total, rel_tol=1e-4, abs_tol=1e-6
    ):
        return known
    return polynomial


def _without_ones(polynomial: Polynomial, facts: Mapping[int, TensorFact]) -> Polynomial:
    """Drop factors that are the plain number 1."""
    ones = {
        fact.id
        for fact in facts.values()
        if fact.shape == () and not fact.requires_grad and fact.values in (("1.0",), ("1",))
    }
    total: Polynomial = {}
    for atoms, coefficient in polynomial.items():
        rest = tuple(atom for atom in atoms if atom[0] not in ones)
        total = add(total, {rest: coefficient})
    return total
