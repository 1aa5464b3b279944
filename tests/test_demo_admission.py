"""The truth of the simulated retailer is known: admission must find what is there and refuse what is not."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forecast import Forecast, forecast

DEMO = Path(__file__).parent.parent / "data" / "demo"
TRUTH: dict[str, Any] = json.loads((DEMO / "truth.json").read_text(encoding="utf-8"))
CATEGORIES = list(TRUTH["categories"])
ORIGINS = ("2026-11-23 06:00", "2026-05-25 06:00", "2025-11-24 06:00")
LAST = ORIGINS[0]
STRONG = [(c, s) for c, offered in TRUTH["categories"].items() for s, known in offered.items() if known.get("strong")]
HORIZON = 8


@cache
def demo_csv(name: str) -> pd.DataFrame:
    frame = pd.read_csv(DEMO / name)
    return frame.assign(known_at=pd.to_datetime(frame["known_at"]).dt.tz_localize(None))


@cache
def forecast_at(category: str, origin: str) -> Forecast:
    sales, signals = demo_csv("sales.csv"), demo_csv("signals.csv")
    history = sales[sales["category"] == category].rename(columns={"week": "ds", "units": "y"})
    offered = signals[signals["category"].isin(["*", category])].rename(columns={"date": "ds"})
    return forecast(
        history[["ds", "y", "known_at"]],
        HORIZON,
        signals=offered[["signal", "ds", "value", "known_at", "future_known", "aggregation"]],
        frequency="W-SUN",
        as_of=pd.Timestamp(origin),
        category=category,
    )


def admitted(category: str, origin: str) -> set[str]:
    return {report.signal for report in forecast_at(category, origin).signals if report.admitted}


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("category", CATEGORIES)
def test_every_offered_signal_is_reported_and_the_placebo_is_refused(category: str, origin: str) -> None:
    assert {report.signal for report in forecast_at(category, origin).signals} == set(TRUTH["categories"][category])
    assert TRUTH["placebo"] not in admitted(category, origin)


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("category", TRUTH["no_help"])
def test_no_signal_is_admitted_where_none_helps(category: str, origin: str) -> None:
    assert admitted(category, origin) == set()


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize(("category", "signal"), STRONG)
def test_each_strong_driver_is_admitted(category: str, signal: str, origin: str) -> None:
    report = next(report for report in forecast_at(category, origin).signals if report.signal == signal)
    assert report.admitted, f"gain {report.gain_pct} {report.gain_interval_pct}: {report.reason}"
    assert report.gain_pct is not None
    assert report.gain_pct > 0


@pytest.mark.parametrize(("category", "signal"), STRONG)
def test_the_lag_of_an_early_signal_is_found(category: str, signal: str) -> None:
    report = next(report for report in forecast_at(category, LAST).signals if report.signal == signal)
    assert report.lag == TRUTH["categories"][category][signal]["lag_weeks"]


@pytest.mark.parametrize("category", CATEGORIES)
def test_seasonal_naive_is_beaten(category: str) -> None:
    change = forecast_at(category, LAST).quality.vs_seasonal_naive_pct
    assert change is not None
    assert change < -10
