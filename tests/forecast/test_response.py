"""How sales go with a signal that is known ahead: the coefficients of a scenario."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from series_makers import autocorrelated, weekly_sales

from forecast.engines.base import Problem
from forecast.engines.fast import Fit
from forecast.regressors import Regressor
from forecast.response import Response, response
from forecast.transform import FloatArray

N, HORIZON = 260, 8


def fitted(z: FloatArray) -> Fit:
    ds = (np.datetime64("2021-01-03") + 7 * np.arange(z.size + HORIZON)).astype("datetime64[D]")
    return Fit(Problem(ds, z, np.ones(z.size, dtype=bool), (52.1775,), (), HORIZON, "W-SUN"))


def answered(effect: FloatArray, x: FloatArray, *, planned: bool = False, seed: int = 8) -> Response:
    z = np.log(weekly_sales(N, seed=seed, effect=effect[:N])["y"].to_numpy())
    return response(fitted(z), Regressor("x", x, x.size - 1, future_known=True), planned=planned)


def deviations(found: Response) -> FloatArray:
    return np.asarray(np.sqrt(np.diag(found.root @ found.root.T)))


@pytest.mark.parametrize("lag", [0, 3])
def test_the_effect_of_a_unit_is_found_at_its_lag(lag: int) -> None:
    x = autocorrelated(N + HORIZON, seed=7)
    found = answered(0.06 * np.r_[np.zeros(lag), x[: x.size - lag]], x)
    unit = np.abs(x).mean()  # signals are in units of their mean size
    assert found.told
    assert found.lags == (lag,)
    assert found.coefficient[0] == pytest.approx(0.06 * unit, rel=0.15)
    assert abs(found.coefficient[0] - 0.06 * unit) < 3 * deviations(found)[0]


def test_a_planned_signal_moves_the_periods_around_it() -> None:
    plan = (np.random.default_rng(2).uniform(size=N + HORIZON) < 0.15).astype(float)
    effect = 0.4 * plan - 0.1 * np.r_[plan[1:], 0] - 0.2 * np.r_[0, plan[:-1]]
    found = answered(effect, plan, planned=True)
    assert found.lags == (-1, 0, 1)
    np.testing.assert_allclose(found.coefficient / plan.mean(), [-0.1, 0.4, -0.2], atol=0.06)


def test_a_shock_that_goes_with_the_signal_counts_and_another_does_not() -> None:
    x = autocorrelated(N + HORIZON, seed=7)
    with_it, alone = x.copy(), np.zeros(x.size)
    with_it[200:204] -= 15
    alone[150] = -1.5
    shaken = answered(0.06 * with_it + alone, with_it)
    assert shaken.coefficient[0] == pytest.approx(0.06 * np.abs(with_it).mean(), rel=0.12)


def test_noise_is_drawn_to_nothing_and_its_doubt_is_kept() -> None:
    found = [answered(np.zeros(N), autocorrelated(N + HORIZON, seed=100 + s), seed=s) for s in range(20)]
    assert sum(f.coefficient[0] == 0 for f in found) >= 8
    assert all(deviations(f)[0] > 0 for f in found)
    assert sum(abs(f.coefficient[0]) > 2 * deviations(f)[0] for f in found) <= 3


@pytest.mark.parametrize("x", [np.ones(N + HORIZON), np.r_[np.full(N, np.nan), np.ones(HORIZON)]])
def test_a_signal_that_says_nothing_has_no_effect(x: FloatArray) -> None:
    known = Regressor("x", x, x.size - 1, future_known=True)
    found = response(fitted(np.log(weekly_sales(N)["y"].to_numpy())), known, planned=True)
    assert not found.told
    assert not found.coefficient.any()


def test_moves_are_seen_at_each_lag_and_end_at_the_horizon() -> None:
    found = replace(answered(np.zeros(N), np.ones(N + HORIZON)), lags=(-1, 0, 2, 9))
    np.testing.assert_array_equal(found.moves(np.array([1.0, 2.0, 3.0])), [[2, 3, 0], [1, 2, 3], [0, 0, 1], [0, 0, 0]])
