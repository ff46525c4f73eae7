from step import step
import torch

w = torch.tensor([1.0, 1.0])
b = torch.tensor(-1.5)


def neuron(x):
    return step(torch.dot(x, w) + b)
