import torch
import torch.nn as nn

# Задача 2
neuron = nn.Linear(1, 1)
neuron.weight.data = torch.tensor([[-1.0]])
neuron.bias.data = torch.tensor([1.0])
print(neuron(torch.tensor([0.0])), neuron(torch.tensor([1.0])))

# Задача 3
class Neuron(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.fc.weight.data = torch.tensor([[1.0, 1.0]])
        self.fc.bias.data = torch.tensor([-1.5])

    def forward(self, x):
        return (self.fc(x) > 0).int()

neuron = Neuron()
print(neuron(torch.tensor([1.0, 1.0])))

# Задача 4
print(undefined_table(neuron))
neuron.fc.bias.data = torch.tensor([-0.5])

# Домашнее задание 1
# neuron(neuron(x1 - x2) + neuron(x2 - x1))

# Домашнее задание 2
a = torch.tensor(6.0, requires_grad=True)
b = torch.tensor(7.0, requires_grad=True)
c = torch.tensor(8.0, requires_grad=True)
d = torch.tensor(9.0)
(a * b + c * d).backward()
