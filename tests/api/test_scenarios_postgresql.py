"""Scenarios with PostgreSQL as the operational database: the same answers, names given once, jobs too."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.database import engine_of
from api.settings import Settings
from tests.api.stores import fill, last_week
from tests.api.test_runs_postgresql import address, pytestmark  # noqa: F401 - a fixture, and where it is skipped
from tests.api.test_scenarios import asked, change, kept
from tests.api.workers import wait_for, working


@pytest.fixture
def settings(tmp_path: Path, address: str) -> Settings:  # noqa: F811
    fill(tmp_path, last_week())
    return Settings(home=tmp_path, database_url=address, shutdown_seconds=1)


def test_scenarios_are_kept_answered_compared_and_forgotten(
    settings: Settings, client_of: Callable[..., TestClient]
) -> None:
    with client_of(settings.home, database_url=settings.database_url) as client, working(settings):
        up, down = kept(client), kept(client, name="Calm", changes=[change(values=[-2.5])])
        assert client.get(f"/v1/scenarios/{up['id']}").json() == up
        listed = client.get("/v1/scenarios", params={"limit": 1}).json()
        assert ([one["id"] for one in listed["items"]], listed["total"]) == ([down["id"]], 2)
        assert client.post("/v1/scenarios", json=asked()).status_code == 409
        again = client.post(f"/v1/scenarios/{up['id']}/forecast", json={"horizon": 2}).json()
        assert client.get(f"/v1/scenarios/{up['id']}").json()["answer"] == again
        both = client.post("/v1/scenarios/compare", json={"scenarios": [up["id"], down["id"]]}).json()
        assert [one["name"] for one in both["scenarios"]] == ["Storm", "Calm"]
        later = client.post("/v1/scenarios", json=asked(name="Later"), headers={"Prefer": "respond-async"})
        wait_for(lambda: client.get(later.headers["location"]).status_code != 202)
        made = client.get(later.headers["location"]).json()
        assert client.get(f"/v1/scenarios/{made['id']}").json() == made
        for one in (up, down, made):
            assert client.delete(f"/v1/scenarios/{one['id']}").status_code == 204
        assert client.get("/v1/scenarios").json()["total"] == 0
    engine_of(settings).dispose()


def test_of_those_that_take_a_name_at_once_one_has_it(settings: Settings, client_of: Callable[..., TestClient]) -> None:
    with client_of(settings.home, database_url=settings.database_url) as client:
        together = threading.Barrier(4)

        def ask(number: int) -> int:
            together.wait(30)
            return client.post("/v1/scenarios", json=asked(changes=[change(values=[float(number)])])).status_code

        with ThreadPoolExecutor(4) as pool:
            statuses = sorted(pool.map(ask, range(4)))
        assert statuses == [201, 409, 409, 409]
        assert client.get("/v1/scenarios").json()["total"] == 1
    engine_of(settings).dispose()
