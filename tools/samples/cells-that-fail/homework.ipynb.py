# %%
import torch
from torch import nn

# %% [markdown]
# ### Задача 2

# %%
class Not(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1, 1)

    def forward(self, x):
        return F.relu(self.fc(x))

neuron = Not()
neuron(torch.tensor([1.0]))

# %% [markdown]
# ### Задача 3

# %%
neuron = And()

# %% [markdown]
# ### Задача 4

# %%
neuron = nn.Linear(2, 1
neuron.weight.data = torch.tensor([[1., 1.]])

# %% [markdown]
# ### Задача 5

# %%
print(net_xor)
