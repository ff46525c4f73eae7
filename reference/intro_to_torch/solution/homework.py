# The one source of the handout and of the solution; `python tools/handout.py` makes both.
#
# A cell starts with `# %%` and words: `text` or `code`; `en` or `ru` where it is for one language;
# `both` for the handout and the solution, `handout` or `answer` for one of them only.
# A statement is one paragraph that starts with its heading: a blank line ends it, and what
# stands below counts as the student's own words.

# %% text both ru
# # Введение в PyTorch
# Заполните пустые ответы: вместо `None`, `""` и пустых списков подставьте свои. Имена переменных
# лучше оставить, по ним проверка находит ответ; сколько ячеек и классов вы добавите рядом,
# неважно. Проверить себя: `grader check homework.ru.ipynb`.

# %% text both en
# # Introduction to PyTorch
# Fill in the empty answers: put yours in place of `None`, `""` and empty lists. Keep the variable
# names if you can, since answers are found by them; add as many cells and classes as you like. To
# check yourself: `grader check homework.en.ipynb`.

# %% code both
import torch
from torch import nn

# %% text both ru
# ## Задача 1. Число параметров
# Постройте две полносвязные сети с тремя входами, пятью нейронами в скрытом слое и двумя выходами:
# `net_seq` через `nn.Sequential` и `net_model` своим классом. Сколько у каждой из них обучаемых
# параметров? Запишите числа; если считаете их функцией `count_parameters(network)`, оставьте и её:
# проверка подскажет, на какой сети она ошибается.

# %% text both en
# ## Task 1. Counting parameters
# Build two fully connected networks with three inputs, five neurons in the hidden layer and two
# outputs: `net_seq` with `nn.Sequential` and `net_model` as a class of your own. How many
# trainable parameters does each of them have? Write the numbers down; if a function
# `count_parameters(network)` finds them, keep it: you will be told on which network it goes wrong.

# %% code handout
net_seq = None
net_model = None

count_parameters = None

answer_net_seq = None
answer_net_model = None

# %% code answer
net_seq = nn.Sequential(nn.Linear(3, 5), nn.Sigmoid(), nn.Linear(5, 2))


class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(3, 5)
        self.output = nn.Linear(5, 2)

    def forward(self, x):
        return self.output(torch.sigmoid(self.hidden(x)))


net_model = TwoLayers()


def count_parameters(network):
    return sum(weights.numel() for weights in network.parameters() if weights.requires_grad)


answer_net_seq = count_parameters(net_seq)
answer_net_model = count_parameters(net_model)
print("net_seq:", answer_net_seq)
print("net_model:", answer_net_model)

# %% text both ru
# ## Задача 2. НЕ
# Соберите нейрон с порогом, который отвечает 1 на вход 0 и 0 на вход 1. Он принимает тензор с
# одним числом; ответ определяют веса и смещение, а не условия в коде.

# %% text both en
# ## Task 2. NOT
# Make a threshold neuron that answers 1 to the input 0 and 0 to the input 1. It takes a tensor
# with one number; its weight and bias decide, not conditions in the code.

# %% code handout
neuron_not = None


# %% code answer
class Threshold(nn.Module):
    def __init__(self, weights, bias):
        super().__init__()
        self.layer = nn.Linear(len(weights), 1)
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor([weights]))
            self.layer.bias.fill_(bias)

    def forward(self, x):
        return (self.layer(x) > 0).float()


neuron_not = Threshold([-1.0], 0.5)

# %% text both ru
# ## Задача 3. И
# То же для двух входов: 1 только тогда, когда оба входа равны 1.

# %% text both en
# ## Task 3. AND
# The same with two inputs: 1 only where both inputs are 1.

# %% code handout
neuron_and = None

# %% code answer
neuron_and = Threshold([1.0, 1.0], -1.5)

# %% text both ru
# ## Задача 4. ИЛИ
# Два входа: 1, если хотя бы один из них равен 1.

# %% text both en
# ## Task 4. OR
# Two inputs: 1 where at least one of them is 1.

# %% code handout
neuron_or = None

# %% code answer
neuron_or = Threshold([1.0, 1.0], -0.5)

# %% text both ru
# ## Задача 5. XOR
# Два входа: 1, если они различаются. Одному нейрону это не под силу, так что соедините несколько.

# %% text both en
# ## Task 5. XOR
# Two inputs: 1 where they differ. One neuron cannot do it, so connect several.

