"""The custom step of Demand planning: its file in, its file out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.api.erp.homes import run

HEAD = (
    "DateGranularity,PeriodStartDate,PeriodEndDate,PredictionTimeWindow,MeasureColumn,TimeColumn\n"
    "M,2024-03-26,2025-03-25,12,_Value,_Time\n\n"
)
PRODUCTS = {"TelevisionLEDM34-82-Silver": 1000.0, "Cable, 2 m": 50.0}


def lines(months: int = 60) -> str:
    days = pd.date_range("2020-03-01", periods=months, freq="MS")
    season = 1 + 0.3 * np.sin(np.arange(months) * 2 * np.pi / 12)
    rows = [
        f'{day:%Y-%m-%d},{level * factor:.0f},"{product}",Store 1'
        for product, level in PRODUCTS.items()
        for day, factor in zip(days, season, strict=True)
    ]
    return "\n".join(["_Time,_Value,ProductVariantName,WarehouseLocationName", *rows]) + "\n"


def test_a_step_answers_with_the_columns_of_its_input(tmp_path: Path) -> None:
    file = tmp_path / "input.csv"
    file.write_text(HEAD + lines(), encoding="utf-8")
    result = run(tmp_path / "home", "export", "demand-planning", "--step", file)
    assert result.exit_code == 0, result.stderr
    with (tmp_path / "input-forecast.csv").open(encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    assert list(rows[0]) == ["_Time", "_Value", "ProductVariantName", "WarehouseLocationName"]
    assert [row["ProductVariantName"] for row in rows] == [product for product in PRODUCTS for _ in range(12)]
    assert [row["_Time"] for row in rows[:12]] == [
        f"{m:%Y-%m-%d}" for m in pd.date_range("2025-03-01", periods=12, freq="MS")
    ]
    for product, level in PRODUCTS.items():
        values = [float(row["_Value"]) for row in rows if row["ProductVariantName"] == product]
        expected = level * (1 + 0.3 * np.sin(np.arange(60, 72) * 2 * np.pi / 12))
        assert np.allclose(values, expected, rtol=0.15)


@pytest.mark.parametrize("first", ["2024-01-01", "2024-01-07"])
def test_weeks_keep_the_day_they_begin_on(tmp_path: Path, first: str) -> None:
    weeks = pd.date_range(first, periods=80, freq="7D")
    rows = "".join(f"{day:%Y-%m-%d},{50 + number % 3}\n" for number, day in enumerate(weeks))
    head = HEAD.replace("M,", "W,", 1).replace(",12,", ",2,")
    (tmp_path / "input.csv").write_text(f"{head}_Time,_Value\n{rows}", encoding="utf-8")
    result = run(
        tmp_path / "home", "export", "demand-planning", "--step", tmp_path / "input.csv", "--out", tmp_path / "o"
    )
    assert result.exit_code == 0, result.stderr
    written = (tmp_path / "o").read_text().splitlines()
    assert [line[:10] for line in written[1:]] == [f"{weeks[-1] + pd.Timedelta(weeks=n):%Y-%m-%d}" for n in (1, 2)]


def test_a_series_that_cannot_be_forecast_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "input.csv").write_text(HEAD + lines() + "2025-02-01,3,New,Store 1\n", encoding="utf-8")
    result = run(tmp_path / "home", "export", "demand-planning", "--step", tmp_path / "input.csv")
    assert result.exit_code == 0
    assert "2 series" in result.stdout or "3 series" in result.stdout


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (lines(), "empty line"),
        (HEAD.replace("M,", "Y,", 1) + lines(), "DateGranularity is 'Y'"),
        (HEAD.replace(",12,", ",x,") + lines(), "PredictionTimeWindow is 'x'"),
        (HEAD.replace("_Value", "Sold") + lines(), "no column 'Sold'"),
        (HEAD.replace(",_Time", ",") + lines(), "TimeColumn"),
        (HEAD + lines().replace("2020-03-01", "March"), "_Time"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "input.csv").write_text(text, encoding="utf-8")
    result = run(tmp_path / "home", "export", "demand-planning", "--step", tmp_path / "input.csv")
    assert result.exit_code == 1
    assert named in result.stderr
    assert not (tmp_path / "input-forecast.csv").exists()
