"""`Idempotency-Key`: sent twice, done once; whatever happens in between."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from api import idempotency as module
from api.database import engine_of, idempotency, job, now, reading, writing
from api.idempotency import Kept, claim, settle
from api.issued import page_of_category
from api.settings import Settings
from tests.api.stores import fill, last_week
from tests.api.test_answers import BODY
from tests.api.test_forecasts import HISTORY, assert_problem


@pytest.fixture
def own(tmp_path: Path) -> Path:
    fill(tmp_path, last_week())
    return tmp_path


@pytest.fixture
def client(own: Path, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    with client_of(own) as client:
        yield client


@pytest.fixture
def engine(own: Path) -> sa.Engine:
    return engine_of(Settings(home=own))


def post(client: TestClient, key: str, body: Any = BODY, **headers: str) -> Any:
    return client.post("/v1/forecasts", json=body, headers={"Idempotency-Key": key, **headers})


def issued(own: Path) -> int:
    return len(page_of_category(Settings(home=own), "Boots", 1000).items)


def test_the_same_request_again_gets_the_same_answer(client: TestClient, own: Path) -> None:
    first, second = post(client, '"k-1"'), post(client, "k-1")
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert "idempotency-replayed" not in first.headers
    assert second.headers.pop("idempotency-replayed") == "true"
    ids = [answer.headers.pop("x-request-id") for answer in (first, second)]
    assert ids[0] != ids[1]
    assert first.headers == second.headers
    assert issued(own) == 1


def test_the_layout_of_json_makes_no_other_request(client: TestClient) -> None:
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    texts = ['{"category": "Boots", "horizon": 2}', '{"horizon":2,\n"category":"Boots"}']
    answers = [client.post("/v1/forecasts", content=text, headers=headers) for text in texts]
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize(
    ("body", "headers"),
    [({**BODY, "horizon": 3}, {}), (BODY, {"Accept": "text/csv"}), (BODY, {"Prefer": "respond-async"})],
)
def test_a_key_is_for_one_request(body: Any, headers: dict[str, str], client: TestClient) -> None:
    assert post(client, "k").status_code == 200
    assert_problem(post(client, "k", body, **headers), 422, "idempotency-key-reused")


def test_refusals_are_kept_too(client: TestClient) -> None:
    first, second = (post(client, "k", {**BODY, "category": "Boot"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (404, 404)
    assert first.content == second.content
    assert second.headers["content-type"] == "application/problem+json"
    assert second.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("key", ["", '""', "a b", '"open', "x" * 256, "ä"])
def test_what_is_no_key_is_refused(key: str, client: TestClient) -> None:
    response = client.post("/v1/forecasts", json=BODY, headers=[(b"Idempotency-Key", key.encode())])
    assert_problem(response, 400, "invalid-idempotency-key")


def test_two_keys_are_refused(client: TestClient) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert_problem(client.post("/v1/forecasts", json=BODY, headers=headers), 400, "invalid-idempotency-key")


def test_while_the_first_runs_a_second_is_told_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    forecaster = type(client.app.state.forecaster)  # type: ignore[attr-defined]
    real, running, go = forecaster.make, threading.Event(), threading.Event()

    def slow(*args: Any, **options: Any) -> Any:
        running.set()
        assert go.wait(180)
        return real(*args, **options)

    monkeypatch.setattr(forecaster, "make", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, client, "k")
        assert running.wait(180)
        second = post(client, "k")
        assert_problem(second, 409, "request-running")
        assert second.headers["retry-after"] == "1"
        go.set()
        assert first.result().status_code == 200
    assert post(client, "k").content == first.result().content


def test_an_error_of_ours_is_not_kept(client: TestClient, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forecaster = type(client.app.state.forecaster)  # type: ignore[attr-defined]

    def failing(*args: Any, **options: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(forecaster, "make", failing)
        assert_problem(post(client, "k"), 500, "internal-error")
    answer = post(client, "k")
    assert answer.status_code == 200
    assert "idempotency-replayed" not in answer.headers
    assert issued(own) == 1


def test_a_forecast_that_was_made_before_a_kill_is_the_answer_after_it(
    client: TestClient, own: Path, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = post(client, "k")
    with writing(engine) as connection:  # as if it had been killed between making and answering, a minute ago
        dead = {"status": None, "headers": None, "body": None, "alive": now() - dt.timedelta(minutes=1)}
        connection.execute(idempotency.update().values(**dead))
    again = post(client, "k")
    assert "idempotency-replayed" not in again.headers
    assert again.content == first.content
    assert issued(own) == 1


def test_a_job_that_was_accepted_before_a_kill_is_accepted_once(client: TestClient, engine: sa.Engine) -> None:
    first = post(client, "k", Prefer="respond-async")
    with writing(engine) as connection:
        connection.execute(idempotency.update().values(status=None, alive=None))
    again = post(client, "k", Prefer="respond-async")
    assert first.headers["location"] == again.headers["location"]
    with reading(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(job)) == 1


def test_a_forecast_that_became_a_job_before_a_kill_stays_that_job(client: TestClient, engine: sa.Engine) -> None:
    turns = client.app.state.turns  # type: ignore[attr-defined]
    turns._backlog = 100.0  # as if many were before it
    first = post(client, "k")
    turns._backlog = 0.0
    assert first.status_code == 202
    with writing(engine) as connection:
        connection.execute(idempotency.update().values(status=None, alive=None))
    again = post(client, "k")
    assert (again.status_code, again.headers["location"]) == (202, first.headers["location"])
    with reading(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(job)) == 1


def test_a_run_is_accepted_once(client: TestClient, engine: sa.Engine) -> None:
    def started() -> str:
        answer = client.post("/v1/runs", json={"horizon": 2}, headers={"Idempotency-Key": "r"})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    first = started()
    with writing(engine) as connection:
        connection.execute(idempotency.update().values(status=None, alive=None))
    assert started() == first


def test_a_killed_request_holds_its_key_no_longer_than_its_lease(engine: sa.Engine) -> None:
    held = claim(engine, "me", "k", "f")
    assert not isinstance(held, Kept)
    with writing(engine) as connection:
        connection.execute(idempotency.update().values(alive=now() - module.LEASE))
    later = claim(engine, "me", "k", "f")
    assert not isinstance(later, Kept)
    assert (later.again, later.name, later.receipt_of(0)) == (True, held.name, held.receipt_of(0))
    settle(engine, held, Kept(200, [], b"of the one that was thought dead"))
    settle(engine, later, Kept(201, [], b"of the one that holds it"))
    assert claim(engine, "me", "k", "f") == Kept(201, [], b"of the one that holds it")


def test_a_request_that_runs_gives_signs_of_life(
    client: TestClient, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEASE", dt.timedelta(seconds=0.3))
    forecaster = type(client.app.state.forecaster)  # type: ignore[attr-defined]
    real, go = forecaster.make, threading.Event()

    def slow(*args: Any, **options: Any) -> Any:
        assert go.wait(180)
        return real(*args, **options)

    monkeypatch.setattr(forecaster, "make", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, client, "k")
        assert not go.wait(1)  # three leases long
        with reading(engine) as connection:
            row = connection.execute(sa.select(idempotency)).mappings().one()
        assert row["alive"] > row["created"] + dt.timedelta(seconds=0.5)
        go.set()
        assert first.result().status_code == 200


def test_keys_are_kept_a_day(client: TestClient, engine: sa.Engine) -> None:
    first = post(client, "k")
    with writing(engine) as connection:
        connection.execute(idempotency.update().values(created=now() - module.KEPT - dt.timedelta(seconds=1)))
    again = post(client, "k")
    assert again.json()["receipt"] != first.json()["receipt"]


def test_each_caller_has_keys_of_its_own(engine: sa.Engine) -> None:
    mine, theirs = claim(engine, "me", "k", "f"), claim(engine, "they", "k", "g")
    assert not isinstance(mine, Kept)
    assert not isinstance(theirs, Kept)
    assert mine.receipt_of(0) != theirs.receipt_of(0)


@pytest.mark.parametrize("size", [module.CHUNK - 1, module.CHUNK, module.SPOOLED + 1])
def test_a_body_of_any_size_arrives_whole(size: int, client: TestClient) -> None:
    text = '{"category": "Boots", "horizon": 2}'
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    for _ in range(2):
        answer = client.post("/v1/forecasts", content=text + " " * (size - len(text)), headers=headers)
        assert answer.status_code == 200, answer.text
    assert answer.headers["idempotency-replayed"] == "true"


def test_a_body_above_the_limit_is_refused(own: Path, client_of: Callable[..., TestClient]) -> None:
    client = client_of(own, max_body_bytes=1000)
    assert_problem(post(client, "k", {"history": HISTORY, "horizon": 2}), 413, "body-too-large")
