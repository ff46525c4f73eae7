"""The handout is made from the solution, holds no answer, and counts as nothing."""

import ast
import importlib.util
import json
import sys

import pytest

from tests.reference.conftest import FOLDER, REPOSITORY

LANGUAGES = ("en", "ru")


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("handout", REPOSITORY / "tools" / "handout.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["handout"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["handout"]


@pytest.fixture(scope="module")
def cells(tool):
    return tool.read_source(FOLDER / "solution" / "homework.py")


def handout(language):
    text = (FOLDER / "handout" / f"homework.{language}.ipynb").read_text(encoding="utf-8")
    return json.loads(text)["cells"]


def test_the_notebooks_in_the_repository_are_those_that_the_source_makes(tool):
    made = tool.make_all(FOLDER)
    assert len(made) == 4
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, f"run tools/handout.py: {path}"


def test_the_empty_sample_is_the_handout():
    empty = REPOSITORY / "submissions" / "empty-handout" / "homework.ru.ipynb"
    assert empty.read_bytes() == (FOLDER / "handout" / "homework.ru.ipynb").read_bytes()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_line_of_an_answer_stands_in_the_handout(cells, language):
    given_out = "\n".join("".join(cell["source"]) for cell in handout(language))
    shared = {
        line.strip()
        for cell in cells
        if cell.audience != "answer"
        for line in cell.source.splitlines()
    }
    answers = {
        line.strip()
        for cell in cells
        if cell.audience == "answer"
        for line in cell.source.splitlines()
    }
    secret = {line for line in answers - shared if len(line) > 3}
    assert len(secret) > 50
    assert not secret & {line.strip() for line in given_out.splitlines()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_handout_binds_nothing_but_placeholders(language):
    namespace = {}
    for cell in handout(language):
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), namespace)
    left = {
        name: value
        for name, value in namespace.items()
        if name not in ("__builtins__", "torch", "nn")
    }
    assert left
    assert all(value in (None, "", [], {}) for value in left.values()), left


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_handout_declares_every_name_that_the_assignment_looks_for(assignment, language):
    code = "\n".join(
        "".join(cell["source"]) for cell in handout(language) if cell["cell_type"] == "code"
    )
    bound = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    wanted = {name for task in assignment.tasks for name in task.names}
    assert wanted <= bound


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_statement_is_one_paragraph_so_that_nothing_below_it_is_ours(language):
    texts = ["".join(cell["source"]) for cell in handout(language)]
    statements = [text for text in texts if text.startswith("## ")]
    assert len(statements) == 12
    assert not [text for text in statements if "\n\n" in text]


def test_both_languages_ask_the_same():
    english, russian = (
        [
            "code:" + "".join(cell["source"]) if cell["cell_type"] == "code" else "text"
            for cell in handout(language)
        ]
        for language in LANGUAGES
    )
    assert english == russian


@pytest.mark.parametrize("mark", ["# %% code", "# %% text en", "# %% code both loudly", "# %%"])
def test_a_cell_that_does_not_say_for_whom_it_is_is_refused(tool, tmp_path, mark):
    source = tmp_path / "homework.py"
    source.write_text(f"{mark}\nanswer = 1\n", encoding="utf-8")
    with pytest.raises(tool.SourceError, match=r"homework\.py:1"):
        tool.read_source(source)
