# %%
!pip install -q torchsummary
%matplotlib inline
import torch
import matplotlib.pyplot as plt
from google.colab import drive

# %%
drive.mount('/content/drive')

# %%
%cd /content/drive/MyDrive
!nvidia-smi
!ls

# %% [markdown]
# Задача 4

# %%
%%time
w = torch.tensor([1., 1.])
b = torch.tensor(-.5)

# %%
def neuron(x):
    return torch.heaviside(x @ w + b, torch.tensor(0.))

# %%
plt.plot([0, 1], [0, 1])
plt.show()
