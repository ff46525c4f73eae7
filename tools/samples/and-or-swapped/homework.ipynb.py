# %%
import torch
from torch import nn

def gate(w1, w2, b):
    f = nn.Linear(2, 1)
    f.weight.data = torch.tensor([[w1, w2]])
    f.bias.data = torch.tensor([b])
    return lambda x: (f(x) > 0).float()

# %% [markdown]
# ## Задача 3

# %%
neuron_and = gate(1., 1., -0.5)

# %% [markdown]
# ## Задача 4

# %%
neuron_or = gate(1., 1., -1.5)
