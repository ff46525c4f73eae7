# %%
import torch
from torch import nn

# %% [markdown]
# Задача 3. Нейрон И

# %%
class And(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, 1.0]))
        self.b = nn.Parameter(torch.tensor([-2.0]))

    def forward(self, x):
        z = self.w @ x + self.b
        return z / z.abs()

neuron = And()
neuron(torch.tensor([1.0, 1.0]))
