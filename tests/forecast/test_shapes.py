"""Any real series gets a finite answer inside the guard."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from series_makers import weekly_sales

from forecast import engines, forecast
from forecast.engines import Engine, Path, Problem


def _check(y: np.ndarray, frequency: str = "W-SUN", horizon: int = 6) -> None:
    ds = pd.date_range("2018-01-07" if frequency == "W-SUN" else "2018-01-01", periods=len(y), freq=frequency)
    result = forecast(pd.DataFrame({"ds": ds, "y": y}), horizon)
    values = result.to_frame().drop(columns="ds").to_numpy()
    limit = 5 * np.nanmax(np.abs(y)) + 1e-9
    assert np.isfinite(values).all()
    assert (np.abs(values) <= limit * 1.001).all()
    if np.nanmin(y) >= 0:
        assert (values >= 0).all()
    parts = result.contributions().drop(columns="ds").sum(axis=1)
    np.testing.assert_allclose(parts, result.mean, rtol=1e-9, atol=1e-9 * limit)


@pytest.mark.parametrize(
    "y",
    [
        np.array([3.0, 4.0]),
        np.zeros(60),
        np.full(60, 7.0),
        np.tile([0.0, 0.0, 0.0, 5.0], 30),
        np.r_[np.full(100, 10.0), 1e6, np.full(20, 10.0)],
        np.linspace(-50, 50, 80),
        np.r_[np.full(60, 100.0), np.full(60, 1.0)],
        np.exp(np.linspace(0, 12, 130)),
        np.r_[np.ones(40), np.full(30, np.nan), np.ones(40)],
    ],
    ids=["two", "zeros", "constant", "intermittent", "outlier", "negative", "collapse", "explosion", "hole"],
)
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e12])
def test_nasty_series(y: np.ndarray, scale: float) -> None:
    _check(y * scale)


@pytest.mark.parametrize(("frequency", "n"), [("D", 500), ("MS", 60), ("QS", 24)])
def test_other_frequencies(frequency: str, n: int) -> None:
    rng = np.random.default_rng(0)
    _check(100 + 20 * np.sin(np.arange(n)) + rng.normal(size=n), frequency)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=90), st.integers(1, 30))
def test_any_numbers(values: list[float], horizon: int) -> None:
    _check(np.array(values), horizon=horizon)


def test_a_partial_last_period_is_left_out_and_said() -> None:
    history = weekly_sales(60)
    result = forecast(history, 2, as_of="2026-11-12")
    assert str(result.ds[0]) == "2026-11-15"
    assert "not over" in result.warnings[0]


def test_withdrawn_and_missing_values_are_said() -> None:
    history = weekly_sales(60)
    history.loc[[20, 21], "y"] = np.nan
    assert "2 of 60 periods have no value" in forecast(history.drop(index=30).drop(index=20), 2).warnings[0].replace(
        "3 of", "2 of"
    )


class Exploding(Engine):
    """Forecasts e^50 times the level."""

    name = "exploding"
    summary = "an engine that has lost its mind"
    uses_signals = False
    backtest_origins = 5

    def predict(self, problem: Problem) -> Path:
        return Path({"level": np.full(problem.horizon, problem.z[-1]), "trend": np.full(problem.horizon, 50.0)})


def test_an_exploding_engine_is_guarded_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engines._BUILT_IN, "exploding", Exploding)
    history = weekly_sales(60)
    result = forecast(history, 5, engine="exploding")
    assert result.mean.max() <= 5 * history["y"].max()
    assert any("guard" in w for w in result.warnings)
    assert (result.contributions()["guard"] < 0).all()


def test_a_level_shift_is_followed_within_weeks() -> None:
    history = weekly_sales(160, noise=0.03)
    history.loc[150:, "y"] *= 0.4
    before = forecast(weekly_sales(160, noise=0.03), 4)
    ratio = forecast(history, 4).median / before.median
    assert (ratio < 0.6).all()
