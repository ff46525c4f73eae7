"""Which layers hold is said in words, and other people's work is refused where they are too few."""

import pytest

from grader.messages import message
from grader.sandbox import layers
from grader.sandbox.session import Server, ServerFailed
from grader.vgpu.build import Unavailable, default_cache_folder, find_torch

WITHOUT_FILES = (layers.PROCESS, layers.LIMITS, layers.USER, layers.SECCOMP)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_layer_is_described_where_it_holds_and_where_it_is_missing(language):
    there = [message(f"doctor.layer-{name}", language=language) for name in layers.ALL]
    absent = [
        message(f"doctor.no-layer-{name}", {"reason": "no"}, language=language)
        for name in layers.ALL
    ]
    assert len({*there, *absent}) == 2 * len(layers.ALL)
    for name, holds, missing in zip(layers.ALL, there, absent, strict=True):
        assert f"{name}: " in holds
        assert f"{name}: " in missing
        assert missing.endswith("(no)")


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


def test_the_device_is_there_where_a_link_leads_to_the_users_caches(tmp_path, monkeypatch):
    try:
        find_torch()
    except Unavailable:
        pytest.skip("no virtual GPU on this system")
    link = tmp_path / "caches"
    link.symlink_to(default_cache_folder().parent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(link))
    with Server(unsafe=True, once=True) as server:
        assert server.device == "virtual"
