import numpy as np
import pytest

from signals.stitch import Fit, bend, fit_windows

SIZE, WINDOW, STRIDE = 420, 140, 70


def truth(size=SIZE):
    t = np.arange(size)
    return np.exp(0.4 * np.sin(t / 50) + 0.1 * np.sin(2 * np.pi * t / 7))


def windows(level, volume, seed=1):
    """Readings (n, k) of overlapping windows, each drawn and scaled to 100 by itself."""
    rng, starts = np.random.default_rng(seed), range(0, len(level) - WINDOW + 1, STRIDE)
    readings = np.full((len(level), len(starts)), np.nan)
    for column, start in enumerate(starts):
        drawn = rng.poisson(volume * level[start : start + WINDOW])
        readings[start : start + WINDOW, column] = np.round(100 * drawn / drawn.max())
    return readings


def off(level, right):
    return np.std(np.log(level / right))


def test_windows_without_noise_give_the_levels_back():
    level = truth()
    scale = np.array([3.0, 0.5, 40.0])
    readings = np.full((SIZE, 3), np.nan)
    for column, factor in enumerate(scale):
        readings[100 * column : 100 * column + 220, column] = factor * level[100 * column : 100 * column + 220]
    fit = fit_windows(readings)
    assert off(fit.level, level) < 1e-6
    assert fit.factor / fit.factor[0] == pytest.approx(scale / scale[0])


def test_drawn_windows_are_joined_within_their_noise():
    level = truth()
    fit = fit_windows(windows(level, 1000))
    assert off(fit.level, level) < 1.2 / np.sqrt(1000)
    assert fit.level.mean() == pytest.approx(1)


def test_the_noise_of_a_reading_is_estimated():
    level = truth()
    found = [fit_windows(windows(level, volume)).noise for volume in (100, 1000)]
    assert found == pytest.approx([0.1, 1000**-0.5], rel=0.2)


def test_the_error_that_is_told_is_the_error_that_is_made():
    level = truth()
    fit = fit_windows(windows(level, 200))
    error = np.log(fit.level / level)
    assert np.std((error - error.mean()) / fit.error) == pytest.approx(1, rel=0.15)


def test_a_spike_in_one_window_does_not_shift_the_others():
    level = truth()
    level[300:304] *= 12
    fit = fit_windows(windows(level, 1000))
    months = np.log([part.mean() for part in np.split(fit.level / level, 15)])
    assert np.std(months) < 0.01


def test_zeros_and_little_values_are_readings_like_others():
    level = truth()
    level[50:60] = 0
    fit = fit_windows(windows(level, 1000))
    assert fit.level[50:60].max() < 0.01
    assert off(fit.level[level > 0], level[level > 0]) < 0.05


def test_one_window_gives_itself_and_no_noise():
    readings = np.array([[10.0], [100.0], [40.0]])
    fit = fit_windows(readings)
    assert fit.level == pytest.approx(readings[:, 0] / 50)
    assert np.isnan(fit.noise)


def test_a_bucket_that_no_window_holds_stays_unknown():
    readings = windows(truth(), 1000)
    readings[7] = np.nan
    fit = fit_windows(readings)
    assert np.flatnonzero(np.isnan(fit.level)).tolist() == [7]


@pytest.mark.parametrize("readings", [np.zeros((5, 2)), np.eye(4), np.empty((0, 1))])
def test_windows_without_a_common_scale_are_refused(readings):
    with pytest.raises(ValueError, match=r"scale"):
        fit_windows(readings)


def weeks_of(level, error):
    weekly = level[: len(level) // 7 * 7].reshape(-1, 7).mean(axis=1)
    return Fit(weekly / weekly.mean(), np.ones(1), 1e-4, np.full(len(weekly), error))


def test_a_drift_is_bent_back_without_steps_at_the_ends_of_weeks():
    level, t = truth(), np.arange(SIZE)
    drifted = level * np.exp(0.2 * np.sin(t / 120))
    fit = Fit(drifted / drifted.mean(), np.ones(1), 1e-4, np.full(SIZE, 0.01))
    bent = bend(fit, weeks_of(level, 1e-3), t // 7)
    assert off(bent.level, level) < 0.005
    assert np.abs(np.diff(np.log(bent.level / level))).max() < 0.005


def test_weeks_that_tell_nothing_new_leave_days_as_they_are():
    level = truth()
    rng = np.random.default_rng(3)
    coarse = weeks_of(level * np.exp(0.2 * rng.normal(size=SIZE).repeat(7)[:SIZE]), 0.2)
    fit = Fit(level / level.mean(), np.ones(1), 1e-4, np.full(SIZE, 0.01))
    assert off(bend(fit, coarse, np.arange(SIZE) // 7).level, level) < 0.04


def test_too_few_weeks_bend_nothing():
    fit = Fit(np.ones(21), np.ones(1), 1e-4, np.full(21, 0.01))
    assert bend(fit, weeks_of(np.linspace(1, 2, 21), 0.01), np.arange(21) // 7) is fit
