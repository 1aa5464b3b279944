"""Groundswell as a forecaster of the benchmark: `score.py --task us_retail --model bench.groundswell_model:fast`.

`fast(case)` sees the case alone: history, signals and frequency as they were known at the origin.
"""

from __future__ import annotations

from typing import Protocol

import pandas as pd

from forecast import Forecast, forecast
from forecast.engines import Engine


class Case(Protocol):
    """What the benchmark hands over."""

    history: pd.DataFrame
    signals: pd.DataFrame
    future: pd.DatetimeIndex
    frequency: str
    season_length: int


def fast(case: Case) -> pd.DataFrame:
    """The fast engine with the case's signals: ds, mean, median and the bounds, one row a period."""
    return answer(case, True).to_frame()


def fast_without_signals(case: Case) -> pd.DataFrame:
    """The same engine with no signal offered: what the signals are worth is the difference."""
    return answer(case, False).to_frame()


def detailed(case: Case) -> pd.DataFrame:
    """The detailed engine with the case's signals."""
    return answer(case, True, "detailed").to_frame()


def answer(case: Case, with_signals: bool, engine: str | Engine = "fast") -> Forecast:
    """All that an engine says of a case."""
    return forecast(
        case.history,
        len(case.future),
        signals=case.signals if with_signals else None,
        frequency=case.frequency,
        season_length=case.season_length,
        engine=engine,
    )
