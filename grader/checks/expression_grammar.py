"""Expressions of threshold neurons: reading, finding in text, and exact evaluation.

The grammar, with numbers as plain decimals:

    expression = term, {("+" | "-"), term}
    term       = factor, {"*", factor}
    factor     = {"+" | "-"}, (number | "x1" | "x2" | "(" expression ")" | neuron)
    neuron     = "neuron", "(", expression, ")"

Arithmetic is exact (`int` and `fractions.Fraction`), so a sum of 0 is at the threshold itself.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

MOST_LENGTH = 2000
MOST_DEPTH = 40
MOST_DIGITS = 30
MOST_NEURONS = 64

_SPELLINGS = str.maketrans(
    {
        "\u2212": "-", "\u2013": "-", "\u2014": "-", "\u2010": "-", "\u2011": "-",
        "\ufe63": "-", "\uff0d": "-", "\u00d7": "*", "\u00b7": "*", "\u22c5": "*",
        "\u2217": "*", "\u2219": "*", "\u2715": "*", "\uff0b": "+", "\u00a0": " ",
        "\u202f": " ", "\u2009": " ", "\uff08": "(", "\uff09": ")", "\u2081": "1",
        "\u2082": "2",
    }
)  # fmt: skip
_VARIABLE = re.compile(r"\b[xXхХ]_?\{?([12])\}?(?!\w)")
_DEFINITION = re.compile(
    r"[\s`$*;>\-]*(?:[^=()\n]{1,60}[:)]\s*[`$*]*)?([^\W\d]\w{0,30})\s*:?=(?!=)\s*(.+)"
)
_NEXT_DEFINITION = re.compile(
    r"[,;.]?[ \t]{1,8}(?:(?:где|where|with|и|and)[ \t]{1,8})?"
    r"(?=[`$*]{0,4}[^\W\d]\w{0,30}[ \t]{0,8}:?=(?!=))"
)
_MARKUP = (
    (re.compile(r"</?su[bp]>|\\(?:left|right|[bB]igg?[lr]?)(?![a-zA-Z])|[\\][,;:!]"), ""),
    (re.compile(r"\\(?:text|operatorname|math\w{2,3})\s*\*?\s*\{\s*([^\W\d]\w*)\s*\}"), r" \1"),
    (re.compile(r"(?<=\d)\{,\}(?=\d)"), "."),
)
_BRACKETS = str.maketrans("[]", "()")
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
_TOKEN = re.compile(r"(\d+(?:\.\d*)?(?!\w)|\.\d+(?!\w)|[^\W\d]\w*|[-+*()])|\s+|(.)", re.DOTALL)


class SyntaxProblem(Exception):
    """A text that is no expression.

    Attributes:
        position: index of the character where reading stopped.
        found: what stands there, empty at the end.
    """

    def __init__(self, position: int, found: str) -> None:
        super().__init__(f"unexpected {found or 'end'!r} at {position}")
        self.position = position
        self.found = found


Exact = int | Fraction


@dataclass(frozen=True, slots=True)
class Constant:
    """A number."""

    value: Exact


@dataclass(frozen=True, slots=True)
class Variable:
    """An input, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Sum:
    """Terms with their signs, +1 or -1."""

    terms: tuple[tuple[int, "Node"], ...]


@dataclass(frozen=True, slots=True)
class Product:
    """Factors."""

    factors: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Neuron:
    """A threshold neuron: 1 where its argument is above 0, else 0; `text` as it was written."""

    argument: "Node"
    text: str


