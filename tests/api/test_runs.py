"""Forecast runs: accepted with 202, done by the job worker, told with 200."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from dbos import error as dbos_error
from fastapi.testclient import TestClient

import api.run_chunk
import api.run_pool
import api.runs
from api.cli import cli
from api.jobs import Jobs
from api.ledger import Ledger
from api.logs import Cancelled
from api.runs import CHUNK, answers_of, chunks_of, chunks_of_part
from api.security import Caller
from api.settings import Settings
from signals.store import Batch, submit
from tests.api.stores import CATEGORIES, described, fill, last_week, sales
from tests.api.test_serve import MAIN, free_port, status
from tests.api.workers import wait_for, working

done = pytest.mark.usefixtures("at_work")


@pytest.fixture
def at_work(home: Path, worker: Callable[..., None]) -> None:
    worker(home)


def start(client: TestClient, **body: object) -> str:
    """Start a run; its address."""
    answer = client.post("/v1/runs", json={"horizon": 3, **body})
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


def outcome(client: TestClient, address: str) -> dict[str, Any]:
    """What a run came to."""
    wait_for(lambda: client.get(address).status_code != 202)
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def rows(client: TestClient, address: str) -> list[dict[str, str]]:
    answer = client.get(f"{address}/csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text)))


@done
def test_a_run_over_all_categories_ends_with_its_forecasts_in_the_ledger(client: TestClient) -> None:
    address = start(client)
    made = outcome(client, address)
    assert (made["status"], made["failures"], made["error"]) == ("succeeded", [], None)
    assert made["counts"] == {"asked": 2, "made": 2, "failed": 0}
    ledger: Ledger = client.app.state.ledger  # type: ignore[attr-defined]
    kept = list(ledger.of_run(made["id"]))
    assert sorted(entry.category or "" for entry in kept) == sorted(CATEGORIES)
    assert {entry.run for entry in kept} == {made["id"]}
    again = client.get(f"/v1/forecasts/{kept[0].receipt}")
    assert again.content == kept[0].answer
    job = client.app.state.jobs.status(made["id"])  # type: ignore[attr-defined]
    answers = [orjson.loads(answer or b"") for _, answer in answers_of(ledger._engine, job, 2)]
    assert len({(answer["as_of"], answer["data_version"]) for answer in answers}) == 1


@done
def test_the_csv_has_each_period_of_each_forecast(client: TestClient) -> None:
    address = start(client, categories=[CATEGORIES[1]], levels=[95, 50])
    outcome(client, address)
    got = rows(client, address)
    names = ["Time", "Value", "Median", "Lower50", "Upper50", "Lower95", "Upper95"]
    over = ["SystemValue", "Overrides", "OverrideAuthor"]  # of which there are none
    assert list(got[0]) == [*names, "Category", "Unit", "Receipt", "Kind", *over]
    forecast = client.get(f"/v1/forecasts/{got[0]['Receipt']}").json()
    assert len(got) == len(forecast["forecast"]) > 3
    for row, period in zip(got, forecast["forecast"], strict=True):
        assert (row["Time"], row["Kind"]) == (period["period"], period["kind"])
        assert (row["Category"], row["Unit"]) == (CATEGORIES[1], "pairs")
        assert (float(row["SystemValue"]), row["Overrides"], row["OverrideAuthor"]) == (period["value"], "", "")
        assert [float(row[name]) for name in names[1:]] == [
            period["value"], period["median"], *period["intervals"]["50"], *period["intervals"]["95"],
        ]  # fmt: skip


@done
def test_what_cannot_be_forecast_is_listed_and_leaves_the_others_alone(client: TestClient) -> None:
    made = outcome(client, start(client, categories=["Bots", CATEGORIES[0], "Gloves"]))
    assert made["status"] == "succeeded"
    assert made["counts"] == {"asked": 3, "made": 1, "failed": 2}
    assert [failure["category"] for failure in made["failures"]] == ["Bots", "Gloves"]
    problem = made["failures"][0]["problem"]
    assert problem["type"].endswith(":unknown-category")
    assert problem["near"] == ["Boots"]


@done
def test_a_defect_in_one_category_is_told_without_its_inside(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = api.run_chunk.made

    def broken(work: Any, body: Any, number: int) -> Any:
        if body.category == CATEGORIES[0]:
            raise RuntimeError("secret inside")
        return made(work, body, number)

    monkeypatch.setattr(api.run_chunk, "made", broken)
    told = outcome(client, start(client))
    assert told["counts"] == {"asked": 2, "made": 1, "failed": 1}
    assert told["failures"][0]["problem"]["status"] == 500
    assert "secret" not in str(told)


@done
def test_links_are_absolute_behind_a_proxy(home: Path, client_of: Callable[..., TestClient]) -> None:
    with client_of(home, public_url="https://erp.example/groundswell") as client:
        answer = client.post("/v1/runs", json={"horizon": 1})
        run = answer.json()["id"]
        assert answer.headers["location"] == f"https://erp.example/groundswell/v1/runs/{run}"
        assert int(answer.headers["retry-after"]) >= 1
        results = outcome(client, f"/v1/runs/{run}")["results"]
        assert results["csv"] == f"https://erp.example/groundswell/v1/runs/{run}/csv"
        assert results["odata"].startswith("https://erp.example/groundswell/odata/v4/Forecasts?$filter=RunId%20eq%20")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"horizon": 0}, 422, "horizon"),
        ({"horizon": 401}, 422, "horizon"),
        ({"horizon": 2, "categories": []}, 422, "categories"),
        ({"horizon": 2, "categories": ["Boots", "Boots"]}, 422, "categories"),
        ({"horizon": 2, "categories": ["Boots", "Bo\0ts"]}, 422, "categories"),
        ({"horizon": 2, "engine": "none"}, 422, "engine"),
        ({"horizon": 2, "history": {}}, 422, "history"),
    ],
)
def test_a_wrong_request_is_refused_before_it_is_accepted(
    client: TestClient, body: dict[str, object], status: int, field: str
) -> None:
    answer = client.post("/v1/runs", json=body)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["field"] == field


def test_a_run_that_is_not_there(client: TestClient) -> None:
    for path in ("/v1/runs/none", "/v1/runs/none/csv"):
        assert client.get(path).json()["type"].endswith(":unknown-run")


def test_another_kind_of_job_is_no_run(client: TestClient, home: Path) -> None:
    number = Jobs(Settings(home=home)).accept("forecast", b'{"category": "Boots", "horizon": 1}')
    assert client.get(f"/v1/runs/{number}").status_code == 404


@done
def test_a_key_sees_its_own_runs_and_categories(
    client: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Caller("own", frozenset({"forecast:read", "forecast:write"}), frozenset({CATEGORIES[0]}))
    monkeypatch.setattr("api.security.caller_of", lambda *_: own)
    assert client.post("/v1/runs", json={"horizon": 1, "categories": list(CATEGORIES)}).status_code == 403
    address = start(client)
    assert outcome(client, address)["counts"]["asked"] == 1
    assert {row["Category"] for row in rows(client, address)} == {CATEGORIES[0]}
    monkeypatch.setattr("api.security.caller_of", lambda *_: Caller("other", own.scopes))
    assert client.get(address).status_code == 404
    assert client.get(f"{address}/csv").status_code == 404


def test_a_run_under_way_is_told_with_202_and_has_no_rows_yet(client: TestClient) -> None:
    address = start(client)
    for _ in range(2):
        answer = client.get(address)
        assert (answer.status_code, answer.headers["location"]) == (202, address)
        assert answer.json()["results"] is None
    assert client.get(f"{address}/csv").status_code == 409


def test_a_cancelled_run_is_over(client: TestClient) -> None:
    address = start(client)
    assert client.delete(f"/v1/jobs/{address.rsplit('/', 1)[1]}").status_code == 204
    answer = client.get(address)
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


def forms(client: TestClient, address: str) -> list[list[Any]]:
    """The results of a run in each form, as categories and whether there is a forecast."""
    lines = client.get(f"{address}/results", headers={"Accept": "application/x-ndjson"}).text.splitlines()
    told = [orjson.loads(line) for line in lines]
    flat = csv.DictReader(io.StringIO(client.get(f"{address}/results", headers={"Accept": "text/csv"}).text))
    parquet = client.get(f"{address}/results", headers={"Accept": "application/vnd.apache.parquet"}).content
    return [
        sorted({(line["number"], "forecast" in line) for line in told}),
        sorted({(int(row["number"]), not row["problem"]) for row in flat}),
        sorted({(row["number"], row["problem"] is None) for row in pq.read_table(io.BytesIO(parquet)).to_pylist()}),
    ]


def test_a_run_that_is_cancelled_under_way_stops_and_changes_no_more(
    tmp_path: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_short(tmp_path)
    make, begun, go_on, numbers = api.run_chunk.made, threading.Event(), threading.Event(), []

    def made(work: Any, body: Any, number: int) -> Any:
        numbers.append(number)
        if number == 3:  # after a problem and a forecast that are kept, and one that is not yet
            begun.set()
            assert go_on.wait(180)
        return make(work, body, number)

    monkeypatch.setattr(api.run_chunk, "made", made)
    monkeypatch.setattr(api.run_chunk, "TOLD_SECONDS", 0.0)
    monkeypatch.setattr(api.run_chunk, "LOOK_SECONDS", 0.0)
    left = threading.Event()
    monkeypatch.setattr(api.run_pool, "leave", lambda _: left.set())
    errors: list[logging.LogRecord] = []
    seen = Collecting(errors)
    logging.getLogger("dbos").addHandler(seen)
    try:
        with client_of(tmp_path) as client:
            with working(Settings(home=tmp_path)):
                address = start(
                    client, horizon=1, categories=["Gloves", CATEGORIES[0], "Belts", CATEGORIES[1], "Scarves"]
                )
                assert begun.wait(180)
                wait_for(lambda: client.get(address).json()["counts"] == {"asked": 5, "made": 1, "failed": 2})
                assert client.delete(f"/v1/jobs/{address.rsplit('/', 1)[1]}").status_code == 204
                told, found = client.get(address).json(), forms(client, address)
                go_on.set()
                assert left.wait(180)  # the worker has come to the end of it
            assert numbers == [0, 1, 2, 3]
            assert client.get(address).json() == told
            assert (told["status"], len(told["failures"])) == ("cancelled", 2)
            assert found == forms(client, address) == 3 * [[(0, False), (1, True), (2, False)]]
            assert {row["Category"] for row in rows(client, address)} == {CATEGORIES[0]}
    finally:
        logging.getLogger("dbos").removeHandler(seen)
    assert not [record for record in of_cancelled(errors) if Cancelled().filter(record)]  # somebody wanted it


def of_cancelled(errors: list[logging.LogRecord]) -> list[logging.LogRecord]:
    """Those that tell of a cancelled workflow: the worker of an earlier test may still be ending, and say so."""
    return [one for one in errors if one.exc_info and str(one.exc_info[1]).endswith("was cancelled")]


def test_dbos_is_not_heard_where_a_job_was_cancelled() -> None:
    def told(error: Exception) -> bool:
        what = (type(error), error, None)
        return Cancelled().filter(logging.LogRecord("dbos", logging.ERROR, "", 0, "it failed", None, what))

    assert not told(dbos_error.DBOSAwaitedWorkflowCancelledError("3f9c"))
    assert told(ValueError("3f9c"))


class Collecting(logging.Handler):
    """Keeps errors."""

    def __init__(self, found: list[logging.LogRecord]) -> None:
        super().__init__(logging.ERROR)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        self._found.append(record)


def test_the_processes_of_a_run_that_is_cancelled_stop(
    tmp_path: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.runs, "HERE", 0)
    fill(tmp_path, last_week(), weeks=120)
    history = {"start": "2021-01-04", "frequency": "W-MON", "values": [100.0 + i % 52 for i in range(160)]}
    lines = b"\n".join(
        orjson.dumps({"category": f"C{i}", "history": history, "horizon": 4, "engine": "detailed"}) for i in range(500)
    )
    with client_of(tmp_path) as client, working(Settings(home=tmp_path)):
        sent = client.post("/v1/runs", content=lines, headers={"Content-Type": "application/x-ndjson"})
        address = str(sent.headers["location"])
        wait_for(lambda: client.get(address).json()["counts"]["made"] > 0)
        assert client.delete(f"/v1/jobs/{address.rsplit('/', 1)[1]}").status_code == 204
        counts = client.get(address).json()["counts"]
        wait_for(lambda: address.rsplit("/", 1)[1] not in api.run_pool._users)
        assert client.get(address).json()["counts"] == counts
        assert counts["made"] < 400
        assert not list((tmp_path / "state" / "runs").glob("*.landed"))


def test_the_list_of_jobs_counts_the_series_of_a_run(tmp_path: Path, client_of: Callable[..., TestClient]) -> None:
    fill_short(tmp_path)
    with client_of(tmp_path) as client, working(Settings(home=tmp_path)):
        outcome(client, start(client, horizon=1))
    (row,) = json.loads(CliRunner().invoke(cli, ["--home", str(tmp_path), "jobs", "list", "--json"]).output)
    assert (row["done"], row["total"]) == (5, 5)


def test_an_empty_store_is_told_at_once(tmp_path: Path, client_of: Callable[..., TestClient]) -> None:
    with client_of(tmp_path) as client:
        assert client.post("/v1/runs", json={"horizon": 1}).status_code == 503


def fill_short(home: Path) -> None:
    """The two categories, and three that have no sales."""
    fill(home, last_week(), weeks=60)
    submit(home, Batch("test", categories=pd.DataFrame([described(name) for name in ("Belts", "Gloves", "Scarves")])))


def test_a_part_that_is_done_twice_counts_once(
    tmp_path: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_short(tmp_path)
    note, broken = api.run_chunk.note_failures, [OSError("the disk is away"), OSError("and again")]

    def note_late(*arguments: Any) -> None:
        note(*arguments)
        if broken:
            raise broken.pop()

    monkeypatch.setattr(api.run_chunk, "note_failures", note_late)
    with working(Settings(home=tmp_path)), client_of(tmp_path) as client:
        address = start(client, horizon=1)
        made = outcome(client, address)
        assert not broken
        assert made["counts"] == {"asked": 5, "made": 2, "failed": 3}
        assert [failure["category"] for failure in made["failures"]] == ["Belts", "Gloves", "Scarves"]
        assert [row["Category"] for row in rows(client, address)] == list(CATEGORIES)


def test_a_run_tells_what_is_done_within_a_chunk(
    tmp_path: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_short(tmp_path)
    make, go_on = api.run_chunk.made, threading.Event()

    def made(work: Any, body: Any, number: int) -> Any:
        assert number < 4 or go_on.wait(180)
        return make(work, body, number)

    monkeypatch.setattr(api.run_chunk, "made", made)
    monkeypatch.setattr(api.run_chunk, "TOLD_SECONDS", 0.0)
    with working(Settings(home=tmp_path)), client_of(tmp_path) as client:
        address = start(client, horizon=1)
        wait_for(lambda: client.get(address).json()["counts"] == {"asked": 5, "made": 2, "failed": 2})
        assert client.get(address).status_code == 202
        go_on.set()
        assert outcome(client, address)["counts"] == {"asked": 5, "made": 2, "failed": 3}


@pytest.mark.parametrize("asked", [1, 256, 257, 4_352, 100_000])
@pytest.mark.parametrize("group", [1, 16, 64])
def test_a_run_that_began_with_other_parts_leaves_no_chunk_out(asked: int, group: int) -> None:
    chunks = chunks_of(asked)
    parts = -(-chunks // group)
    assert [chunk for part in range(parts) for chunk in chunks_of_part(part, parts, asked)] == list(range(chunks))


@contextmanager
def served(home: Path) -> Iterator[httpx.Client]:
    """`groundswell serve` as processes, all of which are killed at the end of the block."""
    address = f"http://127.0.0.1:{free_port()}"
    command = [*MAIN, "--home", str(home), "serve", "--port", address.rsplit(":", 1)[1], "--workers", "1"]
    with (home / "log").open("ab") as log, subprocess.Popen(command, stderr=log, start_new_session=True) as process:
        try:
            wait_for(lambda: status(address) != 0)
            with httpx.Client(base_url=address, timeout=30) as client:
                yield client
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(180)


@pytest.mark.heavy
def test_a_run_outlives_a_kill_of_all_processes(tmp_path: Path) -> None:
    names = [f"C{i:03}" for i in range(CHUNK + 50)]
    frame = pd.concat([sales(name, last_week()) for name in names], ignore_index=True)
    submit(tmp_path, Batch("test", sales=frame, categories=pd.DataFrame([described(name) for name in names])))
    with served(tmp_path) as client:
        address = urlsplit(client.post("/v1/runs", json={"horizon": 2}).headers["location"]).path
        wait_for(lambda: client.get(address).json()["status"] == "running")
        time.sleep(0.3)  # into the first part
        assert client.get(address).status_code == 202
    with served(tmp_path) as client:
        wait_for(lambda: client.get(address).status_code == 200)
        made = client.get(address).json()
        assert made["counts"] == {"asked": len(names), "made": len(names), "failed": 0}
        lines = list(csv.DictReader(io.StringIO(client.get(f"{address}/csv").text)))
    assert sorted({row["Category"] for row in lines}) == names
    assert len({(row["Category"], row["Time"]) for row in lines}) == len(lines)
