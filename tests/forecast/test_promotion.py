"""The three gates that a challenger passes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.promotion import losses, peeked
from forecast.errors import OptionError
from forecast.promotion import (
    BETS,
    CLIP,
    ENOUGH,
    STEPS,
    Bounds,
    Observed,
    backtest_gate,
    canary_step,
    e_process,
    shadow_gate,
    takes,
)

SAME = ["tenant/category 10", "tenant/category 18", "tenant/category 31"]  # of the first forty, by SHA-256
GOOD = Observed(requests=500, failed=0, latency_ms=40, scored=100, bias_pct=1.0, coverage=0.8)


def origins(seed: int, gain: float, count: int = 80, leads: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shared = np.abs(rng.normal(size=(count, leads))) + 0.2
    return shared, (1 - gain) * shared * np.exp(0.1 * rng.normal(size=(count, leads)))


def test_a_better_challenger_passes_the_backtest() -> None:
    result = backtest_gate(*origins(0, 0.10))
    assert result.passed
    assert result.gain_pct == pytest.approx(10, abs=3)
    assert result.p < 0.01


def test_a_gain_that_is_not_worth_it_is_refused_though_it_is_certain() -> None:
    a, b = origins(0, 0.0)
    result = backtest_gate(a, 0.99 * a)
    assert not result.passed
    assert result.p < 0.01
    assert "worth it from 2 %" in result.reason
    assert not backtest_gate(a, a).passed
    assert not backtest_gate(b, 1.1 * b).passed


def test_a_gain_that_may_be_chance_is_refused() -> None:
    rng = np.random.default_rng(4)
    a, b = np.abs(rng.normal(size=(12, 1))), np.abs(rng.normal(size=(12, 1)))
    better, worse = (a, b) if a.sum() > b.sum() else (b, a)
    result = backtest_gate(better, worse)
    assert not result.passed
    assert "may be chance" in result.reason


def test_a_lead_or_a_segment_that_is_much_worse_closes_the_gate() -> None:
    a, b = origins(0, 0.20)
    b[:, 2] = 1.3 * a[:, 2]
    result = backtest_gate(a, b)
    assert (result.passed, result.worst) == (False, "lead 3")
    assert result.worst_pct == pytest.approx(30)
    a, b = origins(0, 0.20)
    promoted = np.zeros(a.shape, dtype=bool)
    promoted[:10] = True
    b[:10] = 1.5 * a[:10]
    assert backtest_gate(a, b, {"promotions": promoted}).worst == "promotions"


def test_unknown_losses_are_left_out_of_both() -> None:
    a, b = origins(0, 0.10)
    a[::7, 0] = np.nan
    b[::5, 1] = np.nan
    both = np.isfinite(a) & np.isfinite(b)
    assert backtest_gate(a, b) == backtest_gate(np.where(both, a, np.nan), np.where(both, b, np.nan))


@pytest.mark.parametrize(
    ("a", "b", "field"),
    [
        (np.ones((20, 2)), np.ones((20, 3)), "challenger"),
        (np.ones((20, 2)), -np.ones((20, 2)), "challenger"),
        (np.ones((5, 2)), np.ones((5, 2)), "champion"),
    ],
)
def test_losses_that_cannot_be_compared_are_refused(a: np.ndarray, b: np.ndarray, field: str) -> None:
    with pytest.raises(OptionError) as caught:
        backtest_gate(a, b)
    assert caught.value.field == field


def test_a_better_challenger_is_promoted_a_worse_one_rejected_an_equal_one_waits() -> None:
    rng = np.random.default_rng(1)
    assert shadow_gate(*losses(rng, 60, 0.10)).decision == "promote"
    worse = shadow_gate(*losses(rng, 60, -0.10))
    assert (worse.decision, worse.against >= ENOUGH) == ("reject", True)
    assert shadow_gate(np.ones(50), np.ones(50)).decision == "wait"
    assert shadow_gate(np.array([]), np.array([])).decision == "wait"


def test_a_decision_stands_whatever_comes_later() -> None:
    a, b = losses(np.random.default_rng(1), 60, 0.10)
    early = shadow_gate(a, b)
    assert early.decided is not None
    later = shadow_gate(np.r_[a, np.ones(50)], np.r_[b, 3 * np.ones(50)])
    assert (later.decision, later.decided, later.evidence) == ("promote", early.decided, early.evidence)


def test_peeking_at_evidence_promotes_wrongly_far_less_often_than_peeking_at_p_values() -> None:
    """A small run of `python -m bench.promotion`, on seeds of its own."""
    pairs = [losses(np.random.default_rng([6, seed]), 60, 0.0) for seed in range(60)]
    by_evidence = np.mean([shadow_gate(a, b).decision == "promote" for a, b in pairs])
    by_p = np.mean([peeked(a, b) for a, b in pairs[:30]])
    assert by_evidence <= 0.05 < by_p


@pytest.mark.parametrize("lead", [1, 4])
def test_evidence_is_a_nonnegative_supermartingale_where_the_challenger_is_no_better(lead: int) -> None:
    """Its mean stays at most 1 at any time, and it ever reaches 20 in at most 1 of 20 (three standard errors more)."""
    rng = np.random.default_rng(2)
    runs, n = 2000, 60
    both = np.abs(rng.standard_t(3, (2, runs, n)))
    paths = np.array([e_process(a, b, lead) for a, b in zip(*both, strict=True)])
    assert (paths >= 0).all()
    assert (paths >= ENOUGH).any(axis=1).mean() <= 1 / ENOUGH + 3 * np.sqrt(0.05 * 0.95 / runs)
    if lead == 1:
        assert (paths.mean(axis=0) <= 1 + 3 * paths.std(axis=0) / np.sqrt(runs)).all()


def test_with_a_lead_every_hth_score_is_a_bet_of_its_own() -> None:
    a, b = losses(np.random.default_rng(3), 10, 0.10)
    alone = [e_process(a[first::3], b[first::3]) for first in range(3)]
    assert e_process(a, b, 3)[-1] == pytest.approx(max(one.max() for one in alone) / 3)


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)), min_size=1, max_size=40), st.floats(1e-3, 1e3))
@settings(max_examples=60, deadline=None)
def test_evidence_is_bounded_by_its_bets_and_has_no_unit(pairs: list[tuple[float, float]], unit: float) -> None:
    a, b = np.array(pairs).T
    path = e_process(a, b)
    assert np.isfinite(path).all()
    assert (path > 0).all()
    assert path[-1] <= np.mean((1 + np.array(BETS)) ** a.size) * (1 + 1e-9)
    assert e_process(unit * a, unit * b)[-1] == pytest.approx(path[-1], rel=1e-6)


def test_one_bet_counts_as_it_should() -> None:
    a, b = np.array([1.1]), np.array([0.9])  # d = 0.1
    assert e_process(a, b)[0] == pytest.approx(1 + np.mean(BETS) * 0.1 / CLIP)
    assert e_process(b, a)[0] == pytest.approx(1 - np.mean(BETS) * 0.1 / CLIP)
    assert e_process(np.array([np.nan, 0.0]), np.array([1.0, 0.0])).tolist() == [1.0, 1.0]


def test_a_canary_goes_through_its_steps_and_is_held_at_the_last() -> None:
    share, seen = 0.0, []
    while (step := canary_step(share, GOOD, GOOD)).action == "next":
        share = step.share
        seen.append(share)
    assert tuple(seen) == STEPS
    assert (step.action, step.share) == ("hold", 1.0)


@pytest.mark.parametrize(
    ("canary", "action", "reason"),
    [
        (Observed(100, 0, 40), "hold", "100 of 200 requests seen"),
        (Observed(500, 50, 40), "roll back", "10.0 % of requests failed, allowed are 1.0 %"),
        (Observed(500, 0, 140), "roll back", "latency 140 ms, allowed are 100 ms"),
        (Observed(500, 0, 40, 100, -9.0, 0.8), "roll back", "bias -9.0 %, allowed are 6.0 % either way"),
        (Observed(500, 0, 40, 100, 1.0, 0.6), "roll back", "coverage 60 %, allowed are 70 % or more"),
        (Observed(500, 0, 40, 10, 50.0, 0.1), "next", "within bounds"),
    ],
)
def test_a_canary_is_rolled_back_where_a_bound_breaks(canary: Observed, action: str, reason: str) -> None:
    step = canary_step(0.05, canary, GOOD)
    assert (step.action, step.reason) == (action, reason)


def test_bounds_are_those_that_are_given() -> None:
    slow = Observed(500, 0, 300)
    assert canary_step(1.0, slow, GOOD).action == "roll back"
    assert canary_step(1.0, slow, GOOD, Bounds(latency_ms=400)).action == "hold"
    with pytest.raises(OptionError, match=r"one of 0, 0\.05, 0\.25, 0\.5, 1"):
        canary_step(0.3, GOOD, GOOD)


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_who_belongs_to_a_share_belongs_to_every_larger_one(identity: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert not takes(identity, small) or takes(identity, large)
    assert takes(identity, 1.0)
    assert not takes(identity, 0.0)


def test_shares_are_kept_and_are_the_same_on_any_machine() -> None:
    names = [f"tenant/category {i}" for i in range(4000)]
    for share in STEPS[:3]:
        assert np.mean([takes(name, share) for name in names]) == pytest.approx(share, abs=0.02)
    assert [name for name in names[:40] if takes(name, 0.05)] == SAME
    with pytest.raises(OptionError):
        takes("a", 1.5)
