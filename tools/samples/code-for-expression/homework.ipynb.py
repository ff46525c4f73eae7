# %%
def neuron(z):
    return 1 if z > 0 else 0

# %% [markdown]
# ДЗ 1

# %%
def xor(x1, x2):
    either = neuron(x1 + x2 - 0.5)
    both = neuron(x1 + x2 - 1.5)
    return neuron(either - both - 0.5)

for x1 in (0, 1):
    for x2 in (0, 1):
        print(x1, x2, xor(x1, x2))
