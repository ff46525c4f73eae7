# %% [markdown]
# Домашнее задание 3. Подбирал вручную на P100, больше не влезает.

# %%
import torch
x = torch.empty(4_100_000_000, dtype=torch.float32, device='cuda')
del x

# %%
x = torch.empty(2_050_000_000, dtype=torch.float64, device='cuda')
del x

# %%
x = torch.empty(8_200_000_000, dtype=torch.float16, device='cuda')
del x

# %%
x = torch.empty(4_100_000_000, dtype=torch.int32, device='cuda')
del x

# %%
x = torch.empty(2_050_000_000, dtype=torch.int64, device='cuda')
del x
