# %%
import torch

# %% [markdown]
# ## Домашнее задание 3

# %%
def scan(dtype):
    best = 0
    for n in range(1000, 100_000, 250):
        try:
            t = torch.zeros(n, n, dtype=dtype, device='cuda')
            best = n
            del t
        except RuntimeError:
            break
    return best

# %%
for dtype in (torch.float16, torch.float32, torch.float64, torch.int32, torch.int64):
    torch.cuda.empty_cache()
    print(dtype, scan(dtype))

# %% [markdown]
# 64-битных помещается вдвое меньше, чем 32-битных, а float16 вдвое больше.
