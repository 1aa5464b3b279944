"""A busy service answers everybody: now, later, or not at all and says so; nothing that it acknowledged is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.job_list import totals
from api.settings import Settings
from api.turns import Turns
from tests.api.test_forecasts import HISTORY, assert_problem

BODY = {"history": HISTORY, "horizon": 2}


@pytest.fixture
def held(client_of: Callable[..., TestClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of a service with one place, whose forecasts wait until they are let go."""
    with client_of(tmp_path, max_concurrent_forecasts=1, max_wait_seconds=0.2, max_pending=3) as client:
        forecaster, go = type(client.app.state.forecaster), threading.Event()  # type: ignore[attr-defined]
        real = forecaster.make

        def slow(*args: Any, **options: Any) -> Any:
            assert go.wait(180)
            return real(*args, **options)

        monkeypatch.setattr(forecaster, "make", slow)
        with ThreadPoolExecutor(20) as pool:
            yield client, pool, go
            go.set()


def post(client: TestClient, prefer: str = "", path: str = "/v1/forecasts", body: Any = BODY) -> Any:
    return client.post(path, json=body, headers={"Prefer": prefer} if prefer else {})


def begun(client: TestClient) -> None:
    deadline = time.monotonic() + 20
    while not client.app.state.turns.wait():  # type: ignore[attr-defined]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.1)


def test_who_would_wait_too_long_gets_a_job_or_is_refused(held: Any, tmp_path: Path) -> None:
    client, pool, go = held
    first = pool.submit(post, client)
    begun(client)
    later = [pool.submit(post, client) for _ in range(2)]
    strict = assert_problem(post(client, "handling=strict"), 503, "busy")
    assert "handling=strict" in strict["detail"]
    assert {one.result().status_code for one in later} == {202}
    assert not first.done(), "who has begun is waited for, however long it takes"
    go.set()
    assert first.result().status_code == 200
    assert totals(Settings(home=tmp_path)) == {"accepted": 2, "answered": 0, "pending": 2, "dead": 0}


def test_a_refusal_says_when_to_come_again(held: Any) -> None:
    client, pool, _ = held
    pool.submit(post, client)
    begun(client)
    refused = post(client, "handling=strict, wait=1")
    assert (refused.status_code, int(refused.headers["retry-after"]) >= 1) == (503, True)


def test_what_becomes_a_job_while_it_waits_is_made_once(held: Any, tmp_path: Path, worker: Any) -> None:
    client, pool, go = held
    first = pool.submit(post, client)
    begun(client)
    later = post(client, "wait=1")
    assert later.status_code == 202
    go.set()
    assert first.result().status_code == 200
    worker(tmp_path)
    address = later.headers["location"]
    deadline = time.monotonic() + 30
    while (answer := client.get(address)).status_code == 202:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert client.get(f"/v1/forecasts/{answer.json()['receipt']}").content == answer.content
    assert totals(Settings(home=tmp_path)) == {"accepted": 1, "answered": 1, "pending": 0, "dead": 0}


def test_more_than_the_disk_should_hold_is_refused(held: Any) -> None:
    client, _, _ = held
    statuses = []
    for _ in range(5):
        statuses.append(post(client, "respond-async").status_code)
        time.sleep(1.1)  # how many wait is counted once a second
    assert statuses == [202, 202, 202, 503, 503]


def test_a_bulk_request_becomes_a_job_as_well(held: Any) -> None:
    client, pool, _ = held
    for _ in range(6):
        pool.submit(post, client, "wait=30")
    begun(client)
    client.app.state.turns._backlog = 5.0
    assert post(client, path="/v1/forecasts/bulk", body=[BODY]).status_code == 202
    refused = post(client, "handling=strict", "/v1/forecasts/bulk", [BODY])
    assert_problem(refused, 503, "busy")


def test_opposites_are_not_preferred_together(held: Any) -> None:
    client, _, _ = held
    problem = assert_problem(post(client, "respond-async, handling=strict"), 400, "bad-request")
    assert "exclude each other" in problem["detail"]


def test_turns_come_in_order_and_their_wait_is_predicted() -> None:
    async def scene() -> None:
        turns, order, go = Turns(1), [], threading.Event()

        def work(number: int) -> None:
            assert go.wait(180)
            time.sleep(0.02)
            order.append(number)

        tasks = [asyncio.create_task(turns.take("a", work, number)) for number in range(3)]
        await asyncio.sleep(0.05)
        assert turns.wait() == pytest.approx(3 * turns.work("a"))
        tasks[1].cancel()
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(tasks[0], tasks[2])
        assert order == [0, 2], "who has gone away is left out"
        assert turns.wait() == 0
        before = turns.work("a")
        await turns.take("a", time.sleep, 0.4)
        assert turns.work("a") > before
        assert turns.work("another kind") < 0.1

    asyncio.run(scene())
