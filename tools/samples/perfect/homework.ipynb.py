# %% [markdown]
# # Домашка: введение в PyTorch
# Выполнила Вера, группа 2.

# %%
import torch
import torch.nn as nn

# %% [markdown]
# ## Задача 1. Число параметров

# %%
net_seq = nn.Sequential(
    nn.Linear(3, 5),
    nn.Tanh(),
    nn.Linear(5, 2),
)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 5)
        self.act = nn.ReLU()
        self.second = nn.Linear(5, 2)

    def forward(self, x):
        return self.second(self.act(self.first(x)))


net_model = Net()


def count_parameters(network):
    total = 0
    for p in network.parameters():
        if p.requires_grad:
            total += p.numel()
    return total


answer_net_seq = count_parameters(net_seq)
answer_net_model = count_parameters(net_model)
answer_net_seq, answer_net_model

# %% [markdown]
# ## Задача 2. НЕ

# %%
def make_neuron(weights, bias):
    linear = nn.Linear(len(weights), 1)
    linear.weight.data = torch.tensor([weights])
    linear.bias.data = torch.tensor([bias])
    return linear


class Step(nn.Module):
    def forward(self, x):
        return (x > 0).float()


neuron_not = nn.Sequential(make_neuron([-2.0], 1.0), Step())

# %% [markdown]
# ## Задача 3. И

# %%
neuron_and = nn.Sequential(make_neuron([2.0, 2.0], -3.0), Step())
for x1 in (0.0, 1.0):
    for x2 in (0.0, 1.0):
        print(x1, x2, neuron_and(torch.tensor([x1, x2])))

# %% [markdown]
# ## Задача 4. ИЛИ

# %%
neuron_or = nn.Sequential(make_neuron([2.0, 2.0], -1.0), Step())

# %% [markdown]
# ## Задача 5. XOR

# %%
hidden = nn.Linear(2, 2)
hidden.weight.data = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
hidden.bias.data = torch.tensor([-0.5, -0.5])
neuron_xor = nn.Sequential(hidden, Step(), make_neuron([1.0, 1.0], -0.5), Step())

# %% [markdown]
# ## Вопрос 1. Прямая граница

# %%
linear_boundary = {"A", "C", "D"}

# %% [markdown]
# ## Вопрос 2. Слои без активации

# %%
linear_stack = "B"

# %% [markdown]
# ## Домашнее задание 1. XOR формулой

# %%
xor_expression = "neuron(neuron(x1 - x2 - 0.5) + neuron(x2 - x1 - 0.5) - 0.5)"

# %% [markdown]
# ## Домашнее задание 2. Обратный проход

# %%
a = torch.tensor(1.5, requires_grad=True)
b = torch.tensor(2.5, requires_grad=True)
c = torch.tensor(-1.0, requires_grad=True)
d = torch.tensor(7.0)
y = a * b + c * d
y.backward()
print(a.grad, b.grad, c.grad, d.grad)  # на бумаге: b, a, d и ничего

backward_edges = [
    ("+", "a*b"),
    ("+", "c*d"),
    ("a*b", "a"),
    ("a*b", "b"),
    ("c*d", "c"),
]

# %% [markdown]
# ## Домашнее задание 3. Самый большой тензор

# %%
def largest(dtype):
    step = 2**36
    size = 0
    while step >= 1:
        try:
            torch.empty(size + step, dtype=dtype, device="cuda")
            size += step
        except RuntimeError:
            pass
        torch.cuda.empty_cache()
        step //= 2
    return size


found = {}
for dtype in [torch.float32, torch.float64, torch.float16, torch.int32, torch.int64]:
    found[str(dtype).replace("torch.", "")] = largest(dtype)
found

# %%
ratios = {name: size / found["float32"] for name, size in found.items()}
ratios

# %% [markdown]
# ## Домашнее задание 4. Памяти не хватило

# %%
matrices = []
try:
    for i in range(1000):
        matrices.append(torch.rand(10_000, 10_000, device="cuda"))
except RuntimeError as e:
    print(i, e)
del matrices
torch.cuda.empty_cache()

# %% [markdown]
# ## Домашнее задание 5. Один слой на всю память

# %%
x = torch.zeros(1_800_000, 1000, device="cuda")
layer = nn.Linear(1000, 1_900_000, device="cuda")
print(torch.cuda.memory_allocated() / 2**30)
try:
    layer(x)
except RuntimeError as e:
    print(e)

# %%
explanation = (
    "Слой и x занимают почти всю карту. Прямой проход падает, потому что для результата "
    "нужен ещё один тензор, а места уже нет."
)
