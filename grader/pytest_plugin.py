"""``pytest --submission PATH``: each check of the assignment is a test item.

Without ``--submission`` this module only declares its options; nothing else is imported.
"""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options, which are those of `grader check`."""
    group = parser.getgroup("grader", "grading of homework")
    group.addoption("--submission", metavar="PATH", help="grade this notebook, script or folder")
    group.addoption(
        "--assignment",
        default="intro-to-torch",
        metavar="NAME|FOLDER",
        help="assignment of --submission (default: %(default)s)",
    )
    group.addoption("--card", default="", metavar="NAME", help="card that --submission runs on")
    group.addoption(
        "--profile", default="", metavar="VERSION", help="version of torch that it imitates"
    )
    group.addoption("--lang", choices=("en", "ru"), help="language of what --submission is told")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Run no conftest.py, which may be a student's, where only a submission is graded."""
    known = early_config.known_args_namespace
    if known.submission and not known.file_or_dir:
        known.noconftest = True


def pytest_configure(config: pytest.Config) -> None:
    """Set up grading if a submission is named.

    Raises:
        pytest.UsageError: it cannot be read, or the options name what there is not.
    """
    named = config.getoption("submission")
    if named:
        from grader.ci.items import Graded, SubmissionPlugin
        from grader.cli.help import default_language

        graded = Graded(
            Path(named),
            assignment=config.getoption("assignment"),
            card=config.getoption("card"),
            profile=config.getoption("profile"),
            language=config.getoption("lang") or default_language(),
        )
        config.pluginmanager.register(SubmissionPlugin(config, graded), "grader-submission")
