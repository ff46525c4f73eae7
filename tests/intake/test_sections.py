import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from notebooks import ASSIGNMENT, code, notebook, text

from grader.intake import cut_sections, read_submission, read_submission_bytes
from grader.intake.headings import read_heading


def cut(*cells, name="homework.ipynb"):
    data = notebook(*cells) if name.endswith("ipynb") else cells[0].encode()
    return cut_sections(read_submission_bytes(data, name), ASSIGNMENT)


def outline(sections):
    return [(s.task, [c.source for c in s.cells]) for s in sections]


def tasks(*cells, **more):
    return [section.task for section in cut(*cells, **more)]


@pytest.mark.parametrize(
    ("line", "kind", "number"),
    [
        ("Задача 3", "task", 3),
        ("## **Задача 3**. Сделать нейрон", "task", 3),
        ("**Задача 3:** сделать нейрон", "task", 3),
        ("ЗАДАЧА №3", "task", 3),
        ("задание № 3.", "task", 3),
        ("Зaдaчa 3", "task", 3),  # Latin letters inside
        ("> 1. Задание 12) нейрон", "task", 12),
        ("# Task 3: neuron", "task", 3),
        ("#task3", "task", 3),
        ("# ---- Task #3 ----", "task", 3),
        ("<h2>Задача 3</h2>", "task", 3),
        ("[Задача 3](#link)", "task", 3),
        ("Задача 3а", "task", 3),
        ("3 задача", "task", 3),
        ("2-я задача:", "task", 2),
        ("**Домашнее задание 2:** нарисуйте", "homework", 2),
        ("Домашнее задание №2", "homework", 2),
        ("Homework 2", "homework", 2),
        ("# HW2", "homework", 2),
        ("ДЗ-2.", "homework", 2),
        ("## Homework task 2", "homework", 2),
        ("Вопрос 1", "question", 1),
        ("### Question 1. Which", "question", 1),
        ("# Homework", "homework", None),
        ("## Домашнее задание", "homework", None),
        ("Вопросы:", "question", None),
        ("Задачи 2-5", "task", None),
        ("📝 Задача 4", "task", 4),
        ("### Третья задача", "task", 3),
        ("Задача три", "task", 3),
        ("## Вопрос первый: границы", "question", 1),
        ("## Task five", "task", 5),
        ("# Second question", "question", 2),
        ("## Задача IV. ИЛИ", "task", 4),
        ("## Задача N3", "task", 3),
        ("## 1.3 Задача 3", "task", 3),
        ("## Урок 2. Задача 3", "task", 3),
        ("### Упр. 3", "task", 3),
        ("### Q1", "question", 1),
        ("## Здача 3", "task", 3),
        ("**Задчаа 4**", "task", 4),
        ("## Taks 3", "task", 3),
        ("## Домашние задание 2", "homework", 2),
        ("## Homwork 2", "homework", 2),
        ("## ДЗ: задание 2", "homework", 2),
        ("## Д.З. 2", "homework", 2),
        ("## Дом. задание 2", "homework", 2),
        ("## Homework assignment 2", "homework", 2),
        ("## Задание 2 (домашнее)", "homework", 2),
        ("## ДЗ 1. Задача 3", "task", 3),
        ("## Решение задачи 3", "task", 3),
        ("### Ответ на вопрос 2", "question", 2),
        ("## Solution to task 4", "task", 4),
    ],
)
def test_headings_are_recognised(line, kind, number):
    found = read_heading(line)
    assert found is not None
    assert (found.kind, found.number) == (kind, number)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Решение задачи 3",
        "print('Задача 3')",
        "task3_result holds the table",
        "Подзадача 3",
        "multitask 3",
        "### Основной вывод",
        "Кол-во нейронов: 3",
        "taskbar",
        "Task: 3 neurons are enough",
        "Первая задача решена выше",
        "# first task of many",
        "## Question I have",
        "## Задания и ответы",
        "## Удача 3",
        "# q1 = 0.25",
        "# q 0.25",
        "Здача 3 решена",
        "question",
    ],
)
def test_other_lines_are_no_headings(line):
    found = read_heading(line)
    assert found is None or found.number is None
    assert line == "question" or found is None


