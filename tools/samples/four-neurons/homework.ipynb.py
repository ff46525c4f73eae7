# %% [markdown]
# **Домашнее задание 1**
#
# XOR = ИЛИ и не И:
#
# neuron(neuron(x1 + x2 − 0.5) + neuron(−1*neuron(x1 + x2 − 1.5) + 0.5) − 1.5)
