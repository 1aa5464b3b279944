"""A connector that only tests know, found as plug-ins are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.counter import installed


@pytest.fixture
def counter() -> Iterator[None]:
    """The connector `counter` of tests/fakes/counter.py, as if a plug-in had brought it."""
    with installed():
        yield
