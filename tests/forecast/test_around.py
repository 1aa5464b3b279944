"""Promotions are felt in the weeks around them, where past ones were, and only there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from series_makers import signal, weekly_sales, weeks

from bench.planned import PLANS, admissions
from forecast import Forecast, forecast

N, HORIZON = 208, 8
PLANNED = 3  # the promotion ahead is in the fourth week


def promotions(seed: int, before: float, at: float, after: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sales and a plan of promotions with known effects, by log scale, the week before, in it and the week after."""
    plan = (np.random.default_rng(seed).uniform(size=N + HORIZON) < 0.12).astype(float)
    plan[N:] = np.eye(HORIZON)[PLANNED]
    effect = at * plan + before * np.r_[plan[1:], 0] + after * np.r_[0, plan[:-1]]
    history = weekly_sales(N, seed=seed, effect=effect[:N])
    return history, signal("promotion", plan, weeks(N + HORIZON, "2027-01-10"), future_known=True)


def answered(seed: int, before: float, at: float, after: float) -> Forecast:
    history, plan = promotions(seed, before, at, after)
    return forecast(history, HORIZON, signals=plan)


def admitted(result: Forecast) -> set[str]:
    return {report.signal for report in result.signals if report.admitted}


def test_the_week_before_and_the_week_after_are_learnt() -> None:
    found = [answered(seed, -0.2, 0.5, -0.2) for seed in range(8)]
    both = {"promotion", "promotion (before)", "promotion (after)"}
    assert sum(admitted(result) == both for result in found) >= 6
    whole = next(result for result in found if admitted(result) == both)
    parts = whole.contributions()
    assert parts["promotion (before)"][PLANNED - 1] < -5
    assert parts["promotion (after)"][PLANNED + 1] < -5
    assert parts["promotion"].argmax() == PLANNED
    np.testing.assert_allclose(parts.drop(columns="ds").sum(axis=1), whole.mean, rtol=1e-9)


def test_they_lower_the_error_where_they_are_real(monkeypatch: pytest.MonkeyPatch) -> None:
    with_them = [answered(seed, -0.2, 0.5, -0.2).quality.wape or 0.0 for seed in range(6)]
    monkeypatch.setattr("forecast.admission.planned_around", lambda *_: iter(()))
    without = [answered(seed, -0.2, 0.5, -0.2).quality.wape or 0.0 for seed in range(6)]
    assert np.mean(with_them) < 0.95 * np.mean(without)


def test_they_are_refused_where_there_is_nothing_around() -> None:
    found = [answered(seed, 0.0, 0.4, 0.0) for seed in range(8)]
    assert sum(admitted(result) == {"promotion"} for result in found) >= 7


@pytest.mark.parametrize("plan", ["three in a row", "the same each year"])
def test_a_plan_that_is_like_its_neighbours_does_not_admit_them(plan: str) -> None:
    found = list(admissions(260, PLANS[plan], 0.3, 0.0, 60))
    assert sum(whole for whole, _ in found) == 60
    assert sum(beside for _, beside in found) <= 3


def test_what_is_real_around_plans_of_some_weeks_is_found() -> None:
    found = list(admissions(260, PLANS["three in a row"], 0.3, -0.1, 40))
    assert sum(beside for _, beside in found) >= 20


def test_the_answer_says_of_which_plan_they_are() -> None:
    result = next(r for r in (answered(s, -0.2, 0.5, -0.2) for s in range(8)) if "promotion (after)" in admitted(r))
    report = next(report for report in result.signals if report.signal == "promotion (after)")
    assert report.members == ("promotion",)
    assert "lowers the error out of sample" in report.reason
    assert report.known_to == "2027-01-10"
    assert result.signals[0].signal == "promotion"


def test_a_name_that_is_taken_is_left_alone() -> None:
    history, plan = promotions(0, -0.2, 0.5, -0.2)
    other = signal("promotion (before)", np.random.default_rng(9).normal(size=N), weeks(N), future_known=False)
    names = [report.signal for report in forecast(history, HORIZON, signals=pd.concat([plan, other])).signals]
    assert len(set(names)) == len(names)
    assert "promotion (before)*" in names


def test_a_signal_that_is_not_planned_has_no_neighbours() -> None:
    history, plan = promotions(0, -0.2, 0.5, -0.2)
    seen = plan.iloc[:N].assign(future_known=False)
    assert [report.signal for report in forecast(history, HORIZON, signals=seen).signals] == ["promotion"]


@pytest.mark.parametrize("horizon", [1, 2])
def test_short_horizons_and_plans_that_end_early_work(horizon: int) -> None:
    history, plan = promotions(0, -0.2, 0.5, -0.2)
    for rows in (plan, plan.iloc[: N + 1]):
        result = forecast(history, horizon, signals=rows)
        assert np.isfinite(result.mean).all()
        assert "promotion" in admitted(result)
