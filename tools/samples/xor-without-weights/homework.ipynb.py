# %%
import torch

# %% [markdown]
# **Задача 5**: XOR

# %%
def xor(x):
    return (x[0] != x[1]).float()

[xor(torch.tensor([a, b])) for a in (0., 1.) for b in (0., 1.)]
