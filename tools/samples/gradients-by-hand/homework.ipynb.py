# %%
import torch

# %% [markdown]
# **Домашнее задание 2**

# %%
a = torch.tensor(2., requires_grad=True)
b = torch.tensor(3., requires_grad=True)
c = torch.tensor(4., requires_grad=True)
d = torch.tensor(5.)
res = a*b + c*d
a.grad = b.detach()
b.grad = a.detach()
c.grad = d.clone()
print(a.grad, b.grad, c.grad)
