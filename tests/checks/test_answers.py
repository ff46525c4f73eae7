"""Free text and choices: what counts as an answer, and what is the statement's own."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from section import PlainChild, code, findings_of, judged, task_of, text, view_of

from grader.checks.answers import Choice, FreeText
from grader.checks.student_text import comments, string_constants, text_pieces
from grader.model import Picture
from grader.sandbox.protocol import BoundName

QUESTION = FreeText()
CHOICE = Choice(variable="pick", options=("A", "B", "C"))
NO = BoundName(name="answer", kind="number", shown="False")
STATEMENT = "## **Вопрос 1**. Какие сети разделяют линейно?"


def outcome(*cells, **more):
    return judged(QUESTION, view_of(*cells, **more))["answer"][0]


@pytest.mark.parametrize(
    "cells",
    [
        [text(f"{STATEMENT}\n\nНе имеет.")],
        [text(STATEMENT), text("no")],
        [text(STATEMENT), code("# Сеть из одного нейрона")],
        [text(STATEMENT), code("answer = 'Сеть из одного нейрона'")],
        [text(STATEMENT), code('"""Сеть из одного нейрона"""')],
        [text(STATEMENT), code("# Вопрос 1. Какие сети?\n#\n# Линейные")],
        [text(STATEMENT), text("", pictures=(Picture("a.png", "image/png", b"x"),))],
        [text(STATEMENT), text("![](https://example.org/answer.png)")],
        [text(f"{STATEMENT}\nСети без активации")],
        [text("## Вопрос 1\nСети без активации")],
        [text("## Вопрос 1. Назовите все сети, которые разделяют линейно\nСети без активации")],
        [text("**Вопрос 1**. Прямая граница\nКакие сети разделяют линейно?\n**Ответ:** любые")],
        [text("**Вопрос 1**. Какие сети? Ответ: любые")],
        [text("### Ответ на вопрос 1\nЛюбые")],
        [text("**Ответ на вопрос 1:** любые")],
        [code("# Вопрос 1\n# Любые")],
    ],
)
def test_an_answer_in_words_is_for_a_person(cells):
    assert outcome(*cells) == "review"


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [text(STATEMENT)],
        [text(STATEMENT), text("  \n---\n")],
        [text(STATEMENT), code("answer = ''")],
        [text(f"{STATEMENT}\n\n[Подсказка](https://example.org/)")],
        [text(STATEMENT), code("# Вопрос 1. Какие сети?")],
        [text(STATEMENT), text("The sample of the statement.")],
        [text(STATEMENT), code("x = 1")],
        [
            text(
                "## Вопрос 1. Прямая граница\nКакие сети делят прямой? Выберите\nбуквы. Ответ словами\nне нужен."
            )
        ],
        [text("## Вопрос 1\nКакие сети разделяют линейно?")],
        [text("### Ответ на вопрос 1")],
        [code("# Вопрос 1\n# Какие сети разделяют линейно?")],
    ],
)
def test_the_statement_alone_is_missing(cells):
    assert outcome(*cells, samples=("the sample of the statement",)) == "missing"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([text("**Вопрос 1**: сети без активации")], "review"),
        ([text("Вопрос 1. Есть ли смысл? Нет")], "review"),
        ([text(STATEMENT)], "missing"),
        ([text("## Вопрос 1. Прямая граница")], "missing"),
        ([text("## Вопрос 1. Одна прямая граница")], "missing"),
        ([text(STATEMENT), code("answer = False", bound=[NO])], "review"),
    ],
)
def test_a_choice_answered_in_its_heading_or_by_yes_or_no_is_for_a_person(cells, expected):
    task = replace(task_of(CHOICE), title={"ru": "Одна прямая граница"})
    assert [finding.outcome for finding in CHOICE.judge(task, view_of(*cells))] == [expected]


def test_the_text_is_shown():
    view = view_of(text(f"{STATEMENT}\n\nОба варианта."), code("# и комментарий"))
    finding = findings_of(QUESTION, view)["answer"]
    assert finding.excerpt == "Оба варианта.\n\nи комментарий"
    assert [item.where for item in finding.evidence] == ["markdown", "comment"]


def chosen(value, key, *cells):
    cell = code("pick = ...", bound=["pick"])
    view = view_of(text(STATEMENT), cell, *cells, child=PlainChild({"pick": value}), key=key)
    return judged(CHOICE, view)["answer"]


@pytest.mark.parametrize(
    "value", [["A", "C"], ["C", "A", "A"], "AC", "c, a", "A C", {"A": True, "B": False, "C": 1}]
)
def test_a_right_choice_passes_in_every_spelling(value):
    assert chosen(value, ["A", "C"]) == ("passed", "answers.right-choice")


def test_a_wrong_choice_fails_without_telling_the_key():
    assert chosen(["A"], ["A", "C"]) == ("failed", "answers.wrong-choice")
    view = view_of(
        code("pick = 'A'", bound=["pick"]), child=PlainChild({"pick": "A"}), key=["A", "C"]
    )
    finding = findings_of(CHOICE, view)["answer"]
    assert "C" not in str(finding.values) + str(finding.evidence)


def test_without_a_key_a_choice_is_for_a_person():
    assert chosen("B", None) == ("review", "answers.no-key")
    assert chosen("Б", "B") == ("review", "answers.unknown-option")


@pytest.mark.parametrize("value", [None, "", [], {}])
def test_a_placeholder_is_missing_and_text_beside_it_is_read(value):
    assert chosen(value, "B") == ("missing", "answers.missing")
    assert chosen(value, "B", text("Второй вариант"))[0] == "review"


def test_yes_and_no_are_words_in_both_languages():
    question = Choice(variable="pick")
    for value, right in (("Нет", True), ("no", True), (False, True), ("да", False)):
        view = view_of(
            code("pick = 1", bound=["pick"]), child=PlainChild({"pick": value}), key="no"
        )
        assert judged(question, view)["answer"][0] == ("passed" if right else "failed")


@given(source=st.text(max_size=200))
def test_any_source_gives_comments_and_strings(source):
    list(string_constants(source))
    comments(source)
    text_pieces(view_of(code(source), text(source)))


@given(parts=st.lists(st.text(st.characters(codec="ascii"), max_size=10), max_size=4))
def test_strings_are_read_as_python_reads_them(parts):
    source = "!pip install x\ny = " + (" + ".join(map(repr, parts)) or "''")
    assert list(string_constants(source)) == ["".join(parts)]