def test_prose_that_begins_like_a_heading_counts_only_at_the_top():
    assert read_heading("Задача 4 даёт нам ИЛИ", before="Из прошлого:") is None
    assert read_heading("Задача 4 даёт нам ИЛИ", before="") is not None
    assert read_heading("Задача 4. Нейрон", before="Из прошлого:") is not None


def test_cells_belong_to_the_heading_above_them():
    found = cut(
        code("import torch"),
        text("## Задача 2"),
        code("a"),
        code("# Task 3\nb"),
        text("Домашнее задание 1\n\nneuron(x1)"),
    )
    assert outline(found) == [
        (None, ["import torch"]),
        ("not", ["## Задача 2", "a"]),
        ("and", ["# Task 3\nb"]),
        ("xor-expression", ["Домашнее задание 1\n\nneuron(x1)"]),
    ]
    assert [s.found_by for s in found] == ["", "heading", "heading", "heading"]


def test_a_code_cell_with_two_headings_is_cut_and_its_parts_keep_the_index():
    source = "# Задача 2\na = 1\n\n\n# Задача 3\nb = 2\nc = 3"
    outputs = [{"output_type": "stream", "text": "both"}]
    found = cut(code("first"), code(source, outputs=outputs), code("last"))
    assert outline(found) == [
        (None, ["first"]),
        ("not", ["# Задача 2\na = 1\n\n"]),
        ("and", ["# Задача 3\nb = 2\nc = 3", "last"]),
    ]
    parts = [c for s in found for c in s.cells]
    assert [(c.position, c.index, c.line, c.printed) for c in parts] == [
        (0, 1, None, ""),
        (1, 2, None, "both"),
        (2, 2, 5, "both"),
        (3, 3, None, ""),
    ]


def test_a_comment_inside_a_statement_or_a_string_cuts_nothing():
    for source in (
        "def f():\n    a = 1\n    # Задача 3\n    b = 2",
        "def f():\n    a = 1\n# Задача 3\n    b = 2",
        "x = (1,\n# Задача 3\n2)",
        's = """\n# Задача 3\n"""',
        "try:\n    a\n# Задача 3\nexcept E:\n    b",
    ):
        assert tasks(code(source)) == [None]


def test_a_text_cell_is_cut_at_its_headings_with_its_pictures():
    picture = {"image/png": "iVBORw0KGgo="}
    found = cut(
        text(
            "**Вопрос 1** first\n\n**Вопрос 2** second\n![](attachment:b)\nmore",
            attachments={"b": picture},
        )
    )
    assert [s.task for s in found] == ["boundary", "stack"]
    assert [len(s.cells[0].pictures) for s in found] == [0, 1]


def test_a_table_of_contents_opens_nothing():
    contents = text("Содержание\n- Задача 2\n- Задача 3\n- Задача 4")
    assert tasks(contents, text("## Задача 3"), code("a")) == [None, "and"]


def test_a_chapter_and_an_unknown_number_end_the_section():
    for heading in ("# Homework", "## Задача 99"):
        assert tasks(text("Вопрос 2"), text(heading), code("x")) == ["stack", None]


def test_numbers_that_begin_again_below_a_chapter_of_homework_count_the_homework():
    cells = [
        text("## Задача 2"),
        text("## Задача 5"),
        text("# Домашнее задание"),
        text("## Задание 1"),
        text("## Задание 2"),
    ]
    assert tasks(*cells) == ["not", "xor", None, "xor-expression", "gradients"]
    on = [*cells[:3], text("## Задача 6"), text("## Задача 2")]
    assert tasks(*on) == ["not", "xor", None, "xor-expression", "not"]
    titled = [text("# Домашнее задание"), *cells[:2], text("## Вопрос 2")]
    assert tasks(*titled) == [None, "not", "xor", "stack"]


def test_a_submission_of_nothing_but_homework_may_call_it_tasks():
    title, first, second = text("# Homework"), text("## Task 2"), text("## Task 4")
    memory = code("try: torch.zeros(9, device='cuda')\nexcept OutOfMemoryError: 'out of memory'")
    homework = [title, first, code("(a*b).backward()"), second, memory]
    assert tasks(*homework) == [None, "gradients", "oom"]
    assert tasks(title, first, code("net(x)"), second, code("net(x)")) == [None, "not", "or"]


