"""Signals of any cadence on the periods of the series, and what admission makes of them."""

import numpy as np
import pandas as pd
import pytest
from series_makers import autocorrelated, signal, weekly_sales, weeks

from forecast import SignalsError, forecast
from forecast.regressors import lay, read
from forecast.series import versions

SERIES = versions(weekly_sales(10), None, None).read(None)


def _laid(frame: pd.DataFrame, horizon: int = 2) -> np.ndarray:
    return lay(read(frame)[0], SERIES, horizon, None).x


def test_daily_values_are_averaged_over_the_week() -> None:
    days = pd.date_range("2026-11-02", "2026-11-15")
    x = _laid(signal("x", np.arange(14.0), days))
    np.testing.assert_allclose(x[8:10], [3.0, 10.0])
    assert np.isnan(x[10:]).all()


def test_daily_counts_are_summed_where_declared() -> None:
    days = pd.date_range("2026-11-02", "2026-11-15")
    x = _laid(signal("x", np.ones(14), days, aggregation="sum"))
    np.testing.assert_allclose(x[8:10], [7.0, 7.0])


def test_a_week_that_straddles_is_split_by_days() -> None:
    saturdays = pd.date_range("2026-10-31", periods=3, freq="W-SAT")
    x = _laid(signal("x", np.array([7.0, 14.0, 21.0]), saturdays))
    np.testing.assert_allclose(x[8], (6 * 14 + 21) / 7)  # Monday 2 to Saturday 7 and Sunday 8 November


def test_the_period_at_the_edge_is_unknown_until_it_is_over() -> None:
    days = pd.date_range("2026-11-02", "2026-11-13")
    assert np.isnan(_laid(signal("x", np.ones(12), days))[9])


def test_a_month_is_held_from_when_it_is_known() -> None:
    months = signal("x", np.array([1.0, 2.0]), pd.DatetimeIndex(["2026-09-01", "2026-10-01"]))
    x = _laid(months)
    week = {str(ds): value for ds, value in zip(SERIES.ds, x, strict=False)}
    assert (week["2026-10-25"], week["2026-11-01"], week["2026-11-15"]) == (1.0, 2.0, 2.0)


def test_a_month_that_was_revised_is_held_from_when_it_was_first_known() -> None:
    starts = pd.DatetimeIndex(["2026-09-01", "2026-10-01", "2026-09-01"])
    months = signal("x", np.array([1.0, 2.0, 5.0]), starts)
    known = pd.DatetimeIndex(["2026-10-06", "2026-11-03", "2026-11-14"])
    as_of = pd.Timestamp("2026-11-16")
    x = lay(read(months.assign(known_at=known), as_of)[0], SERIES, 2, as_of).x
    week = {str(ds): value for ds, value in zip(SERIES.ds, x, strict=False)}
    assert (week["2026-10-11"], week["2026-11-01"], week["2026-11-08"]) == (5.0, 5.0, 2.0)


def test_noise_is_refused_nearly_always() -> None:
    admitted = 0
    for seed in range(60):
        history = weekly_sales(130, seed=seed)
        noise = signal("noise", autocorrelated(130, 500 + seed), weeks(130))
        admitted += forecast(history, 4, signals=noise).signals[0].admitted
    assert admitted <= 6


@pytest.mark.parametrize("lag", [0, 2])
def test_a_planted_signal_is_found_at_its_lag(lag: int) -> None:
    x = autocorrelated(262, seed=7)
    history = weekly_sales(260, seed=8, effect=0.06 * np.r_[np.zeros(lag), x[: 260 - lag]])
    report = forecast(history, 4, signals=signal("x", x, weeks(262, "2026-11-29"))).signals[0]
    assert report.admitted
    assert report.lag == lag


def test_known_promotions_move_the_forecast_where_they_are_planned() -> None:
    rng = np.random.default_rng(3)
    promotion = (rng.uniform(size=164) < 0.15).astype(float)
    promotion[156:] = [0, 0, 1, 0, 0, 0, 0, 0]
    history = weekly_sales(156, seed=5, effect=0.5 * promotion[:156])
    planned = signal("promotion", promotion, weeks(164, "2027-01-10"), future_known=True)
    part = forecast(history, 8, signals=planned).contributions()["promotion"]
    assert part.argmax() == 2
    assert part[2] > 15


def test_a_signal_that_stopped_is_refused_with_the_reason() -> None:
    history = weekly_sales(150)
    stopped = signal("mobility", autocorrelated(100, 1), weeks(150)[:100])
    report = forecast(history, 4, signals=stopped).signals[0]
    assert not report.admitted
    assert "50 periods before" in report.reason


