"""The question how many trainable parameters given networks have."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from grader.checks.answers import find_attempt, find_failure
from grader.checks.inputs import networks, simpler_networks
from grader.checks.layers import count_parameters, source_of
from grader.checks.numbers import (
    find_bare_numbers,
    numbers_beside,
    numbers_of_remark,
    whole_number,
)
from grader.checks.student_text import Piece, text_pieces
from grader.checks.view import SectionView, graded_object
from grader.evidence import Counterexample, Evidence, ParameterTable, StudentText
from grader.model import Finding, Outcome, Task
from grader.sandbox.protocol import (
    BoundName,
    Called,
    CountNetworks,
    DescribeNetworks,
    Layer,
    Network,
    Networks,
    Output,
    Target,
)

_NETWORKS, _ANSWER, _ANY = "networks", "answer", "any-network"
_WORDS = ("параметр", "parameter", "params")
_MORE_WORDS = ("total", "sum", "answer", "result", "всего", "итого", "сумм", "ответ")
_COUNTING = ("parameters(", "numel", ".size", ".shape", "state_dict")
_COUNTS_ELSE = re.compile(
    r"non.?trainable|frozen|not trained|необучаем|заморожен|mult-adds|\b[kmg]i?b\b", re.IGNORECASE
)
"""Lines of a summary that tell sizes, or parameters that are not trained."""

_MOST_FUNCTIONS = 8
_MOST_ROUNDS = 30
_DEPTHS = (3,)

Shape = tuple[Layer, ...]
"""A network that the judge describes."""
_MOST_TEXT = 2000
_MOST_VAGUE = 2


@dataclass(frozen=True, slots=True)
class CountParameters:
    """The number of trainable parameters of networks that the task gives.

    Attributes:
        networks: names of the networks.
        expected: the number for each of them as the task gives them.
        words: beginnings of words that say that a number counts parameters, in lower case.
        functions: names of a counting function that the handout declares.
    """

    networks: tuple[str, ...] = ("net_seq", "net_model")
    expected: int = 32
    words: tuple[str, ...] = _WORDS
    functions: tuple[str, ...] = ()

    has_parts: ClassVar[bool] = False

    @property
    def check_ids(self) -> tuple[str, ...]:
        """Ids of the checks it judges."""
        return (_NETWORKS, _ANSWER, _ANY)

    def judge(self, task: Task, view: SectionView) -> list[Finding]:
        """Return one finding for each check of `task`.

        Raises:
            ChildGone: the child ended while it was asked.
        """
        found = _describe(view, self.networks)
        totals = {name: count_trainable(network) for name, network in found.items()}
        counters = _call_functions(view, self, tuple(found))
        claims = tuple(_claims(task, view, self, counters))
        by_check = {
            _NETWORKS: self._judge_networks(found, totals),
            _ANSWER: self._judge_answer(view, claims, found, totals),
            _ANY: _judge_function(view, self._choose_counter(counters, totals)),
        }
        return [replace(by_check[check.id], check=check.id) for check in task.checks]

    def _judge_networks(self, found: Mapping[str, Network], totals: Mapping[str, int]) -> Finding:
        missing = [name for name in self.networks if name not in found]
        other = [name for name in found if totals[name] != self.expected]
        if missing:
            values = {"names": ", ".join(missing)}
            return Finding(_NETWORKS, Outcome.MISSING, "parameters.networks-missing", values)
        if other:
            values = {"names": ", ".join(other), "expected": str(self.expected)}
            return Finding(_NETWORKS, Outcome.FAILED, "parameters.networks-other", values)
        return Finding(_NETWORKS, Outcome.PASSED, "parameters.networks-there")

    def _judge_answer(
        self,
        view: SectionView,
        claims: tuple["Claim", ...],
        found: Mapping[str, Network],
        totals: Mapping[str, int],
    ) -> Finding:
        rights = {name: totals.get(name, self.expected) for name in self.networks}
        verdicts = {name: _verdict(name, rights[name], claims) for name in self.networks}
        evidence: tuple[Evidence, ...] = tuple(
            _table(network, totals[name], verdicts[name]) for name, network in found.items()
        )
        outcomes = [verdict.outcome for verdict in verdicts.values()]
        if all(outcome is Outcome.MISSING for outcome in outcomes):
            failure = find_failure(view) or find_attempt(view, given=self.networks)
            missing = Finding(_ANSWER, Outcome.MISSING, "parameters.missing")
            return replace(failure or missing, evidence=(failure or missing).evidence + evidence)
        worst = next(
            (name for name in self.networks if verdicts[name].outcome is not Outcome.PASSED),
            self.networks[0],
        )
        verdict = verdicts[worst]
        values = {
            "name": worst,
            "shown": verdict.shown,
            "expected": str(rights[worst]),
            "where": verdict.where,
        }
        right = outcomes.count(Outcome.PASSED)
        finding = Finding(_ANSWER, Outcome.PASSED, "parameters.right", values, evidence)
        if Outcome.REVIEW in outcomes:
            code = verdict.code if verdict.outcome is Outcome.REVIEW else "parameters.several"
            text = "; ".join(f"{c.label or '-'}: {c.number} ({c.where})" for c in claims)
            seen = (*evidence, StudentText(where="code", text=text[:_MOST_TEXT]))
            return replace(
                finding, outcome=Outcome.REVIEW, code=code, excerpt=text[:500], evidence=seen
            )
        if right == len(outcomes):
            return finding
        if right:
            parts = (right, len(outcomes))
            return replace(finding, outcome=Outcome.PARTIAL, code="parameters.partial", parts=parts)
        return replace(finding, outcome=Outcome.FAILED, code="parameters.wrong")

    def _choose_counter(
        self, counters: tuple["Counter", ...], totals: Mapping[str, int]
    ) -> "Counter | None":
        """Return the function that counts best, of equals the latest."""
        useful = [counter for counter in counters if counter.numbers or not totals]

        def fit(counter: Counter) -> tuple[bool, int]:
            right = sum(totals.get(name) == number for name, number in counter.numbers.items())
            return counter.bound.name in self.functions, right

        return max(reversed(useful), key=fit, default=None)


def count_trainable(network: Network) -> int:
    """Return the number of trainable parameters; what is shared counts once."""
    distinct = {p.id: p for p in network.parameters if p.requires_grad}
    return sum(_elements(parameter.shape) for parameter in distinct.values())


def _elements(shape: tuple[int, ...]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product


def _describe(view: SectionView, names: tuple[str, ...]) -> dict[str, Network]:
    if view.child is None:
        return {}
    reply = view.child.ask(DescribeNetworks(file=view.file, names=names), Networks)
    return {network.name: network for network in reply.networks if network.name in names}


def _table(network: Network, total: int, verdict: "Verdict") -> ParameterTable:
    return ParameterTable(
        name=network.name,
        rows=tuple(
            (p.name, p.shape, _elements(p.shape), p.requires_grad) for p in network.parameters
        ),
        total=total,
        shown=verdict.shown,
        shown_where=verdict.where,
    )


# ------------------------------------------------------------------ what the student says


@dataclass(frozen=True, slots=True)
class Claim:
    """A number that the student gives.

    Attributes:
        number: the number.
        label: the network it is for; empty for any.
        where: ``function``, ``variable``, ``print``, ``markdown`` or ``comment``.
        explicit: whether it can be nothing but the answer.
        vague: whether it may be something else: it can be right, but never wrong.
    """

    number: int
    label: str
    where: str
    explicit: bool = False
    vague: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the claims say about one network."""

    outcome: Outcome
    code: str = ""
    shown: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Counter:
    """A function of the student's, and the numbers it gives for the student's own networks."""

    bound: BoundName
    numbers: Mapping[str, int]


