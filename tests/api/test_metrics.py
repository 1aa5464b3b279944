"""Figures for Prometheus, read as Prometheus reads them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from api.database import engine_of, job, writing
from api.jobs import Jobs
from api.keys import create
from api.settings import Settings
from tests.api.stores import fill, last_week
from tests.api.test_serve import MAIN, free_port, status, wait_for


@pytest.fixture
def own(home: Path, tmp_path: Path) -> Settings:
    shutil.copytree(home, tmp_path / "own", ignore=shutil.ignore_patterns("state"))
    return Settings(home=tmp_path / "own")


def read(text: str) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels, these by name."""
    families = text_string_to_metric_families(text)
    return {
        (one.name, *(value for _, value in sorted(one.labels.items()))): one.value
        for family in families
        for one in family.samples
    }


def figures(client: TestClient) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return read(answer.text)


def test_requests_by_route_and_forecasts_by_engine(own: Settings) -> None:
    client = TestClient(create_app(own))
    before = figures(client)
    receipt = client.post("/v1/forecasts", json={"category": "Boots", "horizon": 2}).json()["receipt"]
    client.get(f"/v1/forecasts/{receipt}")
    client.get("/v1/forecasts/fc_none")
    client.get("/no/such/address")
    client.request("BREW", "/no/such/address")
    after = figures(client)

    def grown(*key: str) -> float:
        return after.get(key, 0) - before.get(key, 0)

    assert grown("groundswell_requests_total", "POST", "/v1/forecasts", "200") == 1
    assert grown("groundswell_requests_total", "GET", "/v1/forecasts/{receipt}", "200") == 1
    assert grown("groundswell_requests_total", "GET", "/v1/forecasts/{receipt}", "404") == 1
    assert grown("groundswell_requests_total", "GET", "none", "404") == 1
    assert grown("groundswell_requests_total", "other", "none", "404") == 1
    assert grown("groundswell_request_seconds_count", "POST", "/v1/forecasts") == 1
    assert grown("groundswell_forecasts_total", "fast", "rest") == 1
    assert grown("groundswell_forecast_seconds_count", "fast") == 1
    assert grown("groundswell_ledger_commit_seconds_count") == 1
    assert after["groundswell_store_data_version",] == 1
    assert after["groundswell_store_age_seconds",] >= 0
    assert not any("no/such" in part for key in after for part in key)


def test_a_request_that_failed_counts_as_500(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    client = TestClient(create_app(own), raise_server_exceptions=False)
    key = ("groundswell_requests_total", "GET", "/v1/categories", "500")
    before = figures(client).get(key, 0)
    with monkeypatch.context() as broken:
        broken.setattr("api.snapshots.Snapshots.current", lambda _: 1 / 0)
        client.get("/v1/categories")
    assert figures(client)[key] == before + 1


def test_jobs_add_up(own: Settings) -> None:
    jobs = Jobs(own)
    numbers = [jobs.accept("slow", b"1") for _ in range(5)]
    for number, state in zip(numbers, ("pending", "running", "succeeded", "failed", "cancelled"), strict=True):
        with writing(engine_of(own)) as connection:
            connection.execute(job.update().where(job.c.job == number).values(state=state))
    found = figures(TestClient(create_app(own)))
    totals = {key[1]: value for key, value in found.items() if key[0] == "groundswell_job_totals"}
    assert totals["accepted"] == 5
    assert totals["answered"] + totals["pending"] + totals["dead"] == 5
    assert sum(value for key, value in found.items() if key[0] == "groundswell_jobs") == 5
    assert found["groundswell_jobs", "slow", "failed"] == 1
    assert found["groundswell_jobs_oldest_seconds",] > 0


def test_sources(own: Settings) -> None:
    (own.home / "groundswell.toml").write_text('[[signals]]\nconnector = "holidays"\ncountries = ["US"]\n')
    assert figures(TestClient(create_app(own)))["groundswell_source_healthy", "holidays"] == 1


def test_a_mistake_in_the_configuration_hides_no_other_figure(own: Settings) -> None:
    (own.home / "groundswell.toml").write_text('[[signals]]\nconnector = "no such"\n')
    found = figures(TestClient(create_app(own)))
    assert found["groundswell_store_data_version",] == 1
    assert not any(key[0].startswith("groundswell_source") for key in found)


def test_who_may_read_them(own: Settings) -> None:
    _, text = create(own, "prometheus", ["metrics:read"])
    _, other = create(own, "shop", ["data:read", "forecast:read"])
    client = TestClient(create_app(own))
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": f"Bearer {other}"}).status_code == 403
    assert client.get("/metrics", headers={"Authorization": f"Bearer {text}"}).status_code == 200
    assert client.get("/v1/categories", headers={"X-API-Key": text}).status_code == 403


def test_an_empty_home_has_figures(tmp_path: Path) -> None:
    assert figures(TestClient(create_app(Settings(home=tmp_path))))["groundswell_store_data_version",] == 0


@pytest.mark.heavy
def test_workers_are_added_up(tmp_path: Path) -> None:
    fill(tmp_path, last_week())
    port, requests = free_port(), 40
    command = [*MAIN, "--home", str(tmp_path), "serve", "--port", str(port), "--workers", "2"]
    address = f"http://127.0.0.1:{port}"
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stderr=log, env=os.environ) as process:
        wait_for(lambda: status(address) == 200)
        for number in range(requests):  # a connection each: the kernel gives them to both workers
            body = {"category": "Boots", "horizon": 1 + number % 3}
            httpx.post(f"{address}/v1/forecasts", json=body, timeout=30).raise_for_status()
        job = httpx.post(f"{address}/v1/runs", json={"horizon": 2}).headers["location"]
        wait_for(lambda: httpx.get(job).json()["status"] == "succeeded")
        found = [read(httpx.get(f"{address}/metrics").text) for _ in range(6)]
        process.terminate()
        process.wait(180)
    for one in found:
        assert one["groundswell_requests_total", "POST", "/v1/forecasts", "200"] == requests
        assert one["groundswell_forecasts_total", "fast", "rest"] == requests
        assert one["groundswell_forecasts_total", "fast", "job"] == 2  # made in the process of jobs
        assert one["groundswell_jobs", "run", "succeeded"] == 1
