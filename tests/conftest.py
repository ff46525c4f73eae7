"""Tests that share a costly fixture run on one worker, so that it is made once."""

from collections.abc import Iterator

import pytest


def _shares_a_fixture(item: pytest.Item) -> bool:
    made = getattr(item, "_fixtureinfo", None)
    definitions = made.name2fixturedefs.values() if made else ()
    return any(
        definition.scope != "function" and definition.baseid.startswith("tests")
        for known in definitions
        for definition in known
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Put such tests of a module into one group, where they name none of their own.

    Before xdist looks at the groups, which only a wrapper is early enough for.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None and _shares_a_fixture(item):
            item.add_marker(pytest.mark.xdist_group(item.location[0]))
    return (yield)
