"""The parts of the engine, each by its formula."""

import numpy as np
import pandas as pd
import pytest

from forecast import backtest, intervals, metrics
from forecast.backtest import Quality
from forecast.blend import discounted_mean, realised, targets, weights
from forecast.explain import contributions
from forecast.intervals import Errors
from forecast.season import analog_lags
from forecast.smoothing import levels
from forecast.transform import choose


def test_levels_are_running_means_and_then_smooth() -> None:
    smooth = levels(np.array([2.0, 4.0, 6.0]), np.array([0.1, 0.5]))
    np.testing.assert_allclose(smooth, [[2, 3, 4], [2, 3, 4.5]])


def test_targets_are_the_future_and_nan_beyond_it() -> None:
    np.testing.assert_array_equal(targets(np.arange(3.0), np.ones(3, bool), 2), [[1, 2], [2, np.nan], [np.nan, np.nan]])


def test_an_error_is_known_when_its_period_is() -> None:
    known = realised(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    np.testing.assert_array_equal(known, [[np.nan, np.nan], [1, np.nan], [3, 2]])


def test_discounted_mean_halves_by_half_life() -> None:
    mean, weight = discounted_mean(np.array([[0.0], [3.0]]), half_life=1.0)
    np.testing.assert_allclose((mean[1, 0], weight[1, 0]), (2.0, 1.5))


def test_weights_favour_the_better_expert_and_add_up() -> None:
    z = np.arange(40.0)
    forecasts = np.stack([z[:, None] + 1.0, z[:, None] + 3.0])
    w = weights(forecasts, targets(z, np.ones(40, bool), 1), np.array([1]), 52.0)
    np.testing.assert_allclose(w.sum(axis=0), 1.0)
    assert w[0, -1, 0] > 0.99


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


def test_quantiles_of_normal_errors_are_right() -> None:
    rng = np.random.default_rng(0)
    errors = Errors(np.arange(400), 2.0 * rng.normal(size=(400, 3)), 1.0)
    q = intervals.at(intervals.quantiles(errors, 402), np.array([0.1, 0.5, 0.9]))
    np.testing.assert_allclose(q[0], [-2.56, 0, 2.56], atol=0.6)


def test_intervals_widen_after_a_shock_and_use_nothing_later() -> None:
    rng = np.random.default_rng(0)
    calm = rng.normal(size=(100, 1))
    shocked = calm.copy()
    shocked[90:] *= 6
    ninetieth = 179
    before, after = (intervals.quantiles(Errors(np.arange(100), v, 1.0), 100)[0, ninetieth] for v in (calm, shocked))
    assert after > 1.5 * before
    early = [intervals.quantiles(Errors(np.arange(100), v, 1.0), 80) for v in (calm, shocked)]
    np.testing.assert_array_equal(early[0], early[1])


def test_quantiles_never_cross_and_the_middle_is_the_median() -> None:
    one_sided = Errors(np.arange(9), -np.linspace(0.02, 0.05, 9)[:, None], 1.0)
    q = intervals.quantiles(one_sided, 9)
    assert (np.diff(q) >= 0).all()
    assert q[0, 99] == pytest.approx(0.0, abs=1e-12)


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
    few, many = (backtest(history, 3, origins=k).quality.coverage["80"] for k in (12, 30))
    assert few is None
    assert many is not None
