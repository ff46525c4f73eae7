# %%
import torch

# %% [markdown]
# ## Домашнее задание 2

# %%
a = torch.tensor(1., requires_grad=True)
b = torch.tensor(2., requires_grad=True)
c = torch.tensor(3., requires_grad=True)
d = torch.tensor(4.)
res = a*b + c*d
print(a.grad, b.grad, c.grad, d.grad)
