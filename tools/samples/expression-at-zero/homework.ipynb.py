# %% [markdown]
# **Домашнее задание 1:**
#
# `neuron(neuron(x1 + x2 - 1) - neuron(x1 + x2 - 2) - 1)`
