"""When a challenger earns a champion's place: three gates, each a pure function of its evidence.

1. `backtest_gate`: Diebold-Mariano on rolling origins, once, and a margin that is worth a change.
2. `shadow_gate`: both are scored on every actual; an e-process may be looked at after each of them.
3. `canary_step`: a share of the traffic, raised step by step within bounds on what users would notice.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from forecast.errors import OptionError
from forecast.transform import FloatArray

CLIP = 0.2  # of |champion - challenger| / (champion + challenger): losses of a period that differ by half count as that
BETS = (0.05, 0.1, 0.2, 0.4, 0.6)  # shares of the stake; their mean is a bet on a gain of unknown size
ENOUGH = 20.0  # evidence: under the null it is ever reached with probability 1/20 at most (Ville)
MARGIN_PCT, WORST_PCT, SIGNIFICANT = 2.0, 10.0, 0.05
FEWEST = 8  # scores of a part before it can be said to be worse
STEPS = (0.05, 0.25, 0.5, 1.0)
_HASHED = 2**64


@dataclass(frozen=True)
class Backtested:
    """Gate 1. `gain_pct`: by how much the challenger's mean loss is lower; `p`: of Diebold-Mariano, one-sided.

    `worst`: the lead or segment in which the challenger is worst, and `worst_pct`: by how much its loss is higher there
    (below zero where it is lower in all); None where none has enough scores.
    """

    passed: bool
    reason: str
    gain_pct: float
    p: float
    origins: int
    worst: str | None
    worst_pct: float | None


def backtest_gate(
    champion: FloatArray, challenger: FloatArray, segments: Mapping[str, FloatArray] | None = None
) -> Backtested:
    """Is the challenger better at past origins, by enough to matter, and nowhere much worse?

    Losses, each (origins, leads), oldest origin first, NaN where not known; `segments` names masks of that shape. The
    losses of an origin are averaged over the leads that both have. Diebold and Mariano (1995) with the adjustment of
    Harvey, Leybourne and Newbold (1997). Raises OptionError for shapes that differ or too few origins.
    """
    from statsmodels.tsa.stattools import diebold_mariano_test

    a, b = _paired(champion, challenger)
    known = np.isfinite(a).any(axis=1)
    leads = a.shape[1]
    if known.sum() < max(FEWEST, 2 * leads):
        raise OptionError("champion", f"{known.sum()} scored origins", f"at least {max(FEWEST, 2 * leads)}")
    before, after = np.nanmean(a[known], axis=1), np.nanmean(b[known], axis=1)
    gain = 100 * (1 - float(after.sum()) / float(before.sum())) if before.sum() > 0 else 0.0
    p = 1.0
    if not np.array_equal(before, after):
        test = diebold_mariano_test(
            np.zeros(before.size), before, after, criterion=_as_loss, harvey_adj=True, horizon=leads
        )
        two_sided = float(test.pvalue)
        p = two_sided / 2 if gain > 0 else 1 - two_sided / 2
    worst, worst_pct = _worst(a, b, segments or {})
    reason = _backtest_reason(gain, p, worst, worst_pct)
    return Backtested(not reason, reason or "better", gain, p, int(known.sum()), worst, worst_pct)


def _as_loss(_: FloatArray, loss: FloatArray) -> FloatArray:
    """The test compares losses; ours are losses already."""
    return np.asarray(loss)


def _paired(champion: FloatArray, challenger: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both losses (origins, leads), NaN in both where either is not known."""
    if champion.shape != challenger.shape or champion.ndim != 2:
        raise OptionError("challenger", f"losses of shape {challenger.shape}", f"(origins, leads), {champion.shape}")
    both = np.isfinite(champion) & np.isfinite(challenger)
    if (champion[both] < 0).any() or (challenger[both] < 0).any():
        raise OptionError("challenger", "a loss below zero", "losses from 0, NaN where unknown")
    return np.where(both, champion, np.nan), np.where(both, challenger, np.nan)


