def step(z):
    return (z > 0).float()
