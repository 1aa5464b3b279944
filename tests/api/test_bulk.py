"""POST /v1/forecasts/bulk: every item answered or refused in its place, at once or by a job, however often killed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import bulk as module
from api.bulk import Bulk
from api.database import engine_of, idempotency, writing
from api.issued import page_of_category
from api.models import BulkAnswer
from api.settings import Settings
from tests.api.stores import fill, last_week
from tests.api.test_answers import finished
from tests.api.test_forecasts import HISTORY, assert_problem

NDJSON = "application/x-ndjson"
GOOD = {"category": "Boots", "horizon": 2}
INLINE = {"history": HISTORY, "horizon": 1, "category": "mine"}
ITEMS = [
    GOOD,
    {"category": "Boot", "horizon": 2},
    INLINE,
    {"category": "Boots", "horizon": "2"},
    {**INLINE, "history": {**HISTORY, "values": [1.0]}},
    {"category": "Boots", "horizon": 401},
    [],
]
STATUSES = [200, 404, 200, 422, 422, 422, 422]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    fill(tmp_path, last_week())
    return tmp_path


@pytest.fixture
def client(own: Path, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    with client_of(own, max_bulk=10) as client:
        yield client


def post(client: TestClient, items: Any = ITEMS, **headers: str) -> Any:
    return client.post("/v1/forecasts/bulk", json=items, headers=headers)


def check(items: list[dict[str, Any]], client: TestClient) -> None:
    """Each item has its answer in its place."""
    assert [item["number"] for item in items] == list(range(len(ITEMS)))
    assert [item["status"] for item in items] == STATUSES
    for item in items:
        assert ("forecast" in item) == (item["status"] == 200)
        if item["status"] == 200:
            assert client.get(f"/v1/forecasts/{item['forecast']['receipt']}").json() == item["forecast"]
        else:
            assert item["problem"]["status"] == item["status"]
            assert item["problem"]["detail"]
    assert items[1]["problem"]["near"] == ["Boots"]
    assert items[3]["problem"]["errors"][0]["field"] == "horizon"
    assert "max_horizon" in items[5]["problem"]["detail"]
    assert items[2]["forecast"]["category"] == "mine"


def test_each_item_is_answered_in_its_place(client: TestClient) -> None:
    response = post(client)
    assert response.status_code == 200, response.text
    BulkAnswer.model_validate_json(response.content)
    check(response.json()["items"], client)


def test_lines_in_and_lines_out(client: TestClient) -> None:
    text = "\n".join([*map(json.dumps, ITEMS[:-1]), "", "{", ""])
    response = client.post(
        "/v1/forecasts/bulk", content=text, headers={"content-type": f"{NDJSON}; charset=utf-8", "accept": NDJSON}
    )
    assert response.headers["content-type"] == NDJSON
    items = [json.loads(line) for line in response.text.splitlines()]
    assert items[-1]["status"] == 400
    check([*items[:-1], {**items[-1], "status": 422, "problem": {**items[-1]["problem"], "status": 422}}], client)


@pytest.mark.parametrize(("body", "status"), [([], 422), ({}, 422), ("x", 422), ([GOOD] * 11, 422)])
def test_a_body_that_is_no_list_of_the_right_length_is_refused(body: Any, status: int, client: TestClient) -> None:
    response = post(client, body)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


def test_who_has_too_many_for_now_is_told_to_let_them_be_done_later(client: TestClient) -> None:
    assert "Prefer: respond-async" in assert_problem(post(client, [GOOD] * 11), 422, "too-many-items")["detail"]
    assert post(client, [GOOD] * 11, prefer="respond-async").status_code == 202


def test_what_is_no_json_is_refused(client: TestClient) -> None:
    for text, status, code in [("[{", 400, "bad-request"), ("[" * 99, 400, "bad-request")]:
        answer = client.post("/v1/forecasts/bulk", content=text, headers={"content-type": "application/json"})
        assert_problem(answer, status, code)
    assert_problem(client.post("/v1/forecasts/bulk", content="x"), 415, "unsupported-media-type")
    assert_problem(post(client, accept="text/csv"), 406, "not-acceptable")


@pytest.mark.parametrize("form", ["application/json", NDJSON])
def test_a_job_answers_the_same(
    form: str, client: TestClient, own: Path, worker: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    response = post(client, prefer="respond-async", accept=form)
    assert response.status_code == 202
    assert response.headers["preference-applied"] == "respond-async"
    worker(own)
    answer = finished(client, response.headers["location"])
    assert answer.headers["content-type"] == form
    lines = answer.text.splitlines()
    check(answer.json()["items"] if form != NDJSON else [json.loads(line) for line in lines], client)


def test_a_chunk_that_is_done_again_after_a_kill_is_not_made_twice(
    client: TestClient, own: Path, worker: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 4)
    tries: list[int] = []

    class Interrupted(Bulk):
        def part(self, work: Any, number: int) -> None:
            tries.append(number)
            super().part(work, number)
            if tries.count(number) == 1:
                raise OSError("killed after the work, before it was noted")

    location = post(client, prefer="respond-async").headers["location"]
    worker(own, {"bulk": Interrupted()})
    check(finished(client, location).json()["items"], client)
    assert tries == [0, 0, 1, 1]
    assert len(page_of_category(Settings(home=own), "Boots", 1000).items) == 1


def test_under_one_key_it_is_done_once_even_after_a_kill(client: TestClient, own: Path) -> None:
    headers = {"Idempotency-Key": "k"}
    first, replayed = post(client, **headers), post(client, **headers)
    assert first.content == replayed.content
    with writing(engine_of(Settings(home=own))) as connection:
        connection.execute(idempotency.update().values(status=None, alive=None))
    assert post(client, **headers).json() == first.json()
    later = [post(client, prefer="respond-async", **{"Idempotency-Key": "j"}) for _ in range(2)]
    assert later[0].headers["location"] == later[1].headers["location"]