def _worst(a: FloatArray, b: FloatArray, segments: Mapping[str, FloatArray]) -> tuple[str | None, float | None]:
    known = np.isfinite(a)
    leads = np.arange(1, a.shape[1] + 1)
    parts = {f"lead {h}": known & (leads == h) for h in leads.tolist()}
    parts |= {name: known & mask.astype(bool) for name, mask in segments.items()}
    worse = {
        name: 100 * (float(b[part].sum()) / float(a[part].sum()) - 1)
        for name, part in parts.items()
        if part.sum() >= FEWEST and a[part].sum() > 0
    }
    if not worse:
        return None, None
    name = max(worse, key=worse.__getitem__)
    return name, worse[name]


def _backtest_reason(gain: float, p: float, worst: str | None, worst_pct: float | None) -> str:
    """Why the gate is closed; empty where it is open."""
    if gain < MARGIN_PCT:
        return f"the loss is {gain:.1f} % lower, and a change is worth it from {MARGIN_PCT:g} %"
    if p >= SIGNIFICANT:
        return (
            f"a loss that is {gain:.1f} % lower may be chance (Diebold-Mariano p = {p:.2f}, wanted below {SIGNIFICANT})"
        )
    if worst_pct is not None and worst_pct > WORST_PCT:
        return f"the loss of {worst} is {worst_pct:.1f} % higher, allowed are {WORST_PCT:g} %"
    return ""


@dataclass(frozen=True)
class Shadowed:
    """Gate 2. `evidence` for the challenger and `against` it, each at its highest so far; `gain_pct`: by how much its
    mean loss is lower; `decided`: the place of the score that decided, None while waiting."""

    decision: Literal["promote", "reject", "wait"]
    reason: str
    evidence: float
    against: float
    gain_pct: float
    scores: int
    decided: int | None


def shadow_gate(champion: FloatArray, challenger: FloatArray, lead: int = 1) -> Shadowed:
    """What the scores so far say; may be asked after every score, and keeps to what it has once decided.

    Losses of the same forecasts, each (n,), oldest first, NaN where not known. `lead`: after how many scores the first
    of them is known, in periods: 1 where each forecast is scored before the next one is made.
    """
    if lead < 1:
        raise OptionError("lead", lead, "a whole number from 1")
    a, b = _paired(champion[:, None], challenger[:, None])
    evidence = e_process(a[:, 0], b[:, 0], lead)
    against = e_process(b[:, 0], a[:, 0], lead)
    scores = int(np.isfinite(a).sum())
    total = float(np.nansum(a))
    gain = 100 * (1 - float(np.nansum(b)) / total) if total > 0 else 0.0
    decided = _first(np.maximum(evidence, against) >= ENOUGH)
    upto = evidence.size if decided is None else decided + 1
    for_it, against_it = (float(one[:upto].max(initial=1.0)) for one in (evidence, against))
    if decided is None:
        return Shadowed("wait", f"evidence {for_it:.1f} of {ENOUGH:g}", for_it, against_it, gain, scores, None)
    if for_it >= ENOUGH:
        return Shadowed("promote", f"evidence {for_it:.1f} for it", for_it, against_it, gain, scores, decided)
    return Shadowed("reject", f"evidence {against_it:.1f} against it", for_it, against_it, gain, scores, decided)


def _first(holds: np.ndarray) -> int | None:
    return int(np.argmax(holds)) if holds.any() else None


