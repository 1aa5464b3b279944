"""The parts of the engine, each by its formula."""

import numpy as np
import pandas as pd
import pytest

from forecast import backtest, forecast, metrics
from forecast.backtest import Quality
from forecast.explain import contributions
from forecast.season import analog_lags
from forecast.transform import choose


def test_analogues_lie_whole_years_back_and_in_the_past() -> None:
    lags = analog_lags(52.1775, np.arange(1, 61), 2)
    assert (lags[0, 0], lags[1, 0], lags[0, 53]) == (52, 104, 104)
    assert (lags >= np.arange(1, 61)).all()


@pytest.mark.parametrize("y", [np.array([1.0, 5.0, 9.0]), np.array([0.0, 5.0, 9.0]), np.array([-3.0, 5.0, 9.0])])
def test_the_working_scale_goes_there_and_back(y: np.ndarray) -> None:
    transform = choose(y)
    np.testing.assert_allclose(transform.inverse(transform.forward(y)), y, atol=1e-12)


def test_logarithmic_mean_shares_add_up() -> None:
    terms = {"level": np.log([100.0]), "season": np.array([0.5]), "signal": np.array([-0.2])}
    mean = np.array([140.0])
    parts = contributions(terms, mean, choose(np.array([1.0])))
    assert sum(float(p[0]) for p in parts.values()) == pytest.approx(140.0, rel=1e-12)
    assert float(parts["season"][0] / parts["signal"][0]) == pytest.approx(-2.5)


def test_metrics_by_hand() -> None:
    actual, predicted = np.array([10.0, 20.0, np.nan]), np.array([12.0, 16.0, 5.0])
    assert metrics.wape(actual, predicted) == pytest.approx(0.2)
    assert metrics.mase(actual, predicted, 2.0) == pytest.approx(1.5)
    assert metrics.bias_pct(actual, predicted) == pytest.approx(-100 * 2 / 30)
    assert metrics.change_pct(actual, predicted, np.array([4.0, 20.0, 0.0])) == pytest.approx(0.0)
    assert metrics.coverage(actual, np.array([9.0, 9, 9]), np.array([11.0, 11, 11])) == 0.5
    assert metrics.wape(np.array([0.0]), np.array([1.0])) is None


def test_backtest_scores_by_lead_time() -> None:
    ds = pd.date_range("2020-01-01", periods=72, freq="MS")
    y = 100 + 10 * np.sin(np.arange(72) * np.pi / 6) + np.random.default_rng(0).normal(size=72)
    tested = backtest(pd.DataFrame({"ds": ds, "y": y}), 3, origins=20)
    table = tested.by_lead_time()
    assert list(table["h"]) == [1, 2, 3]
    assert list(table["n"]) == [20, 19, 18]
    assert isinstance(tested.quality, Quality)
    frame = tested.to_frame()
    assert len(frame) == 57
    assert (frame["ds"] > frame["origin"]).all()


def test_coverage_is_told_only_with_origins_enough() -> None:
    ds = pd.date_range("2020-01-01", periods=72, freq="MS")
    history = pd.DataFrame({"ds": ds, "y": 100 + np.random.default_rng(0).normal(size=72)})
    few, many = (backtest(history, 3, origins=k).quality.coverage["80"] for k in (5, 30))
    assert few is None
    assert many is not None


@pytest.mark.parametrize("engine", ["seasonal_naive", "detailed"])
def test_parts_that_cancel_to_next_to_nothing_add_up_too(engine: str) -> None:
    spike = np.where(np.arange(400) == 200, 1e5, 0.0)
    history = pd.DataFrame({"ds": pd.date_range("2020-01-05", periods=400, freq="D"), "y": spike})
    made = forecast(history, 100, engine=engine)
    parts = made.contributions().drop(columns="ds")
    assert (np.abs(made.mean) < 1e-6 * parts.abs().max(axis=1)).any()  # else nothing is put to the test
    for columns in (list(parts), list(parts)[::-1]):
        np.testing.assert_allclose(parts[columns].sum(axis=1), made.mean, rtol=1e-9, atol=0)
