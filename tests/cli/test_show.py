"""What goes wrong around a command, in the user's words."""

import errno
import os

import pytest

from grader.cli.show import guarded
from grader.messages import LANGUAGES, message

USUAL = [
    errno.ENOENT,
    errno.EACCES,
    errno.ENOSPC,
    errno.EEXIST,
    errno.EMFILE,
    errno.EIO,
    errno.EDQUOT,
    errno.EFBIG,
    errno.ELOOP,
    errno.EPIPE,
]


@pytest.fixture
def said(capsys):
    """Return a function that gives the words for an error which ends a command."""

    def words(error, language):
        def action():
            raise error

        assert guarded(action, language=language) == 2
        return capsys.readouterr().err.strip()

    return words


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("number", USUAL, ids=errno.errorcode.get)
def test_a_usual_reason_of_the_system_is_in_the_users_language(said, number, language):
    reason = message(f"system.{errno.errorcode[number].lower()}", language=language)
    values = {"path": "/a/b", "reason": reason}
    expected = message("cli.output", values, language=language)
    assert said(OSError(number, os.strerror(number), "/a/b"), language) == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_system_refused_without_a_path_is_said_without_one(said, language):
    expected = message("cli.system", {"reason": "ENOSPC"}, language=language)
    assert said(OSError(errno.ENOSPC, "No space"), language) == expected
    assert message("system.enospc", language=language) in expected


def test_a_rare_reason_is_in_the_systems_words(said):
    assert os.strerror(errno.EXDEV) in said(OSError(errno.EXDEV, os.strerror(errno.EXDEV)), "en")
