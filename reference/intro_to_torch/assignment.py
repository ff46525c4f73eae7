"""The homework *Introduction to PyTorch*: twelve tasks, 20 points.

Ids and points are a contract: gradebooks and scripts refer to them.
"""

from grader.checks.answers import Choice
from grader.checks.expression import XorExpression
from grader.checks.gates import Gate
from grader.checks.gradients import Gradients
from grader.checks.memory import FillMemory, LargestTensors, OutOfMemory
from grader.checks.parameters import CountParameters
from grader.model import Assignment, Check, Heading, Task, Words, points

# The loader gives this folder a package name of its own, which only a relative import can follow.
from . import oracle

SAMPLE_EXPRESSION = "neuron(1*x1 + 5*x2 - 0.1) + neuron(x1)"
"""How the statement shows the form of an answer; as an answer it would be wrong."""

# Some hand in everything as "Task N" and number on after task 5. Task 6 is homework 1; beyond
# that people also number what lies between, so the words in the cells decide.
_NUMBERED_ON = tuple(Heading("task", number) for number in range(7, 13))

_TABLE_TITLE: Words = {"en": "Every row of the truth table", "ru": "Все строки таблицы истинности"}
_WEIGHTS_TITLE: Words = {
    "en": "The answers come from the weights",
    "ru": "Ответы получаются из весов",
}
_ANSWER_TITLE: Words = {"en": "The answer", "ru": "Ответ"}


def _words(en: str, ru: str) -> Words:
    return {"en": en, "ru": ru}


def _gate_checks(*, table: float, weights: float) -> tuple[Check, ...]:
    return (
        Check("truth-table", points(table), _TABLE_TITLE),
        Check("weights", points(weights), _WEIGHTS_TITLE),
    )


PARAMETERS = Task(
    id="parameters",
    title=_words("Counting parameters", "Число параметров"),
    headings=(Heading("task", 1),),
    names=("answer_net_seq", "answer_net_model", "count_parameters", "net_seq", "net_model"),
    aliases=("parameters", "params", "параметры", "net_seq", "net_model"),
    content=("parameters", "numel", "net_seq", "net_model"),
    question=CountParameters(
        networks=("net_seq", "net_model"),
        expected=oracle.chain_parameters(oracle.LAYER_SIZES),
        functions=("count_parameters",),
    ),
    checks=(
        Check(
            "networks",
            points(0),
            _words("Both networks are 3-5-2", "Обе сети имеют вид 3-5-2"),
        ),
        Check(
            "answer",
            points(2.0),
            _words("The number for each network", "Число для каждой сети"),
        ),
        Check(
            "any-network",
            points(0),
            _words("The function counts any network", "Функция верна для любой сети"),
        ),
    ),
    hint=_words(
        "A layer has a weight for every pair of input and output, and a bias for every output.",
        "У слоя по одному весу на каждую пару «вход, выход» и по одному смещению на каждый выход.",
    ),
)

NOT = Task(
    id="not",
    title=_words("The NOT neuron", "Нейрон НЕ"),
    headings=(Heading("task", 2),),
    names=("neuron_not",),
    aliases=("not", "не", "neuron_not", "inverse", "отрицание"),
    question=Gate(function=oracle.not_, inputs=1),
    checks=_gate_checks(table=0.75, weights=0.25),
    hint=_words(
        "The weighted sum has to fall as the input grows.",
        "Взвешенная сумма должна убывать, когда вход растёт.",
    ),
)

AND = Task(
    id="and",
    title=_words("The AND neuron", "Нейрон И"),
    headings=(Heading("task", 3),),
    names=("neuron_and",),
    aliases=("and", "и", "neuron_and", "conjunction", "конъюнкция"),
    question=Gate(function=oracle.and_, inputs=2),
    checks=_gate_checks(table=0.75, weights=0.25),
    hint=_words(
        "The bias must outweigh either input alone, and give way to both together.",
        "Смещение должно перевешивать каждый вход в отдельности и уступать обоим вместе.",
    ),
)

OR = Task(
    id="or",
    title=_words("The OR neuron", "Нейрон ИЛИ"),
    headings=(Heading("task", 4),),
    names=("neuron_or",),
    aliases=("or", "или", "neuron_or", "disjunction", "дизъюнкция"),
    question=Gate(function=oracle.or_, inputs=2),
    checks=_gate_checks(table=0.75, weights=0.25),
    hint=_words(
        "Either input alone must outweigh the bias.",
        "Каждый вход в отдельности должен перевешивать смещение.",
    ),
)

XOR = Task(
    id="xor",
    title=_words("XOR made of neurons", "XOR из нейронов"),
    headings=(Heading("task", 5),),
    names=("neuron_xor",),
    aliases=("xor", "neuron_xor", "исключающее_или"),
    question=Gate(function=oracle.xor, inputs=2),
    checks=_gate_checks(table=1.5, weights=0.5),
    hint=_words(
        "One line cannot part the rows of XOR, but two lines and a neuron that joins them can.",
        "Одной прямой строки XOR не разделить, двум прямым и соединяющему нейрону это по силам.",
    ),
)

LINEAR_BOUNDARY = Task(
    id="linear-boundary",
    title=_words("A straight boundary", "Прямая граница"),
    headings=(Heading("question", 1),),
    names=("linear_boundary",),
    aliases=("linear_boundary",),
    question=Choice(variable="linear_boundary", options=("A", "B", "C", "D", "E")),
    checks=(Check("answer", points(1.0), _ANSWER_TITLE),),
    hint=_words(
        "Ask of each network whether its answer depends on a single weighted sum of the inputs.",
        "Спросите о каждой сети, зависит ли её ответ от одной взвешенной суммы входов.",
    ),
)

