"""A database that is away, a disk that is full: what requests are told, and what jobs do."""

from __future__ import annotations

import datetime as dt
import errno
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

import api.audit
import api.idempotency
import api.ledger
from api import outages
from api.database import engine_of, idempotency, writing
from api.ingest import sign_of_life
from api.jobs import Jobs
from api.outages import outage_of, waiting_out
from api.settings import Settings
from signals import inbox
from signals.store import DiskFull, Store, hand_over
from tests.api.test_forecasts import HISTORY, assert_problem
from tests.api.test_job_list import reaper_of
from tests.signals.store_frames import batch, sales

BODY = {"history": HISTORY, "horizon": 2}
KEY = {"Idempotency-Key": "k"}


def sqlite_error(code: int) -> sa.exc.OperationalError:
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorcode = code
    return sa.exc.OperationalError("insert", {}, error)


ERRORS = {
    "full": (sqlite_error(sqlite3.SQLITE_FULL), "disk-full"),
    "no room for the index": (sqlite_error(sqlite3.SQLITE_IOERR_SHMSIZE), "disk-full"),
    "broken": (sqlite_error(sqlite3.SQLITE_IOERR_FSYNC), "disk-error"),
    "locked": (sqlite_error(sqlite3.SQLITE_BUSY), "database-unavailable"),
    "corrupt": (sqlite_error(sqlite3.SQLITE_CORRUPT), None),
    "away": (sa.exc.OperationalError("select", {}, Exception("no connection")), "database-unavailable"),
    "pool": (sa.exc.TimeoutError(), "database-unavailable"),
    "statement": (sa.exc.ProgrammingError("select", {}, Exception("no such column")), None),
    "file": (OSError(errno.ENOSPC, "No space left on device"), "disk-full"),
    "device": (OSError(errno.EIO, "Input/output error"), "disk-error"),
    "store": (DiskFull("no space"), "disk-full"),
    "missing": (FileNotFoundError(errno.ENOENT, "No such file"), None),
    "defect": (ValueError("x"), None),
}


@pytest.mark.parametrize("name", ERRORS)
def test_which_errors_are_outages(name: str) -> None:
    error, code = ERRORS[name]
    problem = outage_of(error)
    assert (problem.code if problem else None) == code


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("headers", [{}, KEY], ids=["plain", "with a key"])
def test_a_request_that_meets_an_outage_gets_503(
    tmp_path: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    with client_of(tmp_path) as client:
        monkeypatch.setattr(api.ledger, "writing", failing(sqlite_error(sqlite3.SQLITE_FULL)))
        answer = client.post("/v1/forecasts", json=BODY, headers=headers)
        assert_problem(answer, 503, "disk-full")
        assert answer.headers["Retry-After"] == "5"
        monkeypatch.undo()
        assert client.post("/v1/forecasts", json=BODY, headers=headers).status_code == 200


def test_a_key_that_cannot_be_held_is_told_as_503(
    tmp_path: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.idempotency, "claim", failing(sa.exc.OperationalError("x", {}, Exception("away"))))
    with client_of(tmp_path) as client:
        assert_problem(client.post("/v1/forecasts", json=BODY, headers=KEY), 503, "database-unavailable")


def test_an_answer_that_cannot_be_kept_under_its_key_is_given_and_comes_again(
    tmp_path: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    with client_of(tmp_path) as client:
        monkeypatch.setattr(api.idempotency, "settle", failing(sqlite_error(sqlite3.SQLITE_FULL)))
        first = client.post("/v1/forecasts", json=BODY, headers=KEY)
        assert first.status_code == 200
        monkeypatch.undo()
        monkeypatch.setattr(api.idempotency, "LEASE", dt.timedelta(0))
        assert client.post("/v1/forecasts", json=BODY, headers=KEY).json()["receipt"] == first.json()["receipt"]


def test_a_key_whose_holder_died_before_the_clock_was_set_back_is_free(
    tmp_path: Path, client_of: Callable[..., TestClient]
) -> None:
    with client_of(tmp_path) as client:
        first = client.post("/v1/forecasts", json=BODY, headers=KEY).json()
        ahead = dt.datetime.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(hours=1)
        with writing(engine_of(Settings(home=tmp_path))) as connection:
            connection.execute(idempotency.update().values(status=None, alive=ahead))
        again = client.post("/v1/forecasts", json=BODY, headers=KEY)
        assert (again.status_code, again.json()["receipt"]) == (200, first["receipt"])


def test_jobs_wait_until_an_outage_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "FIRST_PAUSE", 0.001)
    left = [OSError(errno.ENOSPC, "full"), sqlite_error(sqlite3.SQLITE_FULL)]

    def work(number: int) -> int:
        if left:
            raise left.pop()
        return number + 1

    assert waiting_out(work)(1) == 2
    with pytest.raises(ValueError, match="its own fault"):
        waiting_out(failing(ValueError("its own fault")))()


def test_a_workflow_that_its_worker_dropped_is_begun_again(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    number, running = Jobs(settings).accept("count", b""), list[str]()
    with writing(engine_of(settings)) as connection:
        connection.execute(sa.text("UPDATE workflow_status SET status = 'PENDING', executor_id = 'jobs-1'"))
    reaper = reaper_of(settings, "jobs-1", running)
    reaper.beat()
    running += [number, number]
    assert [reaper.take_over(), reaper.take_over()] == [0, 0]
    running.remove(number)
    assert [reaper.take_over(), reaper.take_over()] == [0, 0], "executed twice, it goes on once"
    running.remove(number)
    assert [reaper.take_over(), reaper.take_over(), reaper.take_over()] == [0, 1, 0]


def test_a_sign_of_life_from_the_future_is_none(tmp_path: Path) -> None:
    file = tmp_path / "ingest.heartbeat"
    file.touch()
    os.utime(file, (time.time() + 3600, time.time() + 3600))
    sign = sign_of_life(tmp_path)
    assert sign is not None
    assert sign.age > 3000


def test_a_receipt_that_finds_no_room_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = hand_over(tmp_path, batch(sales([1.0], "a")))
    with Store.open(tmp_path) as store:
        monkeypatch.setattr(inbox, "write_durably", failing(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(DiskFull, match="what was handed over waits"):
            store.drain_inbox()
        monkeypatch.undo()
        (result,) = store.drain_inbox()
    assert inbox.receipt(tmp_path, ticket) == result
    assert result.inserted == 1


def test_a_change_that_the_audit_cannot_keep_is_told_as_503(
    tmp_path: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"category": ["a"], "date": ["2026-11-22"], "quantity": [1]}
    with client_of(tmp_path) as client:
        monkeypatch.setattr(api.audit.Audit, "_keep", failing(sqlite_error(sqlite3.SQLITE_IOERR_FSYNC)))
        assert_problem(client.post("/v1/sales", json=rows), 503, "disk-error")
        monkeypatch.undo()
        assert client.post("/v1/sales", json=rows).status_code == 202
