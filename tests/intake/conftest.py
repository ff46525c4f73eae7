import contextlib
import time

import pytest


@pytest.fixture
def seconds():
    """A bound on time that holds on a busy machine: what it guards against takes minutes."""

    @contextlib.contextmanager
    def within(limit):
        began = time.process_time()
        yield
        assert time.process_time() - began < limit

    return within
