import ast
import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grader.intake import Refused, read_submission_bytes

STATEMENTS = st.sampled_from(
    [
        "import torch",
        "x = [\n    1,\n    2,\n]",
        "def f():\n    return 1\n\n    # inside",
        "@property\ndef g(self):\n    pass",
        "class A:\n    '''# not a comment'''\n\n    b = 1",
        "if x:\n    y = 1\nelif z:\n    y = 2\nelse:\n    y = 3",
        "try:\n    pass\nexcept E:\n    pass\nfinally:\n    pass",
        's = """\n# %% not a mark\n"""',
        "a = 1; b = 2",
        "x = 5 \\\n  % 3",
        "total = (a\n% b)",
        "%matplotlib inline",
        "!pip install 'torch[all] (",
        "files = !ls",
        "f?",
        "# a comment",
    ]
)
BROKEN = st.sampled_from(
    [
        "print 'two'",
        "x = = 1",
        "def f(:\n    pass",
        "x = (1,",
        "    indented = 1",
        's = """never',
        "x = ]",
    ]
)


def read(source, name="homework.py"):
    data = source if isinstance(source, bytes) else source.encode()
    return read_submission_bytes(data, name)


def sources(source):
    return [cell.source for cell in read(source).cells]


@given(st.lists(STATEMENTS, min_size=1, max_size=8))
def test_a_script_of_good_statements_is_cut_at_each_and_loses_nothing(statements):
    source = "\n".join(statements)
    cells = read(source).cells
    kept = "".join(cell.source for cell in cells)
    assert "".join(kept.split()) == "".join(source.split())
    lines = source.split("\n")
    for cell in cells:
        assert lines[cell.line - 1 :][: cell.source.count("\n") + 1] == cell.source.split("\n")
        assert cell.style == "script"
    code = [statement for statement in statements if not statement.startswith("# a")]
    whole = "\n".join(s for s in code if s[0] not in "%!" and "= !" not in s and s != "f?")
    assert len(cells) >= len(ast.parse(whole.replace("a = 1; b = 2", "a = 1")).body)


@given(
    st.lists(STATEMENTS, min_size=1, max_size=4),
    BROKEN,
    st.lists(STATEMENTS, min_size=1, max_size=4),
)
def test_a_syntax_error_costs_only_its_own_lines(before, broken, after):
    assume('"""' not in broken or not any('"""' in s for s in after))  # else the quotes pair up
    after = ["good_after = 1", *after]
    found = sources("\n".join(["good_before = 1", *before, broken, *after]))
    assert found[0] == "good_before = 1"
    assert any(cell.startswith("good_after = 1") for cell in found)


@given(st.text(alphabet="ab=()[]'\"\\\n# %!:@d ", max_size=120))
def test_any_text_is_cut_without_losing_a_word(source):
    try:
        found = read(source)
    except Refused as refused:
        assert refused.code == "intake.empty"  # noqa: PT017
        return
    for cell in found.cells:
        assert cell.source.strip() or cell.kind == "text"
    if all(cell.kind == "code" for cell in found.cells):
        kept = "".join(cell.source for cell in found.cells).split()
        assert "".join(kept) == "".join(source.split())


def test_comments_above_a_statement_belong_to_it_and_a_heading_cuts_them():
    source = "x = 1\n# the answer is 32\n\n# Задача 2\n# my neuron\ny = 2\n# Вопрос 1\n# none\n"
    assert sources(source) == [
        "x = 1",
        "# the answer is 32",
        "# Задача 2\n# my neuron\ny = 2",
        "# Вопрос 1\n# none",
    ]


def test_the_main_block_stays_whole():
    source = 'import torch\nif __name__ == "__main__":\n    a = 1\n    b = 2\n'
    assert sources(source) == ["import torch", 'if __name__ == "__main__":\n    a = 1\n    b = 2']


def test_strings_that_stand_alone_are_text_as_colab_exports_them():
    source = (
        '# -*- coding: utf-8 -*-\n"""hw.ipynb\n"""\n\n!pip install x\n\n'
        '"""## **Задача 2**"""\n\nn = 1\n'
    )
    assert [(c.kind, c.source, c.index, c.line) for c in read(source).cells] == [
        ("code", "# -*- coding: utf-8 -*-", 1, 1),
        ("text", "hw.ipynb", None, 2),
        ("code", "!pip install x", 2, 5),
        ("text", "## **Задача 2**", None, 7),
        ("code", "n = 1", 3, 9),
    ]