Node = Constant | Variable | Sum | Product | Neuron


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was read, with the text that it was read from."""

    root: Node
    text: str

    def neurons(self) -> tuple[tuple[Neuron, int], ...]:
        """Return every neuron after those inside it, with the index of the one around it or -1."""
        found: list[tuple[Neuron, int]] = []
        self._collect(self.root, found, [])
        return tuple(found)

    def _collect(self, node: Node, found: list[tuple[Neuron, int]], waiting: list[int]) -> None:
        """Append the neurons below `node`; `waiting` gathers those without a parent so far."""
        if isinstance(node, Neuron):
            inner: list[int] = []
            self._collect(node.argument, found, inner)
            for index in inner:
                found[index] = (found[index][0], len(found))
            waiting.append(len(found))
            found.append((node, -1))
        elif isinstance(node, Sum):
            for _, term in node.terms:
                self._collect(term, found, waiting)
        elif isinstance(node, Product):
            for factor in node.factors:
                self._collect(factor, found, waiting)

    def value(self, inputs: Mapping[str, int], *, at_zero: int = 0) -> Exact:
        """Return its value; a neuron whose sum is exactly 0 gives `at_zero`."""
        return value_of(self.root, inputs, at_zero=at_zero)


def value_of(node: Node, inputs: Mapping[str, int], *, at_zero: int = 0) -> Exact:
    """Return the exact value of a node; a neuron whose sum is exactly 0 gives `at_zero`."""
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Variable):
        return inputs[node.name]
    if isinstance(node, Sum):
        terms = (sign * value_of(term, inputs, at_zero=at_zero) for sign, term in node.terms)
        return sum(terms)
    if isinstance(node, Product):
        product: Exact = 1
        for factor in node.factors:
            product *= value_of(factor, inputs, at_zero=at_zero)
        return product
    inner = value_of(node.argument, inputs, at_zero=at_zero)
    return at_zero if inner == 0 else int(inner > 0)


def spelled_plainly(text: str) -> str:
    """Return a text with typographic signs, escapes and letters that look like x made plain."""
    text = text.translate(_SPELLINGS)
    for pattern, plain in _MARKUP:
        text = pattern.sub(plain, text)
    text = re.sub(r"\\(?:cdot|times)\b", "*", text)
    text = re.sub(r"\\([*_+()\-])", r"\1", text)
    text = _DECIMAL_COMMA.sub(".", text)
    return _VARIABLE.sub(r"x\1", text).translate(_BRACKETS)


def read_expression(
    text: str, *, variables: tuple[str, ...] = ("x1", "x2"), neuron: str = "neuron"
) -> Expression:
    """Read a whole text as one expression.

    Raises:
        SyntaxProblem: it is none, or exceeds the bounds of this module.
    """
    plain = spelled_plainly(text)
    if len(plain) > MOST_LENGTH:
        raise SyntaxProblem(MOST_LENGTH, plain[MOST_LENGTH : MOST_LENGTH + 10])
    reader = _Reader(plain, variables, neuron)
    root = reader.expression(0)
    if reader.symbol is not None:
        raise reader.problem()
    return Expression(root, plain.strip())


def with_definitions(
    text: str, *, variables: tuple[str, ...] = ("x1", "x2"), neuron: str = "neuron"
) -> str:
    """Return a text in which names that its lines define (``h1 = neuron(...)``) are spelled out."""
    known: dict[str, str] = {}
    lines: list[str] = []
    for line in _NEXT_DEFINITION.sub("\n", spelled_plainly(text)).split("\n"):
        match = _DEFINITION.match(line)
        body = _spelled_out(match[2] if match else line, known)
        if match and len(body) <= MOST_LENGTH and match[1] not in (*variables, neuron):
            try:
                read_expression(body.strip("`$*;,. "), variables=variables, neuron=neuron)
            except SyntaxProblem:
                pass
            else:
                known[match[1]] = f"({body.strip('`$*;,. ')})"
        lines.append(line[: match.start(2)] + body if match else body)
    # What is defined below its use ("..., where h1 = ...") is spelled out at last.
    return "\n".join(_spelled_out(line, known) for line in lines)


def _spelled_out(text: str, known: Mapping[str, str]) -> str:
    if not known:
        return text
    names = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    return re.sub(rf"\b(?:{names})\b", lambda match: known[match[0]], text)[: 2 * MOST_LENGTH]


def find_expressions(
    text: str, *, variables: tuple[str, ...] = ("x1", "x2"), neuron: str = "neuron"
) -> Iterator[Expression | tuple[str, SyntaxProblem]]:
    """Yield the expressions with a neuron in them that stand in a text, in order.

    What looks like one and is none is given as its text and what is wrong with it.
    """
    plain = spelled_plainly(text)
    for run in _runs(plain, variables, neuron):
        yield from _read_run(run, variables, neuron)


def _read_run(
    run: str, variables: tuple[str, ...], neuron: str
) -> Iterator[Expression | tuple[str, SyntaxProblem]]:
    """Read the expressions of a run of tokens; each begins at its start or at a neuron."""
    start = re.compile(rf"\b{re.escape(neuron)}\s*\(", re.IGNORECASE)
    rest = run.strip(" \t\r\n*+")
    while start.search(rest):
        reader = _Reader(rest[:MOST_LENGTH], variables, neuron)
        try:
            root = reader.expression(0, loose=True)
        except SyntaxProblem as problem:
            first = start.search(rest)
            assert first is not None
            if first.start() > 0 and problem.position <= first.start():
                rest = rest[first.start() :]  # prose before it, such as a bullet
                continue
            yield rest.strip(), problem
            return
        end = reader.position()
        text, rest = rest[:end].strip(), rest[end:]
        if start.search(text):
            yield Expression(root, text)
        if not re.match(r"[\s(*+\-)]*$", rest) and not start.search(rest):
            return
        rest = rest.lstrip(" \t\r\n*+-)")


def _runs(text: str, variables: tuple[str, ...], neuron: str) -> Iterator[str]:
    """Yield the stretches of a text that consist of the grammar's tokens only.

    A line's end closes a stretch unless a parenthesis is open. A foreign symbol inside a neuron's
    parentheses stays in the stretch, up to the line's end, so that it is told as a mistake.
    """
    words = {neuron.casefold(), *(name.casefold() for name in variables)}
    begin, depth, inside = 0, 0, False
    for match in _TOKEN.finditer(text):
        symbol = match.group(1)
        space = match.group(0) if symbol is None and match.group(2) is None else ""
        if symbol == "(":
            inside = inside or text[begin : match.start()].rstrip().casefold().endswith(
                neuron.casefold()
            )
            depth += 1
        elif symbol == ")":
            depth = max(0, depth - 1)
            inside = inside and depth > 0
        foreign = match.group(2) is not None or (
            symbol is not None and symbol[0].isalpha() and symbol.casefold() not in words
        )
        closes = ("\n" in space and depth == 0) or "\n\n" in space
        if closes or (foreign and not (inside and "\n" not in match.group(0))):
            yield text[begin : match.start()]
            begin, depth, inside = match.end(), 0, False
    yield text[begin:]


class _Reader:
    """Reads tokens from the left; `symbol` is the next one, None at the end."""

    def __init__(self, text: str, variables: tuple[str, ...], neuron: str) -> None:
        self._text = text
        self._variables = variables
        self._neuron = neuron
        self._tokens: list[tuple[str, int]] = [
            (match.group(0), match.start())
            for match in _TOKEN.finditer(text)
            if not match.group(0).isspace()
        ]
        self._next = 0
        self._neurons = 0

    @property
    def symbol(self) -> str | None:
        """The next symbol."""
        return self._tokens[self._next][0] if self._next < len(self._tokens) else None

    def position(self) -> int:
        """Return where the next symbol stands, or the text's length."""
        return self._at(self._next)

    def problem(self) -> SyntaxProblem:
        """Return the complaint about the next symbol."""
        return SyntaxProblem(self.position(), self.symbol or "")

    def expression(self, depth: int, *, loose: bool = False) -> Node:
        """Read terms; where `loose`, an operator that nothing follows ends the expression."""
        terms = [(1, self._term(depth, loose=loose))]
        while self.symbol in ("+", "-") and not (loose and self._dangles()):
            sign = 1 if self._take() == "+" else -1
            terms.append((sign, self._term(depth, loose=loose)))
        return terms[0][1] if len(terms) == 1 else Sum(tuple(terms))

    def _at(self, index: int) -> int:
        return self._tokens[index][1] if index < len(self._tokens) else len(self._text)

    def _take(self) -> str:
        symbol = self._tokens[self._next][0]
        self._next += 1
        return symbol

    def _dangles(self) -> bool:
        """Tell whether only operators and opening parentheses are left."""
        return all(symbol in ("+", "-", "*", "(") for symbol, _ in self._tokens[self._next :])

    def _term(self, depth: int, *, loose: bool) -> Node:
        factors = [self._factor(depth)]
        while self.symbol == "*" and not (loose and self._dangles()):
            self._take()
            factors.append(self._factor(depth))
        return factors[0] if len(factors) == 1 else Product(tuple(factors))

    def _factor(self, depth: int) -> Node:
        sign = 1
        while self.symbol in ("+", "-"):
            if self._take() == "-":
                sign = -sign
        node = self._primary(depth)
        return node if sign == 1 else Sum(((-1, node),))

    def _primary(self, depth: int) -> Node:
        symbol = self.symbol
        if symbol is None or depth > MOST_DEPTH:
            raise self.problem()
        if symbol == "(":
            return self._parenthesis(depth)
        if symbol[0] in "0123456789." and symbol != ".":
            if len(symbol) > MOST_DIGITS or not symbol.isascii():
                raise self.problem()
            written = self._take()
            return Constant(int(written) if written.isdecimal() else Fraction(written))
        if symbol in self._variables:
            return Variable(self._take())
        if symbol.casefold() == self._neuron.casefold() and self._neurons < MOST_NEURONS:
            start = self.position()
            self._neurons += 1
            self._take()
            if self.symbol != "(":
                raise self.problem()
            argument = self._parenthesis(depth)
            last, at = self._tokens[self._next - 1]
            return Neuron(argument, self._text[start : at + len(last)])
        raise self.problem()

    def _parenthesis(self, depth: int) -> Node:
        self._take()
        node = self.expression(depth + 1)
        if self.symbol != ")":
            raise self.problem()
        self._take()
        return node
