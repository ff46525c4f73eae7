# %%
import torch

# %% [markdown]
# ### Задача 4. ИЛИ

# %%
w = torch.tensor([0.4, 1.0])
b = torch.tensor(-0.5)

def neuron(x):
    return ((x * w).sum() + b > 0).float()

print(neuron(torch.tensor([0., 1.])), neuron(torch.tensor([1., 1.])))
