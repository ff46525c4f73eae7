# %%
import torch

# %% [markdown]
# Homework 2

# %%
a = torch.tensor(1., requires_grad=True)
b = torch.tensor(2., requires_grad=True)
c = torch.tensor(3., requires_grad=True)
d = torch.tensor(4., requires_grad=True)
out = (a + b) * (c + d)
out.backward()
print(a.grad, b.grad, c.grad, d.grad)
