"""What is old is removed with all that belongs to it, and nothing else is."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from fastapi.testclient import TestClient

from api.app import create_app
from api.cli import cli
from api.database import engine_of, idempotency, issued, issued_inline, job, now, reading, rows_engine_of, writing
from api.fold import catch_up
from api.jobs import Jobs
from api.ledger import Issued, Ledger
from api.odata.tables import TABLES
from api.receipts import receipt_at
from api.retention import Tidied, tidy
from api.settings import Settings
from api.snapshots import Snapshots
from api.webhooks import delivery
from tests.api.stores import CATEGORIES, fill, last_week
from tests.api.workers import wait_for, working

LONG_AGO = dt.datetime(2020, 1, 1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    fill(tmp_path, last_week())
    return Settings(home=tmp_path, shutdown_seconds=1)


def fold(settings: Settings) -> None:
    catch_up(settings, Snapshots(settings.home))


def numbers(settings: Settings, table: sa.Table) -> int:
    engine = rows_engine_of(settings) if table in TABLES.values() else engine_of(settings)
    with reading(engine) as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def age(settings: Settings, table: sa.Table, **values: Any) -> None:
    with writing(engine_of(settings)) as connection:
        connection.execute(table.update().values(**values))


def forecast(settings: Settings, category: str) -> str:
    client = TestClient(create_app(settings))
    answer = client.post(
        "/v1/forecasts", json={"category": category, "horizon": 2}, headers={"Idempotency-Key": category[:4]}
    )
    return str(answer.json()["receipt"])


def rows_of_receipts(settings: Settings) -> dict[str, int]:
    return {name: numbers(settings, TABLES[name]) for name in ("Forecasts", "Contributions", "Accuracy", "Runs")}


def test_forecasts_are_kept_for_ever_unless_it_is_said_otherwise(settings: Settings) -> None:
    forecast(settings, CATEGORIES[0])
    fold(settings)
    age(settings, issued, issued=LONG_AGO)
    assert tidy(settings).forecasts == 0
    assert numbers(settings, issued) == 1


def test_a_younger_forecast_of_the_same_category_keeps_its_rows(settings: Settings) -> None:
    forecast(settings, CATEGORIES[0])
    fold(settings)
    age(settings, issued, issued=LONG_AGO)
    younger = forecast(settings, CATEGORIES[1])
    fold(settings)
    assert tidy(Settings(**{**settings.model_dump(), "keep_receipts_days": 30})).forecasts == 1
    with reading(engine_of(settings)) as connection:
        assert list(connection.scalars(sa.select(issued.c.receipt))) == [younger]
    with reading(rows_engine_of(settings)) as connection:
        assert set(connection.scalars(sa.select(TABLES["Forecasts"].c.Receipt))) == {younger}


def test_a_history_that_came_along_goes_before_its_forecast(settings: Settings) -> None:
    """The receipt tells when it was given: no look at the forecast, which may be kept for ever, is needed."""
    ledger, moment = Ledger(settings), now()
    receipts = [receipt_at(moment - dt.timedelta(days=days), 0) for days in (31, 29)]
    ledger.append(*(Issued(one, None, b"{}", b"{}", inline=b'{"history": 1}') for one in receipts))
    for_ever = Settings(**{**settings.model_dump(), "keep_inline_days": 0})
    assert tidy(for_ever).inline_histories == 0
    assert tidy(settings).inline_histories == 1
    assert [ledger.inline_of(one) for one in receipts] == [None, b'{"history": 1}']
    assert ledger.resolve(receipts[0]) is not None


def test_a_history_that_came_along_goes_with_its_forecast(settings: Settings) -> None:
    Ledger(settings).append(Issued(receipt_at(now(), 0), None, b"{}", b"{}", inline=b"{}"))
    age(settings, issued, issued=LONG_AGO, folded=True)
    keeping = Settings(**{**settings.model_dump(), "keep_receipts_days": 30, "keep_inline_days": 0})
    assert tidy(keeping).forecasts == 1
    assert numbers(settings, issued_inline) == 0


def test_what_is_not_folded_yet_stays(settings: Settings) -> None:
    forecast(settings, CATEGORIES[0])
    age(settings, issued, issued=LONG_AGO)
    keeping = Settings(**{**settings.model_dump(), "keep_receipts_days": 30})
    assert tidy(keeping).forecasts == 0
    fold(settings)
    assert sum(rows_of_receipts(settings).values()) > 4
    assert tidy(keeping).forecasts == 1
    assert rows_of_receipts(settings) == {"Forecasts": 0, "Contributions": 0, "Accuracy": 0, "Runs": 0}
    assert numbers(settings, TABLES["Categories"]) == 2


def test_a_run_goes_with_its_failures_and_workflow(settings: Settings) -> None:
    client = TestClient(create_app(settings))
    with working(settings):
        run = client.post("/v1/runs", json={"horizon": 2}).headers["location"].rsplit("/", 1)[1]
        jobs = Jobs(settings)
        wait_for(lambda: (found := jobs.status(run)) is not None and found.is_over)
    fold(settings)
    assert tidy(settings) == Tidied(0, 0, 0, 0, 0, 0, 0)
    with writing(engine_of(settings)) as connection:
        connection.execute(job.update().values(finished=LONG_AGO))
        connection.execute(sa.text("UPDATE workflow_status SET completed_at = 0"))
    place = settings.home / "state" / "runs" / run
    assert place.exists()
    assert tidy(settings) == Tidied(1, 0, 1, 0, 0, 0, 0)
    assert not place.exists()
    assert jobs.status(run) is None
    assert client.get(f"/v1/runs/{run}").status_code == 404
    assert numbers(settings, issued) == 2  # its forecasts are kept
    assert rows_of_receipts(settings)["Runs"] == 1
    age(settings, issued, issued=LONG_AGO)
    assert tidy(Settings(**{**settings.model_dump(), "keep_receipts_days": 1})).forecasts == 2
    assert rows_of_receipts(settings)["Runs"] == 0


def test_what_is_under_way_stays_however_old(settings: Settings) -> None:
    jobs = Jobs(settings)
    number = jobs.accept("slow", b"1")
    age(settings, job, accepted=LONG_AGO)
    with writing(engine_of(settings)) as connection:  # as of a worker that gave up
        connection.execute(sa.text("UPDATE workflow_status SET status = 'ERROR', completed_at = 0"))
    assert tidy(settings) == Tidied(0, 0, 0, 0, 0, 0, 0)
    assert jobs.status(number) is not None
    assert jobs.stranded([number]) == [number]


def test_keys_of_requests_and_deliveries(settings: Settings) -> None:
    forecast(settings, CATEGORIES[0])
    row = {"webhook": "wh", "event": "run.completed", "body": b"", "created": LONG_AGO, "attempts": 1}
    with writing(engine_of(settings)) as connection:
        for number, state in enumerate(("delivered", "failed", "pending")):
            connection.execute(delivery.insert().values(id=f"msg_{number}", state=state, **row))
        connection.execute(delivery.insert().values(id="msg_new", state="failed", **{**row, "created": now()}))
    assert tidy(settings).idempotency_keys == 0
    age(settings, idempotency, created=LONG_AGO)
    result = CliRunner().invoke(cli, ["--home", str(settings.home), "tidy", "--json"])
    assert json.loads(result.output)["idempotency_keys"] == 1
    assert numbers(settings, delivery) == 2
    assert "removed 0 jobs" in CliRunner().invoke(cli, ["--home", str(settings.home), "tidy"]).output


@pytest.mark.parametrize("count", [0, 1, 199, 200, 401])
def test_each_old_job_is_removed_once(settings: Settings, count: int) -> None:
    rows = [
        {"job": f"{i:036d}", "kind": "x", "accepted": LONG_AGO, "finished": LONG_AGO, "state": "failed", "request": b""}
        for i in range(count)
    ]
    with writing(engine_of(settings)) as connection:
        if rows:
            connection.execute(job.insert(), [row | {"total": 1, "done": 0} for row in rows])
    assert tidy(settings).jobs == count
    assert numbers(settings, job) == 0
