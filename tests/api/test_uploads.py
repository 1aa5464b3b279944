"""POST /v1/sales and /v1/signals: four forms, one reading; what is wrong is named; killed, it is stored once."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from api import uploads as module
from api.app import create_app
from api.database import engine_of
from api.handlers import HANDLERS
from api.keys import create
from api.models import UploadAnswer
from api.security import SCOPES
from api.settings import Settings
from api.uploads import Upload, folder
from signals.store import open_snapshot
from tests.api.stores import CATEGORIES, fill, last_week
from tests.api.test_answers import finished
from tests.api.test_forecasts import assert_problem
from tests.api.workers import wait_for, working

Worker = Callable[..., None]
CSV, NDJSON, JSON, PARQUET = "text/csv", "application/x-ndjson", "application/json", "application/vnd.apache.parquet"
WEEKS = pd.date_range(end=last_week() - pd.Timedelta(days=1), periods=12, freq="W-SUN")
SALES = pd.DataFrame({"category": "Scarves", "date": WEEKS, "quantity": [float(10 + i) for i in range(12)]})
SIGNAL = pd.DataFrame({"signal": "rain", "date": WEEKS, "value": range(12), "category": "Scarves"})


@pytest.fixture
def client(tmp_path: Path, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    with client_of(tmp_path, max_body_bytes=1000) as client:
        yield client


def encoded(frame: pd.DataFrame, form: str) -> bytes:
    if form == PARQUET:
        sink = io.BytesIO()
        frame.to_parquet(sink, index=False)
        return sink.getvalue()
    plain = frame.assign(date=frame["date"].dt.strftime("%Y-%m-%d"))
    if form == CSV:
        return plain.to_csv(index=False).encode()
    rows = plain.to_dict("records")
    if form == NDJSON:
        return "\n".join(map(json.dumps, rows)).encode()
    return json.dumps(rows if form == "rows" else plain.to_dict("list")).encode()


def send(client: TestClient, body: bytes, form: str = CSV, address: str = "/v1/sales", **headers: str) -> Any:
    return client.post(address, content=body, headers={"content-type": form, **headers})


def outcome(client: TestClient, response: Any) -> Any:
    assert response.status_code == 202, response.text
    return finished(client, response.headers["location"])


@pytest.mark.parametrize("form", [CSV, NDJSON, JSON, "rows", PARQUET])
def test_sales_are_stored_whatever_form_they_have(
    form: str, client: TestClient, tmp_path: Path, worker: Worker
) -> None:
    worker(tmp_path)
    media = JSON if form == "rows" else form
    body = encoded(SALES, form)
    answer = UploadAnswer.model_validate_json(outcome(client, send(client, body, media)).content)
    assert (answer.rows, answer.result.inserted, answer.result.unchanged) == (12, 12, 0)
    assert answer.mapping == {"category": "category", "date": "date", "quantity": "quantity"}
    stored = open_snapshot(tmp_path)
    assert stored.data_version == answer.result.data_version
    assert stored.sales("Scarves", None, None)["quantity"].tolist() == SALES["quantity"].tolist()
    again = outcome(client, send(client, body, media)).json()["result"]
    assert (again["inserted"], again["unchanged"]) == (0, 12)
    assert not list(folder(Settings(home=tmp_path)).iterdir())
    assert client.get("/v1/categories/Scarves").json()["periods"] == 12


def test_signals_are_stored(client: TestClient, tmp_path: Path, worker: Worker) -> None:
    worker(tmp_path)
    outcome(client, send(client, encoded(SALES, CSV)))
    address = "/v1/signals?unit=mm&aggregation=sum&future_known=true"
    answer = outcome(client, send(client, encoded(SIGNAL, NDJSON), NDJSON, address)).json()
    assert answer["result"]["inserted"] == 12
    found = client.get("/v1/signals?category=Scarves").json()["items"][0]
    assert (found["signal"], found["unit"], found["aggregation"], found["future_known"]) == ("rain", "mm", "sum", True)


def test_options_are_those_of_the_import(client: TestClient, tmp_path: Path, worker: Worker) -> None:
    worker(tmp_path)
    rows = "tag;menge\n" + "".join(f"{day:%d.%m.%Y};1,5\n{day:%d.%m.%Y};2,5\n" for day in WEEKS)
    options = "category==Gloves&duplicates=sum&decimal=%2C&dayfirst=true&lag_days=2&unit=pairs&timezone=Europe/Berlin"
    answer = outcome(client, send(client, rows.encode(), CSV, f"/v1/sales?{options}&frequency=W-SUN"))
    assert answer.status_code == 200, answer.text
    assert open_snapshot(tmp_path).sales("Gloves", None, None)["quantity"].tolist() == [4.0] * 12


BAD: list[tuple[bytes, str, int | None, str, str]] = [
    (encoded(SALES, CSV).replace(b"13.0", b"many"), CSV, 5, "quantity", "many"),
    (encoded(SALES, NDJSON).replace(b"13.0", b'"many"'), NDJSON, 4, "quantity", "many"),
    (encoded(SALES, JSON).replace(b"13.0", b'"many"'), JSON, 4, "quantity", "many"),
    (encoded(SALES, "rows").replace(b"13.0", b"{}"), JSON, 4, "quantity", "{}"),
    (b'{"date": ["2026-01-04"]}\n{"date": [}\n', NDJSON, 2, "", ""),
    (b'{"a": [1, 2], "b": [1]}', JSON, None, "b", ""),
    (b'[{"a": 1}, 5]', JSON, 2, "", ""),
    (b"[" * 5000, JSON, None, "", ""),
    (b'{"a": [1], "a": [2]}', JSON, None, "", ""),
    (b"[]", JSON, None, "", ""),
    (b"5", JSON, None, "", ""),
    (b"PAR1 but not really PAR1", PARQUET, None, "", ""),
    (encoded(SALES, CSV), PARQUET, None, "", ""),
    (encoded(SALES, PARQUET), CSV, None, "", ""),
    (b"\xff\xfe\x00", JSON, None, "", ""),
]


def test_what_is_wrong_is_named_and_nothing_stored(client: TestClient, tmp_path: Path, worker: Worker) -> None:
    worker(tmp_path)
    sent = [send(client, body, form) for body, form, *_ in BAD]
    for (body, _, row, column, value), response in zip(BAD, sent, strict=True):
        answer = outcome(client, response)
        assert answer.status_code == 422, body
        problem = answer.json()
        assert problem["type"] == "urn:problem-type:groundswell:import-refused"
        assert problem["instance"].startswith("/v1/jobs/")
        assert problem["request_id"] == answer.headers["x-request-id"]
        error = problem["errors"][0]
        assert (error["row"], error["field"], error["value"]) == (row, column, value)
        assert error["allowed"]
    assert client.get("/v1/categories").status_code == 503  # nothing was ever stored


def test_messages_speak_of_parameters_not_of_the_command_line(
    client: TestClient, tmp_path: Path, worker: Worker
) -> None:
    worker(tmp_path)
    frame = SALES.drop(columns="category").assign(other=1.0)
    problem = outcome(client, send(client, encoded(frame, CSV))).json()
    assert "category" in problem["detail"]
    assert "--" not in json.dumps(problem)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("duplicates=no", "duplicates"),
        ("lag_days=-1", "lag_days"),
        ("lag_days=1.0", "lag_days"),
        ("dayfirst=1", "dayfirst"),
        ("surprise=1", "surprise"),
        ("unit=a&unit=b", "unit"),
    ],
)
def test_a_wrong_option_is_named_at_once(query: str, field: str, client: TestClient) -> None:
    problem = assert_problem(send(client, b"a,b\n1,2\n", CSV, f"/v1/sales?{query}"), 422, "invalid-request")
    assert problem["errors"][0]["field"] == field


def test_what_cannot_be_a_table_is_refused_at_once(client: TestClient, tmp_path: Path) -> None:
    assert_problem(send(client, b"x", "application/pdf"), 415, "unsupported-media-type")
    assert_problem(send(client, b"x", **{"content-encoding": "gzip"}), 415, "unsupported-media-type")
    assert_problem(send(client, b""), 400, "bad-request")
    assert not list(folder(Settings(home=tmp_path)).iterdir())


def test_uploads_have_a_limit_of_their_own(client_of: Callable[..., TestClient], tmp_path: Path) -> None:
    client = client_of(tmp_path, max_body_bytes=1000, max_upload_bytes=2000)
    assert send(client, b"x" * 2000).status_code == 202
    assert "max_upload_bytes" in assert_problem(send(client, b"x" * 2001), 413, "body-too-large")["detail"]

    def chunks() -> Iterator[bytes]:
        yield from [b"x" * 1000] * 3

    assert_problem(client.post("/v1/sales", content=chunks(), headers={"content-type": CSV}), 413, "body-too-large")
    assert_problem(client.post("/v1/forecasts", content=b"x" * 1001), 413, "body-too-large")
    assert len(list(folder(Settings(home=tmp_path)).iterdir())) == 1


def test_killed_between_handing_over_and_noting_it_it_is_stored_once(
    client: TestClient, tmp_path: Path, worker: Worker
) -> None:
    tries: list[str] = []

    class Interrupted(Upload):
        def part(self, work: Any, number: int) -> None:
            super().part(work, number)
            tries.append("part")
            if tries.count("part") == 1:
                raise OSError("killed")

        def finish(self, work: Any) -> Any:
            made = super().finish(work)
            tries.append("finish")
            if tries.count("finish") == 1:
                raise OSError("killed")
            return made

    worker(tmp_path, {**HANDLERS, "upload": Interrupted()})
    answer = outcome(client, send(client, encoded(SALES, CSV))).json()
    assert tries == ["part", "part", "finish", "finish"]
    assert (answer["result"]["inserted"], answer["result"]["unchanged"]) == (12, 0)


def test_under_one_key_it_is_taken_once(client: TestClient, tmp_path: Path) -> None:
    answers = [send(client, encoded(SALES, CSV), **{"idempotency-key": "k"}) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert len(list(folder(Settings(home=tmp_path)).iterdir())) == 1


def test_files_that_no_job_reads_are_dropped(client: TestClient, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    kept = send(client, encoded(SALES, CSV)).json()["job"]
    waiting = {file.name for file in folder(settings).iterdir()}
    left = module.new_file(settings)
    left.write_bytes(b"left by a killed process")
    for file in folder(settings).iterdir():
        old = time.time() - module.ABANDONED_SECONDS - 1
        os.utime(file, (old, old))
    module.tidy(settings, engine_of(settings))
    assert {file.name for file in folder(settings).iterdir()} == waiting
    assert client.delete(f"/v1/jobs/{kept}").status_code == 204
    module.tidy(settings, engine_of(settings))
    assert not list(folder(settings).iterdir())


def test_a_store_that_has_categories_decides_their_rhythm(client: TestClient, tmp_path: Path, worker: Worker) -> None:
    fill(tmp_path, last_week())
    worker(tmp_path)
    rows = b"category,date,quantity\nBoots,2026-01-01,5\nBoots,2026-02-01,5\nBoots,2026-03-01,5\n"
    problem = outcome(client, send(client, rows)).json()
    assert problem["type"].endswith("import-refused")
    assert "Boots" in problem["detail"]


def test_of_two_uploads_the_one_that_was_accepted_later_counts(client: TestClient, tmp_path: Path) -> None:
    """The first is large and is read longer; both are begun at once."""
    large = pd.concat([SALES.assign(category=f"Other {i}") for i in range(400)] + [SALES], ignore_index=True)
    first = send(client, encoded(large, CSV))
    second = send(client, encoded(SALES.assign(quantity=SALES["quantity"] + 1), CSV))
    with working(Settings(home=tmp_path)):
        assert [outcome(client, one).status_code for one in (first, second)] == [200, 200]
    stored = open_snapshot(tmp_path).sales("Scarves")
    assert list(stored["quantity"]) == list(SALES["quantity"] + 1)


def test_a_signal_that_serves_other_categories_is_not_written_by_who_may_not_see_them(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    fill(tmp_path, last_week())
    _, all_of_them = create(settings, "all", SCOPES)
    _, some = create(settings, "some", SCOPES, ["Boots"])
    with TestClient(create_app(settings)) as client, working(settings):
        shared = SIGNAL.assign(category=CATEGORIES[1])
        sent = send(client, encoded(shared, CSV), address="/v1/signals", **{"X-API-Key": all_of_them})
        assert sent.status_code == 202
        stored = asked(client, sent, all_of_them)
        assert stored.status_code == 200, stored.text
        mine = send(client, encoded(SIGNAL.assign(category="Boots"), CSV), address="/v1/signals", **{"X-API-Key": some})
        refused = asked(client, mine, some)
        assert "it serves other categories" in refused.json()["detail"]
        own = SIGNAL.assign(category="Boots", signal="footfall")
        good = send(client, encoded(own, CSV), address="/v1/signals", **{"X-API-Key": some})
        assert asked(client, good, some).status_code == 200


def test_a_refusal_names_no_category_that_a_key_may_not_see(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    fill(tmp_path, last_week())
    _, some = create(settings, "some", SCOPES, ["Boots"])
    with TestClient(create_app(settings)) as client, working(settings):
        near = SIGNAL.assign(category=CATEGORIES[1][:-1])
        told = asked(client, send(client, encoded(near, CSV), address="/v1/signals", **{"X-API-Key": some}), some)
        monthly = SALES.assign(category=CATEGORIES[1])
        other = asked(client, send(client, encoded(monthly, CSV), "text/csv", "/v1/sales?frequency=D",
                                   **{"X-API-Key": some}), some)  # fmt: skip
    assert (told.status_code, told.json()["status"]) == (422, 422)
    assert CATEGORIES[1] not in told.json()["detail"]
    assert "W-SUN" not in other.json()["detail"]


def test_a_file_of_too_many_rows_is_refused_before_it_is_read(
    client: TestClient, tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 11)
    worker(tmp_path)
    answer = outcome(client, send(client, encoded(SALES, PARQUET), PARQUET))
    assert answer.status_code == 422
    assert "12 rows" in answer.json()["detail"]
    assert "at most 11" in answer.json()["detail"]


def asked(client: TestClient, response: Any, key: str) -> Any:
    """What became of an upload, asked for with a key."""
    address = response.headers["location"]
    wait_for(lambda: client.get(address, headers={"X-API-Key": key}).status_code != 202)
    return client.get(address, headers={"X-API-Key": key})
