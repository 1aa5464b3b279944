"""Prefer, Accept, ETag: how one forecast is given, at once or later, in which form, and again."""

from __future__ import annotations

import csv
import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from api.issued import page_of_category
from api.settings import Settings
from tests.api.stores import fill, last_week
from tests.api.test_forecasts import HISTORY, assert_problem

BODY = {"category": "Boots", "horizon": 2}
PARQUET = "application/vnd.apache.parquet"
Worker = Callable[..., None]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("own")
    fill(home, last_week())
    return home


@pytest.fixture
def client(own: Path, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    with client_of(own) as client:
        yield client


def post(client: TestClient, body: dict[str, Any] = BODY, **headers: str) -> Any:
    return client.post("/v1/forecasts", json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def finished(client: TestClient, location: str) -> Any:
    deadline = time.monotonic() + 30
    while (answer := client.get(location)).status_code == 202:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


def test_respond_async_gives_a_job_whose_answer_is_the_forecast(client: TestClient, own: Path, worker: Worker) -> None:
    response = post(client, prefer="respond-async")
    assert response.status_code == 202
    assert response.headers["preference-applied"] == "respond-async"
    assert response.headers["location"] == f"http://testserver/v1/jobs/{response.json()['job']}"
    assert int(response.headers["retry-after"]) >= 1
    assert client.get(response.headers["location"]).status_code == 202
    worker(own)
    answer = finished(client, response.headers["location"])
    assert answer.status_code == 200
    assert answer.json()["category"] == "Boots"
    assert client.get(f"/v1/forecasts/{answer.json()['receipt']}").content == answer.content


def test_who_waits_long_enough_gets_the_answer(client: TestClient) -> None:
    response = post(client, prefer="respond-async, wait=30")
    assert response.status_code == 200
    assert response.headers["preference-applied"] == "respond-async, wait=30"
    assert response.headers["content-location"] == f"http://testserver/v1/forecasts/{response.json()['receipt']}"


def test_what_was_begun_is_the_answer_of_the_job_it_becomes(
    client: TestClient, own: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecaster, go = type(client.app.state.forecaster), threading.Event()  # type: ignore[attr-defined]
    real, made = forecaster.make, []

    def slow(*args: Any, **options: Any) -> Any:
        assert go.wait(180)
        made.append(1)
        return real(*args, **options)

    monkeypatch.setattr(forecaster, "make", slow)
    response = post(client, prefer="wait=1")
    assert (response.status_code, response.headers["preference-applied"]) == (202, "wait=1")
    before = len(page_of_category(Settings(home=own), "Boots", 1000).items)
    go.set()
    deadline = time.monotonic() + 30
    while len(page_of_category(Settings(home=own), "Boots", 1000).items) == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    worker(own)
    answer = finished(client, response.headers["location"])
    assert (answer.status_code, len(made)) == (200, 1)
    assert len(page_of_category(Settings(home=own), "Boots", 1000).items) == before + 1


@pytest.mark.parametrize("prefer", ["wait=soon", "wait=-1", "wait="])
def test_a_wait_that_is_no_number_is_refused(prefer: str, client: TestClient) -> None:
    assert "wait" in assert_problem(post(client, prefer=prefer), 400, "bad-request")["detail"]


def test_an_unknown_preference_is_left_aside(client: TestClient) -> None:
    response = post(client, prefer='handling=lenient; x="a", return=minimal')
    assert response.status_code == 200
    assert "preference-applied" not in response.headers


def test_an_asynchronous_error_is_told_by_the_job(client: TestClient, own: Path, worker: Worker) -> None:
    body = {"history": {**HISTORY, "values": [1.0]}, "horizon": 2}
    location = post(client, body, prefer="respond-async").headers["location"]
    worker(own)
    answer = finished(client, location)
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("cannot-forecast")


@pytest.mark.parametrize("again", [False, True])
def test_a_forecast_goes_out_as_csv_and_parquet(again: bool, client: TestClient) -> None:
    answer = post(client).json()
    address = f"/v1/forecasts/{answer['receipt']}"

    def asked(form: str) -> Any:
        return client.get(address, headers={"accept": form}) if again else post(client, accept=form)

    text, packed = asked("text/csv"), asked(PARQUET)
    assert text.headers["content-type"].startswith("text/csv")
    assert packed.headers["content-type"] == PARQUET
    assert text.headers["vary"].startswith("Accept")
    rows = list(csv.DictReader(io.StringIO(text.text, newline="")))
    table = pq.read_table(pa.BufferReader(packed.content))
    drivers = [f"contribution-{name}" for name in answer["forecast"][0]["contributions"]]
    columns = ["period", "kind", "value", "median", "lo-80", "hi-80", "lo-95", "hi-95", *drivers]
    assert (list(rows[0]), table.column_names) == (columns, columns)
    assert pa.types.is_date32(table.schema.field("period").type)
    for row, packed_row, period in zip(rows, table.to_pylist(), answer["forecast"], strict=True):
        assert row["period"] == packed_row["period"].isoformat() == period["period"]
        assert row["kind"] == packed_row["kind"] == period["kind"]
        if again:
            assert float(row["hi-95"]) == packed_row["hi-95"] == period["intervals"]["95"][1]
            assert sum(float(row[driver]) for driver in drivers) == pytest.approx(period["value"])


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, */*;q=0.8", "application/json"),
        ("application/json;q=0.4, text/csv;q=0.5", "text/csv"),
        ("application/json;q=0, */*;q=0.1", "text/csv"),
        (f"text/*;q=0.1, {PARQUET}", PARQUET),
    ],
)
def test_the_form_is_the_one_the_client_likes_best(accept: str, form: str, client: TestClient) -> None:
    assert post(client, accept=accept).headers["content-type"].split(";")[0] == form


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "text/html"])
def test_a_form_that_is_not_there_is_refused(accept: str, client: TestClient) -> None:
    assert_problem(post(client, accept=accept), 406, "not-acceptable")
    receipt = post(client).json()["receipt"]
    assert_problem(client.get(f"/v1/forecasts/{receipt}", headers={"accept": accept}), 406, "not-acceptable")


