"""Issued forecasts become flat rows: once each, under the same ids, with the newest marked."""

from __future__ import annotations

import datetime as dt
import json
import threading
import uuid
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from api.database import ROWS_FILE, engine_at, engine_of, issued, job, reading, rows_engine_of, writing
from api.fold import PAUSE_SECONDS, TOGETHER, _pause, catch_up, fold_some, fold_until, follow_jobs
from api.fold_rows import id_of, span
from api.issued import BUSINESS_CENTRAL
from api.ledger import Issued, Ledger
from api.odata.model import SETS
from api.odata.tables import TABLES
from api.receipts import receipt_at
from api.run_chunk import release
from api.settings import Settings
from api.snapshots import Snapshots
from tests.api.odata_rows import MOMENT, REQUEST, answer_of, fold_all, issue, period_of, signal_of
from tests.api.stores import fill, last_week

WEEKS = ["2026-11-29", "2026-12-06"]


def rows(home: Path, name: str) -> list[dict[str, Any]]:
    table = TABLES[name]
    with reading(rows_engine_of(Settings(home=home))) as connection:
        return [dict(row) for row in connection.execute(sa.select(table).order_by(table.c.number)).mappings()]


def keys(home: Path) -> dict[str, list[str]]:
    return {name: [row["Id"] for row in rows(home, name)] for name in SETS}


