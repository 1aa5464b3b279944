"""Scenarios that are not answered at once: by a job, once, and to the byte however often it is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import scenario_jobs
from api.database import engine_of
from api.job_list import totals
from api.keys import create
from api.scenario_jobs import Answering
from api.settings import Settings
from tests.api.stores import CATEGORIES
from tests.api.test_deadline import work_of
from tests.api.test_scenarios import asked, change, kept
from tests.api.workers import wait_for

HATS = CATEGORIES[1]
LATER = {"Prefer": "respond-async"}
Start = Callable[..., None]


@pytest.fixture
def client(own: Settings, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    with client_of(own.home) as client:
        yield client


def put_off(client: TestClient, path: str = "", **body: Any) -> str:
    answer = client.post(f"/v1/scenarios{path}", json=body, headers=LATER)
    assert answer.status_code == 202, answer.text
    assert answer.json()["kind"] == "scenario"
    assert answer.headers["preference-applied"] == "respond-async"
    return str(answer.headers["location"])


def done(client: TestClient, address: str) -> Any:
    wait_for(lambda: client.get(address).status_code != 202)
    return client.get(address)


def test_each_is_answered_by_its_job_as_it_would_be_at_once(
    client: TestClient,
    own: Settings,
    worker: Start,
) -> None:
    now = kept(client, name="Now")
    new = put_off(client, **asked(name="Later"))
    again = put_off(client, f"/{now['id']}/forecast", horizon=2)
    compare = put_off(client, "/compare", scenarios=[now["id"]], horizon=3)
    assert client.get("/v1/scenarios").json()["total"] == 1
    worker(own.home)
    made = done(client, new).json()
    assert client.get(f"/v1/scenarios/{made['id']}").json() == made
    assert made["answer"]["scenarios"][0]["total"] == now["total"]
    answered = done(client, again).json()
    assert client.get(f"/v1/scenarios/{now['id']}").json()["answer"] == answered
    assert [one["name"] for one in done(client, compare).json()["scenarios"]] == ["Now"]
    assert totals(own) == {"accepted": 3, "answered": 3, "pending": 0, "dead": 0}


def test_a_busy_service_puts_it_off_or_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.turns.Turns.wait", lambda _: 1e6)
    assert client.post("/v1/scenarios", json=asked()).status_code == 202
    strict = client.post("/v1/scenarios", json=asked(), headers={"Prefer": "handling=strict"})
    assert (strict.status_code, "retry-after" in strict.headers) == (503, True)


def test_what_takes_too_long_is_kept_once(
    client: TestClient,
    own: Settings,
    worker: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go, real = threading.Event(), scenario_jobs.evaluate

    def slow(*args: Any) -> Any:
        assert go.wait(180)
        return real(*args)

    monkeypatch.setattr(scenario_jobs, "evaluate", slow)
    answer = client.post("/v1/scenarios", json=asked(), headers={"Prefer": "wait=1"})
    assert answer.status_code == 202
    go.set()
    worker(own.home)
    made = done(client, answer.headers["location"]).json()
    assert client.get("/v1/scenarios").json()["total"] == 1
    assert client.get(f"/v1/scenarios/{made['id']}").json() == made


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("", asked(), 409, "scenario-exists"),
        ("", asked(name="Other", horizon=10_000), 422, "invalid-request"),
        ("", asked(name="Other", engine="magic"), 422, "cannot-forecast"),
        ("/sc_nothing/forecast", {}, 404, "unknown-scenario"),
        ("/compare", {"scenarios": ["sc_" + "1" * 32]}, 404, "unknown-scenario"),
    ],
)
def test_what_needs_no_data_to_be_refused_is_no_job(
    path: str,
    body: Any,
    status: int,
    code: str,
    client: TestClient,
) -> None:
    kept(client)
    answer = client.post(f"/v1/scenarios{path}", json=body, headers=LATER)
    assert (answer.status_code, answer.json()["type"].rsplit(":")[-1]) == (status, code)
    assert client.get("/v1/jobs").json()["total"] == 0


def test_a_job_that_cannot_be_done_says_why(client: TestClient, own: Settings, worker: Start) -> None:
    taken, unknown = put_off(client, **asked()), put_off(client, **asked(name="Fog", changes=[change(signal="fog")]))
    kept(client)
    worker(own.home)
    for address, code in ((taken, "scenario-exists"), (unknown, "cannot-forecast")):
        answer = done(client, address)
        assert (answer.status_code, answer.json()["type"].rsplit(":")[-1]) == (422, code)
    assert client.get("/v1/scenarios").json()["total"] == 1


@pytest.mark.parametrize("question", ["new", "again", "compare"])
def test_a_job_that_is_done_twice_gives_the_bytes_of_the_first_time(question: str, client: TestClient) -> None:
    found = kept(client, name="Before")["id"]
    address = {
        "new": lambda: put_off(client, **asked()),
        "again": lambda: put_off(client, f"/{found}/forecast"),
        "compare": lambda: put_off(client, "/compare", scenarios=[found]),
    }[question]()
    number = address.rsplit("/", 1)[1]
    Answering().part(work_of(client, number), 0)  # killed after it
    first = work_of(client, number).job.result
    assert first is not None
    Answering().part(work_of(client, number), 0)
    assert Answering().finish(work_of(client, number)).body == first


def test_sent_again_after_a_kill_it_is_the_same_job_and_the_same_scenario(
    client: TestClient,
    own: Settings,
    worker: Start,
) -> None:
    headers = LATER | {"Idempotency-Key": "storm"}
    first = client.post("/v1/scenarios", json=asked(), headers=headers)
    with engine_of(own).begin() as connection:  # as if its process had been killed before the answer was kept
        connection.exec_driver_sql("UPDATE idempotency SET status = NULL, alive = NULL")
    again = client.post("/v1/scenarios", json=asked(), headers=headers)
    assert (again.status_code, again.json()["job"]) == (202, first.json()["job"])
    worker(own.home)
    made = done(client, first.headers["location"])
    with engine_of(own).begin() as connection:
        connection.exec_driver_sql("UPDATE idempotency SET status = NULL, alive = NULL")
    assert client.post("/v1/scenarios", json=asked(), headers=headers).json()["state"] == "succeeded"
    assert [item["id"] for item in client.get("/v1/scenarios").json()["items"]] == [made.json()["id"]]


def test_the_categories_of_a_key_hold_in_its_job(
    client: TestClient,
    own: Settings,
    worker: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.keyring.FRESH_SECONDS", 0.0)
    scopes = ["forecast:read", "forecast:write", "jobs:read"]
    _, boots = create(own, "boots", scopes, [CATEGORIES[0]])
    _, hats = create(own, "hats", scopes, [HATS])
    mine = {"X-API-Key": boots} | LATER
    assert client.post("/v1/scenarios", json=asked(), headers={"X-API-Key": hats} | LATER).status_code == 403
    location = client.post("/v1/scenarios", json=asked(), headers=mine).headers["location"]
    worker(own.home)
    wait_for(lambda: client.get(location, headers=mine).status_code != 202)
    assert client.get(location, headers=mine).json()["name"] == "Storm"
    assert client.get(location, headers={"X-API-Key": hats}).status_code == 404
