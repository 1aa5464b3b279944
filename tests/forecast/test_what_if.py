"""What a scenario answers: differences that add up, intervals that hold, and words that promise nothing."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from series_makers import autocorrelated, signal, weekly_sales, weeks

from forecast import Change, Outcome, WhatIf, forecast, what_if
from forecast.what_if import ASSOCIATION

HORIZON = 6


def offered(n: int = 200) -> pd.DataFrame:
    noise = signal("noise", 10 + autocorrelated(n, seed=9), weeks(n))
    return pd.concat([signal("x", autocorrelated(n, seed=7), weeks(n)), noise])


def answered(*changes: Change, effect: float = 0.06, n: int = 200) -> tuple[WhatIf, Outcome]:
    history = weekly_sales(n, seed=8, effect=effect * autocorrelated(n, seed=7))
    answer = what_if(history, HORIZON, {"case": changes}, signals=offered(n), unit="pairs")
    return answer, answer.outcomes["case"]


def test_the_baseline_is_the_forecast_and_the_scenario_that_of_its_paths() -> None:
    answer, outcome = answered(Change("x", "2026-W49", values=[0.0]))
    history = weekly_sales(200, seed=8, effect=0.06 * autocorrelated(200, seed=7))
    plain = forecast(history, HORIZON, signals=offered())
    path = pd.Series([0.0], index=[pd.Timestamp("2026-12-06")])
    changed = forecast(history, HORIZON, signals=offered(), scenario={"x": path})
    np.testing.assert_array_equal(answer.baseline.mean, plain.mean)
    np.testing.assert_array_equal(outcome.forecast.mean, changed.mean)
    np.testing.assert_array_equal(outcome.forecast.grid, changed.grid)


def test_an_unchanged_path_changes_nothing() -> None:
    last = autocorrelated(200, seed=7)[-1]
    answer, outcome = answered(
        Change("x", "2026-11-22", "2026-12-27", values=[last]), Change("noise", "2026", factor=1)
    )
    np.testing.assert_array_equal(outcome.forecast.mean, answer.baseline.mean)
    np.testing.assert_array_equal(outcome.forecast.grid, answer.baseline.grid)
    assert outcome.total == 0
    assert set(outcome.total_intervals.values()) == {(0.0, 0.0)}
    assert all("changes nothing: this is the path that is expected anyway" in e.sentence for e in outcome.effects)
    assert outcome.warnings[:-1] == []  # but for the periods of 2026 that are over


def test_effects_add_up_to_the_difference_by_period_and_in_total() -> None:
    answer, outcome = answered(
        Change("x", "2026-W49", "2026-W51", values=[4.0]), Change("noise", "2026-12", factor=1.3)
    )
    np.testing.assert_allclose(
        sum(e.parts for e in outcome.effects), outcome.forecast.mean - answer.baseline.mean, rtol=1e-9, atol=1e-9
    )
    assert sum(e.total for e in outcome.effects) == pytest.approx(outcome.total, rel=1e-9)
    assert all(e.parts.any() for e in outcome.effects)
    assert any("x and noise have in common" in warning for warning in outcome.warnings)


def test_effects_that_cancel_add_up_too() -> None:
    history = weekly_sales(200, seed=8, effect=0.06 * autocorrelated(200, seed=7))
    twins = pd.concat([signal(name, autocorrelated(200, seed=7), weeks(200)) for name in ("x", "y")])
    last = autocorrelated(200, seed=7)[-1]
    changes = [Change("x", "2026-W49", values=[last + 1]), Change("y", "2026-W49", values=[last - 1])]
    outcome = what_if(history, HORIZON, {"case": changes}, signals=twins).outcomes["case"]
    assert abs(outcome.total) < 1e-9
    assert outcome.effects[0].total == pytest.approx(-outcome.effects[1].total)
    assert outcome.effects[0].total > 1


def test_a_known_effect_is_found_within_its_interval() -> None:
    answer, outcome = answered(Change("x", "2026-W49", "2026-W51", values=[4.0]))
    move = 4.0 - autocorrelated(200, seed=7)[-1]
    truth = answer.baseline.mean[2:5].sum() * np.expm1(0.06 * move)
    low, high = outcome.total_intervals[95]
    assert low < truth < high
    assert outcome.total == pytest.approx(truth, rel=0.25)
    inner, outer = (np.subtract(*outcome.total_intervals[level][::-1]) for level in (80, 95))
    assert 0 < inner < outer


def test_the_intervals_of_a_scenario_are_wider_where_its_effect_is_not_known_well() -> None:
    answer, outcome = answered(Change("noise", "2026-W49", factor=2))
    width = [np.subtract(*f.interval(80)[::-1]) / f.median for f in (answer.baseline, outcome.forecast)]
    assert width[1][2] > 1.001 * width[0][2]
    np.testing.assert_allclose(np.delete(width[1], 2), np.delete(width[0], 2))


def test_the_words_say_that_it_is_an_association_and_whether_the_forecast_uses_it() -> None:
    _, outcome = answered(Change("x", "2026-W49", values=[4.0]), Change("noise", "2026-W49", factor=2))
    x, noise = (e.sentence for e in outcome.effects)
    assert x.startswith("this path of x goes with ")
    assert ASSOCIATION in x
    assert "the forecast uses this signal too" in x
    assert "the forecast itself does not use it (" in noise
    assert outcome.effects[1].report.reason in noise


def test_a_signal_that_goes_with_nothing_says_so() -> None:
    for seed in range(20, 40):
        history = weekly_sales(200, seed=seed)
        case = {"case": [Change("noise", "2026-W49", factor=2)]}
        one = what_if(history, HORIZON, case, signals=offered()).outcomes["case"].effects[0]
        if one.total == 0:
            assert "changes nothing: how past sales went with it cannot be told from chance (80 %" in one.sentence
            assert one.intervals[80][0] < 0 < one.intervals[80][1]
            return
    pytest.fail("noise had an effect in each of twenty histories")


def test_too_short_a_history_says_so() -> None:
    _, outcome = answered(Change("x", "2026-W49", values=[4.0]), n=16)
    assert "not enough history to tell how sales go with it" in outcome.effects[0].sentence
    assert outcome.total == 0


def test_a_signal_that_sales_follow_after_the_horizon_changes_nothing() -> None:
    x = autocorrelated(220, seed=7)
    history = weekly_sales(220, seed=8, effect=0.1 * np.r_[np.zeros(6), x[:-6]])
    case = {"case": [Change("x", "2026-11-22", "2026-12-27", values=[9.0])]}
    one = what_if(history, HORIZON, case, signals=signal("x", x, weeks(220))).outcomes["case"].effects[0]
    assert one.effect.response.lags == (6,)
    assert "changes nothing: sales follow it after the horizon" in one.sentence


def test_a_promotion_takes_from_the_weeks_around_it() -> None:
    n, ahead = 208, 8
    promotion = (np.random.default_rng(1).uniform(size=n + ahead) < 0.12).astype(float)
    promotion[n:] = 0
    effect = 0.4 * promotion - 0.1 * np.r_[promotion[1:], 0] - 0.15 * np.r_[0, promotion[:-1]]
    plan = signal("promotion", promotion, weeks(n + ahead, "2027-01-10"), future_known=True)
    case = {"case": [Change("promotion", "2026-W50", values=[1])]}
    answer = what_if(weekly_sales(n, seed=1, effect=effect[:n]), ahead, case, signals=plan)
    outcome = answer.outcomes["case"]
    before, at, after = outcome.difference[2:5] / answer.baseline.mean[2:5]
    assert at == pytest.approx(np.expm1(0.4), abs=0.08)
    assert before == pytest.approx(np.expm1(-0.1), abs=0.05)
    assert after == pytest.approx(np.expm1(-0.15), abs=0.05)
    assert not outcome.difference[[0, 1, 5, 6, 7]].any()
    assert outcome.warnings[0].startswith("entered as known, this plan of promotion would move the forecast less")
    plan.loc[plan["ds"] == "2026-12-13", "value"] = 1.0
    known = forecast(weekly_sales(n, seed=1, effect=effect[:n]), ahead, signals=plan).mean - answer.baseline.mean
    assert 0 < known[3] < outcome.difference[3]


def test_daily_sales_with_closed_days_and_a_long_history() -> None:
    days = pd.date_range(end="2026-11-21", periods=1500)
    rng = np.random.default_rng(0)
    x = np.exp(0.2 * rng.normal(size=1500))
    sales = pd.DataFrame({"ds": days, "y": 100 * np.exp(0.3 * np.log(x) + 0.05 * rng.normal(size=1500))})
    open_ = sales[sales["ds"].dt.weekday != 6]
    case = {"case": [Change("x", "2026-11-22", "2026-11-28", values=[2.0])]}
    answer = what_if(open_, 7, case, signals=signal("x", x, days))
    outcome = answer.outcomes["case"]
    assert outcome.difference[0] == 0  # a Sunday
    assert outcome.total / answer.baseline.mean.sum() == pytest.approx((2.0 / x[-1]) ** 0.3 - 1, abs=0.06)
    np.testing.assert_allclose(outcome.effects[0].parts, outcome.difference, atol=1e-9)


def test_a_guard_that_clips_leaves_effects_that_add_up() -> None:
    _, outcome = answered(Change("x", "2026-W49", values=[1e6]))
    np.testing.assert_allclose(outcome.effects[0].parts, outcome.difference, rtol=1e-9)
    assert np.isfinite(outcome.forecast.grid).all()


def test_several_scenarios_share_one_baseline_and_the_answer_is_plain_data() -> None:
    history = weekly_sales(200, seed=8, effect=0.06 * autocorrelated(200, seed=7))
    cases = {"up": [Change("x", "2026-W49", values=[4.0])], "down": [Change("x", "2026-W49", values=[-4.0])]}
    answer = what_if(history, HORIZON, cases, signals=offered(), engine="seasonal_naive")
    plain = json.loads(json.dumps(answer.to_dict()))
    assert [one["name"] for one in plain["scenarios"]] == ["up", "down"]
    up, down = plain["scenarios"]
    assert up["total"]["difference"] > 0 > down["total"]["difference"]
    assert up["effects"][0]["path"] == [
        {"period": "2026-12-06", "expected": pytest.approx(autocorrelated(200, seed=7)[-1]), "changed": 4.0}
    ]
    rows = plain["baseline"]["periods"]
    assert [row["value"] + up["periods"][i]["difference"] for i, row in enumerate(rows)] == pytest.approx(
        [row["value"] for row in up["periods"]]
    )
    frame = answer.outcomes["up"].to_frame(answer.baseline)
    np.testing.assert_allclose(frame["scenario"] - frame["baseline"], frame["x"])
    assert "the engine seasonal_naive does not use signals" in up["effects"][0]["sentence"]


def test_the_same_request_has_the_same_answer_to_the_byte() -> None:
    one, two = (
        answered(Change("x", "2026-W49", values=[4.0]), Change("noise", "2026-W50", factor=2))[0].to_dict()
        for _ in range(2)
    )
    assert json.dumps(one) == json.dumps(two)


def planted(factor: float) -> Outcome:
    rng = np.random.default_rng(2)
    x = 100 + rng.normal(0, 5, 200)
    y = 120 * np.exp(0.01 * (x - 100) + rng.normal(0, 0.02, 200))
    history = pd.DataFrame({"ds": weeks(200), "y": y})
    change = Change("x", "2026-W49", "2026-W52", factor=factor)
    return what_if(history, HORIZON, {"case": [change]}, signals=signal("x", x, weeks(200))).outcomes["case"]


@pytest.mark.parametrize("factor", [1.5, 2.0, 0.5])
def test_an_effect_held_at_the_cap_has_an_interval_that_reaches_beyond_it_and_says_so(factor: float) -> None:
    inside, held = planted(1.05), planted(factor)
    for level in (80, 95):
        (low, high), (near, far) = held.total_intervals[level], inside.total_intervals[level]
        assert low < held.total < high
        assert high - low > far - near  # further off less is known, not more
        away = high if factor > 1 else low
        assert abs(away - held.total) > 0.5 * abs(held.total)
    assert inside.warnings == []
    note = held.warnings[0]
    assert "beyond anything seen" in note
    assert "held at the largest error" in note
    widths = [one.forecast.to_frame().eval("`hi-80` - `lo-80`")[3] for one in (inside, held)]
    assert widths[1] > widths[0]
