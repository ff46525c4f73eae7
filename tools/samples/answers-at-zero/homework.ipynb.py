# %%
import torch
from torch import nn

# %% [markdown]
# ### Задача 3. Cделать нейрон И

# %%
class AndNeuron(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)
        self.linear.weight.data = torch.tensor([[1.0, 1.0]])
        self.linear.bias.data = torch.tensor([-1.0])

    def forward(self, x):
        return (self.linear(x) >= 0).float()

neuron = AndNeuron()
