"""Which layers hold is said in words, and other people's work is refused where they are too few."""

import pytest

from grader.reports.isolation import describe_isolation
from grader.sandbox import layers
from grader.sandbox.session import Server, ServerFailed

WITHOUT_FILES = (layers.PROCESS, layers.LIMITS, layers.USER, layers.SECCOMP)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_layer_is_described_where_it_holds_and_where_it_is_missing(language):
    there = describe_isolation(layers.ALL, language=language)
    absent = describe_isolation((), {"seccomp": "no\x1b[31m"}, language=language)
    assert [words.name for words in there] == [words.name for words in absent] == list(layers.ALL)
    assert all(words.active and not words.reason for words in there)
    assert not any(words.active for words in absent)
    assert len({words.text for words in (*there, *absent)}) == 2 * len(layers.ALL)
    assert all(words.text.startswith(f"{words.name}: ") for words in (*there, *absent))
    assert [words.reason for words in absent if words.name == "seccomp"] == ["no"]


@pytest.mark.parametrize(
    ("active", "enough"),
    [
        ((), False),
        (layers.ALL, True),
        (WITHOUT_FILES, False),
        ((*WITHOUT_FILES, layers.LANDLOCK), True),
        ((*WITHOUT_FILES, layers.NAMESPACES), True),
        ((layers.LANDLOCK, layers.NAMESPACES), False),
    ],
)
def test_other_peoples_work_needs_the_system_calls_and_the_files_locked(active, enough):
    assert layers.can_grade_others(active) == enough


def test_a_server_that_is_too_weak_serves_nobody_but_who_says_so():
    with Server(use_layers=WITHOUT_FILES, device=False) as server:
        with pytest.raises(ServerFailed) as failed:
            server.wait()
        assert failed.value.code == "sandbox.too-weak"
        assert layers.LANDLOCK in failed.value.values["missing"]
    with Server(use_layers=WITHOUT_FILES, device=False, unsafe=True) as server:
        server.wait()
        assert layers.LANDLOCK not in server.layers
