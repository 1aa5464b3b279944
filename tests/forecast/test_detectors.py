"""Where the mean of a sequence changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.detectors import Sensitivity, persistence, rises

WEEKLY = Sensitivity(delta=0.12, least=0.7, noise=22, settle=26)


def noisy(seed: int, *, change: int = 10**6, size: float = 0.0, n: int = 156, deviation: float = 0.1) -> np.ndarray:
    x = deviation * np.random.default_rng(seed).normal(size=n)
    return np.asarray(x + size * (np.arange(n) >= change))


def test_a_rise_is_found_with_its_place_and_its_size() -> None:
    (jump,) = rises(noisy(1, change=100, size=0.4), WEEKLY)
    assert 100 <= jump.found <= 106
    assert abs(jump.since - 100) <= 2
    assert jump.low < 0.4 < jump.high
    assert jump.low < jump.size < jump.high


def test_a_fall_raises_no_alarm() -> None:
    assert rises(noisy(1, change=100, size=-0.4), WEEKLY) == []


def test_the_threshold_follows_the_noise() -> None:
    quiet = [rises(noisy(seed, deviation=0.4), WEEKLY) for seed in range(40)]
    deaf = Sensitivity(WEEKLY.delta, WEEKLY.least, 0.0, WEEKLY.settle)
    assert sum(map(len, quiet)) <= 6
    assert sum(len(rises(noisy(seed, deviation=0.4), deaf)) for seed in range(40)) > 100


def test_a_single_wild_value_raises_no_alarm() -> None:
    x = noisy(2)
    x[100] = 50.0
    assert rises(x, WEEKLY) == []


def test_nothing_is_said_before_enough_is_known() -> None:
    assert rises(noisy(3, change=10, size=5.0, n=26), Sensitivity(0.12, 0.7, 0.0, 27)) == []
    assert rises(np.array([]), WEEKLY) == []
    assert rises(np.full(60, np.nan), WEEKLY) == []


def test_unknown_values_are_skipped_and_places_remain_those_of_the_sequence() -> None:
    x = noisy(1, change=100, size=0.4)
    with_gaps = np.insert(x, [50] * 10, np.nan)
    assert [(one.since, one.found) for one in rises(with_gaps, WEEKLY)] == [
        (one.since + 10, one.found + 10) for one in rises(x, WEEKLY)
    ]


@given(seed=st.integers(0, 10**6), size=st.floats(0, 2), cut=st.integers(60, 156))
@settings(max_examples=40, deadline=None)
def test_what_was_found_is_found_again_in_a_longer_sequence(seed: int, size: float, cut: int) -> None:
    x = noisy(seed, change=80, size=size, deviation=0.3)
    assert [one for one in rises(x, WEEKLY) if one.found < cut] == rises(x[:cut], WEEKLY)


@given(seed=st.integers(0, 10**6), shift=st.floats(-100, 100))
@settings(max_examples=30, deadline=None)
def test_the_level_of_a_sequence_does_not_matter(seed: int, shift: float) -> None:
    x = noisy(seed, change=80, size=0.5)
    assert [one.found for one in rises(x + shift, WEEKLY)] == [one.found for one in rises(x, WEEKLY)]


@pytest.mark.parametrize(("rho", "times"), [(0.0, 1.0), (0.5, 3.0), (0.95, 4.0), (-0.5, 1.0)])
def test_persistence_is_that_of_a_first_order_autoregression_within_bounds(rho: float, times: float) -> None:
    assert persistence(rho, 1.0) == pytest.approx(times)
    assert persistence(0.0, 0.0) == 1.0
