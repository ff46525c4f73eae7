# %%
import torch

# %% [markdown]
# ## Домашнее задание 2

# %%
a, b, c, d = [torch.tensor(v, requires_grad=True) for v in (1., 2., 3., 4.)]
res = a*b + c*d
res.backward(retain_graph=True)

# %%
res.backward()
print(a.grad, b.grad, c.grad, d.grad)
