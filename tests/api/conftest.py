"""A small store of simulated sales, and a client of the application over it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.handlers import HANDLERS
from api.settings import Settings
from api.worker import Handler, Worker
from tests.api.stores import LARGE, fill, last_week


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose sales end three weeks ago; for tests that only read."""
    path = tmp_path_factory.mktemp("home")
    fill(path, last_week() - pd.Timedelta(weeks=3))
    return path


@pytest.fixture
def own(home: Path, tmp_path: Path) -> Settings:
    """Settings of a home of the test's own, with that store."""
    shutil.copytree(home, tmp_path / "own", ignore=shutil.ignore_patterns("state"))
    return Settings(home=tmp_path / "own")


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
def worker() -> Iterator[Callable[..., None]]:
    """Starts the job worker over a home, with settings of its own; it ends with the test. One a test."""
    stop, threads = threading.Event(), []

    def start(home: Path, handlers: dict[str, Handler] | None = None, **settings: object) -> None:
        ready = threading.Event()
        made = Worker(Settings(home=home, shutdown_seconds=1, **settings), handlers or HANDLERS)  # type: ignore[arg-type]
        threads.append(threading.Thread(target=made.run, args=(stop, ready.set), daemon=True))
        threads[-1].start()
        assert ready.wait(30), "the job worker did not start"

    yield start
    stop.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def large(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client that may send 10 MB, over a home of its own with one issued forecast."""
    path = tmp_path_factory.mktemp("large") / "home"
    shutil.copytree(home, path, ignore=shutil.ignore_patterns("state"))
    app = create_app(Settings(home=path, max_body_bytes=LARGE, max_upload_bytes=LARGE))
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.post("/v1/forecasts", json={"category": "Boots", "horizon": 2}).status_code == 200
        yield client
