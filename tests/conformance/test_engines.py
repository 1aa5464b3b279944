"""The same tests for every engine: what `forecast()` relies on."""

import numpy as np
import pytest

from forecast.engines import Engine, Problem, engine, names
from forecast.regressors import Regressor

ENGINES = [name for name in names() if name != "auto"]


def _problem(n: int, horizon: int = 5) -> Problem:
    rng = np.random.default_rng(n)
    z = np.sin(np.arange(n) / 8) + 0.1 * rng.normal(size=n)
    regressors = (Regressor("x", np.r_[rng.normal(size=n + 1), np.full(horizon - 1, np.nan)], n, False),)
    return Problem(z, np.ones(n, dtype=bool), (52.1775,), regressors, horizon)


@pytest.fixture(params=ENGINES)
def subject(request: pytest.FixtureRequest) -> Engine:
    return engine(request.param)[0]


@pytest.mark.parametrize("n", [2, 10, 60, 200])
def test_terms_are_finite_and_as_long_as_the_horizon(subject: Engine, n: int) -> None:
    path = subject.predict(_problem(n))
    assert "level" in path.terms
    assert all(term.shape == (5,) and np.isfinite(term).all() for term in path.terms.values())


def test_a_past_origin_is_the_same_with_and_without_the_future(subject: Engine) -> None:
    problem = _problem(160)
    together = subject.predict_many(problem, [120])[0].median
    alone = subject.predict(problem.at(120)).median
    np.testing.assert_allclose(together, alone, rtol=1e-9, atol=1e-12)


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
    assert subject.name in names()
    assert len(subject.summary) > 20
    assert subject.backtest_origins >= 1