def test_who_has_a_forecast_need_not_load_it_again(client: TestClient) -> None:
    address = f"/v1/forecasts/{post(client).json()['receipt']}"
    first, other = client.get(address), client.get(address, headers={"accept": "text/csv"})
    assert first.headers["etag"] != other.headers["etag"]
    assert "immutable" in first.headers["cache-control"]
    for given, status in [(first.headers["etag"], 304), (f'"x", W/{first.headers["etag"]}', 304), ('"x"', 200)]:
        again = client.get(address, headers={"if-none-match": given})
        assert again.status_code == status
        assert again.headers["etag"] == first.headers["etag"]
        assert bool(again.content) == (status == 200)


def test_issued_forecasts_are_listed_newest_first(client: TestClient) -> None:
    receipts = [post(client).json()["receipt"] for _ in range(3)]
    post(client, {"history": HISTORY, "horizon": 1, "category": "other"})
    page = client.get("/v1/forecasts?category=Boots&limit=2").json()
    found = [item["receipt"] for item in page["items"]]
    assert found == receipts[:0:-1]
    assert page["items"][0]["location"] == f"http://testserver/v1/forecasts/{receipts[2]}"
    assert page["items"][0]["horizon"] == 2
    older = client.get(page["next"]).json()
    assert older["items"][0]["receipt"] == receipts[0]
    while older["next"]:
        older = client.get(older["next"]).json()
    assert_problem(client.get("/v1/forecasts?category=Boots&before=x"), 422, "invalid-request")
    assert_problem(client.get("/v1/forecasts"), 422, "invalid-request")


def test_the_last_known_forecast_is_the_newest_from_the_store(client: TestClient) -> None:
    wanted = post(client).json()
    post(client, {"history": HISTORY, "horizon": 1, "category": "Boots"})
    post(client, {**BODY, "as_of": f"{last_week():%Y-%m-%d}T00:00:00Z"})
    response = client.get("/v1/categories/Boots/forecast")
    last = response.json()
    assert last["forecast"] == wanted
    assert 0 <= last["age_seconds"] < 60
    assert response.headers["age"] == str(int(last["age_seconds"]))
    assert_problem(client.get("/v1/categories/Nothing/forecast"), 404, "no-forecast")
    assert_problem(client.get("/v1/categories/Boots%2Fforecast"), 404, "unknown-category")


@pytest.mark.parametrize("address", ["/v1/categories", "/v1/categories/Boots", "/v1/signals"])
def test_who_has_a_list_need_not_load_it_again(address: str, tmp_path: Path, client_of: Callable[..., Any]) -> None:
    fill(tmp_path, last_week())
    client = client_of(tmp_path)
    first = client.get(address)
    known = {"if-none-match": first.headers["etag"]}
    assert client.get(address, headers=known).status_code == 304
    assert client.get(f"{address}?limit=1", headers=known).status_code in (200, 422)
    fill(tmp_path, last_week() + pd.Timedelta(weeks=1), 131)
    assert client.get(address, headers=known).status_code == 200
