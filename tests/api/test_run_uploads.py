"""Runs over requests of the body, and over a database: accepted from disk, done by chunk, given in three forms."""

from __future__ import annotations

import io
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

import api.run_pool
import api.runs
from api import retention
from api.database import engine_of, issued, writing
from api.run_input import folder, tidy
from api.security import Caller
from api.settings import Settings
from forecast.chunk import CHUNK
from tests.api.batch.made import sales
from tests.api.stores import CATEGORIES
from tests.api.test_runs import outcome, served
from tests.api.workers import wait_for, working

NDJSON, PARQUET = "application/x-ndjson", "application/vnd.apache.parquet"


@pytest.fixture
def client(tmp_path: Path, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    """Of a home without a store."""
    with client_of(tmp_path) as client:
        yield client


@pytest.fixture
def at_work(tmp_path: Path, worker: Callable[..., None]) -> None:
    worker(tmp_path)


done = pytest.mark.usefixtures("at_work")


def asked(number: int, **other: object) -> dict[str, Any]:
    """A request with a history of its own."""
    values = (np.random.default_rng(number).normal(50, 5, 60)).round(2).tolist()
    history = {"start": "2025-01-05", "frequency": "W-SUN", "values": values}
    return {"category": f"C{number}", "history": history, "horizon": 2, **other}


def lines_of(items: list[Any]) -> bytes:
    return b"".join((item if isinstance(item, bytes) else json.dumps(item).encode()) + b"\n" for item in items)


def parquet_of(items: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(pd.DataFrame(items), preserve_index=False), sink)
    return sink.getvalue()


def start(client: TestClient, body: bytes, form: str = NDJSON, **headers: str) -> str:
    answer = client.post("/v1/runs", content=body, headers={"Content-Type": form, **headers})
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


def results(client: TestClient, address: str) -> list[dict[str, Any]]:
    answer = client.get(f"{address}/results")
    assert answer.headers["content-type"] == NDJSON
    return [json.loads(line) for line in answer.text.splitlines()]


def bare(answer: dict[str, Any]) -> dict[str, Any]:
    """What does not differ from one making to the next."""
    return {name: value for name, value in answer.items() if name not in ("receipt", "timing_ms")}


def test_a_run_that_is_dead_is_tried_again_from_what_was_sent(
    tmp_path: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError("nobody foresaw it")

    settings, left = Settings(home=tmp_path), threading.Event()
    with client_of(tmp_path) as client, working(settings):
        with monkeypatch.context() as patched:
            patched.setattr(api.run_pool, "leave", lambda _: left.set())
            patched.setattr(api.runs, "do_chunk", breaks)
            address = start(client, lines_of([asked(0), asked(1)]))
            wait_for(lambda: client.get(address).json()["status"] == "dead")
            assert left.wait(180)
        tidy(settings, engine_of(settings))
        assert client.post(f"/v1/jobs/{address.rsplit('/', 1)[1]}/retry").status_code == 202
        wait_for(lambda: client.get(address).json()["status"] == "succeeded")
        assert [one["status"] for one in results(client, address)] == [200, 200]
    assert not list((tmp_path / "state" / "runs").glob("*.landed"))


@done
@pytest.mark.parametrize("form", [NDJSON, PARQUET])
def test_requests_are_answered_as_if_they_came_alone(client: TestClient, form: str) -> None:
    signals = [{"signal": "rain", "start": "2025-01-05", "frequency": "W-SUN", "values": [1.0, 2.0] * 30}]
    items = [asked(0), asked(1, signals=signals), asked(2, horizon=3)]
    body = lines_of(items) if form == NDJSON else parquet_of(items)
    address = start(client, body, form)
    made = outcome(client, address)
    assert made["counts"] == {"asked": 3, "made": 3, "failed": 0}
    found = results(client, address)
    assert [(one["number"], one["status"]) for one in found] == [(0, 200), (1, 200), (2, 200)]
    for item, one in zip(items, found, strict=True):
        alone = client.post("/v1/forecasts", json=item).json()
        assert bare(one["forecast"]) == bare(alone)
        kept = client.get(f"/v1/forecasts/{one['forecast']['receipt']}").json()
        assert kept == one["forecast"]


@done
def test_what_is_wrong_is_told_in_its_place(client: TestClient, tmp_path: Path) -> None:
    items = [asked(0), b"{", {"horizon": 1}, asked(3, horizon=0), {"category": "Boots", "horizon": 1}, asked(5)]
    address = start(client, lines_of(items) + b"\n  \n")
    made = outcome(client, address)
    assert made["counts"] == {"asked": 6, "made": 2, "failed": 4}
    assert [failure["number"] for failure in made["failures"]] == [1, 2, 3, 4]
    assert [failure["category"] for failure in made["failures"]] == ["", "", "C3", "Boots"]
    found = results(client, address)
    assert [one["status"] for one in found] == [200, 400, 422, 422, 503, 200]
    assert found[3]["problem"]["errors"][0]["field"] == "horizon"
    table = pq.read_table(pa.BufferReader(client.get(f"{address}/results", headers={"Accept": PARQUET}).content))
    problems = {row["number"]: row["problem"] for row in table.to_pylist()}
    assert [number for number, problem in problems.items() if problem] == [1, 2, 3, 4]
    assert not list(folder(Settings(home=tmp_path)).glob("*.landed"))


@done
def test_each_form_of_the_results_has_the_same_rows(client: TestClient) -> None:
    address = start(client, lines_of([asked(0, levels=[50]), asked(1, levels=[90])]))
    outcome(client, address)
    flat = [
        (one["forecast"]["category"], period["period"], period["value"], period["intervals"].get("50", [None])[0])
        for one in results(client, address)
        for period in one["forecast"]["forecast"]
    ]
    table = pq.read_table(pa.BufferReader(client.get(f"{address}/results", headers={"Accept": PARQUET}).content))
    rows = table.to_pylist()
    assert [(row["category"], str(row["period"]), row["value"], row["lo-50"]) for row in rows] == flat
    assert all(sum(dict(row["contributions"]).values()) == pytest.approx(row["value"]) for row in rows)
    answer = client.get(f"{address}/results", headers={"Accept": "text/csv"})
    read = pc.read_csv(io.BytesIO(answer.content)).to_pylist()
    assert [(row["category"], str(row["period"]), row["value"], row["lo-50"]) for row in read] == flat
    assert client.get(f"{address}/results", headers={"Accept": "image/png"}).status_code == 406
    assert client.get(f"{address}/csv").text.count("\n") == len(flat) + 1


def lose(part: Path) -> None:
    part.unlink()


def tear(part: Path) -> None:
    part.write_bytes(part.read_bytes()[:-100])


def scramble(part: Path) -> None:
    """Where the values are, so that the footer can still be read."""
    data = bytearray(part.read_bytes())
    for i in range(40, 400, 7):
        data[i] ^= 0xFF
    part.write_bytes(data)


@done
@pytest.mark.parametrize("harm", [lose, tear, scramble])
def test_rows_whose_file_is_lost_or_torn_come_from_the_ledger(
    client: TestClient, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    address = start(client, lines_of([asked(0, levels=[50]), b"{", asked(2, levels=[90])]))
    outcome(client, address)
    wanted = [(f"{address}/results", {"Accept": PARQUET}), (f"{address}/results", {"Accept": "text/csv"})]
    wanted.append((f"{address}/csv", {}))
    before = [client.get(path, headers=headers).content for path, headers in wanted]
    [part] = folder(Settings(home=tmp_path)).glob("*/part-*.parquet")
    harm(part)
    assert [client.get(path, headers=headers).content for path, headers in wanted] == before


@done
@pytest.mark.parametrize("form", [PARQUET, "text/csv"])
def test_rows_that_are_lost_for_good_are_told_as_such(client: TestClient, tmp_path: Path, form: str) -> None:
    address = start(client, lines_of([asked(0), asked(1)]))
    outcome(client, address)
    with writing(engine_of(Settings(home=tmp_path))) as connection:
        connection.execute(issued.delete())
    kept = client.get(f"{address}/results", headers={"Accept": form})
    assert kept.status_code == 200
    [part] = folder(Settings(home=tmp_path)).glob("*/part-*.parquet")
    lose(part)
    answer = client.get(f"{address}/results", headers={"Accept": form})
    assert (answer.status_code, answer.json()["type"].rsplit(":", 1)[1]) == (410, "results-gone")


@pytest.mark.parametrize(
    ("body", "form", "status", "code"),
    [
        (b"", NDJSON, 422, "no-items"),
        (b"\n \n", NDJSON, 422, "no-items"),
        (lines_of([asked(0)] * 4), NDJSON, 422, "too-many-items"),
        (parquet_of([asked(0)] * 4), PARQUET, 422, "too-many-items"),
        (b"PAR1", PARQUET, 422, "invalid-request"),
        (parquet_of([{"colour": 1}]), PARQUET, 422, "invalid-request"),
        (b"a,b\n", "text/csv", 415, "unsupported-media-type"),
        (b"[]", "application/json", 422, "invalid-request"),
        (b"{", "application/json", 400, "bad-request"),
        (b"x" * 200_001, NDJSON, 413, "body-too-large"),
    ],
    ids=["empty", "blank", "lines", "rows", "no parquet", "no field", "csv", "list", "no json", "large"],
)
def test_a_body_that_cannot_be_taken_leaves_nothing_behind(
    tmp_path: Path, client_of: Callable[..., TestClient], body: bytes, form: str, status: int, code: str
) -> None:
    with client_of(tmp_path, max_run=3, max_run_bytes=200_000) as client:
        answer = client.post("/v1/runs", content=body, headers={"Content-Type": form})
        assert answer.status_code == status, answer.text
        assert answer.json()["type"].endswith(f":{code}")
    assert not list(folder(Settings(home=tmp_path)).glob("*"))


def test_requests_to_the_store_share_one_moment(home: Path, client_of: Callable[..., TestClient]) -> None:
    with client_of(home) as client, working(Settings(home=home)):
        items = [{"category": name, "horizon": 1} for name in CATEGORIES]
        address = start(client, lines_of(items))
        outcome(client, address)
        found = [one["forecast"] for one in results(client, address)]
    assert [one["category"] for one in found] == list(CATEGORIES)
    assert len({(one["as_of"], one["data_version"]) for one in found}) == 1


@done
def test_a_key_asks_for_its_own_categories(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Caller("own", frozenset({"forecast:read", "forecast:write"}), frozenset({"C0"}))
    monkeypatch.setattr("api.security.caller_of", lambda *_: own)
    address = start(client, lines_of([asked(0), asked(1)]))
    outcome(client, address)
    assert [one["status"] for one in results(client, address)] == [200]
    monkeypatch.setattr("api.security.caller_of", lambda *_: Caller("own", own.scopes))
    assert [one["status"] for one in results(client, address)] == [200, 403]
    monkeypatch.setattr("api.security.caller_of", lambda *_: Caller("other", own.scopes))
    assert client.get(f"{address}/results").status_code == 404


@done
def test_a_database_is_asked_by_the_query_of_the_home(client: TestClient, tmp_path: Path) -> None:
    frame = sales(3)
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'erp.sqlite'}")
    short = frame[frame["category"] == "S0000"].head(1).assign(category="short")
    rows = pd.concat([frame, short])
    rows.assign(ds=rows["ds"].dt.strftime("%Y-%m-%d")).to_sql("sold", engine, index=False)
    engine.dispose()
    outside = tmp_path.parent / f"{tmp_path.name}.sqlite"
    (tmp_path / "erp.sqlite").rename(outside)
    (tmp_path / "groundswell.toml").write_text(
        f'[[sales]]\nname = "erp"\ndatabase = "sqlite:///{outside}"\nquery = "SELECT category, ds, y FROM sold"\n',
        encoding="utf-8",
    )
    answer = client.post("/v1/runs", json={"sql": "erp", "horizon": 2})
    assert answer.status_code == 202, answer.text
    made = outcome(client, answer.headers["location"])
    assert made["counts"] == {"asked": 4, "made": 3, "failed": 1}
    found = results(client, answer.headers["location"])
    assert [one["status"] for one in found] == [200, 200, 200, 422]
    values = frame[frame["category"] == "S0001"]["y"].tolist()
    history = {"start": str(frame["ds"][0].date()), "frequency": "W-SUN", "values": values}
    alone = client.post("/v1/forecasts", json={"category": "S0001", "history": history, "horizon": 2}).json()
    assert bare(found[1]["forecast"]) == bare(alone)
    shutil.rmtree(folder(Settings(home=tmp_path)) / made["id"])
    assert results(client, answer.headers["location"]) == found


def test_a_database_that_nobody_described_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/runs", json={"sql": "erp", "horizon": 2})
    assert (answer.status_code, answer.json()["type"].rsplit(":", 1)[1]) == (422, "unknown-connection")
    both = client.post("/v1/runs", json={"sql": "erp", "categories": ["A"], "horizon": 2})
    assert both.status_code == 422


def test_the_same_key_again_is_the_same_run(client: TestClient, tmp_path: Path) -> None:
    key = {"Idempotency-Key": '"night-1"'}
    first, again = (start(client, lines_of([asked(0)]), **key) for _ in range(2))
    assert first == again
    assert len(list(folder(Settings(home=tmp_path)).glob("*.landed"))) == 1


def test_requests_of_a_run_that_was_cancelled_before_it_began_go(client: TestClient, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    first, second = (start(client, lines_of([asked(0)])) for _ in range(2))
    assert client.delete(f"/v1/jobs/{first.rsplit('/', 1)[1]}").status_code == 204
    retention.tidy(settings)
    job = client.app.state.jobs.status(second.rsplit("/", 1)[1])  # type: ignore[attr-defined]
    assert [file.name for file in folder(settings).glob("*.landed")] == [json.loads(job.request)["file"]]


def test_a_hundred_thousand_requests_are_accepted_at_once(client: TestClient, tmp_path: Path) -> None:
    body = (b'{"category":"A","horizon":1}\n') * 100_000
    address = start(client, body)
    state = client.get(address).json()
    assert state["counts"] == {"asked": 100_000, "made": 0, "failed": 0}
    assert state["estimate"] is None
    job = client.app.state.jobs.status(state["id"])  # type: ignore[attr-defined]
    offsets = json.loads(job.request)["offsets"]
    assert len(offsets) == -(-100_000 // CHUNK) + 1
    assert offsets[-1] == len(body)


@pytest.mark.heavy
def test_a_large_run_is_done_by_processes_and_outlives_a_kill(tmp_path: Path) -> None:
    count = 12 * CHUNK + 7  # more than is made while a single one is waited for
    body = lines_of([asked(i) for i in range(count)])
    with served(tmp_path) as client:
        first = client.post("/v1/forecasts", json=asked(2), headers={"Prefer": "respond-async"})
        begun = urlsplit(first.headers["location"]).path
        wait_for(lambda: client.get(begun).status_code == 200)  # the processes for single ones are there
        address = urlsplit(str(start(client, body))).path  # type: ignore[arg-type]
        wait_for(lambda: client.get(address).json()["counts"]["made"] > 0)
        state = client.get(address).json()
        assert state["estimate"] is not None
        soon = client.post("/v1/forecasts", json=asked(1), headers={"Prefer": "respond-async"})
        job = urlsplit(soon.headers["location"]).path
        wait_for(lambda: client.get(job).status_code == 200)
        assert client.get(address).status_code == 202  # the single one did not wait for the batch
    with served(tmp_path) as client:
        wait_for(lambda: client.get(address).status_code == 200, 180)
        assert client.get(address).json()["counts"] == {"asked": count, "made": count, "failed": 0}
        found = results(client, address)  # type: ignore[arg-type]
        assert [one["number"] for one in found] == list(range(count))
        assert len({one["forecast"]["receipt"] for one in found}) == count
        alone = client.post("/v1/forecasts", json=asked(count - 1)).json()
        assert bare(found[-1]["forecast"]) == bare(alone)
        rows = f"/odata/v4/Forecasts/$count?$filter=RunId eq {address.rsplit('/', 1)[1]}"
        wait_for(lambda: client.get(rows).text.lstrip("\ufeff") == str(2 * count), 240)


@pytest.mark.heavy
def test_a_cancelled_run_stops_and_keeps_what_it_made(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        body = lines_of([asked(i) for i in range(8 * CHUNK)])
        address = urlsplit(str(start(client, body))).path  # type: ignore[arg-type]
        wait_for(lambda: client.get(address).json()["counts"]["made"] > 0)
        assert client.delete(f"/v1/jobs/{address.rsplit('/', 1)[1]}").status_code == 204
        wait_for(lambda: not list(folder(Settings(home=tmp_path)).glob("*.landed")))  # what was under way has ended
        made = client.get(address).json()
        assert (made["status"], 0 < made["counts"]["made"] < 8 * CHUNK) == ("cancelled", True)
        assert len(results(client, address)) == made["counts"]["made"]  # type: ignore[arg-type]
        time.sleep(2)
        assert client.get(address).json()["counts"] == made["counts"]
