# %%
import torch
from torch import nn

# %% [markdown]
# ## Задача 3

# %%
class Neuron(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)

    def forward(self, x):
        return (self.fc(x) > 0).float()

# %%
neuron = Neuron()

# %%
neuron.fc.weight.data = torch.tensor([[1., 1.]])
neuron.fc.bias.data = torch.tensor([-1.2])

# %% [markdown]
# ## Задача 4

# %%
neuron = Neuron()
neuron.load_state_dict({'fc.weight': torch.tensor([[1., 1.]]), 'fc.bias': torch.tensor([-.2])})
