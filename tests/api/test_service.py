"""The joint of store and forecaster: labels, gaps, vintages, what is assumed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from api.service import AsOf, backtest_category, forecast_category, history_frame, read_inputs, signals_frame
from forecast import ForecastError
from signals.store import Batch, UnknownCategory, open_snapshot, submit
from tests.api.stores import described, fill, last_week, sales


def regular(category: str, starts: pd.DatetimeIndex, ends: pd.DatetimeIndex) -> pd.DataFrame:
    """Sales of 1, 2, 3 … that became known with the end of each period."""
    return pd.DataFrame(
        {
            "category": category,
            "start": starts.astype("datetime64[us]"),
            "end": ends.astype("datetime64[us]"),
            "quantity": range(1, len(starts) + 1),
            "known_at": pd.Series([pd.NaT] * len(starts), dtype="datetime64[us]"),
            "source": "test",
        }
    ).astype({"quantity": float})


def store_monthly(home: Path) -> None:
    starts = pd.date_range("2024-01-01", periods=24, freq="MS")
    ends = pd.date_range("2024-02-01", periods=24, freq="MS")
    categories = pd.DataFrame([{**described("M"), "frequency": "MS"}])
    submit(home, Batch("test", sales=regular("M", starts, ends), categories=categories))


def test_labels_of_weeks_are_their_last_day(home: Path) -> None:
    frame = history_frame(open_snapshot(home), "Boots")
    assert set(frame["ds"].dt.day_name()) == {"Sunday"}
    assert list(frame.columns) == ["ds", "y", "known_at"]


def test_labels_of_months_are_their_first_day(tmp_path: Path) -> None:
    store_monthly(tmp_path)
    frame = history_frame(open_snapshot(tmp_path), "M")
    assert frame["ds"].tolist() == pd.date_range("2024-01-01", periods=24, freq="MS").tolist()


@pytest.mark.parametrize(("as_of", "gap"), [("2026-01-01", 0), ("2026-01-31", 0), ("2026-02-01", 1), ("2026-03-20", 2)])
def test_the_gap_before_the_origin_is_counted_in_whole_periods(as_of: str, gap: int, tmp_path: Path) -> None:
    store_monthly(tmp_path)
    moment = dt.datetime.fromisoformat(as_of)
    inputs = read_inputs(open_snapshot(tmp_path), "M", 3, as_of=moment, from_origin=True)
    assert inputs.horizon == 3 + gap


def test_a_gap_too_long_is_not_filled_but_told(tmp_path: Path) -> None:
    store_monthly(tmp_path)
    moment = dt.datetime(2026, 6, 10)
    inputs = read_inputs(open_snapshot(tmp_path), "M", 3, as_of=moment, from_origin=True)
    assert (inputs.horizon, inputs.as_of) == (3, moment)
    assert inputs.warnings[0].startswith("sales end before 2026-01-01, 151 days before")


def test_the_origin_is_a_day_of_the_category_s_time_zone(tmp_path: Path) -> None:
    starts = pd.date_range("2026-01-01", periods=30, freq="D")
    categories = pd.DataFrame([{**described("D"), "frequency": "D", "timezone": "Pacific/Auckland"}])
    ends = starts + pd.Timedelta(days=1)
    submit(tmp_path, Batch("test", sales=regular("D", starts, ends), categories=categories))
    snapshot = open_snapshot(tmp_path)
    noon, evening = dt.datetime(2026, 2, 1, 10, tzinfo=dt.UTC), dt.datetime(2026, 2, 1, 12, tzinfo=dt.UTC)
    horizons = [read_inputs(snapshot, "D", 1, as_of=moment, from_origin=True).horizon for moment in (noon, evening)]
    assert horizons == [2, 3]  # in Auckland 2 February begins at 11:00 UTC


def test_every_vintage_reaches_the_forecaster(tmp_path: Path) -> None:
    fill(tmp_path, last_week())
    corrected = sales("Boots", last_week()).tail(1).assign(quantity=500.0)
    submit(tmp_path, Batch("test", sales=corrected))
    frame = history_frame(open_snapshot(tmp_path), "Boots")
    assert frame["y"].tail(1).item() == 500
    assert frame["ds"].duplicated().sum() == 1
    assert history_frame(open_snapshot(tmp_path), "Boots", data_version=1)["ds"].is_unique


def test_only_candidate_signals_are_offered(home: Path) -> None:
    snapshot = open_snapshot(home)
    frame = signals_frame(snapshot, "Boots")
    assert frame is not None
    assert set(frame["signal"]) == {"weather"}
    assert not frame["future_known"].any()
    assert signals_frame(snapshot, "Hats/Caps & more") is None


def test_an_assumed_moment_of_knowledge_is_told(home: Path) -> None:
    warnings = read_inputs(open_snapshot(home), "Boots", 3).warnings
    assert warnings[-1].startswith(
        "when they became known is assumed, not observed, for 130 of 130 sales values and 1 of 1"
    )


def test_a_published_moment_needs_no_remark(tmp_path: Path) -> None:
    frame = sales("Boots", last_week())
    submit(
        tmp_path,
        Batch("test", sales=frame.assign(known_at=frame["end"]), categories=pd.DataFrame([described("Boots")])),
    )
    assert read_inputs(open_snapshot(tmp_path), "Boots", 3).warnings == ()


@pytest.mark.parametrize(
    "as_of",
    [
        "2026-03-02",
        "2026-03-02T00:00:00",
        "2026-03-02T01:00:00+01:00",
        dt.date(2026, 3, 2),
        dt.datetime(2026, 3, 2),
        dt.datetime(2026, 3, 2, tzinfo=dt.UTC),
        pd.Timestamp("2026-03-02"),
        pd.Timestamp("2026-03-02T01:00:00", tz="Europe/Berlin"),
    ],
    ids=repr,
)
def test_a_moment_may_be_written_in_many_ways(as_of: AsOf, home: Path) -> None:
    snapshot = open_snapshot(home)
    assert read_inputs(snapshot, "Boots", 3, as_of=as_of).as_of == dt.datetime(2026, 3, 2)
    assert history_frame(snapshot, "Boots", as_of=as_of)["ds"].max() == pd.Timestamp("2026-03-01")


@pytest.mark.parametrize(
    "as_of", ["March", "1700000000", "", 1_700_000_000, True, pd.NaT, "0001-01-01T00:00:00+14:00"], ids=repr
)
def test_what_is_no_moment_is_refused(as_of: Any, home: Path) -> None:
    with pytest.raises(ForecastError, match="wanted a moment such as 2026-03-01") as caught:
        forecast_category(open_snapshot(home), "Boots", 3, as_of=as_of)
    assert caught.value.field == "as_of"


def test_a_moment_that_has_not_come_is_refused_but_clocks_may_differ(home: Path) -> None:
    snapshot, now = open_snapshot(home), dt.datetime.now(dt.UTC)
    assert read_inputs(snapshot, "Boots", 3, as_of=now + dt.timedelta(minutes=2)).horizon == 3
    with pytest.raises(ForecastError, match="a moment that has come"):
        read_inputs(snapshot, "Boots", 3, as_of=now + dt.timedelta(hours=1))


def test_a_moment_before_the_first_sales_were_known_says_when_they_were(home: Path) -> None:
    first = last_week() - pd.Timedelta(weeks=3 + 129 - 1)
    with pytest.raises(ForecastError) as caught:
        forecast_category(open_snapshot(home), "Boots", 3, as_of="2019-05-01")
    known = f"its first sales became known on {first:%Y-%m-%d} 00:00 UTC"
    assert str(caught.value) == f"nothing was known of Boots by 2019-05-01 00:00 UTC; {known}"


def test_an_unknown_category_is_refused(home: Path) -> None:
    with pytest.raises(UnknownCategory) as caught:
        forecast_category(open_snapshot(home), "Boot", 3)
    assert caught.value.near == ["Boots"]


def test_a_category_is_backtested(home: Path) -> None:
    result = backtest_category(open_snapshot(home), "Boots", 4, origins=10)
    assert result.quality.origins == 10
    assert result.quality.wape is not None
    assert 0 < result.quality.wape < 0.2