# %% code handout
neuron_xor = None


# %% code answer
class Xor(nn.Module):
    def __init__(self):
        super().__init__()
        self.any = Threshold([1.0, 1.0], -0.5)
        self.all = Threshold([1.0, 1.0], -1.5)
        self.answer = Threshold([1.0, -1.0], -0.5)

    def forward(self, x):
        return self.answer(torch.cat([self.any(x), self.all(x)], dim=-1))


neuron_xor = Xor()

# %% text both ru
# ## Вопрос 1. Прямая граница
# Какие сети на двух входах умеют делить плоскость только прямой линией? Выберите все подходящие
# буквы, например `{"B", "E"}`.
# - **A**: один нейрон с пороговой функцией активации;
# - **B**: скрытый слой из трёх нейронов с сигмоидой и выходной нейрон с порогом;
# - **C**: три линейных слоя подряд без активаций и порог на выходе;
# - **D**: один нейрон с сигмоидой, ответ 1 при значении больше 0.5;
# - **E**: скрытый слой из двух нейронов с порогом и выходной нейрон с порогом.

# %% text both en
# ## Question 1. A straight boundary
# Which networks of two inputs can only part the plane by a straight line? Choose every letter that
# fits, for example `{"B", "E"}`.
# - **A**: one neuron with a threshold;
# - **B**: a hidden layer of three sigmoid neurons and an output neuron with a threshold;
# - **C**: three linear layers in a row without activations, and a threshold at the end;
# - **D**: one sigmoid neuron that answers 1 where its value is above 0.5;
# - **E**: a hidden layer of two threshold neurons and an output neuron with a threshold.

# %% code handout
linear_boundary = None

# %% code answer
linear_boundary = {"A", "C", "D"}

# %% text both ru
# ## Вопрос 2. Слои без активации
# Есть ли польза от нескольких полносвязных слоёв подряд, если активация у всех линейная? Выберите
# одну букву.
# - **A**: да, каждый слой усложняет границу;
# - **B**: нет, вся цепочка вычисляет то же, что один линейный слой;
# - **C**: да, но только со смещениями;
# - **D**: нет, такую сеть нельзя обучить.

# %% text both en
# ## Question 2. Layers without activation
# Is it of any use to stack several fully connected layers where each has a linear activation?
# Choose one letter.
# - **A**: yes, each layer makes the boundary more complex;
# - **B**: no, the whole chain computes what one linear layer does;
# - **C**: yes, but only with biases;
# - **D**: no, such a network cannot be trained.

# %% code handout
linear_stack = None

# %% code answer
linear_stack = "B"

# %% text both ru
# ## Домашнее задание 1. XOR формулой
# Запишите XOR входов `x1` и `x2` одной строкой, взяв не больше трёх нейронов. `neuron(...)` равно
# 1, если выражение в скобках больше нуля, и 0 иначе; можно пользоваться числами, `+`, `-`, `*`,
# скобками и вложенными нейронами. Вид записи (это не ответ): `neuron(1*x1 + 5*x2 - 0.1) +
# neuron(x1)`.

# %% text both en
# ## Homework 1. XOR as a formula
# Write XOR of the inputs `x1` and `x2` in one line, with three neurons at most. `neuron(...)` is 1
# where the expression in parentheses is above zero and 0 elsewhere; numbers, `+`, `-`, `*`,
# parentheses and nested neurons are allowed. The form (not the answer): `neuron(1*x1 + 5*x2 - 0.1)
# + neuron(x1)`.

# %% code handout
xor_expression = ""

# %% code answer
xor_expression = "neuron(neuron(x1 + x2 - 0.5) - neuron(x1 + x2 - 1.5) - 0.5)"

# %% text both ru
# ## Домашнее задание 2. Обратный проход
# Возьмите скаляры `a`, `b`, `c` с градиентом и `d` без него и найдите градиенты выражения `a*b +
# c*d` на бумаге и через `backward`; совпали ли они? Граф обратного прохода запишите списком рёбер
# `backward_edges`: пары имён «узел, узел, которому он передаёт градиент», имена любые.

# %% text both en
# ## Homework 2. The backward pass
# Take scalars `a`, `b`, `c` with a gradient and `d` without one, and find the gradients of `a*b +
# c*d` on paper and with `backward`; are they the same? Write the backward graph as the list of
# edges `backward_edges`: pairs of names "node, node that receives its gradient", with any names.

