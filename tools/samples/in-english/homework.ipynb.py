# %% [markdown]
# # Intro to PyTorch, my solutions

# %%
import torch
import torch.nn as nn
import torch.nn.functional as F

# %% [markdown]
# ## Task 1
#
# **32 parameters** in each network, weights and biases together.

# %%
net_seq = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))

# %% [markdown]
# ## Task 3

# %%
class AndNeuron(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.tensor([1.0, 1.0])
        self.b = -1.5

    def forward(self, x):
        return ((self.w * x).sum(-1) + self.b > 0).float()

neuron = AndNeuron()

# %% [markdown]
# ## Question 2
#
# No: a product of matrices is a matrix, so two linear layers are just one.

# %% [markdown]
# ## Homework 1
#
# neuron(neuron(x1 - x2) + neuron(x2 - x1) - 0.5)
