"""What is known when: each way in which a past origin could see too much, and each odd input that has to work."""

import numpy as np
import pandas as pd
import pytest
from series_makers import autocorrelated, signal, weekly_sales, weeks

from forecast import HistoryError, OptionError, SignalsError, backtest, forecast


def test_a_month_to_be_published_is_not_seen_by_past_origins() -> None:
    history = weekly_sales(170, seed=3)
    months = pd.date_range("2023-07-01", "2026-10-01", freq="MS")
    values = np.random.default_rng(0).normal(size=len(months))
    ends = months + pd.offsets.MonthBegin()
    at = np.searchsorted(ends, history["ds"], side="right") - 1
    history["y"] *= np.exp(0.15 * np.where(at >= 0, values[np.maximum(at, 0)], 0.0))  # sales react when it is published
    told = signal("month", values, months, known_at=ends)
    inner = backtest(history, 4, origins=12, signals=told, as_of="2026-11-16").to_frame()
    for origin, rows in inner.groupby("origin"):
        seen = forecast(history[history["ds"] <= origin], 4, signals=told, as_of=origin + pd.Timedelta(days=1))
        np.testing.assert_allclose(rows["median"], seen.median[: len(rows)], rtol=0.02)  # weights are refreshed later


def test_signals_without_known_at_count_as_known_when_their_span_ends() -> None:
    x = signal("x", autocorrelated(160, 1), weeks(160, "2027-01-24"))
    history = weekly_sales(150)
    assert forecast(history, 4, signals=x, as_of="2026-11-24").signals[0].known_to == "2026-11-22"


def test_vintages_of_a_signal_count_without_an_as_of() -> None:
    x = autocorrelated(200, 2)
    history = weekly_sales(200, seed=4, effect=0.08 * x)
    first = signal("x", autocorrelated(200, 77), weeks(200), known_at=weeks(200))
    final = signal("x", x, weeks(200), known_at=weeks(200) + pd.Timedelta(days=90))
    assert not forecast(history, 4, signals=pd.concat([first, final])).signals[0].admitted


def test_a_plan_without_future_values_is_not_credited_with_foresight() -> None:
    x = autocorrelated(200, 5)
    history = weekly_sales(200, seed=6, effect=0.06 * x)
    plan = forecast(history, 8, signals=signal("x", x, weeks(200), future_known=True)).signals[0]
    plain = forecast(history, 8, signals=signal("x", x, weeks(200))).signals[0]
    assert (plan.admitted, plan.gain_pct) == (plain.admitted, plain.gain_pct)


def test_a_plan_that_begins_late_is_refused_with_the_reason() -> None:
    late = pd.date_range("2027-01-10", periods=5, freq="W-SUN")
    plan = signal("plan", np.arange(5.0), late, future_known=True)
    assert "no value falls on" in forecast(weekly_sales(60), 13, signals=plan).signals[0].reason


def test_a_gap_is_bridged_from_what_lies_before_it() -> None:
    history = weekly_sales(200, noise=0.02)
    history.loc[150:165, "y"] = np.nan
    history.loc[166:, "y"] *= 4
    inside = backtest(history, 3, origins=40).to_frame()
    rows = inside[(inside["origin"] >= history["ds"][160]) & (inside["origin"] <= history["ds"][164])]
    assert len(rows)
    assert (rows["median"] < 1.6 * history["y"][:150].max()).all()


def test_of_a_long_history_the_latest_origins_are_judged() -> None:
    rng = np.random.default_rng(1)
    y = 100 + 10 * np.sin(2 * np.pi * np.arange(1500) / 7) + rng.normal(size=1500)
    history = pd.DataFrame({"ds": pd.date_range("2022-01-01", periods=1500), "y": y})
    frame = backtest(history, 2, origins=1300).to_frame()
    assert 200 < frame["origin"].nunique() <= 260
    assert frame["origin"].max() >= history["ds"].iloc[-4]
    assert (frame["actual"] - frame["median"]).abs().mean() < 3


def test_when_revised_long_after_the_last_sale_the_past_is_still_tested() -> None:
    history = weekly_sales(150)
    first = history.assign(known_at=history["ds"] + pd.Timedelta(days=3))
    late = history.iloc[140:145].assign(known_at=pd.Timestamp("2027-06-01"))
    quality = forecast(pd.concat([first, late.assign(y=late["y"] * 1.01)]), 4).quality
    assert quality.origins >= 20
    assert quality.wape is not None


@pytest.mark.parametrize("horizon", [1, 13, 26])
def test_a_scenario_works_at_any_horizon(horizon: int) -> None:
    x = autocorrelated(200, 7)
    history = weekly_sales(200, seed=8, effect=0.06 * x)
    path = pd.Series(x[-1] + 3, index=pd.date_range("2026-11-22", periods=horizon, freq="W-SUN"))
    offered = signal("x", x, weeks(200))
    changed = forecast(history, horizon, signals=offered, scenario={"x": path}).mean
    assert changed[0] > 1.03 * forecast(history, horizon, signals=offered).mean[0]


