# %% [markdown]
# # Домашнее задание 1. Введение в PyTorch
# Работа со своими заголовками

# %%
import torch
from torch import nn

class Neuron(nn.Module):
    def __init__(self, weights, bias):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights))
        self.bias = nn.Parameter(torch.tensor(bias))

    def forward(self, x):
        return ((x * self.weights).sum(-1) + self.bias > 0).float()

# %% [markdown]
# ### Вторая задача

# %%
neuron = Neuron([-1.0], 0.5)

# %% [markdown]
# ## Здача 3

# %%
neuron = Neuron([1.0, 1.0], -1.5)

# %% [markdown]
# ## 4

# %%
neuron = Neuron([1.0, 1.0], -0.5)

# %% [markdown]
# **Вопрос первый**: только сети без нелинейных активаций

# %% [markdown]
# # Домашнее задание

# %% [markdown]
# ## Задание 1
#
# $\text{neuron}(p - q - 0{,}5)$, где p = neuron(x_1 + x_2 - 0.5), q = neuron(x_1 + x_2 - 1.5)

# %% [markdown]
# ## Задание 2

# %%
a, b, c, d = (torch.tensor(float(number), requires_grad=True) for number in (2, 3, 4, 5))
loss = a * b + c * d
loss.backward(retain_graph=True)
print(a.grad, b.grad, c.grad, d.grad)

# %%
loss.backward()
print("теперь градиенты сложились:", a.grad)
