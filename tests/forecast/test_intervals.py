"""The predictive distribution around the median."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from forecast import intervals
from forecast.intervals import Errors
from forecast.season import IntArray
from forecast.transform import FloatArray

STEPS = np.array([1, 2, 4, 8])
MIDDLE = intervals.PROBABILITIES.size // 2
TAILS = np.array([0.025, 0.1, 0.9, 0.975])


def errors(values: FloatArray, steps: IntArray = STEPS, step: float = 1.0, season: float = 0.0) -> Errors:
    """One origin a period from period 0 on."""
    return Errors(np.arange(values.shape[1]), steps, values, step, season)


def normal(periods: int, seed: int = 0) -> FloatArray:
    """Standard normal errors, (STEPS, periods)."""
    return np.random.default_rng(seed).normal(size=(STEPS.size, periods))


def width(e: Errors, last: int, h: int = 1) -> float:
    """Of the central 80 %, h steps ahead of period `last`."""
    low, high = intervals.at(intervals.now(e, 8, last)[h - 1], np.array([0.1, 0.9]))
    return float(high - low)


def calm_then_shock(size: float, duration: int) -> FloatArray:
    """Errors that are `size` times as large for a while from period 200 on."""
    values = normal(300)
    values[:, 200 : 200 + duration] *= size
    return values


def test_normal_errors_give_normal_quantiles() -> None:
    found = np.mean([intervals.at(intervals.now(errors(normal(400, s)), 8, 399), TAILS) for s in range(20)], axis=0)
    np.testing.assert_allclose(found[0, [1, 2]], [-1.28, 1.28], atol=0.15)
    assert 1.96 < found[0, 3] < 2.45  # heavier tails than normal ones: the scale is estimated
    np.testing.assert_allclose(found[:, 0], -found[:, 3])


def test_coverage_of_normal_errors_is_as_told() -> None:
    values = normal(2000)
    bounds = intervals.past(errors(values), TAILS)[:, :, 100:]
    inside80 = (values[:, 100:] > bounds[1]) & (values[:, 100:] < bounds[2])
    inside95 = (values[:, 100:] > bounds[0]) & (values[:, 100:] < bounds[3])
    assert inside80.mean() == pytest.approx(0.8, abs=0.03)
    assert 0.95 < inside95.mean() < 0.98  # heavy tails are on the safe side where errors are normal


def test_the_student_quantiles_are_those_of_the_tables() -> None:
    mean_absolute = 4 * math.sqrt(5) / (3 * math.pi)
    tabulated = np.array([1.475884, 2.570582, 4.032143]) / mean_absolute
    np.testing.assert_allclose(intervals.student(np.array([0.9, 0.975, 0.995])), 1.03 * tabulated, rtol=1e-5)


def test_a_longer_step_is_never_more_certain() -> None:
    values = normal(200) * np.array([[1.0], [3.0], [2.0], [4.0]])
    grid = intervals.now(errors(values), 8, 199)
    assert (np.diff(grid[:, -1]) >= 0).all()


def test_intervals_widen_after_a_shock_and_recover() -> None:
    shocked, calm = errors(calm_then_shock(6.0, 8)), errors(normal(300))
    ratio = {last: width(shocked, last) / width(calm, last) for last in (199, 203, 208, 230, 299)}
    assert ratio[199] == 1.0
    assert ratio[203] > 1.5
    assert ratio[208] > 2.0
    assert ratio[230] < 0.6 * ratio[208]
    assert ratio[299] < 1.3


def test_a_season_that_was_hard_last_year_is_wider() -> None:
    values = normal(300)
    hard = np.arange(300) % 52 == 10
    values[:, hard] *= 5
    e = errors(values, season=52.0)
    next_is_hard, next_is_easy = 52 * 5 + 10, 52 * 5 - 10  # periods whose errors of every step began in that week
    assert width(e, next_is_hard) > 1.3 * width(replace(e, season=0.0), next_is_hard)
    assert width(e, next_is_easy) < 1.1 * width(replace(e, season=0.0), next_is_easy)


def test_doubt_among_the_experts_widens() -> None:
    apart = np.ones((STEPS.size, 300))
    apart[:, -1] = 3.0
    plain = errors(normal(300))
    assert width(replace(plain, disagreement=apart), 299) > 1.15 * width(plain, 299)
    unknown = replace(plain, disagreement=np.full_like(apart, np.nan))
    assert width(unknown, 299) == pytest.approx(width(plain, 299))


@pytest.mark.parametrize("every", [1, 3, 5])
def test_later_errors_change_nothing_earlier(every: int) -> None:
    values, apart = normal(240), np.abs(normal(240, 1))
    origins = np.arange(240) * every
    whole = Errors(origins, STEPS, values, 1.0, 52.18, apart)
    told = intervals.past(whole, TAILS)
    for k in (20, 100, 239):
        spoiled = values.copy()
        spoiled[origins + STEPS[:, None] > origins[k]] = 1e6  # not known at that origin
        cut = Errors(origins[: k + 1], STEPS, spoiled[:, : k + 1], 1.0, 52.18, apart[:, : k + 1])
        np.testing.assert_allclose(intervals.past(cut, TAILS)[:, :, k], told[:, :, k], rtol=1e-9)
        now = intervals.at(intervals.now(whole, 8, int(origins[k])), TAILS)
        np.testing.assert_allclose(now[STEPS - 1].T, told[:, :, k], rtol=1e-4)


def test_the_last_period_need_not_be_an_origin() -> None:
    values = normal(200)
    values[np.arange(200) + STEPS[:, None] > 199] = np.nan
    e = errors(values)
    without = Errors(e.origins[:-1], STEPS, values[:, :-1], 1.0)
    np.testing.assert_allclose(intervals.now(without, 8, 199), intervals.now(e, 8, 199))
    assert intervals.scored(without, 199) == intervals.scored(e, 199) == 199


def test_irregular_origins_are_all_counted() -> None:
    origins = np.array([3, 4, 9, 10, 11, 20, 21, 40, 41, 42, 43, 60])
    e = Errors(origins, STEPS, np.ones((STEPS.size, origins.size)), 1.0)
    assert intervals.scored(e, 60) == 11
    assert intervals.scored(e, 61) == 12
    assert np.isfinite(intervals.now(e, 8, 61)).all()


def test_past_is_silent_before_enough_origins_were_scored() -> None:
    told = np.isfinite(intervals.past(errors(normal(40)), TAILS)[0, 0])
    assert int(np.argmax(told)) == intervals.MIN_ORIGINS
    assert told[intervals.MIN_ORIGINS :].all()


def test_nothing_scored_is_as_wide_as_the_historys_own_steps() -> None:
    grid = intervals.now(errors(np.full((4, 6), np.nan), step=2.0), 16, 5)
    ninetieth = intervals.at(grid, np.array([0.9]))[:, 0]
    assert ninetieth[0] == pytest.approx(1.3 * 2.0 * 1.6, rel=0.02)
    assert ninetieth[15] == pytest.approx(16 ** (1 / 3) * ninetieth[0])  # beyond the last scored step too


DEGENERATE = {
    "all zero": np.zeros((4, 50)),
    "one-sided": -np.abs(normal(50)),
    "two origins": normal(2),
    "one origin": normal(1),
    "huge": 1e12 * normal(50),
    "tiny": 1e-14 * normal(50),
    "one outlier": np.where(np.arange(50) == 30, 1e9, normal(50)),
    "mostly unknown": np.where(np.arange(50) % 9 == 0, normal(50), np.nan),
    "one step unknown": np.where(np.arange(4)[:, None] == 2, np.nan, normal(50)),
    "many origins": normal(5000),
}


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("step", [0.0, 1.0])
def test_no_input_makes_quantiles_cross_or_lose_their_middle(name: str, step: float) -> None:
    values = DEGENERATE[name]
    e = errors(values, step=step, season=7.0)
    grid = intervals.now(replace(e, disagreement=np.abs(values)), 8, values.shape[1] - 1)
    assert np.isfinite(grid).all()
    assert (np.diff(grid) > 0).all()
    assert (grid[:, MIDDLE] == 0).all()
    past = intervals.past(e, TAILS)
    assert not np.isinf(past).any()


def test_no_past_origin_is_no_error() -> None:
    e = Errors(np.empty(0, dtype=int), STEPS, np.empty((STEPS.size, 0)), 2.0)
    assert intervals.scored(e, 5) == 0
    assert intervals.past(e, TAILS).shape == (4, STEPS.size, 0)
    assert (np.diff(intervals.now(e, 8, 5)) > 0).all()


def test_one_step_is_enough() -> None:
    e = errors(normal(60)[:1], steps=np.array([1]))
    assert intervals.now(e, 1, 59).shape == (1, intervals.PROBABILITIES.size)
    assert intervals.past(e, TAILS).shape == (4, 1, 60)


def test_between_scales_errors_in_per_cent_are_smaller_where_sales_are_high_and_reach_further_down() -> None:
    spread = np.array([-0.4, -0.1, 0.0, 0.1, 0.4])
    high, usual, low = (intervals.between(spread, np.array(above)) for above in (1.0, 0.0, -1.0))
    assert (np.abs(high[[0, 1, 3, 4]]) < np.abs(usual[[0, 1, 3, 4]])).all()
    assert (np.abs(low[[0, 1, 3, 4]]) > np.abs(usual[[0, 1, 3, 4]])).all()
    assert usual[2] == 0
    assert -usual[0] > 0.4 > usual[4]
    root = np.exp(usual) ** 0.2  # alike on the scale of sales to that power
    np.testing.assert_allclose(root - 1, 0.2 * spread)
    assert np.isfinite(intervals.between(np.array([-1e9, 1e9]), np.array(99.0))).all()


def test_the_usual_level_is_of_three_seasons_up_to_each_period() -> None:
    z = np.arange(20.0)
    found = intervals.usual_level(z, (4.0,))
    assert found[[0, 3, 11, 19]].tolist() == [0.0, 1.5, 5.5, 13.5]
    assert intervals.usual_level(z, ()).tolist() == [np.mean(z[: k + 1]) for k in range(20)]
