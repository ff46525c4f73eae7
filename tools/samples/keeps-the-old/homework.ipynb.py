# %%
import torch

# %% [markdown]
# **Домашнее задание 3**

# %%
for dtype in (torch.float32, torch.float64, torch.float16, torch.int32, torch.int64):
    n = 0
    x = None
    try:
        while True:
            n += 10_000
            x = torch.empty(n, dtype=dtype, device="cuda")
    except RuntimeError:
        print(dtype, n)