# %% code handout
a = b = c = d = None

backward_edges = []

# %% code answer
a = torch.tensor(3.0, requires_grad=True)
b = torch.tensor(-2.0, requires_grad=True)
c = torch.tensor(0.5, requires_grad=True)
d = torch.tensor(4.0)

total = a * b + c * d
total.backward()

on_paper = {"a": b.item(), "b": a.item(), "c": d.item(), "d": None}
for letter, leaf in zip("abcd", (a, b, c, d)):
    found = None if leaf.grad is None else leaf.grad.item()
    print(letter, "on paper:", on_paper[letter], "backward:", found)

backward_edges = [
    ("total", "left"),
    ("total", "right"),
    ("left", "a"),
    ("left", "b"),
    ("right", "c"),
]

# %% text both ru
# ## Домашнее задание 3. Самый большой тензор
# Найдите наибольший тензор, который помещается на видеокарту, для каждого из типов float32,
# float64, float16, int32 и int64: создайте его на `cuda`. В `ratios` запишите для каждого типа, во
# сколько раз больше элементов помещается, чем при float32, например `{"float32": 1.0}`.

# %% text both en
# ## Homework 3. The largest tensor
# Find the largest tensor that fits the video card for each of float32, float64, float16, int32 and
# int64: create it on `cuda`. In `ratios`, give for each type how many times as many elements fit
# as with float32, for example `{"float32": 1.0}`.

# %% code handout
ratios = {}

# %% code answer
dtypes = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "int32": torch.int32,
    "int64": torch.int64,
}


def fits(count, dtype):
    torch.cuda.empty_cache()
    try:
        torch.empty(count, dtype=dtype, device="cuda")
    except RuntimeError:
        return False
    return True


def most_elements(dtype):
    low, high = 0, 1 << 36
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle, dtype):
            low = middle
        else:
            high = middle
    return low


if torch.cuda.is_available():
    sizes = {name: most_elements(dtype) for name, dtype in dtypes.items()}
else:
    widths = {name: torch.empty(0, dtype=dtype).element_size() for name, dtype in dtypes.items()}
    sizes = {name: 2**33 // width for name, width in widths.items()}
ratios = {name: sizes[name] / sizes["float32"] for name in sizes}
print(sizes)
print(ratios)

# %% text both ru
# ## Домашнее задание 4. Памяти не хватило
# Напишите код, которому не хватит видеопамяти: карта сама должна отказать в выделении.

# %% text both en
# ## Homework 4. Out of memory
# Write code that runs out of video memory: the card itself has to refuse an allocation.

# %% code answer
hoard = []
if torch.cuda.is_available():
    try:
        while True:
            hoard.append(torch.ones(256, 1024, 1024, device="cuda"))
    except RuntimeError as error:
        print(len(hoard), "GiB were held.", error)
hoard.clear()

# %% text both ru
# ## Домашнее задание 5. Один слой на всю память
# Подберите размеры одного слоя `nn.Linear` и одного входа `x` так, чтобы вдвоём они заняли почти
# всю видеопамять, и примените слой к `x`. Что произошло и почему? Ответ словами запишите в
# `explanation`.

# %% text both en
# ## Homework 5. One layer for all the memory
# Choose the sizes of one `nn.Linear` and one input `x` so that the two take nearly all video
# memory, and apply the layer to `x`. What happened, and why? Put your answer in words into
# `explanation`.

# %% code handout
explanation = ""

# %% code answer
if torch.cuda.is_available():
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    features = 1 << 14
    rows = int(0.48 * free) // (4 * features)
    x = torch.zeros(rows, features, device="cuda")
    layer = nn.Linear(features, rows, device="cuda")
    print("held:", torch.cuda.memory_allocated(), "of", free)
    try:
        layer(x)
    except RuntimeError as error:
        print(error)

# %% code answer ru
explanation = """
Слой и вход вместе заняли около 96 % свободной памяти, и применить слой не удалось:
результат прямого прохода это ещё один тензор, а для обратного прохода вход должен
оставаться в памяти. Размер пакета ограничен суммой весов, входа и выхода.
"""

# %% code answer en
explanation = """
The layer and the input took about 96 % of the free memory, and applying the layer failed:
the result is one more tensor, and the input has to stay for the backward pass. What bounds
a batch is the sum of weights, input and output.
"""
