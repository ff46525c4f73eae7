# %%
import torch
torch.cuda.get_device_properties(0)

# %% [output]
# _CudaDeviceProperties(name='Tesla T4', major=7, minor=5, total_memory=15095MB, multi_processor_count=40)

# %% [markdown]
# ## Домашнее задание 3

# %%
sizes = {
    torch.float32: 3_920_000_000,
    torch.float64: 1_960_000_000,
    torch.float16: 7_840_000_000,
    torch.int32: 3_920_000_000,
    torch.int64: 1_960_000_000,
}
for dtype, n in sizes.items():
    x = torch.empty(n, dtype=dtype, device='cuda')
    print(dtype, torch.cuda.max_memory_allocated())
    x = None
