"""Admission on its own: simulated weekly sales, the blend's errors, and signals whose truth is known."""

import warnings

import numpy as np
import pytest
from series_makers import autocorrelated

from forecast.admission import Admitted, admit
from forecast.blend import weights
from forecast.blocks import Blocks, blocks_of
from forecast.engines.base import Evidence
from forecast.evidence import clearest
from forecast.experts import Smoothed, experts, smoothed
from forecast.origins import Origins, ending_at
from forecast.regressors import Regressor
from forecast.surprise import Surprises, filter_of, moved, surprises

YEAR = 52.1775
STEPS = (1, 2, 4, 8)
HALF_LIFE = 104.0
Base = tuple[Smoothed, Origins, np.ndarray, np.ndarray]


def _base(z: np.ndarray, steps: tuple[int, ...] = STEPS, stride: int = 1, seasons: tuple[float, ...] = (YEAR,)) -> Base:
    """The history, the grid, the weights of the blend and its errors."""
    history, grid = smoothed(z, seasons), ending_at(z.size, stride, steps, 0)
    forecasts, target = experts(history, grid).forecasts(), grid.targets(z, np.ones(z.size, dtype=bool))
    weight = weights(forecasts, target, grid, HALF_LIFE)
    return history, grid, weight, target - np.einsum("smr,smr->sr", weight, forecasts)