def e_process(champion: FloatArray, challenger: FloatArray, lead: int = 1) -> FloatArray:
    """The evidence after each score that the challenger is better, (n,); at least 20 is enough.

    A bet on `d = (a - b) / (a + b)`, clipped to 0.2 either way, whose stake grows by `1 + share * d / 0.2`; the mean
    over several shares. Where the challenger is no better it is a nonnegative supermartingale that begins at 1, so the
    chance that it *ever* reaches 20 is at most 1/20, however often one looks (Ville; Choe and Ramdas, arXiv
    2110.00115).

    With a lead of h > 1 scores overlap: every h-th score is a bet of its own, which makes h e-processes (Henzi and
    Ziegel 2021). Their mean is none under looks at any time (the correction of 2022), so the highest one counts,
    divided by h (Bonferroni), and its running maximum is what is returned.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        d = (champion - challenger) / (champion + challenger)
    stake = np.clip(np.where(np.isfinite(d), d, 0.0), -CLIP, CLIP) / CLIP
    grown = np.log1p(np.array(BETS)[:, None] * stake)
    highest = np.zeros(stake.size)
    for first in range(lead):
        own = np.zeros_like(grown)
        own[:, first::lead] = grown[:, first::lead]
        evidence = np.exp(np.cumsum(own, axis=1)).mean(axis=0)
        highest = np.maximum(highest, evidence)
    return highest if lead == 1 else np.maximum.accumulate(highest) / lead


@dataclass(frozen=True)
class Observed:
    """What was seen of a configuration's share of the traffic, or of the champion's, in the time of one step.

    `failed`: requests that failed. `latency_ms`: the 95th percentile. `bias_pct`, `coverage`, with `scored` forecasts
    that have met their actuals; None where there are none.
    """

    requests: int
    failed: int
    latency_ms: float
    scored: int = 0
    bias_pct: float | None = None
    coverage: float | None = None


@dataclass(frozen=True)
class Bounds:
    """What a step must keep to. A step lasts until it has `requests`; its breaches end the canary at once.

    `failed_more`: share of requests beyond that of the champion. `slower`: times the champion's latency, and never a
    breach below `latency_ms`. `bias_pct`: that much further from zero than the champion. `coverage`: that much below
    the champion's, in shares. Both are judged from `scored` on, of the canary and of the champion.
    """

    requests: int = 200
    failed_more: float = 0.01
    slower: float = 2.0
    latency_ms: float = 100.0
    scored: int = 30
    bias_pct: float = 5.0
    coverage: float = 0.10


@dataclass(frozen=True)
class Step:
    """Gate 3: `next` with the share to go to, `hold` at the share that it has, or `roll back` to none; and why."""

    action: Literal["next", "hold", "roll back"]
    share: float
    reason: str


def canary_step(share: float, canary: Observed, champion: Observed, bounds: Bounds | None = None) -> Step:
    """What becomes of a canary that has `share` of the traffic; at 1.0 it is held there as long as its bounds hold.

    Raises OptionError for a share that is none of the steps 0, 5, 25, 50 and 100 %.
    """
    if share not in (0.0, *STEPS):
        raise OptionError("share", share, "one of 0, " + ", ".join(f"{step:g}" for step in STEPS))
    limits = bounds or Bounds()
    breach = _breach(canary, champion, limits)
    if breach:
        return Step("roll back", 0.0, breach)
    if share == STEPS[-1]:
        return Step("hold", share, "all traffic, within bounds")
    if share > 0 and canary.requests < limits.requests:
        return Step("hold", share, f"{canary.requests} of {limits.requests} requests seen")
    following = min(step for step in STEPS if step > share)
    return Step("next", following, "within bounds")


def _breach(canary: Observed, champion: Observed, limits: Bounds) -> str:
    """The first bound that is broken, in words; empty where none is."""
    allowed = champion.failed / max(champion.requests, 1) + limits.failed_more
    # One failure in few requests says little: two standard errors more than allowed.
    few = 2 * math.sqrt(allowed * (1 - min(allowed, 1.0)) / max(canary.requests, 1))
    failed = canary.failed / max(canary.requests, 1)
    if failed > allowed + few:
        return f"{100 * failed:.1f} % of requests failed, allowed are {100 * allowed:.1f} %"
    slowest = max(limits.slower * champion.latency_ms, limits.latency_ms)
    if canary.requests and canary.latency_ms > slowest:
        return f"latency {canary.latency_ms:.0f} ms, allowed are {slowest:.0f} ms"
    if min(canary.scored, champion.scored) < limits.scored:
        return ""
    if canary.bias_pct is not None and champion.bias_pct is not None:
        biased = abs(champion.bias_pct) + limits.bias_pct
        if abs(canary.bias_pct) > biased:
            return f"bias {canary.bias_pct:+.1f} %, allowed are {biased:.1f} % either way"
    if canary.coverage is not None and champion.coverage is not None:
        least = champion.coverage - limits.coverage
        if canary.coverage < least:
            return f"coverage {100 * canary.coverage:.0f} %, allowed are {100 * least:.0f} % or more"
    return ""


def takes(identity: str, share: float) -> bool:
    """Does this identity (such as `tenant/category`) belong to the share of the traffic? The same on any machine.

    Whoever belongs to a share belongs to every larger one, so that no series goes back and forth between steps.
    """
    if not 0 <= share <= 1:
        raise OptionError("share", share, "a number from 0 to 1")
    place = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big")
    return place < share * _HASHED
