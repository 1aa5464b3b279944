"""The block recursions against the plain ones, one period at a time."""

import numpy as np
import pytest

from forecast.holt_winters import KERNEL, REACH, holt_winters
from forecast.origins import Origins, ending_at, last_only
from forecast.smoothing import Filters, smooth

FILTERS = Filters((0.1, 0.4, 1.0, 0.3), (0.0, 0.9, 0.95, 1.0), (0.0, 0.4, 0.15, 0.0))


def _slowly(z: np.ndarray, gain: float, damping: float, share: float) -> tuple[np.ndarray, np.ndarray]:
    level, slope, out = z[0], 0.0, [(z[0], 0.0)]
    for t, value in enumerate(z[1:], start=1):
        g = max(gain, 1 / (t + 1))
        error = value - level - damping * slope
        level, slope = level + damping * slope + g * error, damping * slope + g * share * error
        out.append((level, slope))
    return np.array(out)[:, 0], np.array(out)[:, 1]


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 150])
def test_blocks_give_what_the_recursion_gives(n: int) -> None:
    z = np.random.default_rng(n).normal(size=n).cumsum()
    level, slope = smooth(z, FILTERS)
    for k, arguments in enumerate(zip(FILTERS.gains, FILTERS.dampings, FILTERS.slope_shares, strict=True)):
        one, two = _slowly(z, *arguments)
        np.testing.assert_allclose(level[k], one, atol=1e-12)
        np.testing.assert_allclose(slope[k], two, atol=1e-12)


def test_first_levels_are_running_means() -> None:
    level, _ = smooth(np.array([2.0, 4.0, 6.0]), Filters((0.1, 0.5), (0.0, 0.0), (0.0, 0.0)))
    np.testing.assert_allclose(level, [[2, 3, 4], [2, 3, 4.5]])


def _states_slowly(z: np.ndarray, m: int, filters: Filters, k: int, gain: float) -> np.ndarray:
    state, level, slope = list(z[:m] - z[:m].mean()), z[:m].mean(), 0.0
    g, d, s = filters.gains[k], filters.dampings[k], filters.slope_shares[k]
    for t in range(m, z.size):
        error = z[t] - state[t - m] - level - d * slope
        level, slope = level + d * slope + g * error, d * slope + g * s * error
        state.append(state[t - m] + gain * (z[t] - level - state[t - m]))
    return np.array(state)


def test_seasonal_states_are_those_of_holt_winters() -> None:
    z = np.random.default_rng(3).normal(size=100)
    found = holt_winters(z, 12, FILTERS, (0.1, 0.3), rounding=False)
    for k in range(8):
        expected = _states_slowly(z, 12, FILTERS, k % 4, (0.1, 0.3)[k // 4])
        np.testing.assert_allclose(found.state[k], expected, atol=1e-12)


def test_weekly_states_are_averaged_over_neighbours_and_never_over_the_future() -> None:
    z = np.random.default_rng(3).normal(size=200)
    found = holt_winters(z, 52, FILTERS, (0.3,), rounding=True)
    inside = np.array([np.convolve(row, KERNEL, mode="valid") for row in found.state])
    at = slice(REACH, 200 - REACH)
    np.testing.assert_allclose(found.rounded[:, at], inside, atol=1e-12)
    grid = Origins(200, 190, 1, (1, 50, 51, 52, 53))
    np.testing.assert_allclose(found.ahead(grid)[3], found.state[:, 190:])  # a year before t+52 is t itself


def test_a_grid_is_slices_of_the_history() -> None:
    grid = ending_at(10, 3, (1, 5), 2)
    assert grid.rows.tolist() == [3, 6, 9]
    assert grid.delays == (1, 2)
    z = np.arange(10.0)
    np.testing.assert_array_equal(grid.shifted(z, -4), [0, 2, 5])
    targets = grid.targets(z, z != 4)
    np.testing.assert_array_equal(targets, [[np.nan, 7, np.nan], [8, np.nan, np.nan]])
    assert last_only(10, 3) == Origins(10, 9, 1, (1, 2, 3))
