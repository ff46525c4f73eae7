import torch

# Задача 3: И
w1 = torch.tensor(1.0)
w2 = torch.tensor(1.0)
bias = torch.tensor(-1.5)

def AND(x1, x2):
    return int(w1 * x1 + w2 * x2 + bias > 0)

# Задача 4: ИЛИ
w1 = torch.tensor(1.0)
w2 = torch.tensor(1.0)
shift = torch.tensor(-0.5)

def OR(x1, x2):
    return int(w1 * x1 + w2 * x2 + shift > 0)

for i in (0, 1):
    for j in (0, 1):
        print(i, j, "and", AND(i, j), "or", OR(i, j))