def _verdict(name: str, right: int, claims: tuple[Claim, ...]) -> Verdict:
    """Judge the claims about one network; what is said of another serves where nothing else is."""
    groups = (
        [claim for claim in claims if claim.label == name],
        [claim for claim in claims if not claim.label],
        [claim for claim in claims if claim.label not in ("", name)],
    )
    for group in groups:
        said = [claim for claim in group if claim.where != "comment" and not claim.vague]
        if said:
            return _weigh(said, right)
    matching = [claim for claim in claims if claim.number == right]
    few = len({claim.number for claim in claims}) <= _MOST_VAGUE
    if matching and (few or not all(claim.vague for claim in matching)):
        return Verdict(Outcome.PASSED, "parameters.right", str(right), matching[-1].where)
    if claims:
        last = claims[-1]
        code = "parameters.comment" if last.where == "comment" else "parameters.unclear"
        return Verdict(Outcome.REVIEW, code, str(last.number), last.where)
    return Verdict(Outcome.MISSING)


def _weigh(said: list[Claim], right: int) -> Verdict:
    exact = [claim for claim in said if claim.number == right]
    numbers = list(dict.fromkeys(claim.number for claim in said))
    if exact and (len(numbers) == 1 or any(claim.explicit for claim in exact)):
        claim = next((claim for claim in exact if claim.explicit), exact[-1])
        return Verdict(Outcome.PASSED, "parameters.right", str(right), claim.where)
    if len(numbers) > 1:
        shown = ", ".join(map(str, numbers[:8]))
        return Verdict(Outcome.REVIEW, "parameters.several", shown, said[-1].where)
    return Verdict(Outcome.FAILED, "parameters.wrong", str(numbers[0]), said[-1].where)


