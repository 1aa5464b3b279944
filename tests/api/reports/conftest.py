"""Report items made from real forecasts of small made-up series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from api.reports.items import ReportItem
from forecast import Forecast, Quality, SignalReport, forecast

SEASON = {"W-SUN": 52, "MS": 12, "QS": 4, "D": 7}


@dataclass(frozen=True)
class Record:
    category: str
    unit: str | None
    frequency: str


@cache
def result(frequency: str = "W-SUN", periods: int = 180, horizon: int = 4) -> Forecast:
    """The forecast of a growing seasonal series around 1,000."""
    t = np.arange(periods)
    noise = np.random.default_rng(5).normal(0, 20, periods)
    y = 1000 + t + 200 * np.sin(2 * np.pi * t / SEASON[frequency]) + noise
    history = pd.DataFrame({"ds": pd.date_range("2022-01-02", periods=periods, freq=frequency), "y": y})
    return forecast(history, horizon, frequency=frequency)


@pytest.fixture
def make_item() -> Callable[..., ReportItem]:
    """Builds an item; what a keyword names in the forecast is replaced."""

    def make(
        category: str = "Boots",
        unit: str | None = "pairs",
        frequency: str = "W-SUN",
        periods: int = 180,
        horizon: int = 4,
        names: dict[str, str] | None = None,
        moment: datetime | None = None,
        **changes: Any,
    ) -> ReportItem:
        changed = replace(result(frequency, periods, horizon), category=category, unit=unit, **changes)
        return ReportItem(Record(category, unit, frequency), changed, changed.history, names or {}, moment)

    return make


class Backtested:
    """Stands in for a backtest whose quality is known."""

    def __init__(self, **measures: Any) -> None:
        usual = {"origins": 12, "wape": 0.08, "mase": 0.7, "bias_pct": -0.4, "vs_seasonal_naive_pct": -20.0}
        self.quality = Quality(**{**usual, "coverage": {"80": 0.81, "95": 0.95}, **measures})


@pytest.fixture
def scored() -> Callable[..., Backtested]:
    """Builds a backtest with the measures that are named."""
    return Backtested


@pytest.fixture
def signal() -> Callable[..., SignalReport]:
    """Builds a signal report: admitted where the gain is positive."""

    def make(name: str, gain: float | None, **changes: Any) -> SignalReport:
        interval = None if gain is None else (gain - 6, gain + 6)
        admitted = gain is not None and gain > 0
        return replace(SignalReport(name, admitted, gain, interval, 3, 5, "2026-11-22", 0.2, "because"), **changes)

    return make
