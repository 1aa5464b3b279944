"""Every operation of /openapi.json under at least 5,000 requests that schemathesis makes up, valid and invalid.

The answers must be those that the document promises: no 5xx, no status, content type or body that it does not name, no
invalid input accepted, no valid input refused other than for what it means (an unknown receipt, a job that is over).
"""

from __future__ import annotations

import json
import shutil
import socket
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from schemathesis.core.failures import AcceptedNegativeData, FailureGroup
from schemathesis.pytest.lazy import get_all_tests  # of it, for `parametrize` fails under pytest 9.2
from schemathesis.transport.serialization import Binary

from api.app import create_app
from api.database import engine_of
from api.keys import create
from api.making import made_for
from api.runs import ForecastRun, counts
from api.security import SCOPES
from api.settings import Settings
from api.uploads import Upload
from api.worker import JobFailed, Work
from tests.api.stores import CATEGORIES
from tests.api.workers import wait_for, working

CASES = 5_000
EACH = 250  # generated for each operation with parameters, besides the examples and the systematic ones
KEY = "X-API-Key"
LATE = (
    "POST /v1/runs",
    "POST /v1/forecasts/bulk",
    "POST /v1/sales",
    "POST /v1/signals",
)  # refuse within the answer, or in the job
# What a request that fits the document may still be told: it names nothing that there is, or asks what has no answer.
SEMANTIC = ["2xx", "304", "404", "406", "409", "410", "422"]


@schemathesis.serializer("application/x-ndjson", "text/csv", "application/vnd.apache.parquet")
def as_text(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """A body that is no JSON document: a text as it is, one item as a line; never empty, which `binary` cannot say."""
    if isinstance(value, Binary):
        return value.data or b"\0"
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else json.dumps(value).encode()


@pytest.fixture(scope="module")
def app(home: Path, tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """Over a home of its own, small limits keeping each request short; no webhook is answered from here."""
    path = tmp_path_factory.mktemp("fuzz") / "home"
    shutil.copytree(home, path, ignore=shutil.ignore_patterns("operations.*", "odata.*"))
    limits = {"max_body_bytes": 100_000, "max_upload_bytes": 100_000, "max_horizon": 30, "max_history": 200}
    return create_app(Settings(home=path, **limits))


@pytest.fixture(scope="module")
def key(app: FastAPI) -> str:
    return create(app.state.settings, "fuzz", list(SCOPES))[1]


@pytest.fixture(scope="module")
def ids(app: FastAPI, key: str) -> dict[str, list[str]]:
    """What there is to be asked for: under way, over, failed and cancelled."""
    client = TestClient(app, headers={KEY: key})
    one, later = {"category": CATEGORIES[0], "horizon": 2}, {"Prefer": "respond-async"}
    receipts = [client.post("/v1/forecasts", json=one).json()["receipt"]]
    asks: list[tuple[str, Any]] = [("/v1/forecasts", one), ("/v1/forecasts/bulk", [one]), ("/v1/sales", [{"x": 1}])]
    jobs = [client.post(address, json=body, headers=later).json()["job"] for address, body in asks]
    runs = [client.post("/v1/runs", json={"horizon": 2}).json()["id"]]
    with working(app.state.settings):
        wait_for(lambda: all(client.get(f"/v1/jobs/{job}").status_code != 202 for job in [*jobs, *runs]))
    jobs += [client.post(address, json=body, headers=later).json()["job"] for address, body in asks]
    runs += [client.post("/v1/runs", json={"horizon": 2}).json()["id"]]
    assert client.delete(f"/v1/jobs/{jobs[-1]}").status_code == 204
    hook = {"callbackUrl": "https://8.8.8.8/hook"}
    webhooks = [client.post("/v1/webhooks", json=hook).json()["id"] for _ in range(8)]
    return {"receipt": receipts, "job": jobs, "run": runs, "webhook": webhooks, "category": list(CATEGORIES)}


@pytest.fixture(scope="module")
def openapi(app: FastAPI, ids: dict[str, list[str]], key: str) -> Any:
    """The document, with the ids that there are for half of the requests."""
    config = schemathesis.Config.from_dict(
        {
            "headers": {KEY: key},
            "generation": {
                "deterministic": True,
                "max-examples": EACH,
                "no-shrink": True,
                "with-security-parameters": False,
            },
            "dictionaries": {name: {"values": values} for name, values in ids.items()},
            "parameters": {
                name: {"dictionary": name.split(".")[-1], "probability": 0.5}
                for name in [*(f"path.{name}" for name in ids), "query.category", "body.category", "body.[*].category"]
            },
            "checks": {
                "ignored_auth": {"enabled": False},  # test_gate.py; many wrong keys are answered with 429
                "positive_data_acceptance": {"expected-statuses": SEMANTIC},
                "negative_data_rejection": {"expected-statuses": [400, 404, 405, 406, 409, 413, 415, 422]},
            },
        }
    )
    return schemathesis.openapi.from_asgi("/openapi.json", app, config=config)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses that were made up are neither looked up nor called."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror("no name is looked up here")

    monkeypatch.setattr("api.outbound.socket.getaddrinfo", unknown)
    monkeypatch.setattr("api.deliveries._shake_hands", lambda *_: None)


def refused_later(app: FastAPI, answer: dict[str, Any]) -> bool:
    """Whether what is wrong is told in the answer to one item, or becomes the problem of the job that was accepted."""
    if "items" in answer:
        return any(item["status"] >= 400 for item in answer["items"])
    job, state = app.state.jobs.status(answer.get("job") or answer["id"]), app.state
    making = partial(made_for, state.forecaster)
    work = Work(job, state.settings, engine_of(state.settings), state.ledger, state.jobs, making)
    if job.kind == "run":
        return fails_as_a_run(work)
    if job.kind == "bulk":
        return any("problem" in item for item in orjson.loads(job.request)["items"])
    try:
        Upload().part(work, 0)
    except JobFailed:
        return True
    return False


def fails_as_a_run(work: Work) -> bool:
    """Whether a run tells what is wrong with one of its requests, or ends with it."""
    run = ForecastRun()
    try:
        for number in range(run.parts(work)):
            run.part(work, number)
    except JobFailed:
        return True
    return counts(work.engine, work.job, work.settings).failed > 0


@pytest.mark.heavy
def test_the_api_keeps_what_its_document_promises(app: FastAPI, openapi: Any, subtests: pytest.Subtests) -> None:
    counted: Counter[str] = Counter()

    def ask(case: schemathesis.Case) -> None:
        counted[case.operation.label] += 1
        (app.state.settings.home / "ingest.heartbeat").touch()  # else it is not ready
        response = case.call()
        try:
            case.validate_response(response)
        except FailureGroup as found:
            late = {type(one) for one in found.exceptions} == {AcceptedNegativeData} and case.operation.label in LATE
            if not (late and refused_later(app, response.json())):
                raise

    for found in get_all_tests(schema=openapi, test_func=ask, settings=None, given_kwargs=None):
        operation, test = found.ok()
        with subtests.test(operation.label):
            test()
    assert counted.total() >= CASES, counted
