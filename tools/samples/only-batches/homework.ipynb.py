# %%
import torch
from torch import nn

# %% [markdown]
# ## Задача 4

# %%
class OrNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([[2.], [2.]]))
        self.b = nn.Parameter(torch.tensor([-1.]))

    def forward(self, batch):
        rows, features = batch.shape
        assert features == 2
        return (batch @ self.w + self.b > 0).float()

net = OrNet()
net(torch.tensor([[0., 0.], [0., 1.], [1., 0.], [1., 1.]]))