def test_a_future_known_signal_that_ends_early_is_said() -> None:
    plan = signal("plan", autocorrelated(152, 1), weeks(152, "2026-11-29"), future_known=True)
    told = forecast(weekly_sales(150), 4, signals=plan).warnings
    assert any("not for the whole horizon; taken as usual after the plan's end: plan as " in text for text in told)


def test_a_plan_that_was_given_up_long_ago_is_not_made_up() -> None:
    plan = signal("plan", autocorrelated(130, 1), weeks(150)[:130], future_known=True)
    told = forecast(weekly_sales(150), 4, signals=plan).warnings
    assert any("without values for the whole horizon: plan" in text for text in told)


def test_too_short_a_history_says_that_it_cannot_tell() -> None:
    report = forecast(weekly_sales(30), 4, signals=signal("x", autocorrelated(30, 1), weeks(30))).signals[0]
    assert not report.admitted
    assert "not enough history to tell" in report.reason


def test_engines_without_signals_say_so() -> None:
    x = signal("x", autocorrelated(60, 1), weeks(60))
    report = forecast(weekly_sales(60), 4, signals=x, engine="seasonal_naive").signals[0]
    assert report.reason == "the engine seasonal_naive does not use signals"


def test_the_calendar_of_a_country_is_offered_as_a_signal() -> None:
    assert forecast(weekly_sales(150), 4, calendar="US").signals[0].signal == "calendar/US"


def _scenario_case() -> tuple[pd.DataFrame, pd.DataFrame]:
    x = autocorrelated(200, seed=7)
    return weekly_sales(200, seed=8, effect=0.06 * x), signal("x", x, weeks(200))


def test_a_higher_path_raises_the_forecast_by_its_own_driver() -> None:
    history, x = _scenario_case()
    base = forecast(history, 4, signals=x)
    path = pd.Series(x["value"].iloc[-1] + 3, index=pd.date_range("2026-11-22", periods=4, freq="W-SUN"))
    result = forecast(history, 4, signals=x, scenario={"x": path})
    assert (result.mean > base.mean * 1.05).all()
    assert (result.contributions()["scenario/x"] > 0).all()


def test_an_unchanged_path_changes_nothing() -> None:
    history, x = _scenario_case()
    held = pd.Series(x["value"].iloc[-1], index=pd.date_range("2026-11-22", periods=4, freq="W-SUN"))
    base, same = forecast(history, 4, signals=x), forecast(history, 4, signals=x, scenario={"x": held})
    np.testing.assert_allclose(base.mean, same.mean, rtol=1e-12)


def test_a_scenario_for_an_unknown_signal_is_refused() -> None:
    history, x = _scenario_case()
    with pytest.raises(SignalsError, match="scenario: got weather"):
        forecast(history, 4, signals=x, scenario={"weather": pd.Series([1.0], index=[pd.Timestamp("2026-11-22")])})


@pytest.mark.parametrize("engine", ["fast", "detailed"])
@pytest.mark.parametrize("ends", [2, 6])
def test_a_plan_that_ends_early_is_taken_as_usual_after_its_end_and_told(engine: str, ends: int) -> None:
    """What follows a promotion plan is no promotion: the same as a plan that says so."""
    rng, n, horizon = np.random.default_rng(1), 160, 26
    plan = (rng.uniform(size=n + horizon) < 0.12).astype(float)
    plan[n:] = 0.0
    plan[n + 1] = 1.0
    history = pd.DataFrame({"ds": weeks(n), "y": 300 * np.exp(0.5 * plan[:n] + rng.normal(0, 0.05, n))})
    days = pd.date_range(weeks(n)[0], periods=n + horizon, freq="W-SUN")
    whole = signal("promotion", plan, days).assign(future_known=True)
    early = forecast(history, horizon, signals=whole[: n + ends], engine=engine)
    full = forecast(history, horizon, signals=whole, engine=engine)
    assert full.signals[0].admitted
    np.testing.assert_array_equal(early.mean, full.mean)
    assert early.warnings == [
        "planned ahead, but not for the whole horizon; taken as usual after the plan's end: promotion as 0",
        *full.warnings,
    ]
    assert early.signals[0].known_to == str(days[n + ends - 1].date())


def test_a_price_that_ends_early_stays_at_its_median() -> None:
    rng = np.random.default_rng(2)
    price = 9.9 + rng.choice([0.0, 0.0, 0.0, -2.0], 130)
    history = pd.DataFrame({"ds": weeks(120), "y": 100 * np.exp(-0.1 * price[:120] + rng.normal(0, 0.02, 120))})
    planned = signal("price", price, pd.date_range(weeks(120)[0], periods=130, freq="W-SUN")).assign(future_known=True)
    assert any("price as 9.9" in text for text in forecast(history, 26, signals=planned).warnings)
    assert not forecast(history, 10, signals=planned).warnings
