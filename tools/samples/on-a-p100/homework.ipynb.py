# %%
import torch
torch.cuda.get_device_name(0)

# %% [output]
# Tesla P100-PCIE-16GB

# %% [markdown]
# ## Домашнее задание 3

# %%
sizes = {
    torch.float32: 4_100_000_000,
    torch.float64: 2_050_000_000,
    torch.float16: 8_200_000_000,
    torch.int32: 4_100_000_000,
    torch.int64: 2_050_000_000,
}
for dtype, n in sizes.items():
    x = torch.empty(n, dtype=dtype, device='cuda')
    print(dtype, torch.cuda.max_memory_allocated())
    x = None
