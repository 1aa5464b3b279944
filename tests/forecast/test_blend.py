"""The experts and their weights."""

import numpy as np
import pytest

from forecast.blend import known, weights
from forecast.experts import GAINS, Experts, experts, smoothed
from forecast.origins import ending_at


def _blended(z: np.ndarray, errors: list[float], half_life: float = 12.0) -> np.ndarray:
    """Weights of experts that are off by so much at every origin, (experts, origins)."""
    grid = ending_at(z.size, 1, (1,), 0)
    target = grid.targets(z, np.ones(z.size, bool))
    ahead = np.append(z[1:], z[-1])
    return weights(np.stack([ahead + e for e in errors])[None], target, grid, half_life)[0]


def test_an_error_is_known_when_its_period_is() -> None:
    values = np.array([[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]])
    np.testing.assert_array_equal(known(values, (1, 2)), [[np.nan, 1, 3], [np.nan, np.nan, 2]])


def test_weights_favour_the_better_expert_and_add_up() -> None:
    w = _blended(np.arange(40.0), [1.0, 3.0])
    np.testing.assert_allclose(w.sum(axis=0), 1.0)
    assert w[0, -1] == pytest.approx(3**8 / (3**8 + 1))
    assert w[0, 0] == 0.5


def test_one_shock_does_not_decide() -> None:
    z = np.zeros(60)
    grid = ending_at(60, 1, (1,), 0)
    forecasts = np.stack([np.full(60, 1.0), np.full(60, 1.2)])[None]
    forecasts[0, 0, 40] = 1000.0  # the better expert, but for one period
    w = weights(forecasts, grid.targets(z, np.ones(60, bool)), grid, 52.0)
    assert w[0, 0, -1] > 0.4


def test_perfect_experts_share_and_nothing_is_divided_by_zero() -> None:
    np.testing.assert_allclose(_blended(np.ones(30), [0.0, 0.0]), 0.5)


def _built(n: int, seasons: tuple[float, ...], steps: tuple[int, ...] = (1, 4)) -> Experts:
    z = np.sin(np.arange(n) * 2 * np.pi / 52.1775)
    return experts(smoothed(z, seasons), ending_at(n, 1, steps, 0))


@pytest.mark.parametrize(("n", "seasons"), [(5, ()), (40, (52.1775,)), (60, (52.1775,)), (230, (52.1775,))])
def test_every_expert_speaks_at_every_origin(n: int, seasons: tuple[float, ...]) -> None:
    built = _built(n, seasons)
    forecasts = built.forecasts()
    assert np.isfinite(forecasts).all()
    assert forecasts.shape[1] % len(GAINS) == 0
    assert built.pull.size == built.season.shape[1]


def test_before_its_first_season_a_seasonal_expert_is_the_level() -> None:
    built = _built(230, (52.1775,))
    early = built.season[:, :, :51]
    assert np.abs(early).max() == 0


def test_analogues_of_a_pure_season_are_right() -> None:
    n = 52 * 4
    z = np.sin(np.arange(n + 4) * 2 * np.pi / 52)
    built = experts(smoothed(z[:n], (52.0,)), ending_at(n, 1, (4,), n - 1))
    whole = built.forecasts()[0, built.seasonal][built.pull == 1.0]
    np.testing.assert_allclose(whole[len(GAINS) - 1], z[n + 3], atol=1e-9)  # one year back, from the last value
