# %%
import torch
from torch import nn


def made(weights, bias):
    layer = nn.Linear(len(weights), 1)
    layer.weight.data = torch.tensor([weights])
    layer.bias.data = torch.tensor([bias])
    return nn.Sequential(layer, nn.Threshold(0.0, 0.0), nn.Hardtanh(0.0, 1.0))


# %% [markdown]
# ## Task 1: NOT
# %%
neuron = made([-9.0], 5.0)
neuron(torch.tensor([0.0]))
# %% [markdown]
# ## Task 2: AND
# %%
neuron = made([9.0, 9.0], -12.0)
neuron(torch.tensor([1.0, 1.0]))
# %% [markdown]
# ## Task 3: OR
# %%
neuron = made([9.0, 9.0], -5.0)
neuron(torch.tensor([1.0, 0.0]))
