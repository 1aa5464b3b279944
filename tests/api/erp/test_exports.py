"""Exports into files: which periods, which fields, what is refused."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from pathlib import Path

import pytest

from api.erp.exports.buckets import Bucket, coming
from api.forecasting import Forecaster
from api.ledger import Ledger
from api.models import ForecastRequest
from api.settings import Settings
from api.snapshots import Snapshots
from tests.api.erp.homes import categories, done, filled, run
from tests.api.stores import last_week

D365 = f"""
[exports.d365]
company = "usmf"
model = "CurrentF"
site = "1"
warehouse = "11"
{categories("d365")}
"""
BC = f"""
[exports.business-central]
forecast = "2026"
location = "EAST"
{categories("business-central")}
"""
PLANNING = f"""
[exports.demand-planning]
decimals = 1
dimensions = {{ Product = "item", Location = "site" }}
{categories("demand-planning")}
site = "WH-EAST"
"""


def test_d365_rows_have_the_fields_of_the_entity(tmp_path: Path) -> None:
    home = filled(tmp_path, D365)
    answer = json.loads(done(home, "export", "d365", "--horizon", 4, "--json"))
    next_monday = (last_week() + dt.timedelta(weeks=2)).date()
    mondays = [next_monday + dt.timedelta(weeks=number) for number in range(3)]
    assert [row["ForecastStartDate"] for row in answer[:3]] == [f"{day}T12:00:00Z" for day in mondays]
    assert [row["ItemNumber"] for row in answer] == ["D0001"] * 3 + ["D0002"] * 3
    assert {name: value for name, value in answer[0].items() if name != "ForecastedQuantity"} == {
        "dataAreaId": "usmf", "ForecastModelId": "CurrentF", "ItemNumber": "D0001", "DeliveringSiteId": "1",
        "DeliveringWarehouseId": "11", "ForecastStartDate": f"{mondays[0]}T12:00:00Z", "QuantityUnitSymbol": "ea",
    }  # fmt: skip
    assert all(60 < row["ForecastedQuantity"] < 140 for row in answer)


def test_the_newest_forecast_of_the_ledger_is_exported(tmp_path: Path) -> None:
    home = filled(tmp_path, D365)
    first = done(home, "export", "d365", "--horizon", 3)
    assert first == done(home, "export", "d365")
    longer = done(home, "export", "d365", "--horizon", 6, "--category", "Boots")
    assert len(longer.splitlines()) == 1 + 5
    assert len(done(home, "export", "d365").splitlines()) == 1 + 5 + 2


def test_a_receipt_names_the_forecast(tmp_path: Path) -> None:
    home = filled(tmp_path, D365)
    done(home, "export", "d365", "--horizon", 3)
    issued = Ledger(Settings(home=home)).last("Boots")
    assert issued is not None
    done(home, "export", "d365", "--horizon", 8)
    assert len(done(home, "export", "d365", "--receipt", issued.receipt).splitlines()) == 1 + 2
    refused = run(home, "export", "d365", "--receipt", "fc_nothing")
    assert refused.exit_code == 1
    assert "fc_nothing" in refused.stderr


def test_redate_keeps_the_running_period_under_the_date_of_tomorrow() -> None:
    monday = dt.date(2026, 11, 23)
    days = [monday + dt.timedelta(weeks=number) for number in range(-1, 2)]
    week = dt.timedelta(weeks=1)
    buckets = [Bucket("Boots", "fc_1", day, day + week, day, 5.0, {}) for day in days]
    tuesday, sunday = dt.date(2026, 11, 24), dt.date(2026, 11, 29)
    assert [one.date for one in coming(buckets, tuesday, redate=False)] == [days[2]]
    assert [one.date for one in coming(buckets, tuesday, redate=True)] == [dt.date(2026, 11, 25), days[2]]
    assert [one.date for one in coming(buckets, sunday, redate=True)] == [days[2]]
    assert [one.date for one in coming(buckets, monday, redate=False)] == [days[2]]  # one that begins today is over


def test_business_central_rows_have_the_fields_of_the_page(tmp_path: Path) -> None:
    home = filled(tmp_path, BC)
    text = done(home, "export", "business-central", "--horizon", 2, "--out", home / "out.csv")
    assert text == f"2 rows in {home / 'out.csv'}\n"
    rows = list(csv.DictReader(io.StringIO((home / "out.csv").read_text(encoding="utf-8"))))
    day = (last_week() + dt.timedelta(weeks=2)).date()
    assert [row["Item_No"] for row in rows] == ["D0001", "D0002"]
    assert {name: value for name, value in rows[0].items() if name != "Forecast_Quantity"} == {
        "Production_Forecast_Name": "2026", "Item_No": "D0001", "Forecast_Date": f"{day}",
        "Unit_of_Measure_Code": "ea", "Location_Code": "EAST",
    }  # fmt: skip


def test_demand_planning_takes_time_value_and_dimensions(tmp_path: Path) -> None:
    home = filled(tmp_path, PLANNING)
    rows = list(csv.DictReader(io.StringIO(done(home, "export", "demand-planning", "--horizon", 2))))
    assert list(rows[0]) == ["Time", "Value", "Product", "Location"]
    assert [(row["Product"], row["Location"]) for row in rows] == [("D0001", "Boots"), ("D0002", "WH-EAST")]
    assert all(len(row["Value"].partition(".")[2]) == 1 for row in rows)
    refused = run(home, "export", "demand-planning", "--push")
    assert refused.exit_code == 2


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ('[exports.d365]\ncompany = "usmf"', "model is 'missing'"),
        ('[exports.d365]\ncompany = "usmf"\nmodel = "F"', "unit is 'missing'"),
        ("[exports.d365]\ncolour = 1", "colour"),
        ('[exports.d365]\nclient_secret = "s3cret"', "GROUNDSWELL_D365_CLIENT_SECRET"),
        ('[exports.d365.categories."Sandals"]\nitem = "1"', "'Sandals'"),
        ("exports = 3", "exports"),
    ],
)
def test_a_mistake_in_the_settings_is_named(tmp_path: Path, toml: str, named: str) -> None:
    home = filled(tmp_path, toml)
    refused = run(home, "export", "d365", "--horizon", 4)
    assert refused.exit_code == 2
    assert named in refused.stderr
    assert "s3cret" not in refused.stderr


def test_two_categories_of_one_item_are_refused(tmp_path: Path) -> None:
    # In the store both categories have the item 1000.
    home = filled(tmp_path, '[exports.d365]\ncompany = "usmf"\nmodel = "F"\nunit = "item"')
    refused = run(home, "export", "d365", "--horizon", 4)
    assert refused.exit_code == 2
    assert "'Boots' and 'Hats/Caps & more'" in refused.stderr


def test_what_was_never_forecast_is_said(tmp_path: Path) -> None:
    home = filled(tmp_path, D365)
    refused = run(home, "export", "d365")
    assert refused.exit_code == 1
    assert "Boots has no issued forecast" in refused.stderr


def test_a_forecast_of_an_inline_history_takes_no_category_s_place(tmp_path: Path) -> None:
    home = filled(tmp_path, D365)
    settings = Settings(home=home)
    history = {"start": "2026-09-06", "frequency": "W-SUN", "values": [12, 15, 11, 14, 16]}
    body = ForecastRequest.model_validate({"category": "Boots", "history": history, "horizon": 30})
    done(home, "export", "d365", "--horizon", 4)
    issued = Forecaster(settings, Snapshots(home)).make(body)
    Ledger(settings).append(issued)
    result = run(home, "export", "d365", "--json")
    rows = json.loads(result.stdout)
    assert {row["ItemNumber"] for row in rows} == {"D0001", "D0002"}
    assert {len([row for row in rows if row["ItemNumber"] == item]) for item in ("D0001", "D0002")} == {
        3
    }  # one has begun
    receipt = json.loads(run(home, "export", "d365", "--json", "--receipt", issued.receipt).stdout)
    assert len(receipt) > 4  # that one was asked for by its receipt


def test_a_horizon_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    home = filled(tmp_path, "max_horizon = 10\n" + D365)
    refused = run(home, "export", "d365", "--horizon", 11)
    assert refused.exit_code == 2
    assert "max_horizon" in refused.stderr
