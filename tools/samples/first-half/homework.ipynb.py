# %%
import torch
from torch import nn

# %% [markdown]
# **Задача 1**

# %%
net_seq = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))

class NetModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(3, 5)
        self.l2 = nn.Linear(5, 2)

    def forward(self, x):
        return self.l2(torch.relu(self.l1(x)))

net_model = NetModel()
print('net_seq', sum(p.numel() for p in net_seq.parameters()))
print('net_model', sum(p.numel() for p in net_model.parameters()))

# %% [markdown]
# **Задача 2**

# %%
class Neuron(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1, 1)
        self.fc.weight.data.fill_(-1.)
        self.fc.bias.data.fill_(0.5)

    def forward(self, x):
        return torch.heaviside(self.fc(x), torch.tensor([0.]))

neuron = Neuron()

# %% [markdown]
# **Задача 3**

# %%
class Neuron(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.fc.weight.data.fill_(1.)
        self.fc.bias.data.fill_(-1.5)

    def forward(self, x):
        return torch.heaviside(self.fc(x), torch.tensor([0.]))

neuron = Neuron()

# %% [markdown]
# **Задача 4**

# %%
class Neuron(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.fc.weight.data.fill_(1.)
        self.fc.bias.data.fill_(-0.5)

    def forward(self, x):
        return torch.heaviside(self.fc(x), torch.tensor([0.]))

neuron = Neuron()

# %% [markdown]
# **Задача 5**

# %%
class Neuron(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(2, 2)
        self.fc2 = nn.Linear(2, 1)
        self.fc1.weight.data = torch.tensor([[1., 1.], [1., 1.]])
        self.fc1.bias.data = torch.tensor([-0.5, -1.5])
        self.fc2.weight.data = torch.tensor([[1., -1.]])
        self.fc2.bias.data = torch.tensor([-0.5])

    def forward(self, x):
        x = torch.heaviside(self.fc1(x), torch.tensor([0.]))
        return torch.heaviside(self.fc2(x), torch.tensor([0.]))

neuron = Neuron()
