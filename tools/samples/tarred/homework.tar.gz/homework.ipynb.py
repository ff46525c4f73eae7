# %% [markdown]
# Задача 4

# %%
import torch
weight, bias = torch.tensor([1., 1.]), torch.tensor([-.5])
neuron = lambda x: ((weight * x).sum() + bias > 0).float()
