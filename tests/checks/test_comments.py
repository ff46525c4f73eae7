"""Code that is commented out is found; prose and placeholders are not."""

import pytest

from grader.checks.comments import commented_code


@pytest.mark.parametrize(
    "source",
    [
        "# neuron = NeuronAND()",
        "#class Neuron:\n#    def forward(self, x):\n#        return x",
        "# Решение задачи:\n# def gate(x):\n#     return x > 0",
        "x = 1\n# print(x)",
        '"""\nneuron = make()\n"""',
    ],
)
def test_code_in_comments_is_found(source):
    assert "".join(commented_code(source))


@pytest.mark.parametrize(
    "source",
    [
        "# Задача 2. Сделать нейрон",
        "# neuron",
        "# neuron = ...",
        "# neuron = None",
        "# %% cell",
        "neuron = make()  # the neuron = ours",
        "text = 'a = f(1)'",
        "",
    ],
)
def test_prose_placeholders_and_living_code_are_not(source):
    assert not list(commented_code(source))
