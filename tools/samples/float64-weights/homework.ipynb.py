# %%
import numpy as np
import torch

# %% [markdown]
# Задача 3

# %%
W = torch.from_numpy(np.array([[1.0, 1.0]]))
B = torch.from_numpy(np.array([-1.5]))

class And(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.f = torch.nn.Linear(2, 1, dtype=torch.float64)
        self.f.weight.data = W
        self.f.bias.data = B

    def forward(self, x):
        return torch.heaviside(self.f(x), torch.tensor([0.], dtype=torch.float64))

neuron = And()
neuron(torch.tensor([1., 1.], dtype=torch.float64))