def test_a_title_that_counts_homeworks_opens_no_section():
    gate = code("neuron_and = step")
    assert tasks(text("# Homework 1. Torch\nIvanova"), code("import torch"), gate)[-1] == "and"
    assert tasks(text("# Homework 1"), gate) == ["xor-expression"]
    assert tasks(text("# Homework 1. XOR"), gate) == ["xor-expression"]
    assert tasks(text("# Homework 1. Torch"), text("neuron(x1 + x2)")) == ["xor-expression"]


def test_a_heading_that_is_a_tasks_name_ends_a_section_of_its_level():
    cells = [text("## Задача 2"), code("a"), text("## И"), code("b"), text("# ИЛИ"), code("c")]
    assert tasks(*cells) == ["not", "and", "or"]
    parts = [text("## Задача 5. XOR"), text("### AND"), code("a"), text("### OR"), code("b")]
    assert tasks(*parts) == ["xor"]


def test_a_bare_number_is_a_heading_behind_the_number_before_it():
    cells = [text("## Задача 2"), code("a"), text("## 3"), code("b"), text("### 4."), code("c")]
    assert tasks(*cells) == ["not", "and", "or"]
    assert tasks(text("Вопрос 1"), text("## 2"), text("нет")) == ["boundary", "stack"]
    for other in ("## 5", "# 3", "3", "## 2023"):
        assert tasks(text("## Задача 2"), code("a"), text(other), code("b")) == ["not"]
    assert tasks(text("## 2"), code("a"), text("## 3"), code("b")) == [None]


@dataclass
class Whole:
    has_parts = False


def tasks_of_whole(*cells):
    """Return the tasks where NOT and the first task are declared to have no parts."""
    declared = tuple(
        replace(task, question=Whole()) if task.id in ("not", "count") else task
        for task in ASSIGNMENT.tasks
    )
    submission = read_submission_bytes(notebook(*cells), "homework.ipynb")
    return [s.task for s in cut_sections(submission, replace(ASSIGNMENT, tasks=declared))]


def test_an_answer_without_heading_below_another_answer_is_found_by_its_name():
    cells = [text("## Задача 2"), code("n = step"), code("and_neuron = step")]
    assert tasks(*cells) == ["not"]
    assert tasks_of_whole(*cells) == ["not", "and"]
    assert tasks_of_whole(*cells[:2], code("# И\nn = step")) == ["not", "and"]
    headed = [*cells, text("## Задача 3"), code("n = step")]
    assert tasks_of_whole(*headed) == ["not", "and"]
    assert tasks_of_whole(text("## Задача 5"), code("class N: ..."), cells[2]) == ["xor"]


def test_a_name_that_may_be_a_part_of_the_answer_does_not_cut_it():
    training = code("gradients = [p.grad for p in n.parameters()]")
    for cells in ([code("and_neuron = step"), code("n = step")], [code("n = step"), training]):
        assert tasks_of_whole(text("## Задача 2"), *cells) == ["not"]


def test_a_section_that_holds_only_its_statement_is_looked_for_by_name():
    statements = text("**Задача 2**. НЕ\n\n**Задача 3**. И")
    both = code("class NotNeuron: ...\nclass AndNeuron: ...")
    assert tasks(statements, both) == ["not", "and", "not", "and"]
    assert tasks(text("Вопрос 1. Нет"), text("## Задача 3"), code("boundary = 1"))[0] == "boundary"


def test_a_students_own_heading_does_not_end_the_section():
    assert tasks(text("Вопрос 2"), text("## Решение"), text("нет")) == ["stack"]


def test_the_same_task_twice_gives_two_sections():
    assert tasks(text("Задача 2"), text("Задача 3"), text("Задача 2")) == ["not", "and", "not"]


def test_task_six_is_homework_one():
    assert tasks(text("Задача 6"), code("x")) == ["xor-expression"]


def test_from_task_seven_on_content_decides():
    found = cut(
        text("Задача 7"), code("(a*b).backward()"),
        text("Задача 8"), code("torch.zeros(9, device='cuda')"),
        text("Задача 9"), code("while True: torch.zeros(9, device='cuda')"),
    )  # fmt: skip
    assert [(s.task, s.rivals) for s in found] == [
        ("gradients", ()),
        ("limits", ()),
        ("oom", ()),
    ]