def test_forecasts_of_a_run_are_folded_once_it_is_over(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    receipt = receipt_at(MOMENT, 1)
    answer = json.dumps(answer_of(receipt, "Boots", [period_of(WEEKS[0])])).encode()
    Ledger(settings).append(Issued(receipt, "Boots", answer, REQUEST, run="a run", held=True))
    fold_all(tmp_path)
    assert rows(tmp_path, "Forecasts") == []
    release(engine_of(settings), [receipt])
    fold_all(tmp_path)
    assert [row["Receipt"] for row in rows(tmp_path, "Forecasts")] == [receipt]


def test_every_part_of_a_forecast_becomes_rows(tmp_path: Path) -> None:
    signals = [signal_of("boots"), signal_of("rain", gain_interval_pct=None, known_to=None, members=["a", "b"])]
    periods = [period_of(week, 10 + i) for i, week in enumerate(WEEKS)]
    receipt = issue(tmp_path, 1, "Boots", periods, signals=signals, warnings=["one", "two"])
    fold_all(tmp_path)
    first, second = rows(tmp_path, "Forecasts")
    assert (first["Receipt"], first["Category"], first["PeriodNumber"], second["PeriodNumber"]) == (
        receipt,
        "Boots",
        1,
        2,
    )
    assert (first["Period"], first["ForecastStartDay"]) == (dt.date(2026, 11, 29), dt.date(2026, 11, 23))
    assert first["ForecastEndDate"] == dt.datetime(2026, 11, 30)
    assert (first["Lower80"], first["Upper95"], first["Lower50"]) == (8.0, 14.0, None)
    assert (first["ConfidenceLevel"], first["LowerBound"], first["UpperBound"]) == (80, 8.0, 12.0)
    parts = rows(tmp_path, "Contributions")
    assert [part["Driver"] for part in parts] == ["level", "google_trends/boots/US"] * 2
    for forecast in (first, second):
        made = sum(part["ContributedQuantity"] for part in parts if part["ForecastId"] == forecast["Id"])
        assert made == pytest.approx(forecast["ForecastedQuantity"])
    boots, rain = rows(tmp_path, "Signals")
    assert (boots["GainLowerPct"], boots["KnownToDay"], boots["Members"]) == (1.2, dt.date(2026, 11, 22), None)
    assert (rain["GainLowerPct"], rain["KnownTo"], rain["Members"]) == (None, None, "a; b")
    (accuracy,) = rows(tmp_path, "Accuracy")
    assert (accuracy["Coverage80"], accuracy["Coverage95"], accuracy["Warnings"]) == (0.81, None, "one\ntwo")
    (run,) = rows(tmp_path, "Runs")
    assert {row["RunId"] for row in (first, second, *parts, boots, accuracy)} == {run["Id"]}
    assert (run["Kind"], run["State"]) == ("single", "succeeded")


def test_folding_again_changes_nothing(tmp_path: Path) -> None:
    for number in range(3):
        issue(tmp_path, number, "Boots", [period_of(week) for week in WEEKS], signals=[signal_of("boots")])
    fold_all(tmp_path)
    before, ids = {name: rows(tmp_path, name) for name in SETS}, keys(tmp_path)
    assert fold_some(Settings(home=tmp_path)) == 0
    with writing(engine_of(Settings(home=tmp_path))) as connection:  # as after a restored backup
        connection.execute(issued.update().values(folded=False))
    fold_all(tmp_path)
    assert {name: rows(tmp_path, name) for name in SETS} == before
    with writing(engine_of(Settings(home=tmp_path))) as connection:
        connection.execute(issued.update().values(folded=False))
    with writing(rows_engine_of(Settings(home=tmp_path))) as connection:
        for name in SETS:
            connection.execute(TABLES[name].delete())
    fold_all(tmp_path)
    assert keys(tmp_path) == ids


def test_rows_that_were_deleted_are_made_again_from_the_ledger(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    issue(tmp_path, 1, "Boots", [period_of(week) for week in WEEKS], signals=[signal_of("boots")])
    catch_up(settings, Snapshots(tmp_path))
    ids = keys(tmp_path)
    rows_engine_of(settings).dispose()
    engine_at.cache_clear()
    for file in (tmp_path / ROWS_FILE).parent.glob(f"{ROWS_FILE.name}*"):
        file.unlink()
    catch_up(settings, Snapshots(tmp_path))
    assert keys(tmp_path) == ids
    assert all(ids[name] for name in ids if name != "Categories")


def test_only_the_newest_forecast_of_a_category_is_the_latest(tmp_path: Path) -> None:
    issue(tmp_path, 5, "Boots", [period_of(WEEKS[0])])
    newest = issue(tmp_path, 9, "Boots", [period_of(WEEKS[0])])
    other = issue(tmp_path, 1, "Hats", [period_of(WEEKS[0])])
    fold_all(tmp_path)
    issue(tmp_path, 7, "Boots", [period_of(WEEKS[0])])  # came late: a job that was accepted earlier
    issue(tmp_path, 8, None, [period_of(WEEKS[0])])
    fold_all(tmp_path)
    assert {row["Receipt"] for row in rows(tmp_path, "Forecasts") if row["IsLatest"]} == {newest, other}


def test_a_history_that_came_along_is_never_the_latest_of_a_category(tmp_path: Path) -> None:
    mine = issue(tmp_path, 1, "Boots", [period_of(WEEKS[0])])
    receipt = receipt_at(MOMENT + dt.timedelta(minutes=2), 2)
    answer = json.dumps(answer_of(receipt, "Boots", [period_of(WEEKS[0])])).encode()
    ledger = Ledger(Settings(home=tmp_path))
    ledger.append(Issued(receipt, "Boots", answer, b'{"data_version": null, "as_of": null}', issued=MOMENT))
    sent = receipt_at(MOMENT + dt.timedelta(minutes=3), 3)
    answer = json.dumps(answer_of(sent, "Boots", [period_of(WEEKS[0])])).encode()
    ledger.append(Issued(sent, "Boots", answer, REQUEST, face=BUSINESS_CENTRAL, issued=MOMENT))
    fold_all(tmp_path)
    assert {row["Receipt"]: row["IsLatest"] for row in rows(tmp_path, "Forecasts")} == {
        mine: True, receipt: False, sent: False,
    }  # fmt: skip


def test_what_is_no_longer_the_latest_was_modified(tmp_path: Path) -> None:
    issue(tmp_path, 1, "Boots", [period_of(WEEKS[0])])
    fold_all(tmp_path)
    (old,) = rows(tmp_path, "Forecasts")
    issue(tmp_path, 2, "Boots", [period_of(WEEKS[0])])
    fold_all(tmp_path)
    again, new = rows(tmp_path, "Forecasts")
    assert again["ModifiedAt"] > old["ModifiedAt"]
    assert new["ModifiedAt"] > old["ModifiedAt"]


def test_an_answer_that_is_no_forecast_does_not_hold_up_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Ledger(Settings(home=tmp_path)).append(Issued("fc_0", "Boots", b'{"Results": {}}', b"{}", issued=MOMENT))
    receipt = issue(tmp_path, 1, "Boots", [period_of(WEEKS[0])])
    fold_all(tmp_path)
    assert [row["Receipt"] for row in rows(tmp_path, "Forecasts")] == [receipt]
    assert "fc_0 cannot be shown by OData" in caplog.text


def test_the_run_of_a_job_follows_the_job(tmp_path: Path) -> None:
    number, engine = "9f8c2f0e-3d1b-4a43-8c0e-2f6f0e5f7c11", engine_of(Settings(home=tmp_path))
    with writing(engine) as connection:
        values = {"job": number, "kind": "bulk", "accepted": MOMENT, "state": "running", "total": 2, "done": 1}
        connection.execute(job.insert().values(**values, request=b""))
    for i in range(2):
        issue(tmp_path, i, f"Category {i}", [period_of(WEEKS[0])], run=number)
    fold_all(tmp_path)
    (run,) = rows(tmp_path, "Runs")
    assert (run["Id"], run["Kind"], run["State"], run["Done"]) == (number, "bulk", "running", 1)
    assert {row["RunId"] for row in rows(tmp_path, "Forecasts")} == {number}
    with writing(engine) as connection:
        connection.execute(job.update().values(state="succeeded", done=2, finished=MOMENT))
    follow_jobs(Settings(home=tmp_path))
    (over,) = rows(tmp_path, "Runs")
    assert (over["State"], over["Done"], over["FinishedAt"]) == ("succeeded", 2, MOMENT)
    assert over["ModifiedAt"] > run["ModifiedAt"]


def test_categories_follow_the_store(tmp_path: Path) -> None:
    settings, snapshots = Settings(home=tmp_path), Snapshots(tmp_path)
    catch_up(settings, snapshots)
    assert rows(tmp_path, "Categories") == []
    fill(tmp_path, last_week() - pd.Timedelta(weeks=3))
    catch_up(settings, snapshots)
    boots, hats = sorted(rows(tmp_path, "Categories"), key=lambda row: str(row["Category"]))
    assert (boots["Category"], boots["ItemNumber"], boots["Periods"]) == ("Boots", "1000", 130)
    assert boots["EndDay"] == (last_week() - pd.Timedelta(weeks=2)).date()
    fill(tmp_path, last_week())
    catch_up(settings, snapshots)
    after = sorted(rows(tmp_path, "Categories"), key=lambda row: str(row["Category"]))
    assert [row["Id"] for row in after] == [boots["Id"], hats["Id"]]
    assert after[0]["EndDay"] == (last_week() + pd.Timedelta(weeks=1)).date()
    issue(tmp_path, 1, "Boots", [period_of(WEEKS[0])])
    fold_all(tmp_path)
    assert rows(tmp_path, "Forecasts")[0]["ItemNumber"] == "1000"


def test_a_large_backlog_is_left_to_the_process_that_folds(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    for number in range(TOGETHER + 1):
        issue(tmp_path, number, "Boots", [period_of(WEEKS[0])])
    catch_up(settings, Snapshots(tmp_path))
    assert rows(tmp_path, "Forecasts") == []
    stop = threading.Event()
    thread = threading.Thread(target=fold_until, args=(settings, stop))
    thread.start()
    deadline = threading.Event()
    for _ in range(200):
        if len(rows(tmp_path, "Forecasts")) == TOGETHER + 1:
            break
        deadline.wait(0.05)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    receipts = [row["Receipt"] for row in rows(tmp_path, "Forecasts")]
    assert len(receipts) == TOGETHER + 1
    assert receipts == sorted(receipts)  # oldest first


def test_keys_are_uuids_in_the_order_of_the_receipts(tmp_path: Path) -> None:
    receipts = [issue(tmp_path, number, "Boots", [period_of(week) for week in WEEKS]) for number in range(50)]
    fold_all(tmp_path)
    found = [uuid.UUID(row["Id"]) for row in rows(tmp_path, "Forecasts")]
    assert {(one.version, one.variant) for one in found} == {(8, uuid.RFC_4122)}
    assert len(set(found)) == 2 * len(receipts)
    assert found[::2] == sorted(found[::2])
    assert id_of("fc_0", "x") == id_of("fc_0", "x") != id_of("fc_0", "y")
    assert uuid.UUID(id_of("another form")).version == 8


@pytest.mark.parametrize(
    ("label", "frequency", "expected"),
    [
        ("2026-11-29", "W-SUN", ("2026-11-23", "2026-11-30")),
        ("2026-11-28", "D", ("2026-11-28", "2026-11-29")),
        ("2026-12-01", "MS", ("2026-12-01", "2027-01-01")),
        ("2026-10-01", "QS", ("2026-10-01", "2027-01-01")),
    ],
)
def test_the_days_of_a_period(label: str, frequency: str, expected: tuple[str, str]) -> None:
    assert tuple(day.isoformat() for day in span(label, frequency)) == expected


def test_a_level_that_is_no_whole_number_is_left_aside(tmp_path: Path) -> None:
    intervals = {"80": [8.0, 12.0], "82.5": [7.0, 13.0], "4.94066e-324": [10.0, 10.0]}
    issue(tmp_path, 1, "Boots", [period_of(WEEKS[0], 10, intervals=intervals)])
    fold_all(tmp_path)
    (row,) = rows(tmp_path, "Forecasts")
    assert (row["ConfidenceLevel"], row["LowerBound"], row["UpperBound"], row["Lower95"]) == (80, 8.0, 12.0, None)


def test_it_gives_way_where_others_have_the_cores() -> None:
    assert _pause(TOGETHER - 1, 9.0, 1.0) == PAUSE_SECONDS
    assert _pause(TOGETHER, 1.5, 1.0) == 0
    assert _pause(TOGETHER, 3.0, 1.0) == 4 * 3.0
