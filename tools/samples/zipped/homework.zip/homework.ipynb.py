# %% [markdown]
# Задача 2

# %%
import torch
weight, bias = torch.tensor([-1.]), torch.tensor([.5])
neuron = lambda x: (weight * x + bias > 0).float()
