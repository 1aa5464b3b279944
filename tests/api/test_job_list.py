"""Jobs as a person sees them: listed, accounted for, tried again; and those of workers that never come back."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

import api.reaper
from api.asked import Asked
from api.audit import newest
from api.cli import cli
from api.database import engine_of, job, now, reading, writing
from api.forecasting import Forecaster
from api.inbox import Inbox
from api.job_list import listed, totals
from api.jobs import Jobs
from api.ledger import Ledger
from api.making import made_for
from api.reaper import Reaper, executor_alive
from api.settings import Settings
from api.snapshots import Snapshots
from tests.api.test_forecasts import HISTORY, assert_problem
from tests.api.workers import wait_for, working

GOOD = {"history": HISTORY, "horizon": 2}
BAD = {"history": {**HISTORY, "values": [1.0]}, "horizon": 2}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, shutdown_seconds=5)


def accept(client: TestClient, body: Any) -> str:
    response = client.post("/v1/forecasts", json=body, headers={"Prefer": "respond-async"})
    assert response.status_code == 202
    return str(response.json()["job"])


def done(settings: Settings) -> bool:
    return totals(settings)["pending"] == 0


def test_all_that_was_accepted_is_accounted_for(settings: Settings, client_of: Callable[..., TestClient]) -> None:
    with client_of(settings.home) as client:
        good, bad, cancelled = accept(client, GOOD), accept(client, BAD), accept(client, GOOD)
        assert client.get("/v1/jobs/totals").json() == {"accepted": 3, "answered": 0, "pending": 3, "dead": 0}
        assert client.delete(f"/v1/jobs/{cancelled}").status_code == 204
        with working(settings):
            wait_for(lambda: done(settings))
        assert client.get("/v1/jobs/totals").json() == {"accepted": 3, "answered": 3, "pending": 0, "dead": 0}
        items = client.get("/v1/jobs").json()["items"]
        assert {item["job"]: item["state"] for item in items} == {
            good: "succeeded", bad: "failed", cancelled: "cancelled",
        }  # fmt: skip
        (failed,) = client.get("/v1/jobs?state=failed").json()["items"]
        assert failed["error"]["type"].endswith("cannot-forecast")
        page = client.get("/v1/jobs?limit=1").json()
        assert (page["total"], len(page["items"])) == (3, 1)
        assert "offset=1" in page["next"]


def test_what_is_dead_is_seen_and_tried_again(
    settings: Settings, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Forecaster.make

    def breaks(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("nobody foresaw it")

    monkeypatch.setattr(Forecaster, "make", breaks)
    with client_of(settings.home) as client, working(settings):
        number = accept(client, GOOD)
        wait_for(lambda: totals(settings)["dead"] == 1)
        answer = client.get(f"/v1/jobs/{number}")
        assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
        assert "ZeroDivisionError" in answer.json()["detail"]
        monkeypatch.setattr(Forecaster, "make", real)
        assert client.post(f"/v1/jobs/{number}/retry").status_code == 202
        wait_for(lambda: done(settings))
        assert client.get(f"/v1/jobs/{number}").json()["forecast"]
        assert_problem(client.post(f"/v1/jobs/{number}/retry"), 409, "job-not-failed")
    assert totals(settings) == {"accepted": 1, "answered": 1, "pending": 0, "dead": 0}


def test_one_that_breaks_leaves_the_others_of_its_chunk_alone(
    settings: Settings, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Forecaster.make

    def breaks_for_three(self: Forecaster, body: Any, **options: Any) -> Any:
        if body.horizon == 3:
            raise ZeroDivisionError("nobody foresaw it")
        return real(self, body, **options)

    monkeypatch.setattr(Forecaster, "make", breaks_for_three)
    with client_of(settings.home) as client:
        for horizon in (1, 2, 3, 4):
            accept(client, {**GOOD, "horizon": horizon})
        with working(settings):
            wait_for(lambda: done(settings))
    assert totals(settings) == {"accepted": 4, "answered": 3, "pending": 0, "dead": 1}


def test_many_are_accepted_in_one_transaction(settings: Settings) -> None:
    inbox, jobs = Inbox(settings, Jobs(settings)), Jobs(settings)
    body = json.dumps(GOOD).encode()
    made = [inbox.accept_soon(body) for _ in range(100)]
    for _, kept in made:
        kept.result(20)
    assert totals(settings)["accepted"] == 100
    assert len(jobs.workflows("ENQUEUED", 1000)) < 30, "not a workflow each"
    same = [inbox.accept_soon(body, name="key") for _ in range(3)]
    for _, kept in same:
        kept.result(20)
    assert len({one.job for one, _ in same}) == 1
    assert totals(settings)["accepted"] == 101
    with working(settings):
        wait_for(lambda: done(settings))
    assert totals(settings) == {"accepted": 101, "answered": 101, "pending": 0, "dead": 0}


def test_the_command_lists_retries_and_cancels(settings: Settings, client_of: Callable[..., TestClient]) -> None:
    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["--home", str(settings.home), "jobs", *arguments])

    with client_of(settings.home) as client:
        bad, waiting = accept(client, BAD), accept(client, GOOD)
    assert run("cancel", waiting).exit_code == 0
    assert run("cancel", waiting).exit_code == 1
    assert [(row["action"], row["subject"]) for row in newest(settings, 9)] == [("job cancelled", waiting)]
    with working(settings):
        wait_for(lambda: done(settings))
    text = run("list").output
    assert bad in text
    assert "cancelled" in text
    assert "got 1 known period" in json.loads(run("list", "--state", "failed", "--json").output)[0]["reason"]
    assert json.loads(run("totals", "--json").output) == {"accepted": 2, "answered": 2, "pending": 0, "dead": 0}
    assert run("retry", bad).output.endswith(": 1\n")
    assert (newest(settings, 1)[0]["action"], newest(settings, 1)[0]["subject"]) == ("job retried", bad)
    assert run("retry", "no-such-job").exit_code == 1
    assert run("retry").exit_code == 2
    assert run("retry", "--dead").output.endswith(": 0\n")


def reaper_of(settings: Settings, name: str, running: Collection[str] = ()) -> Reaper:
    jobs = Jobs(settings)
    asked = Asked(settings, jobs, Ledger(settings), partial(made_for, Forecaster(settings, Snapshots(settings.home))))
    return Reaper(settings, jobs, asked, name, running)


def unfinished(settings: Settings) -> int:
    """How many workflows are not over, as DBOS has it."""
    with reading(engine_of(settings)) as connection:
        count = "SELECT count(*) FROM workflow_status WHERE status IN ('PENDING', 'ENQUEUED')"
        return int(connection.exec_driver_sql(count).scalar_one())


def test_the_work_of_a_worker_that_never_comes_back_is_taken_over(
    settings: Settings, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, held, go = Forecaster.make, threading.Event(), threading.Event()

    def stuck(self: Forecaster, *args: Any, **options: Any) -> Any:
        held.set()
        assert go.wait(180)
        return real(self, *args, **options)

    monkeypatch.setattr(Forecaster, "make", stuck)
    with client_of(settings.home) as client:
        number = accept(client, GOOD)
        with working(settings):
            assert held.wait(180)
            reaper = reaper_of(settings, "jobs-2")
            reaper.beat()
            assert reaper.take_over() == 0, "the first still gives signs of life"
            with writing(engine_of(settings)) as connection:
                long_ago = now() - dt.timedelta(days=1)
                connection.execute(
                    executor_alive.update().where(executor_alive.c.name == "jobs-1").values(alive=long_ago)
                )
            assert reaper.take_over() == 0, "by a clock that was set back, but it has changed"
            monkeypatch.setattr(api.reaper, "GONE_SECONDS", 0.0)
            assert reaper.take_over() == 1, "it did not change again"
            go.set()
            # The second execution must end too: the first waits for its outcome in a thread that would never end.
            wait_for(lambda: done(settings) and not unfinished(settings))
        assert client.get(f"/v1/jobs/{number}").status_code == 200
    assert totals(settings) == {"accepted": 1, "answered": 1, "pending": 0, "dead": 0}


def test_what_kills_every_worker_is_dead_at_last(settings: Settings, client_of: Callable[..., TestClient]) -> None:
    from sqlalchemy import text

    with client_of(settings.home) as client:
        number = accept(client, GOOD)
        other = Jobs(settings).accept("count", b"")
        with writing(engine_of(settings)) as connection:
            connection.execute(text("UPDATE workflow_status SET status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'"))
        reaper_of(settings, "jobs-1").end_hopeless()
        answer = client.get(f"/v1/jobs/{number}")
        assert (answer.status_code, answer.json()["type"][-8:]) == (500, "given-up")
    found = Jobs(settings).status(other)
    assert found is not None
    assert found.state == "dead"
    assert totals(settings) == {"accepted": 2, "answered": 0, "pending": 0, "dead": 2}


def test_jobs_are_listed_newest_first(settings: Settings) -> None:
    numbers = []
    for _ in range(3):
        numbers.append(Jobs(settings).accept("count", b""))
        time.sleep(0.01)
    found, total = listed(settings, state=None, kind="count", key_id=None, limit=2, offset=0)
    assert ([one.job for one in found], total) == (numbers[:0:-1], 3)
    with writing(engine_of(settings)) as connection:
        connection.execute(job.update().values(key_id="mine"))
    assert listed(settings, state=None, kind=None, key_id="other", limit=2, offset=0)[1] == 0
