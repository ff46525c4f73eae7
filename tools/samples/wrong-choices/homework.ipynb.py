# %% [markdown]
# ## Вопрос 1

# %%
linear_boundary = {"A", "B"}

# %% [markdown]
# ## Вопрос 2

# %%
linear_stack = "b"
