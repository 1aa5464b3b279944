"""The promises of the result object."""

import json

import numpy as np
import pandas as pd
import pytest
from series_makers import autocorrelated, signal, weekly_sales, weeks

from forecast import Forecast, forecast


@pytest.fixture(scope="module")
def result() -> Forecast:
    n = 208
    x = autocorrelated(n + 3, seed=1)
    history = weekly_sales(n, seed=2, effect=0.08 * x[:n])
    signals = pd.concat(
        [
            signal("driver", x, weeks(n + 3, "2026-12-06"), known_at=weeks(n + 3, "2026-11-08")),
            signal("noise", autocorrelated(n, 9), weeks(n), known_at=weeks(n, "2026-11-18")),
        ]
    )
    return forecast(history, 8, signals=signals, as_of="2026-11-23", category="Shoes", unit="pairs")


def test_frame_has_one_row_a_period_in_order(result: Forecast) -> None:
    frame = result.to_frame()
    assert list(frame.columns) == ["ds", "mean", "median", "lo-80", "hi-80", "lo-95", "hi-95"]
    assert list(frame["ds"]) == list(pd.date_range("2026-11-22", periods=8, freq="W-SUN"))


def test_contributions_add_up_to_the_mean(result: Forecast) -> None:
    parts = result.contributions().drop(columns="ds")
    assert {"level", "trend", "season", "driver"} <= set(parts.columns)
    np.testing.assert_allclose(parts.sum(axis=1), result.mean, rtol=1e-9)


def test_intervals_are_nested_and_hold_the_median(result: Forecast) -> None:
    f = result.to_frame()
    bounds = f[["lo-95", "lo-80", "median", "hi-80", "hi-95"]].to_numpy()
    assert (np.diff(bounds, axis=1) > 0).all()


def test_the_driver_is_admitted_and_the_noise_refused_with_a_reason(result: Forecast) -> None:
    driver, noise = result.signals
    assert driver.admitted
    assert driver.gain_pct is not None
    assert driver.gain_pct > 3
    assert driver.gain_interval_pct is not None
    assert driver.gain_interval_pct[0] < driver.gain_pct < driver.gain_interval_pct[1]
    assert not noise.admitted
    assert "evidence" in noise.reason or "raised" in noise.reason


def test_the_signal_that_runs_ahead_is_used_to_its_edge(result: Forecast) -> None:
    driver = result.signals[0]
    assert (driver.lag, driver.lead, driver.known_to) == (0, 3, "2026-12-06")


def test_periods_over_by_the_origin_are_nowcasts(result: Forecast) -> None:
    assert result.kinds == ("nowcast", *("forecast",) * 7)


def test_quality_beats_seasonal_naive_and_states_coverage(result: Forecast) -> None:
    quality = result.quality
    assert quality.vs_seasonal_naive_pct is not None
    assert quality.vs_seasonal_naive_pct < -10
    assert quality.origins > 50
    assert set(quality.coverage) == {"80", "95"}


def test_json_has_every_field_and_no_nan(result: Forecast) -> None:
    answer = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert answer["engine"]["name"] == "fast"
    assert answer["forecast"][0]["kind"] == "nowcast"
    assert answer["history"] == {"start": "2022-11-21", "end": "2026-11-15", "periods": 208}
    assert {"signals", "importance", "quality", "warnings", "timing_ms", "as_of"} <= set(answer)


def test_probability_agrees_with_the_quantiles(result: Forecast) -> None:
    tenth = float(result.quantile(0.9)[3])
    assert result.probability(result.ds[3], above=tenth) == pytest.approx(0.1, abs=0.005)
    assert result.probability(result.ds[3], above=-1.0) == 1.0


def test_same_input_gives_the_same_bytes() -> None:
    history = weekly_sales(150)
    answers = [forecast(history, 4, as_of="2026-11-20").to_dict() for _ in range(2)]
    for answer in answers:
        del answer["timing_ms"]
    assert json.dumps(answers[0]) == json.dumps(answers[1])


def test_shuffled_rows_change_nothing() -> None:
    history = weekly_sales(120)
    shuffled = history.sample(frac=1, random_state=1)
    np.testing.assert_array_equal(forecast(history, 4).mean, forecast(shuffled, 4).mean)


def test_a_series_on_dates_is_a_history() -> None:
    history = weekly_sales(120)
    as_series = history.set_index("ds")["y"]
    np.testing.assert_array_equal(forecast(history, 4).mean, forecast(as_series, 4).mean)


def test_the_unit_of_sales_does_not_matter() -> None:
    history = weekly_sales(120)
    scaled = history.assign(y=history["y"] * 1e-9)
    np.testing.assert_allclose(forecast(history, 4).mean * 1e-9, forecast(scaled, 4).mean, rtol=1e-6)


def test_the_importance_of_a_driver_has_an_interval() -> None:
    rows = forecast(weekly_sales(200), 8).importance
    assert sum(row.share for row in rows) == pytest.approx(1.0)
    for row in rows:
        assert row.share_interval is not None
        low, high = row.share_interval
        assert 0 <= low <= high <= 1
    assert all(row.share_interval is None for row in forecast(weekly_sales(6), 2).importance)
