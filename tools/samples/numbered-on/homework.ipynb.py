# %%
import torch

# %% [markdown]
# ### Задача 6

# %%
xor = "neuron(neuron(x1 - x2 - 0.3) + neuron(x2 - x1 - 0.3) - 0.3)"

# %% [markdown]
# ### Задача 7

# %%
a, b, c = (torch.tensor([v], requires_grad=True) for v in (1., -1., 2.))
d = torch.tensor([10.])
res = a * b + c * d
res.backward()
for t in (a, b, c, d):
    print(t.grad)

# %% [markdown]
# Граф: ![граф](https://example.org/graph.png)

# %% [markdown]
# ### Задача 8

# %%
big = []
try:
    for _ in range(100):
        big.append(torch.ones(2**28, device='cuda'))
except RuntimeError as oom:
    print(oom)   # CUDA out of memory
