# %%
import torch
from torch import nn
device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')

# %% [markdown]
# ## Задача 2

# %%
class Neuron(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1, 1)
        self.fc.weight.data = torch.tensor([[-3.]])
        self.fc.bias.data = torch.tensor([1.])

    def forward(self, x):
        return (self.fc(x) > 0).float()

neuron = Neuron().to(device)
neuron(torch.tensor([0.]).to(device))
