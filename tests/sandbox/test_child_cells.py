"""Cells run as IPython runs them, scripts as Python does; both end within their bounds."""
# ruff: noqa: E501 - students' code reads best uncut

import pytest


def test_a_last_expression_is_shown_and_kept_in_out(child):
    assert child.cell("6 * 7").output == "42\n"
    assert child.cell("_ + 1").output == "43\n"
    assert child.cell("Out[1], In[1]").output == "(42, '6 * 7')\n"
    assert child.cell("5;").output == ""


def test_names_live_on_in_the_next_cell_and_not_in_another_file(child):
    child.cell("answer = 42")
    assert child.cell("answer").output == "42\n"
    assert child.cell("answer", file="other.ipynb").error.type == "NameError"
    assert child.cell("Out", file="other.ipynb").output == "{}\n"
    assert child.cell("answer").output == "42\n"


@pytest.mark.parametrize(
    ("source", "kind", "line"),
    [
        ("1\n1 / 0", "ZeroDivisionError", 2),
        ("def f():\n  raise KeyError(1)\n\nf()", "KeyError", 2),
        ("x = 1\ndef (:\n", "SyntaxError", 2),
        ("missing", "NameError", 1),
        ("%%time\n1 / 0", "ZeroDivisionError", None),
    ],
)
def test_an_error_is_told_by_type_and_line(child, source, kind, line):
    done = child.cell(source)
    assert (done.outcome, done.error.type) == ("raised", kind)
    if line is not None:
        assert done.error.line == line
    assert child.cell("1 + 1").output == "2\n"


def test_an_error_in_an_earlier_function_names_the_line_of_the_call(child):
    child.cell("def f():\n\n\n\n  return 1 / 0")
    assert child.cell("1\nf()").error.line == 2


@pytest.mark.parametrize("source", ["exit", "exit()", "quit()", "import sys; sys.exit(3)"])
def test_exit_ends_the_cell_only(child, source):
    assert child.cell(source).outcome == "passed"
    assert child.cell("1").output == "1\n"


def test_shell_commands_are_recorded_and_never_run(child, tmp_path):
    proof = tmp_path / "proof"
    for source in (f"!touch {proof}", f"%%bash\ntouch {proof}", f"%system touch {proof}",
                   f"get_ipython().system('touch {proof}')", f"x = !touch {proof}"):  # fmt: skip
        done = child.cell(source)
        assert done.outcome == "passed"
        assert [command.split()[0] for command in done.commands] == ["touch"]
    assert not proof.exists()
    many = child.cell("for i in range(1000): get_ipython().system('x' * 10000)")
    assert len(many.commands) <= 64
    assert max(map(len, many.commands)) <= 300


@pytest.mark.parametrize(
    "source",
    ["%matplotlib inline", "%cd /content", "%pip install x", "%load_ext autoreload", "%nothing 1",
     "%%html\n<b>x</b>", "%%nothing\nx"],
)  # fmt: skip
def test_magics_that_mean_nothing_here_do_no_harm(child, source):
    assert child.cell(source).outcome == "passed"


def test_timed_cells_bind_names(child):
    assert [name.name for name in child.cell("%%time\nx = 1").bound] == ["x"]
    assert child.cell("%time y = 2\ny").output.endswith("2\n")


def test_a_written_file_can_be_imported(child):
    child.cell("%%writefile nets.py\nSIZE = 3\n")
    assert child.cell("import nets\nnets.SIZE").output == "3\n"


@pytest.mark.parametrize("call", ["breakpoint()", "import pdb; pdb.set_trace()", "%debug"])
def test_a_debugger_that_was_left_in_does_not_stop_the_cell(child, call):
    # A debugger that gets empty lines asks again and again.
    done = child.cell(f"x = 1\n{call}\nx")
    assert (done.outcome, done.output.splitlines()[-1]) == ("passed", "1")


def test_input_gets_an_empty_line(child):
    assert child.cell("input('name? ')").output == "name? \n''\n"


def test_top_level_await_works(child):
    assert child.cell("import asyncio\nawait asyncio.sleep(0, 7)").output == "7\n"


