# %%
import torch

# %% [markdown]
# Домашнее задание 3

# %%
for dtype in [torch.float32, torch.float64, torch.int32, torch.int64]:
    x = torch.ones(10_000, 10_000, dtype=dtype, device='cuda')
    print(dtype, x.numel(), 'помещается')

# %% [markdown]
# Отличаются в 2 раза.
