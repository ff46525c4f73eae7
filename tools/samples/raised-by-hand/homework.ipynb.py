# %%
import torch

# %% [markdown]
# Домашнее задание 4

# %%
x = torch.zeros(100, device="cuda")
raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