def _claims(
    task: Task, view: SectionView, question: CountParameters, counters: tuple[Counter, ...]
) -> Iterator[Claim]:
    for counter in counters:
        for name, number in counter.numbers.items():
            yield Claim(number, name, "function", explicit=True)
    yield from _variables(task, view, question)
    for ran in view.ran:
        if ran.done is not None:
            yield from _printed(ran.cell.source, ran.done.output, question)
    for piece in text_pieces(view):
        if piece.where in ("markdown", "comment"):
            yield from _written(piece, question)


def _variables(task: Task, view: SectionView, question: CountParameters) -> Iterator[Claim]:
    for bound in view.bound():
        number = whole_number(bound.shown) if bound.kind == "number" else None
        if number is None and bound.kind == "text" and bound.name in task.names:
            number = whole_number(bound.shown.strip("'\""))
        if number is None:
            continue
        folded = bound.name.casefold()
        label = next((name for name in question.networks if name in folded), "")
        declared = bound.name in task.names
        if declared or label or any(word in folded for word in ("param", "answer", "total")):
            yield Claim(number, label, "variable", explicit=declared)


def _printed(source: str, output: str, question: CountParameters) -> Iterator[Claim]:
    output = "\n".join(line for line in output.splitlines() if not _COUNTS_ELSE.search(line))
    for found in numbers_beside(output, question.networks, question.words):
        yield Claim(found.number, found.label, "print")
    for found in numbers_beside(output, (), _MORE_WORDS):
        yield Claim(found.number, "", "print", vague=True)
    lines = [line for line in output.splitlines() if line.strip()]
    by_line = [find_bare_numbers(line) for line in lines]
    bare = [number for numbers in by_line for number in numbers]
    counts = any(word in source for word in _COUNTING)
    if not bare or not all(by_line) or not counts:
        for number in bare:
            yield Claim(number, "", "print", vague=True)
        return
    # A cell that counts and shows bare numbers answers for the networks that it names, in order.
    named = [name for name in question.networks if name in source]
    named.sort(key=source.rindex)
    labels = named if len(named) == len(bare) else [""] * len(bare)
    for number, label in zip(bare, labels, strict=True):
        yield Claim(number, label, "print")


def _written(piece: Piece, question: CountParameters) -> Iterator[Claim]:
    for found in numbers_beside(piece.text, question.networks, question.words):
        yield Claim(found.number, found.label, piece.where)
    vague = {found.number for found in numbers_beside(piece.text, (), _MORE_WORDS)}
    for number in sorted(vague.union(numbers_of_remark(piece.text))):
        yield Claim(number, "", piece.where, vague=True)