def test_figures_are_drawn_without_a_word(child):
    done = child.cell("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    assert (done.outcome, done.output) == ("passed", "")


def test_display_prints_text(child):
    assert child.cell("display(3, 'x')").output == "3\n'x'\n"


def test_output_keeps_beginning_and_end_and_counts_all(warm):
    with warm.child(output_bytes=200) as child:
        done = child.cell("print('first'); print('я' * 100000); print('last')")
        assert done.output.startswith("first\n")
        assert done.output.endswith("last\n")
        assert done.output_bytes == 6 + 200001 + 5
        assert len(done.output.encode()) <= 200
        assert child.cell("print('x' * 199)").output == "x" * 199 + "\n"


def test_a_replaced_stdout_is_put_back(child):
    child.cell("import sys, io\nsys.stdout = io.StringIO()\nsys.stderr = None")
    assert child.cell("print('here')").output == "here\n"


def test_surrogates_in_output_names_and_errors_break_no_message(child):
    assert child.cell(r"print('\ud800')").outcome == "passed"
    assert child.cell(r"raise ValueError('\ud800')").outcome == "raised"
    assert child.cell(r"globals()['\ud800'] = '\ud801'").outcome == "passed"


def test_an_endless_cell_is_interrupted_and_its_names_live(child):
    done = child.cell("x = 5\nwhile True: pass", cpu_seconds=0.2)
    assert done.outcome == "timeout"
    assert done.seconds < 2
    assert [name.name for name in done.bound] == ["x"]
    assert child.cell("x").output == "5\n"


def test_a_cell_that_swallows_one_interrupt_gets_another(child):
    source = "import time\nfor _ in range(2):\n  try:\n    while True: time.sleep(0.01)\n  except BaseException: pass\nz = 1"
    done = child.cell(source, cpu_seconds=0.1)
    assert done.outcome == "timeout"
    assert child.cell("z").output == "1\n"


def test_a_sleeping_cell_is_interrupted_by_the_clock(child):
    assert child.cell("import time\ntime.sleep(30)", cpu_seconds=0.1).outcome == "timeout"


def test_no_interrupt_comes_after_a_cell(child):
    for _ in range(20):
        child.cell("import time\nend = time.perf_counter() + 0.05\n"
                   "while time.perf_counter() < end: pass", cpu_seconds=0.05)  # fmt: skip
        assert child.cell("1").outcome == "passed"


def test_more_memory_than_there_is_is_told_apart(child):
    assert child.cell("import torch\ntorch.zeros(10**15)").outcome == "memory"
    assert child.cell("import numpy\nnumpy.zeros(10**15)").outcome == "memory"


def test_results_and_failed_cells_keep_tensors_alive_as_in_ipython(child):
    child.cell("import torch, weakref\nkept = []\n"
               "def make():\n  t = torch.zeros(3)\n  kept.append(weakref.ref(t))\n  return t")  # fmt: skip
    alive = "[ref() is not None for ref in kept]"
    child.cell("make()")
    child.cell("make();")
    child.cell("def fail():\n  local = make()\n  raise ValueError\nfail()")
    child.cell("1"), child.cell("2"), child.cell("3"), child.cell("4")
    assert child.cell(f"print({alive})").output == "[True, False, True]\n"
    child.cell("1 / 0")
    child.cell("import gc; gc.collect();")
    assert child.cell(f"print({alive})").output == "[True, False, False]\n"


def test_a_script_keeps_nothing(child):
    child.script("import torch, weakref\nkept = []\n"
                 "def make():\n  t = torch.zeros(3)\n  kept.append(weakref.ref(t))\n  return t")  # fmt: skip
    assert child.script("make()").output == ""
    assert child.script("def fail():\n  local = make()\n  raise ValueError\nfail()").error
    assert child.script("print([ref() is not None for ref in kept])").output == "[False, False]\n"
    assert child.script("_").error.type == "NameError"
    assert child.script("print(__name__)").output == "__main__\n"


def test_a_script_tells_lines_inside_its_piece_and_takes_notebook_lines(child):
    assert child.script("x = 1\n1 / 0", line=40).error.line == 2
    assert child.script("x = 1\ny = = 2", line=40).error.line == 2
    assert child.script("%matplotlib inline\n!ls\nx = 3").commands == ("ls",)
    assert child.script("print(x)").output == "3\n"
    child.script("from __future__ import annotations")
    assert child.script("def f(x: Nothing): pass").outcome == "passed"


def test_files_of_the_submission_import_each_other(warm):
    files = {"nets.py": "from lib.sizes import SIZE\n", "lib/sizes.py": "SIZE = 4\n"}
    with warm.child(files=files) as child:
        assert child.cell("import nets\nnets.SIZE").output == "4\n"
        assert child.script("from lib import sizes\nprint(sizes.SIZE)").output == "4\n"


def test_two_children_of_one_seed_see_the_same_random_numbers(warm):
    source = "import random, numpy, torch\n[random.random(), numpy.random.rand(), torch.rand(1)]"
    outputs = []
    for _ in range(2):
        with warm.child(seed=7) as child:
            outputs.append(child.cell(source).output)
    with warm.child(seed=8) as child:
        assert child.cell(source).output not in outputs
    assert outputs[0] == outputs[1]


def test_the_grader_and_its_tools_are_placeholders(child):
    done = child.cell("import grader.sandbox.protocol, hypothesis\nhypothesis.given()")
    assert done.placeholders == ("grader", "hypothesis")
    assert done.error.placeholder == "hypothesis"


def test_libraries_may_ask_where_a_hidden_module_is(child):
    source = "from importlib.util import find_spec\nprint(find_spec('hypothesis').origin)"
    done = child.cell(source)
    assert (done.error, done.output.strip()) == (None, "None")
