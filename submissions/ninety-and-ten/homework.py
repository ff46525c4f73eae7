import torch
from torch import nn

# Домашнее задание 4
total = torch.cuda.get_device_properties(0).total_memory
hold = torch.empty(int(total * 0.9), dtype=torch.uint8, device="cuda")
print(torch.cuda.memory_allocated())
more = torch.empty(int(total * 0.1), dtype=torch.uint8, device="cuda")