def _sales(n: int, seed: int, effect: np.ndarray | float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    season = 0.25 * np.sin(2 * np.pi * np.arange(n) / YEAR)
    return np.asarray(season + np.cumsum(0.03 * rng.normal(size=n)) + 0.08 * rng.normal(size=n) + effect)


def _laid(name: str, x: np.ndarray, n: int, horizon: int = STEPS[-1], future: bool = False) -> Regressor:
    full = np.full(n + horizon, np.nan)
    full[: x.size] = x[: full.size]
    known = np.flatnonzero(np.isfinite(full))
    return Regressor(name, full, int(known[-1]) if known.size else -1, future)


def _offered(base: Base, signals: dict[str, np.ndarray], horizon: int = STEPS[-1]) -> Surprises:
    history, grid, weight, _ = base
    laid = [_laid(name, x, grid.n, horizon) for name, x in signals.items()]
    pull = experts(history, grid).pull
    return surprises(laid, filter_of(weight, pull, history, grid), grid, horizon)


def _judged(z: np.ndarray, signals: dict[str, np.ndarray]) -> Admitted:
    base = _base(z)
    return admit(base[3], base[1], _offered(base, signals), STEPS[-1], HALF_LIFE)


def _led(x: np.ndarray, lag: int, size: float, n: int) -> np.ndarray:
    return size * np.r_[np.zeros(lag), x[: n - lag]]


@pytest.mark.parametrize("kind", ["white", "autocorrelated", "random walk", "season"])
def test_noise_is_refused_nearly_always(kind: str) -> None:
    n, hits = 208, 0
    for seed in range(60):
        x = np.random.default_rng(700 + seed).normal(size=n)
        made = {"white": x, "autocorrelated": autocorrelated(n, 700 + seed), "random walk": np.cumsum(x)}
        season = 5 + 3 * np.sin(2 * np.pi * np.arange(n) / YEAR + seed) + 0.3 * x
        hits += bool(_judged(_sales(n, seed), {"x": made.get(kind, season)}).now)
    assert hits <= 5


@pytest.mark.parametrize("lag", [1, 3])
def test_a_planted_signal_is_found_at_its_lag(lag: int) -> None:
    n, x = 260, autocorrelated(260, seed=7)
    result = _judged(_sales(n, 8, _led(x, lag, 0.05, n)), {"x": x, "noise": autocorrelated(n, seed=9)})
    evidence = {e.signal: e for e in result.evidence}
    assert set(result.now) == {"x"}
    assert evidence["x"].lag == lag
    assert evidence["x"].lead == lag
    assert "lowers the error out of sample by" in evidence["x"].reason
    assert not evidence["noise"].admitted
    low, high = evidence["x"].gain_interval_pct or (0.0, 0.0)
    assert low < (evidence["x"].gain_pct or 0.0) < high


def test_a_signal_that_runs_ahead_serves_at_lag_0() -> None:
    n, x = 260, autocorrelated(262, seed=7)
    result = _judged(_sales(n, 8, 0.05 * x[:n]), {"x": x})
    assert result.evidence[0].lag == 0
    assert result.evidence[0].lead == 2


def test_most_of_the_effect_of_what_is_known_ahead_is_forecast() -> None:
    n = 260
    plan = (np.random.default_rng(3).uniform(size=n + 8) < 0.15).astype(float)
    plan[n:] = [0, 0, 1, 0, 0, 0, 0, 0]
    now = _judged(_sales(n, 5, 0.5 * plan[:n]), {"plan": plan}).now["plan"]
    assert now.argmax() == 2
    assert 0.3 < now[2] - now[1] < 0.55


def test_the_adjustment_of_today_is_that_of_the_last_origin() -> None:
    n, x = 260, autocorrelated(262, seed=7)
    result = _judged(_sales(n, 8, 0.08 * x[:n]), {"x": x})
    np.testing.assert_allclose(result.now["x"][np.array(STEPS) - 1], result.adjustment[:, -1], atol=1e-12)


def test_later_errors_change_no_earlier_adjustment() -> None:
    n, x = 260, autocorrelated(262, seed=7)
    base = _base(_sales(n, 8, 0.05 * x[:n]))
    _, grid, _, errors = base
    offered = _offered(base, {"x": x, **{f"a/{i}": autocorrelated(n, 20 + i) for i in range(3)}})
    changed = errors.copy()
    moment = 200
    late = grid.rows + np.array(STEPS)[:, None] > moment
    changed[late] = np.random.default_rng(0).normal(size=int(late.sum()))
    before, after = (admit(e, grid, offered, STEPS[-1], HALF_LIFE).adjustment for e in (errors, changed))
    assert np.abs(before[:, : moment + 1]).max() > 0
    np.testing.assert_array_equal(before[:, : moment + 1], after[:, : moment + 1])


def _weak(n: int, seed: int) -> Admitted:
    signals = {f"search/{i}": autocorrelated(n, 100 * seed + i) for i in range(16)}
    z = _sales(n, seed, _led(np.sum(list(signals.values()), axis=0), 1, 0.01, n))
    return _judged(z, signals)


def test_many_weak_signals_are_found_as_a_group_with_its_members() -> None:
    results = [_weak(260, seed) for seed in range(1, 11)]
    groups = [e for result in results for e in result.evidence if e.members]
    assert len(groups) >= 8
    assert all(e.signal == "search/*" and len(e.members) == 16 and e.admitted for e in groups)
    assert sum(len(result.now) for result in results) <= len(groups) + 3


def test_every_signal_offered_has_one_row_in_its_order() -> None:
    n = 120
    signals = {
        "z": autocorrelated(n, 1),
        "flat": np.ones(n),
        "old": autocorrelated(60, 2),
        "never": np.full(n, np.nan),
        "a": autocorrelated(n, 3),
    }
    evidence = _judged(_sales(n, 0), signals).evidence
    assert [e.signal for e in evidence] == list(signals)
    reasons = [e.reason for e in evidence]
    assert reasons[1] == "it never varies"
    assert reasons[2] == "its last value lies 60 periods before the last known sale"
    assert reasons[3] == "no value falls on the periods of the history"


def test_a_short_history_cannot_tell() -> None:
    evidence: Evidence = _judged(_sales(30, 0), {"x": autocorrelated(30, 1)}).evidence[0]
    assert "not enough history to tell" in evidence.reason
    assert evidence.gain_pct is None


def test_a_signal_that_ages_keeps_only_the_lags_that_are_known() -> None:
    n, x = 260, autocorrelated(260, seed=7)
    result = _judged(_sales(n, 8, _led(x, 6, 0.08, n)), {"x": x[: n - 4]})
    assert result.evidence[0].lag == 6
    assert result.evidence[0].lead == 2


DEGENERATE = {
    "one value": np.r_[np.full(50, np.nan), 3.0],
    "a step": np.r_[np.zeros(60), np.ones(60)],
    "huge": 1e200 * autocorrelated(120, 1),
    "tiny": 1e-200 * autocorrelated(120, 1),
    "holes": np.where(np.arange(120) % 3, autocorrelated(120, 1), np.nan),
    "infinite": np.where(np.arange(120) == 60, np.inf, autocorrelated(120, 1)),
    "late": np.r_[np.full(110, np.nan), autocorrelated(10, 1)],
    "one pulse": (np.arange(120) == 70).astype(float),
}


@pytest.mark.parametrize("n", [2, 3, 15, 120])
@pytest.mark.parametrize("kind", DEGENERATE)
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e150, 1e-150])
def test_degenerate_input_yields_finite_numbers(n: int, kind: str, scale: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = _judged(scale * _sales(n, 0), {kind: DEGENERATE[kind][-n:], "also": DEGENERATE["a step"][-n:]})
    assert np.isfinite(result.adjustment).all()
    assert all(np.isfinite(a).all() for a in result.now.values())
    assert all(e.gain_pct is None or np.isfinite(e.gain_pct) for e in result.evidence)


def test_no_signal_adds_nothing() -> None:
    result = _judged(_sales(120, 0), {})
    assert not result.adjustment.any()
    assert (result.now, result.evidence) == ({}, ())


def test_origins_with_a_stride_are_judged_too() -> None:
    n, x = 1100, autocorrelated(1102, seed=7)
    z = _sales(n, 8, 0.08 * x[:n])
    base = _base(z, stride=3, seasons=(7.0, 364.0))
    result = admit(base[3], base[1], _offered(base, {"x": x}), STEPS[-1], HALF_LIFE)
    assert result.evidence[0].admitted
    assert result.evidence[0].lag == 0


def test_sums_over_blocks_are_those_of_all_earlier_origins() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 211))
    blocks = blocks_of(211)
    starts = np.arange(211)[(np.arange(211) - 210) % blocks.size == 0]
    exact = np.array([x[:t] @ y[:t] for t in starts])
    np.testing.assert_allclose(blocks.past(blocks.cut(x), blocks.cut(y))[-starts.size :], exact, atol=1e-12)
    np.testing.assert_array_equal(blocks.whole(blocks.cut(x)), x)
    np.testing.assert_array_equal(blocks.starts(x)[-starts.size :], x[starts])
    assert blocks.each(np.arange(blocks.blocks))[-1] == blocks.blocks - 1