def test_content_that_fits_two_tasks_leaves_the_other_as_rival():
    found = cut(text("Задача 11"), code("torch.zeros(9, device='cuda')"))
    assert [(s.task, s.rivals) for s in found] == [("limits", ("oom",))]


def test_content_that_fits_nothing_leaves_the_section_without_a_task():
    assert tasks(text("Задача 7"), code("x = 1")) == [None]


# ------------------------------------------------------------------ without headings


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["and.py", "task2.py", "05.py"], {"and.py": "and", "task2.py": "not", "05.py": "xor"}),
        (["и.py", "НЕ.py", "или.py"], {"и.py": "and", "НЕ.py": "not", "или.py": "or"}),
        (
            ["neuron_xor.py", "XorExpression.py"],
            {"neuron_xor.py": "xor", "XorExpression.py": "xor-expression"},
        ),
        (
            ["hw2.py", "вопрос 1.py", "step.py"],
            {"hw2.py": "gradients", "вопрос 1.py": "boundary", "step.py": None},
        ),
    ],
)
def test_a_file_of_its_own_is_found_by_its_stem(tmp_path, files, expected):
    for file in files:
        (tmp_path / file).write_text("def neuron(x):\n    return x\n")
    found = cut_sections(read_submission(tmp_path), ASSIGNMENT)
    assert {s.cells[0].file: s.task for s in found} == expected
    assert {s.found_by for s in found if s.task} == {"file"}


def test_headings_beat_the_files_stem():
    assert tasks("# Задача 4\nx = 1\n", name="and.py") == ["or"]


def test_names_open_sections_where_no_heading_does():
    found = cut(
        code("import torch"),
        code("class NotNeuron: pass"),
        code("n = NotNeuron()"),
        code("class AND: pass\nneuron_and = AND()"),
        code("def logical_or(x): pass"),
        code("show(1)"),
    )
    assert outline(found) == [
        (None, ["import torch"]),
        ("not", ["class NotNeuron: pass", "n = NotNeuron()"]),
        ("and", ["class AND: pass\nneuron_and = AND()"]),
        ("or", ["def logical_or(x): pass", "show(1)"]),
    ]
    assert [s.found_by for s in found] == ["", "name", "name", "name"]


def test_one_cell_with_all_gates_is_cut_between_them():
    source = "w = 1\n# the not\nclass Not: pass\nclass And: pass\nclass Or: pass\nn = Not()"
    found = cut(code(source))
    assert outline(found) == [
        (None, ["w = 1"]),
        ("not", ["# the not\nclass Not: pass"]),
        ("and", ["class And: pass"]),
        ("or", ["class Or: pass\nn = Not()"]),
    ]
    assert {c.index for s in found for c in s.cells} == {1}
    assert [c.position for s in found for c in s.cells] == [0, 1, 2, 3]


def test_a_name_that_merely_contains_a_word_names_no_task():
    names = "train_and_test x_or_y is_not_none android band vector notebook expressionless"
    assert tasks(*(code(f"{name} = 1") for name in names.split())) == [None]


def test_weights_set_on_an_instance_speak_of_its_task():
    found = cut(
        code("a = And(); o = Or()"), code("and_neuron.weight.data = w"), code("or_neuron.b = 1")
    )
    assert [s.task for s in found] == [None, "and", "or"]


def test_a_gate_inside_another_tasks_section_stays_where_its_own_answer_has_no_name():
    found = cut(text("Задача 5"), code("class AND: pass"), code("class Net: pass"))
    assert [s.task for s in found] == ["xor"]


def test_gates_named_under_one_heading_are_found_each():
    found = cut(
        text("Задача 2"), code("class Not: pass"), code("class And: pass"), code("x = And()")
    )
    assert [s.task for s in found] == ["not", "and"]


def test_text_and_comments_name_tasks_without_numbers():
    found = cut(
        text("### Нейрон НЕ"), code("class Neuron: pass"),
        text("**AND**"), code("class Neuron: pass"),
        code("# OR\nneuron = 1"),
        text("Сети и нейроны"), code("x"),
    )  # fmt: skip
    assert [(s.task, s.found_by) for s in found] == [
        ("not", "label"),
        ("and", "label"),
        ("or", "label"),
    ]


