"""What tests of several folders share."""

import os

import pytest
from hypothesis import settings

from grader.sandbox.session import Server
from tests.once import Once

# A busy machine is slow; that fails no property.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", ".hypothesis")
settings.register_profile("grader", deadline=None)
settings.load_profile("grader")


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> Once:
    """The place for what all workers of this session need, and one of them makes."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    return Once(shared / "once")


@pytest.fixture(scope="session")
def server():
    """A warm server, one a worker of pytest-xdist: to start one takes seconds."""
    with Server() as server:
        server.wait()
        yield server


@pytest.fixture(scope="session")
def server_without_device():
    """The same as on a machine that has no device of any kind."""
    with Server(device=False) as server:
        yield server
