"""`grader explain` and `grader doctor` as their users meet them."""

import pytest

from grader.cli.doctor import Line, layer_lines, print_lines
from grader.cli.explain import explain, explainable, nearest
from grader.messages import LANGUAGES
from grader.sandbox.layers import ALL, LANDLOCK, SECCOMP


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_can_be_explained(capsys, language):
    for code in explainable():
        assert explain(code, language=language) == 0
    assert "Traceback" not in capsys.readouterr().out


def test_an_unknown_code_is_told_the_nearest(capsys):
    assert explain("gate.wrong-rwo", language="en") == 2
    output = capsys.readouterr()
    assert "gate.wrong-row" in output.err
    assert output.out == ""


def test_a_word_finds_the_codes_that_hold_it():
    assert "gate.minus-plus" in nearest("minus-plus")


def test_what_is_like_no_code_is_only_refused(capsys):
    assert explain("\x1b[31mzzzzzz", language="en") == 2
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_layer_is_told_whether_it_holds_or_not(capsys, language):
    lines = [*layer_lines(ALL, {}), *layer_lines((), dict.fromkeys(ALL, "because"))]
    assert print_lines(iter(lines), about="machine", language=language) == 0
    assert capsys.readouterr().out.count("because") == len(ALL)


def test_enough_for_others_is_said_where_system_calls_and_files_are_locked():
    (*_, last) = layer_lines((SECCOMP, LANDLOCK), {})
    assert last == Line("good", "doctor.isolation-enough")
    (*_, last) = layer_lines((SECCOMP,), {})
    assert last.code == "doctor.isolation-weak"


def test_what_makes_grading_impossible_is_in_the_exit_code():
    line = Line("bad", "device.torch-missing", {"supported": "2.13"})
    assert print_lines(iter([line]), about="machine", language="en") == 1
