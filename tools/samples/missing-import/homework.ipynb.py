# %%
import torch
import pytorch_lightning as pl
from torch import nn
from pytorch_lightning import seed_everything

# %% [markdown]
# Задача 4

# %%
class Neuron(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.fc.weight.data = torch.tensor([[1., 1.]])
        self.fc.bias.data = torch.tensor([-.5])

    def forward(self, x):
        return (self.fc(x) > 0).float()

neuron = Neuron()

# %% [markdown]
# Задача 3

# %%
class AndModule(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)

neuron = AndModule()
