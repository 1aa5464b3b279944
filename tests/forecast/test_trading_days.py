"""Months with five Saturdays: counted, learnt where they matter, and left alone where they do not."""

import numpy as np
import pandas as pd
import pytest

from forecast import forecast
from forecast.engines import Problem
from forecast.engines.fast import Fit
from forecast.frequency import between
from forecast.trading_days import effects_of, weekday_contrasts


def _months(n: int) -> np.ndarray:
    return pd.date_range("2012-01-01", periods=n, freq="MS").to_numpy().astype("datetime64[D]")


def _sales(n: int, effect: float, seed: int = 0) -> np.ndarray:
    """On the log scale: season, a slow level, noise, and Saturdays that sell more than Sundays, (n,)."""
    rng = np.random.default_rng(seed)
    season = 0.2 * np.sin(2 * np.pi * np.arange(n) / 12)
    contrasts = weekday_contrasts(_months(n))
    assert contrasts is not None
    return np.asarray(season + 0.005 * rng.normal(size=n).cumsum() + 0.01 * rng.normal(size=n) + effect * contrasts[5])


def test_weekdays_are_counted() -> None:
    contrasts = weekday_contrasts(_months(3))  # January 2012 had five Sundays, Mondays and Tuesdays
    assert contrasts is not None
    np.testing.assert_allclose(3 * contrasts[:6, 0], [0, 0, -1, -1, -1, -1])
    np.testing.assert_allclose(3 * (contrasts[6, 0] - contrasts[6, 1]), 2)  # 31 days against 29


def test_quarters_are_counted_and_other_periods_are_not() -> None:
    day = np.datetime64("2012-01-01")
    quarters = weekday_contrasts(between(day, np.datetime64("2014-01-01"), "QS"))
    assert quarters is not None
    assert quarters.shape == (7, 9)
    assert weekday_contrasts(between(day, np.datetime64("2012-03-01"), "D")) is None
    assert weekday_contrasts(between(day, np.datetime64("2012-03-04"), "W-SUN")) is None


def _error(effect: float) -> tuple[float, float]:
    """Mean absolute error of the last 80 origins with and without trading days."""
    n = 120
    ds = _months(n + 6)
    fit = Fit(Problem(ds, _sales(n, effect), np.ones(n, dtype=bool), (12.0,), (), 6))
    assert fit.calendar is not None
    late = fit.errors[:, -80:]
    return float(np.nanmean(np.abs(late))), float(np.nanmean(np.abs(late + fit.calendar.adjustment[:, -80:])))


def test_an_effect_is_learnt_and_none_costs_nothing() -> None:
    with_days, without = _error(0.12)
    assert with_days < 0.85 * without
    with_days, without = _error(0.0)
    assert with_days < 1.02 * without


def test_it_is_the_driver_calendar_and_the_sum_stays_exact() -> None:
    history = pd.DataFrame({"ds": _months(120), "y": 100 * np.exp(_sales(120, 0.12))})
    parts = forecast(history, 6).contributions().drop(columns="ds")
    assert parts["calendar"].abs().max() > 0.5
    np.testing.assert_allclose(parts.sum(axis=1), forecast(history, 6).mean, rtol=1e-12)


@pytest.mark.parametrize("n", [13, 26, 40])
def test_short_histories_have_none_or_little_of_it(n: int) -> None:
    history = pd.DataFrame({"ds": _months(n), "y": 100 * np.exp(_sales(n, 0.0))})
    parts = forecast(history, 6).contributions()
    assert "calendar" not in parts or parts["calendar"].abs().max() < 2


def test_effects_are_found_in_the_history_itself() -> None:
    ds = pd.date_range("2012-01-01", periods=132, freq="MS").to_numpy().astype("datetime64[D]")
    contrasts = weekday_contrasts(ds)
    assert contrasts is not None
    true = 0.05 * contrasts[5]
    z = 0.1 * np.sin(np.arange(120) / 12 * 2 * np.pi) + 0.01 * np.random.default_rng(0).normal(size=120) + true[:120]
    found = effects_of(ds, z, 12)
    assert found is not None
    assert np.corrcoef(found[120:], true[120:])[0, 1] > 0.9


def test_weeks_have_no_trading_days() -> None:
    ds = np.datetime64("2020-01-05") + 7 * np.arange(200)
    assert effects_of(ds, np.zeros(190), 52) is None
