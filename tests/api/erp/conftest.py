"""A client over an empty home: most of Business Central's calls need no store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home without a store."""
    return tmp_path_factory.mktemp("empty")


@pytest.fixture
def service(empty: Path, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    """A client of the application over it."""
    with client_of(empty) as client:
        yield client
