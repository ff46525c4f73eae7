# %%
import torch
from torch import nn

# %%
class Gate(nn.Module):
    def __init__(self, w, b):
        super().__init__()
        self.fc = nn.Linear(len(w), 1)
        self.fc.weight.data = torch.tensor([w])
        self.fc.bias.data = torch.tensor([b])

    def forward(self, x):
        return torch.heaviside(self.fc(x), torch.tensor([0.]))

# %% [markdown]
# ### **Задача 5**

# %%
class Xor(nn.Module):
    def __init__(self):
        super().__init__()
        self.nand = Gate([-1., -1.], 1.5)
        self.orr = Gate([1., 1.], -0.5)
        self.andd = Gate([1., 1.], -1.5)

    def forward(self, x):
        both = torch.cat((self.nand(x), self.orr(x)), 0)
        return self.andd(both)

for pair in ([0., 0.], [0., 1.], [1., 0.], [1., 1.]):
    print(pair, Xor()(torch.tensor(pair)).item())
