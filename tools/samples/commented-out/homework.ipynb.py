# %%
import torch
from torch import nn

# %% [markdown]
# Задача 3

# %%
# neuron = nn.Linear(2, 1)
# neuron.weight.data = torch.tensor([[1., 1.]])
# neuron.bias.data = torch.tensor([-1.5])