LINEAR_STACK = Task(
    id="linear-stack",
    title=_words("Layers without activation", "Слои без активации"),
    headings=(Heading("question", 2),),
    names=("linear_stack",),
    aliases=("linear_stack",),
    question=Choice(variable="linear_stack", options=("A", "B", "C", "D")),
    checks=(Check("answer", points(1.0), _ANSWER_TITLE),),
    hint=_words(
        "Write two layers in a row as formulas and open the parentheses.",
        "Запишите два слоя подряд формулами и раскройте скобки.",
    ),
)

XOR_EXPRESSION = Task(
    id="xor-expression",
    title=_words("XOR as an expression", "XOR выражением"),
    headings=(Heading("homework", 1), Heading("task", 6), *_NUMBERED_ON),
    names=("xor_expression",),
    aliases=("xor_expression", "xor_expr", "xor_выражение", "xor_формула"),
    content=("x1", "x2"),
    question=XorExpression(function=oracle.xor, most_neurons=3),
    checks=(
        Check("truth-table", points(1.5), _TABLE_TITLE),
        Check(
            "three-neurons",
            points(0.5),
            _words("At most three neurons", "Не больше трёх нейронов"),
        ),
    ),
    hint=_words(
        "Compute the sums of every neuron for all four rows, and mind that exactly 0 gives 0.",
        "Посчитайте сумму каждого нейрона во всех четырёх строках и помните, что ровно 0 даёт 0.",
    ),
)

GRADIENTS = Task(
    id="gradients",
    title=_words("Gradients of a*b + c*d", "Градиенты a*b + c*d"),
    headings=(Heading("homework", 2), *_NUMBERED_ON),
    names=("backward_edges",),
    aliases=("gradients", "backward", "градиенты", "backward_edges"),
    content=("backward", "autograd", "requires_grad"),
    question=Gradients(drawing_names=("backward_edges",)),
    checks=(
        Check(
            "graph",
            points(0.5),
            _words("Backward ran through a*b + c*d", "Обратный проход выполнен по a*b + c*d"),
        ),
        Check(
            "values",
            points(1.5),
            _words("The gradients are right", "Градиенты верны"),
        ),
        Check(
            "drawing",
            points(1.0),
            _words("The drawn backward graph", "Нарисованный граф"),
        ),
    ),
    hint=_words(
        "The gradient of a product by one factor is the other factor.",
        "Градиент произведения по одному множителю равен другому множителю.",
    ),
)

_DTYPE_CHECKS = tuple(
    Check(
        dtype,
        points(0.5),
        _words(f"The largest {dtype} tensor", f"Наибольший тензор {dtype}"),
    )
    for dtype in oracle.ITEM_BYTES
)

VRAM_LIMITS = Task(
    id="vram-limits",
    title=_words("The largest tensors", "Самые большие тензоры"),
    headings=(Heading("homework", 3), *_NUMBERED_ON),
    names=("ratios",),
    aliases=("vram_limits", "vram", "видеопамять"),
    content=("cuda", "float32", "float64", "float16", "int32", "int64"),
    question=LargestTensors(dtypes=tuple(oracle.ITEM_BYTES), comparison_names=("ratios",)),
    checks=(
        *_DTYPE_CHECKS,
        Check(
            "comparison",
            points(0.5),
            _words("How the sizes compare", "Как соотносятся размеры"),
        ),
    ),
    hint=_words(
        "Free the previous tensor before you ask for a larger one.",
        "Освободите прошлый тензор, прежде чем просить больший.",
    ),
)

OUT_OF_MEMORY = Task(
    id="oom",
    title=_words("Out of memory", "Нехватка памяти"),
    headings=(Heading("homework", 4), *_NUMBERED_ON),
    aliases=("oom", "out_of_memory"),
    content=("cuda", "out of memory", "OutOfMemoryError", "oom"),
    question=OutOfMemory(),
    checks=(
        Check(
            "out-of-memory",
            points(1.0),
            _words("The device refused an allocation", "Карта отказала в выделении памяти"),
        ),
    ),
    hint=_words(
        "Keep what you allocate, for example in a list, and go on asking.",
        "Сохраняйте выделенное, например в списке, и просите ещё.",
    ),
)

LINEAR_VRAM = Task(
    id="linear-vram",
    title=_words("One layer for all the memory", "Один слой на всю память"),
    headings=(Heading("homework", 5), *_NUMBERED_ON),
    names=("explanation",),
    aliases=("linear_vram",),
    content=("cuda", "Linear"),
    question=FillMemory(),
    checks=(
        Check(
            "fills",
            points(0.5),
            _words("The memory is nearly full", "Память почти заполнена"),
        ),
        Check(
            "forward",
            points(0.5),
            _words("The layer was applied", "Слой применён"),
        ),
        Check(
            "explanation",
            points(1.0),
            _words("What happened, in words", "Что произошло, словами"),
        ),
    ),
    hint=_words(
        "Besides the weights and the input, the result needs room too.",
        "Кроме весов и входа, место нужно и результату.",
    ),
)

ASSIGNMENT = Assignment(
    name="intro-to-torch",
    title=_words("Introduction to PyTorch", "Введение в PyTorch"),
    tasks=(
        PARAMETERS,
        NOT,
        AND,
        OR,
        XOR,
        LINEAR_BOUNDARY,
        LINEAR_STACK,
        XOR_EXPRESSION,
        GRADIENTS,
        VRAM_LIMITS,
        OUT_OF_MEMORY,
        LINEAR_VRAM,
    ),
    total=points(20),
    samples=(SAMPLE_EXPRESSION,),
)