def test_marks_cut_cells_and_markdown_cells_are_text():
    source = (
        "import torch\n"
        "# %% Задача 2\na = 1\nb = 2\n"
        "# %% [markdown]\n# ## Задача 3\n# text\n"
        '#%% [md]\n"""\nmore\n"""\n'
    )
    assert [(c.kind, c.source, c.line) for c in read(source).cells] == [
        ("code", "import torch", 1),
        ("code", "# %% Задача 2\na = 1\nb = 2", 2),
        ("text", "## Задача 3\ntext", 5),
        ("text", "more", 8),
    ]


def test_what_nbconvert_exported_runs_as_the_notebook_that_it_was():
    source = (
        "#!/usr/bin/env python\n# coding: utf-8\n\n# ## Задача 2\n\n# In[1]:\n\n\n"
        "try:\n  f()\nexcept NameError:\n  pass\n\n\n# In[ ]:\n\n\n a = 1\n b = 2\n"
    )
    source += (
        "\n\n# In words\n# and more\n\n# ## Задача 3\n\n# In[3]:\n\n\n# neuron = None\nc = 3\n# c\n"
    )
    cells = read(source).cells
    assert [(cell.kind, cell.source) for cell in cells] == [
        ("text", "## Задача 2"),
        ("code", "try:\n  f()\nexcept NameError:\n  pass"),
        ("code", " a = 1\n b = 2"),
        ("text", "In words\nand more"),
        ("text", "## Задача 3"),
        ("code", "# neuron = None\nc = 3\n# c"),
    ]
    lines = source.split("\n")
    assert all(cell.source.split("\n")[0] in lines[cell.line - 1] for cell in cells)
    assert {cell.style for cell in cells if cell.index} == {"notebook"}


@pytest.mark.parametrize(
    ("data", "source", "noted"),
    [
        ("ж = 1  # нейрон".encode("utf-8-sig"), "ж = 1  # нейрон", ""),
        ("a = 1  # нейрон\r\nb = 2\r\n".encode("cp1251"), "a = 1  # нейрон", "cp1251"),
        ("a = 1  # été à Genève".encode("latin-1"), "a = 1  # été à Genève", "latin-1"),
        ("# coding: koi8-r\na = 'да'".encode("koi8-r"), "# coding: koi8-r\na = 'да'", "koi8-r"),
        ("# coding: utf-7\na = 'да'".encode("cp1251"), "# coding: utf-7\na = 'да'", "cp1251"),
        ("a = 1  # нейрон".encode("utf-16"), "a = 1  # нейрон", ""),
    ],
)
def test_encodings_are_recognised_and_guesses_noted(data, source, noted):
    found = read(data)
    assert found.cells[0].source == source
    assert [values["found"] for _, values in found.notes] == ([noted] if noted else [])


def test_a_notebook_named_as_a_script_is_a_notebook():
    found = read('{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x"}]}')
    assert (found.cells[0].source, found.cells[0].style, found.files) == ("x", "notebook", {})


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_script_is_refused(data):
    with pytest.raises(Refused, match=r"intake\.empty"):
        read(data)


def test_a_script_with_zero_bytes_is_refused():
    with pytest.raises(Refused, match=r"intake\.not-text"):
        read(b"x = 1\0")


@pytest.mark.parametrize(
    "source",
    [
        "(" * 200_000,
        "(\n" * 100_000,
        "x = " + "-" * 200_000 + "1",
        "x = " + "+".join(["1"] * 100_000),
        "'" * 300_001,
        '"""' + "\\" * 500_001,
        "@\n" * 100_000,
        "else:\n" * 100_000,
        "#\n" * 400_000,
        "".join(" " * n + "if 1:\n" for n in range(1000)),
    ],
    ids=lambda source: source[:8],
)
def test_scripts_made_to_be_slow_take_bounded_time(source, seconds):
    with seconds(10):
        try:
            read(source)
        except Refused as refused:
            assert refused.code in ("intake.too-many-cells", "intake.file-too-large")  # noqa: PT017


def test_source_beyond_the_bound_is_refused_before_it_is_parsed(seconds):
    with seconds(1), pytest.raises(Refused) as caught:
        read("x = 1\n" * 3_500_000)
    assert caught.value.values == {"file": "homework.py", "found": "20 MB", "bound": "1 MB"}


def test_too_many_statements_are_refused():
    with pytest.raises(Refused, match=r"intake\.too-many-cells"):
        read("x = 1\n" * 6000)


def test_invalid_escapes_in_student_code_warn_nobody(recwarn):
    assert sources('pattern = "\\d"') == ['pattern = "\\d"']
    assert not recwarn.list
    assert sys.version_info >= (3, 11)