def test_printed_labels_name_the_cells_above_them():
    found = cut(
        code("import torch"),
        code("class Neuron: pass"), code("print('AND:', table(Neuron()))"),
        code("class Neuron: pass"), code("print('OR:', table(Neuron()))"),
    )  # fmt: skip
    assert [(s.task, [c.index for c in s.cells]) for s in found] == [
        (None, [1]), ("and", [2, 3]), ("or", [4, 5]),
    ]  # fmt: skip


def test_printed_labels_name_the_cells_below_them_where_something_follows_the_last():
    found = cut(
        code("import torch"),
        code("print('AND')"), code("neuron = 1"),
        code("print('OR')"), code("neuron = 2"),
    )  # fmt: skip
    assert [(s.task, [c.index for c in s.cells]) for s in found] == [
        (None, [1]), ("and", [2, 3]), ("or", [4, 5]),
    ]  # fmt: skip


def test_saved_output_names_tasks_too():
    outputs = [{"output_type": "stream", "text": "Truth table for XOR\n0 0 0\n"}]
    found = cut(code("n = Net()", outputs=outputs))
    assert [(s.task, s.found_by) for s in found] == [("xor", "label")]


def test_what_could_be_the_network_or_the_expression_has_a_rival():
    found = cut(code("def xor(x1, x2):\n    return neuron(x1 - x2) + neuron(x2 - x1)"))
    assert [(s.task, s.rivals) for s in found] == [("xor", ("xor-expression",))]
    found = cut(code("class Xor:\n    def forward(self, x1, x2): return neuron(x1 + x2)"))
    assert [(s.task, s.rivals) for s in found] == [("xor", ())]


def test_every_cell_is_in_one_section_whatever_the_headings():
    cells = [
        text("Задача 2\n\nx\n\nВопрос 1\ny"),
        code("class And: pass\n# Задача 4\nx = 1"),
        code(""),
    ]
    found = cut(*cells)
    words = "".join("".join(c.source for s in found for c in s.cells).split())
    assert words == "".join("".join(cell["source"] for cell in cells).split())


def test_the_example_notebook_is_cut_as_a_person_would():
    path = os.environ.get("GRADER_EXAMPLE_NOTEBOOK")
    if not path or not Path(path).exists():
        pytest.skip("GRADER_EXAMPLE_NOTEBOOK names no notebook")
    from grader.assignments import load_assignment

    submission = read_submission_bytes(Path(path).read_bytes(), "homework.ipynb")
    found = cut_sections(submission, load_assignment("intro-to-torch"))
    indexes = {s.task: [c.index for c in s.cells if c.index] for s in found}
    assert indexes == {
        None: [1, 2, 3, 4],
        "parameters": [5, 6, 7],
        "not": [8, 9, 10, 11],
        "and": [12, 13, 14, 15],
        "or": [16, 17, 18],
        "xor": [19, 20],
        "linear-boundary": [],
        "linear-stack": [],
        "xor-expression": [],
        "gradients": [21, 22, 23, 24],
        "vram-limits": [25, 26, 27, 28, 29, 30, 31, 32, 33],
        "oom": [34, 35],
        "linear-vram": [36, 37, 38, 39],
    }
    assert not any(s.rivals for s in found)
    assert "Tesla T4" in submission.cells[36].printed


def test_a_title_that_is_a_task_counts_more_than_a_number():
    assert tasks(text("## Task 2: AND"), code("x = 1")) == ["and"]
    assert tasks(text("## Задача 3. ИЛИ"), code("x = 1")) == ["or"]
    assert tasks(text("## Задача 5. XOR из AND и OR"), code("x = 1")) == ["xor"]
    assert tasks(text("## Задача 1. НЕ забудьте посчитать"), code("x = 1")) == ["count"]


@pytest.mark.parametrize("name", ["petrov_and_ivanova.ipynb", "Петров и Иванова.ipynb"])
def test_a_word_in_the_name_of_the_only_file_is_no_task(name):
    assert tasks(code("x = 1"), name=name) == [None]
    assert tasks(code("x = 1"), name="neuron_and.ipynb") == ["and"]


@pytest.mark.parametrize(
    "again", ["дз 1. ", "## дз 1. ", "homework 1: ", "задача 1 домашняя ", "<b>"]
)
def test_a_heading_in_a_heading_is_read_to_no_depth(again):
    heading = read_heading("## " + again * 5000)
    assert heading is None or heading.number == 1
