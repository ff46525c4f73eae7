"""`grader check` as its user meets it: mistakes in what is asked, exit codes, help."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from grader.cli.check import Wanted, check_once, exit_code
from grader.cli.help import asked_language, option_code
from grader.cli.main import main
from grader.cli.watch import check_on_save
from grader.messages import LANGUAGES, has_message, message
from grader.model import CheckResult, Outcome, Points, Report, TaskResult

SAMPLES = Path(__file__).parent.parent.parent / "submissions"


def wanted(path=SAMPLES / "perfect", **changes):
    return Wanted(**{"path": path, "assignment": "intro-to-torch", "language": "en", **changes})


@pytest.fixture
def refused(monkeypatch, capsys):
    """Return a function that gives the words of a refusal; no server may start."""
    monkeypatch.setattr("grader.cli.check.Server", NoServer)

    def words(asked, *, by=check_once):
        assert by(asked) == 2
        output = capsys.readouterr()
        assert output.out == ""
        return output.err

    return words


class NoServer:
    """Stands in for a server that is started and never asked for a child."""

    def __init__(self, **_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_path_with_a_slip_is_told_the_nearest(refused, tmp_path, language):
    (tmp_path / "homework.ipynb").write_text("{}", encoding="utf-8")
    said = refused(wanted(tmp_path / "homewrok.ipynb", language=language))
    assert str(tmp_path / "homework.ipynb") in said


def test_a_path_that_is_like_nothing_is_told_the_notebooks_there(refused, tmp_path):
    (tmp_path / "ivanova.ipynb").write_text("{}", encoding="utf-8")
    assert "ivanova.ipynb" in refused(wanted(tmp_path / "x"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_that_cannot_be_read_is_told_what_to_do(refused, tmp_path, language):
    path = tmp_path / "homework.ipynb"
    path.write_bytes(b"%PDF-1.7")
    said = refused(wanted(path, language=language))
    assert message("intake.pdf.explain", language=language) in said


def test_a_task_with_a_slip_is_told_the_nearest(refused):
    assert "did you mean “xor”" in refused(wanted(task="xr"))


def test_an_unknown_card_is_told_what_is_known(refused):
    assert "Tesla T4" in refused(wanted(card="Tesla T5"))


def test_an_unknown_profile_is_told_what_is_known(refused):
    assert "1.12" in refused(wanted(profile="9"))


@pytest.mark.parametrize("typed", ["ten", "-1", "nan", "inf", "1.005", "1e999"])
def test_points_that_are_none_are_told(refused, typed):
    assert typed in refused(wanted(fail_under=typed))


def test_points_beyond_those_of_the_task_are_told(refused):
    assert "2 points in all" in refused(wanted(fail_under="3", task="xor"))


def test_the_page_never_replaces_a_notebook(refused, tmp_path):
    notebook = tmp_path / "homework.ipynb"
    notebook.write_text("{}", encoding="utf-8")
    assert "replace" in refused(wanted(notebook, html=notebook))
    assert notebook.read_text(encoding="utf-8") == "{}"


def test_the_page_is_no_folder(refused, tmp_path):
    assert "folder" in refused(wanted(html=tmp_path))


@pytest.mark.parametrize("change", [{"as_json": True}, {"fail_under": "1"}])
def test_watching_goes_alone(refused, change):
    assert "--watch" in refused(wanted(**change), by=check_on_save)


def report(*checks):
    results = [
        CheckResult(id=str(i), outcome=outcome, points=earned, possible=possible, code="judge.x")
        for i, (outcome, earned, possible) in enumerate(checks)
    ]
    task = TaskResult(
        id="t",
        outcome=Outcome.PARTIAL,
        points=sum(check.points for check in results),
        possible=sum(check.possible for check in results),
        checks=results,
    )
    return Report(
        assignment="a", submission="s", card="", profile="", seconds=0.0, tasks=[task], cells=[]
    )


HALF = ((Outcome.PASSED, 100, 100), (Outcome.FAILED, 0, 100))


@pytest.mark.parametrize(
    ("checks", "enough", "code"),
    [
        (HALF, None, 1),
        (HALF, 100, 0),
        (HALF, 101, 1),
        (((Outcome.PASSED, 100, 100), (Outcome.REVIEW, 0, 100)), None, 0),
        (((Outcome.PASSED, 100, 100), (Outcome.REVIEW, 0, 100)), 150, 1),
        (((Outcome.PASSED, 100, 100), (Outcome.FAILED, 0, 0)), None, 0),
        (((Outcome.PASSED, 100, 100), (Outcome.GRADER_ERROR, 0, 100)), 50, 3),
    ],
)
def test_the_exit_code_follows_the_points_that_were_asked_for(checks, enough, code):
    fail_under = None if enough is None else Points(enough)
    assert exit_code(report(*checks), fail_under=fail_under) == code


def every_command(command=main, path=()):
    yield "-".join(path) or "grader", command
    for name, sub in getattr(command, "commands", {}).items():
        yield from every_command(sub, (*path, name))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_command_and_option_has_help_in_the_users_language(language):
    for name, command in every_command():
        assert has_message(f"help.{name}", language), name
        for option in command.params:
            if option.param_type_name == "option":
                assert has_message(option_code(name, option), language), (name, option.name)


@pytest.mark.parametrize(
    ("arguments", "locale", "language"),
    [
        (["check", "x", "--lang", "ru"], "C", "ru"),
        (["check", "--lang=en", "x"], "ru_RU.UTF-8", "en"),
        (["check", "x"], "ru_RU.UTF-8", "ru"),
        (["check", "--lang"], "de_DE.UTF-8", "en"),
    ],
)
def test_the_language_is_the_one_asked_for_else_the_locales(
    monkeypatch, arguments, locale, language
):
    monkeypatch.setenv("LC_ALL", locale)
    assert asked_language(arguments) == language


def test_a_folder_in_place_of_a_file_is_told_in_the_users_language(tmp_path):
    arguments = ["gradescope", "build", "--out", str(tmp_path), "--lang", "ru"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert "папка, а нужен файл" in done.stderr
    assert "File" not in done.stderr


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["grade", "", "--out", "out"], "the path is empty"),
        (["grade", "in", "--out", "", "--lang", "ru"], "путь пуст"),
        (["check", "in", "--html", ""], "the path is empty"),
        (["report", ""], "the path is empty"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(tmp_path, command, words):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "hw.py").write_text("x = 1\n")
    done = subprocess.run(
        [sys.executable, "-m", "grader.cli", *command],
        cwd=tmp_path,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
