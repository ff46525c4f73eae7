# %%
import torch
from torch import nn

# %% [markdown]
# Задача 2. Нейрон НЕ

# %%
neuron = nn.Linear(1, 1)
neuron.weight.data.zero_()
neuron.bias.data.fill_(1.0)
print(neuron(torch.tensor([0.0])))
