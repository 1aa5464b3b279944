"""The same tests for every engine: what `forecast()` relies on."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecast import HistoryError, forecast
from forecast.engines import Engine, Problem, engine, names
from forecast.regressors import Regressor

ENGINES = [*(name for name in names() if name != "auto"), "sktime:sktime.forecasting.naive.NaiveForecaster"]


def _problem(n: int, horizon: int = 5) -> Problem:
    rng = np.random.default_rng(n)
    z = np.sin(np.arange(n) / 8) + 0.1 * rng.normal(size=n)
    regressors = (Regressor("x", np.r_[rng.normal(size=n + 1), np.full(horizon - 1, np.nan)], n, False),)
    ds = np.datetime64("2020-01-05") + 7 * np.arange(n + horizon)
    return Problem(ds, z, np.ones(n, dtype=bool), (52.1775,), regressors, horizon)


HEAVY = ("prophet", "sarimax", "unobserved_components", "boosting", "detailed")
SLOW = [pytest.param(name, marks=pytest.mark.heavy) if name in HEAVY else name for name in ENGINES]


@pytest.fixture(params=SLOW)
def subject(request: pytest.FixtureRequest) -> Engine:
    return engine(request.param)[0]


@pytest.mark.parametrize("n", [2, 10, 60, 200])
def test_terms_are_finite_and_as_long_as_the_horizon(subject: Engine, n: int) -> None:
    path = subject.predict(_problem(max(n, subject.min_periods)))
    assert "level" in path.terms
    assert all(term.shape == (5,) and np.isfinite(term).all() for term in path.terms.values())


def test_no_past_origin_sees_what_came_after_it(subject: Engine) -> None:
    problem = _problem(160)
    rng = np.random.default_rng(1)
    z, (signal,) = problem.z.copy(), problem.regressors
    x = signal.x.copy()
    z[141:], x[142:161] = rng.normal(size=19), rng.normal(size=19)
    other = replace(problem, z=z, regressors=(replace(signal, x=x),))
    one, two = (subject.roll(p, subject.backtest_origins, every_step=True) for p in (problem, other))
    seen = one.origins <= 140
    assert seen.any()
    np.testing.assert_allclose(one.median[:, seen], two.median[:, seen], rtol=1e-9, atol=1e-12)


def test_every_step_or_some_of_them_at_rising_origins(subject: Engine) -> None:
    count = min(30, subject.backtest_origins)
    rolled = subject.roll(_problem(160), count, every_step=True)
    assert rolled.steps.tolist() == [1, 2, 3, 4, 5]
    assert (np.diff(rolled.origins) > 0).all()
    assert rolled.origins[-1] <= 159
    assert 0 < rolled.reported <= rolled.origins.size
    assert rolled.median.shape == (5, rolled.origins.size)
    some = subject.roll(_problem(160), count, every_step=False).steps
    assert set(some.tolist()) <= {1, 2, 3, 4, 5}


def test_it_is_deterministic_and_leaves_its_input_alone(subject: Engine) -> None:
    problem = _problem(120)
    before = problem.z.copy()
    first, second = subject.predict(problem).median, subject.predict(problem).median
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(problem.z, before)


def test_engines_that_use_signals_report_on_each(subject: Engine) -> None:
    evidence = subject.predict(_problem(120)).evidence
    assert [e.signal for e in evidence] == (["x"] if subject.uses_signals else [])


def test_every_engine_says_what_it_is(subject: Engine) -> None:
    assert subject.name in ENGINES
    assert len(subject.summary) > 20
    assert subject.backtest_origins >= 1


def test_a_constant_history_stays_constant(subject: Engine) -> None:
    problem = replace(_problem(120), z=np.full(120, 3.0), regressors=())
    np.testing.assert_allclose(subject.predict(problem).median, 3.0, atol=1e-3)


def test_too_short_a_history_is_refused_by_name(subject: Engine) -> None:
    if subject.min_periods > 2:
        with pytest.raises(HistoryError, match=f"at least {subject.min_periods} for the engine {subject.name}"):
            forecast(
                pd.Series([1.0, 2.0], index=pd.date_range("2026-01-04", periods=2, freq="W-SUN")),
                2,
                engine=subject.name,
            )


def test_a_season_is_seen(subject: Engine) -> None:
    if not subject.follows_season:
        return
    ds = pd.date_range("2020-01-01", periods=60, freq="MS")
    season = 100 + 30 * np.sin(2 * np.pi * np.arange(60) / 12)
    y = season + np.random.default_rng(1).normal(size=60)  # without any noise Prophet's optimiser takes a minute
    result = forecast(pd.DataFrame({"ds": ds, "y": y}), 12, engine=subject.name)
    np.testing.assert_allclose(result.median, season[:12], rtol=0.12)
    assert result.engine.name == subject.name
