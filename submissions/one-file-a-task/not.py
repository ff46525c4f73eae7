import torch

weight = torch.tensor([-1.0])
bias = torch.tensor([0.5])


def neuron(x):
    return torch.heaviside(weight * x + bias, torch.zeros(1))
