# %%
import torch

# %% [markdown]
# ДЗ 3

# %%
def try_alloc(n, dtype):
    try:
        x = torch.empty(n, dtype=dtype, device='cuda')
        return True
    except torch.cuda.OutOfMemoryError:
        return False

def find_max(dtype):
    lo, hi = 1, 10**11
    while lo + 1 < hi:
        mid = (lo + hi) // 2
        if try_alloc(mid, dtype): lo = mid
        else: hi = mid
    return lo

# %%
res = {}
for name in ('float32', 'float64', 'float16', 'int32', 'int64'):
    res[name] = find_max(getattr(torch, name))
    torch.cuda.empty_cache()
ratios = {k: v / res['float32'] for k, v in res.items()}
print(res)