def _call_functions(
    view: SectionView, question: CountParameters, names: tuple[str, ...]
) -> tuple[Counter, ...]:
    """Call the section's functions on the student's networks, or on a first one of ours."""
    if view.child is None:
        return ()
    functions = [bound for bound in view.bound() if bound.kind == "function"][-_MOST_FUNCTIONS:]
    counters = []
    for bound in functions:
        target = Target(file=view.file, name=bound.name)
        if names:
            called = view.child.ask(CountNetworks(target=target, names=names), Called)
        else:
            plain = tuple(Layer(type="linear", inputs=size, outputs=2) for size in (3, 5))
            called = view.child.ask(CountNetworks(target=target, networks=(plain,)), Called)
        told = [_number_of(output) for output in called.outputs]
        if all(number is None for number in told):
            continue
        # Of a network of ours the number is no answer; it only shows that the function counts.
        pairs = zip(names, told, strict=False)
        counters.append(Counter(bound, {name: n for name, n in pairs if n is not None}))
    return tuple(counters)


def _number_of(output: Output) -> int | None:
    if output.type not in ("number", "tensor", "array") or len(output.values) != 1:
        return None
    return whole_number(output.values[0])


# ------------------------------------------------------------------ any network


def _judge_function(view: SectionView, counter: Counter | None) -> Finding:
    if counter is None or view.child is None:
        return Finding(_ANY, Outcome.MISSING, "parameters.no-function")
    child, target = view.child, Target(file=view.file, name=counter.bound.name)

    def told(asked: tuple[Shape, ...]) -> list[str]:
        called = child.ask(CountNetworks(target=target, networks=asked), Called)
        shown = [_shown(output) for output in called.outputs[: len(asked)]]
        return shown + [""] * (len(asked) - len(shown))

    cell = view.where(counter.bound.name)
    values = dict(graded_object(counter.bound.name, "", cell))
    made = networks()
    wrong, by_number = _find_wrong(made, told)
    if not wrong:
        values["networks"] = str(len(made))
        return Finding(_ANY, Outcome.PASSED, "parameters.any-network-right", values)
    found = min(by_number or wrong, key=_size)
    for _ in range(_MOST_ROUNDS):
        simpler = simpler_networks(found)
        failing = {
            network: text
            for network, text in zip(simpler, told(simpler), strict=True)
            if text != str(count_parameters(network))
            and (not by_number or whole_number(text) is not None)
        }
        smallest = min(failing, key=_size, default=found)
        if _size(smallest) >= _size(found):
            break
        found = smallest
        wrong[found] = failing[found]
    expected, actual = str(count_parameters(found)), wrong[found]
    source = f"{counter.bound.name}({source_of(found)})"
    values |= {"expected": expected, "actual": actual, "source": source}
    return Finding(
        _ANY,
        Outcome.FAILED,
        "parameters.any-network-wrong",
        values,
        evidence=(Counterexample(source=source, expected=expected, actual=actual),),
        cells=(cell,) if cell else (),
    )


def _find_wrong(
    made: tuple[Shape, ...], told: Callable[[tuple[Shape, ...]], list[str]]
) -> tuple[dict[Shape, str], dict[Shape, str]]:
    """Return what is told wrongly of networks, and those of it that are numbers.

    A wrong number says more about a formula than an error does. Networks come by their depth, and
    deeper ones are not asked about once there is one: the smallest is found.
    """
    wrong: dict[Shape, str] = {}
    for _, group in itertools.groupby(made, _depth_of):
        part = tuple(group)
        for network, text in zip(part, told(part), strict=True):
            if text != str(count_parameters(network)):
                wrong[network] = text
        by_number = {n: text for n, text in wrong.items() if whole_number(text) is not None}
        if by_number:
            return wrong, by_number
    return wrong, {}


def _depth_of(network: Shape) -> int:
    return sum(len(network) > depth for depth in _DEPTHS)


def _shown(output: Output) -> str:
    number = _number_of(output)
    return str(number) if number is not None else (output.text or ", ".join(output.values))[:200]


def _size(network: Shape) -> tuple[int, int, int, str]:
    """Order networks: fewer layers, fewer peculiarities, fewer parameters."""
    odd = sum((not n.bias) + n.frozen + (n.same_as >= 0) + (n.type != "linear") for n in network)
    numbers = sum(n.inputs + n.outputs + n.kernel for n in network)
    return len(network), odd, numbers, repr(network)
