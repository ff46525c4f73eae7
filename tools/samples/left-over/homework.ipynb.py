# %%
import torch
from torch import nn


# %%
class Threshold(nn.Module):
    def __init__(self, weights, bias):
        super().__init__()
        self.weights = torch.tensor(weights)
        self.bias = bias

    def forward(self, x):
        return (x @ self.weights + self.bias > 0).float()


# %%
first = Threshold([1.0, 1.0], -2.5)
first(torch.tensor([1.0, 1.0]))
# %%
second = Threshold([1.0, 1.0], -0.5)
second(torch.tensor([1.0, 0.0]))
