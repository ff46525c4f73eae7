import pytest

from tests.sandbox.forks import Warm


@pytest.fixture(scope="session")
def warm(tmp_path_factory):
    with Warm(tmp_path_factory.mktemp("warm")) as process:
        yield process


@pytest.fixture
def child(warm):
    with warm.child() as living:
        yield living
