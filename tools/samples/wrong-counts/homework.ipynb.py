# %%
from torch import nn

# %% [markdown]
# ## Задача 1

# %%
net_seq = nn.Sequential(nn.Linear(3, 5), nn.Sigmoid(), nn.Linear(5, 2))
net_model = nn.Sequential(nn.Linear(3, 5), nn.Sigmoid(), nn.Linear(5, 2))

# %%
answer_net_seq = 3 * 5 + 5 + 5 * 2 + 2
answer_net_model = 3 * 5 + 5 * 2   # веса обоих слоёв
print('net_seq:', answer_net_seq)
print('net_model:', answer_net_model)
