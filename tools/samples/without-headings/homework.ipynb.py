# %%
import torch
from torch import nn

# %%
class NOT(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1, 1)
        self.fc.weight.data = torch.tensor([[-10.]])
        self.fc.bias.data = torch.tensor([5.])

    def forward(self, x):
        return torch.sign(torch.relu(self.fc(x)))

# %%
class AND(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.fc.weight.data = torch.tensor([[10., 10.]])
        self.fc.bias.data = torch.tensor([-15.])

    def forward(self, x):
        return torch.sign(torch.relu(self.fc(x)))

# %%
class OR(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.fc.weight.data = torch.tensor([[10., 10.]])
        self.fc.bias.data = torch.tensor([-5.])

    def forward(self, x):
        return torch.sign(torch.relu(self.fc(x)))
