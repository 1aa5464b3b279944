"""Direct regression, and engines in sales units: what they learn, and that their terms add up."""

import numpy as np
import pandas as pd
import pytest
from series_makers import weekly_sales

from forecast import forecast
from forecast.engines.additive import Additive, DirectAdditive, logarithmic
from forecast.engines.base import Problem
from forecast.engines.direct import Direct
from forecast.engines.fast import Fast
from forecast.transform import Transform, choose


def _problem(
    y: np.ndarray, horizon: int, seasons: tuple[float, ...] = (), transform: Transform | None = None
) -> Problem:
    chosen = transform or choose(y)
    ds = np.datetime64("2020-01-05") + 7 * np.arange(y.size + horizon)
    return Problem(ds, chosen.forward(y), np.ones(y.size, dtype=bool), seasons, (), horizon, "W-SUN", None, chosen)


def test_what_returns_to_its_mean_is_forecast_to_return() -> None:
    rng = np.random.default_rng(0)
    y = np.exp(0.3 * rng.normal(size=300))
    y[-1] = 3.0
    problem = _problem(y, 4)
    assert (np.abs(Direct().predict(problem).median - problem.z.mean()) < 0.25).all()


def test_what_wanders_is_forecast_to_stay() -> None:
    z = np.cumsum(0.1 * np.random.default_rng(1).normal(size=300))
    problem = _problem(np.exp(z), 8)
    assert (np.abs(Direct().predict(problem).median - problem.z[-1]) < 0.2).all()


def test_a_season_of_weeks_is_learnt_a_year_ahead() -> None:
    t = np.arange(260 + 52)
    rng = np.random.default_rng(2)
    y = 100 * np.exp(0.5 * np.sin(2 * np.pi * t / 52.1775) + 0.03 * rng.normal(size=t.size))
    problem = _problem(y[:260], 52, (52.1775,))
    actual = problem.transform.forward(y[260:])
    path = Direct().predict(problem)
    assert np.abs(path.median - actual).mean() < 0.06
    assert np.ptp(path.terms["season"]) > 0.3


@pytest.mark.parametrize("n", [12, 30, 60, 110])
def test_a_horizon_as_long_as_the_history_has_a_forecast(n: int) -> None:
    y = weekly_sales(n)["y"].to_numpy()
    path = Direct().predict(_problem(y, 120, (52.1775,)))
    assert np.isfinite(path.median).all()


def test_a_season_of_so_many_pieces_stays_that_large_while_the_level_doubles() -> None:
    t = np.arange(72 + 12)
    wave = 20 * np.sin(2 * np.pi * t / 12)
    y = 60 + 2.0 * t + wave
    problem = _problem(y[:72], 12, (12.0,))
    inside = np.exp(Additive().predict(problem).median) * problem.transform.unit
    multiplied = np.exp(Fast().predict(problem).median) * problem.transform.unit
    assert np.abs(inside - y[72:]).mean() < 0.5 * np.abs(multiplied - y[72:]).mean()


def test_terms_in_units_add_up_to_the_logarithm_also_at_the_floor() -> None:
    terms = {
        "level": np.array([2.0, 2.0, 2.0, 0.01]),
        "trend": np.array([0.5, 0.0, -1.0, 0.0]),
        "season": np.array([-0.2, 0.0, -3.0, 0.5]),
    }
    found = logarithmic(terms, 0.05)
    np.testing.assert_allclose(np.sum(list(found.values()), axis=0), np.log([2.3, 2.0, 0.05, 0.51]))
    assert found["level"].tolist() == np.log([2.0, 2.0, 2.0, 0.05]).tolist()


@pytest.mark.parametrize(("kind", "other"), [(Additive, Fast), (DirectAdditive, Direct)])
def test_where_sales_can_be_negative_the_scales_are_one(kind: type[Additive], other: type[Fast]) -> None:
    y = np.random.default_rng(3).normal(size=90)
    problem = _problem(y, 5)
    np.testing.assert_array_equal(kind().predict(problem).median, other().predict(problem).median)


@pytest.mark.parametrize("name", ["additive", "direct", "direct_additive"])
def test_sales_that_vanish_are_no_obstacle(name: str) -> None:
    y = np.r_[weekly_sales(80)["y"].to_numpy(), np.zeros(8)]
    result = forecast(pd.Series(y, index=pd.date_range("2024-01-07", periods=88, freq="W-SUN")), 6, engine=name)
    assert (result.median >= 0).all()
    np.testing.assert_allclose(result.contributions().drop(columns="ds").sum(axis=1), result.mean, atol=1e-9)