@pytest.mark.parametrize("path", [[1.0], pd.Series(dtype=float), pd.Series([1.0], index=[pd.Timestamp("2030-01-06")])])
def test_a_bad_scenario_path_is_refused(path: object) -> None:
    offered = signal("x", autocorrelated(60, 1), weeks(60))
    with pytest.raises(SignalsError, match=r"scenario\[x\]"):
        forecast(weekly_sales(60), 4, signals=offered, scenario={"x": path})  # type: ignore[dict-item]


def test_the_order_of_signals_changes_no_byte() -> None:
    history = weekly_sales(120)
    a, b = (signal(name, autocorrelated(120, seed), weeks(120)) for name, seed in (("a", 1), ("b", 2)))
    one, two = (forecast(history, 4, signals=pd.concat(pair)).to_dict() for pair in ((a, b), (b, a)))
    del one["timing_ms"], two["timing_ms"]
    assert one == two


def test_daily_rows_are_not_taken_for_months() -> None:
    days = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=300), "y": np.arange(300.0)})
    with pytest.raises(HistoryError, match="twice; wanted one row a period of MS"):
        forecast(days, 3, frequency="MS")


def test_a_time_zone_does_not_move_the_day() -> None:
    history = weekly_sales(60)
    berlin = history.assign(ds=history["ds"].dt.tz_localize("Europe/Berlin"))
    np.testing.assert_array_equal(forecast(history, 4).ds, forecast(berlin, 4).ds)


def test_a_shop_that_never_opens_on_sundays_sells_nothing_on_them() -> None:
    ds = pd.date_range("2026-01-01", "2026-11-20")
    rng = np.random.default_rng(0)
    history = pd.DataFrame({"ds": ds, "y": 50 + 5 * rng.normal(size=len(ds))})[ds.dayofweek != 6]
    result = forecast(history, 14)
    frame = result.to_frame()
    sunday = frame["ds"].dt.dayofweek == 6
    assert (frame.loc[sunday, ["mean", "median", "lo-95", "hi-95"]] == 0).all(axis=None)
    assert (frame.loc[~sunday, "mean"] > 40).all()
    assert any("Sundays" in w for w in result.warnings)
    np.testing.assert_allclose(result.contributions().drop(columns="ds").sum(axis=1), result.mean, atol=1e-9)


def test_a_value_that_cannot_be_right_is_said() -> None:
    history = weekly_sales(80)
    history.loc[70, "y"] *= 100
    assert any("times the usual one" in w for w in forecast(history, 4).warnings)


def test_few_extreme_errors_do_not_move_the_value_shown() -> None:
    history = weekly_sales(130)
    history.loc[[60, 90, 110], "y"] *= 6
    result = forecast(history, 6)
    assert (result.mean < 1.3 * result.median).all()


def test_long_gaps_do_not_add_up_errors() -> None:
    rng = np.random.default_rng(0)
    y = 100 * np.exp(0.3 * rng.normal(size=240))
    y[np.random.default_rng(1).random(240) < 0.8] = np.nan
    history = pd.DataFrame({"ds": pd.date_range("2000-01-01", periods=240, freq="MS"), "y": y})
    result = forecast(history, 6, season_length=3, frequency="MS")
    assert (result.mean > 50).all()
    assert (result.mean < 250).all()
    np.testing.assert_allclose(result.contributions().drop(columns="ds").sum(axis=1), result.mean, rtol=1e-9)


def test_an_unchanged_path_of_a_summed_signal_changes_nothing() -> None:
    history = weekly_sales(150)
    days = pd.date_range(history["ds"].iloc[0] - pd.Timedelta(days=6), periods=7 * 154)
    x = signal("calls", np.random.default_rng(0).uniform(1, 9, len(days)), days, aggregation="sum", future_known=True)
    path = x.set_index("ds")["value"].iloc[-28:]
    base, same = (forecast(history, 4, signals=x, scenario=s) for s in (None, {"calls": path}))
    np.testing.assert_allclose(same.mean, base.mean, rtol=1e-12)


def test_rows_of_another_cadence_after_the_origin_are_not_seen() -> None:
    history = weekly_sales(150)
    moment = history["ds"].iloc[-1] + pd.Timedelta(days=1)
    months = pd.date_range("2024-01-01", "2026-10-01", freq="MS")
    told = signal("x", np.random.default_rng(0).normal(size=len(months)), months)
    later = signal("x", np.zeros(60), pd.date_range(moment + pd.Timedelta(days=9), periods=60))
    one, two = (forecast(history, 4, signals=s, as_of=moment) for s in (told, pd.concat([told, later])))
    np.testing.assert_array_equal(one.mean, two.mean)
    assert one.signals == two.signals


def test_a_group_never_takes_the_name_of_a_signal() -> None:
    history = weekly_sales(150)
    names = ["g/a", "g/b", "g/c", "g/*"]
    offered = pd.concat([signal(name, autocorrelated(150, i), weeks(150)) for i, name in enumerate(names)])
    reported = [s.signal for s in forecast(history, 4, signals=offered).signals]
    assert sorted(reported)[:4] == sorted(names)
    assert len(set(reported)) == len(reported)


@pytest.mark.parametrize("wrong", [True, 0, "52"])
def test_a_season_length_is_a_number_of_periods(wrong: object) -> None:
    with pytest.raises(OptionError, match="season_length"):
        forecast(weekly_sales(60), 4, season_length=wrong)
    assert forecast(weekly_sales(60), 4, season_length=np.int64(26)).mean.size == 4
