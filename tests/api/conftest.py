"""A small store of simulated sales, and a client of the application over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from tests.api.stores import fill, last_week
from tests.api.workers import working


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose sales end three weeks ago; for tests that only read."""
    path = tmp_path_factory.mktemp("home")
    fill(path, last_week() - pd.Timedelta(weeks=3))
    return path


@pytest.fixture
def client_of() -> Callable[..., TestClient]:
    """A client of the application over a home, with settings of its own."""

    def make(home: Path, **settings: object) -> TestClient:
        app = create_app(Settings(home=home, **settings))  # type: ignore[arg-type]
        return TestClient(app, raise_server_exceptions=False)

    return make


@pytest.fixture
def client(home: Path, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    with client_of(home) as client:
        yield client


@pytest.fixture
def worker(home: Path) -> Iterator[None]:
    """The job worker over the test home while the test runs; webhooks may go to this machine."""
    with working(Settings(home=home, webhook_targets="private")):
        yield