@pytest.mark.parametrize("count", range(1, 12))
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_blocks_of_any_size_hold_every_origin_once(count: int, size: int) -> None:
    blocks = Blocks(count, size)
    np.testing.assert_array_equal(blocks.whole(blocks.places), np.arange(count))
    np.testing.assert_array_equal(blocks.starts(np.arange(count))[1:], blocks.places[0, 1:])
    assert blocks.places[0, -1] == count - 1


def test_an_unchanged_path_moves_nothing_and_effects_are_elasticities() -> None:
    expected = np.r_[np.full(3, np.nan), np.exp(autocorrelated(50, 1))]
    np.testing.assert_array_equal(moved(expected, expected), 0.0)
    np.testing.assert_allclose(moved(expected, 1.1 * expected)[3:], np.log(1.1))
    assert np.isfinite(moved(expected, np.zeros_like(expected))).all()


@pytest.mark.parametrize(("lag", "size"), [(0, 0.05), (3, 0.05), (0, 0.0)])
def test_the_clearest_lag_is_the_one_there_is_and_none_where_no_lag_is_clear(lag: int, size: float) -> None:
    n, x = 260, autocorrelated(268, seed=7)
    base = _base(_sales(n, 8, _led(x, lag, size, n)))
    found, pairs = clearest(base[3], base[1], _offered(base, {"x": x}), HALF_LIFE)
    assert found == lag
    assert pairs > 200
    assert clearest(base[3], base[1], _offered(base, {"x": np.ones(268)}), HALF_LIFE) == (0, 0.0)
