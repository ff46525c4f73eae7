# %%
import torch

# %% [markdown]
# **Домашнее задание 3**

# %%
n = 0
x = None
try:
    while True:
        n += 10_000
        x = torch.empty(n, dtype=torch.float32, device="cuda")
except RuntimeError as e:
    print(n, e)
