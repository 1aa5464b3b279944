"""Does this signal earn its place, out of sample?

Only out-of-sample errors count, and only what the signal had shown by the origin. A signal is admitted at an origin
where
  1. the errors of the forecast without it go with its surprises: the encompassing test of Harvey, Leybourne and
     Newbold (1998), the mean of clipped error x clipped surprise over all earlier origins against a Bartlett variance
     (Newey and West 1987), with a bound that is stricter the more lags are tried and signals offered (Bonferroni);
  2. adjusting the forecast by it, with coefficients known at each origin, has gained, or at least not lost.
Signals enter one by one, the strongest first, each judged on what those before it left unexplained.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from forecast.blend import discounted_mean, realised
from forecast.engines.base import Evidence
from forecast.surprise import Surprise
from forecast.transform import FloatArray

LAGS = (0, 1, 2, 3, 4, 6, 8, 12)
SIZE = 0.03  # of the encompassing tests of one request together, over signals and lags
MAX_ADMITTED = 4
MIN_SCALE = 8  # errors before their usual size is known
MIN_PAIRS = 16  # of error and surprise before a coefficient is used
MIN_MEASURED = 16  # past origins at which it was used: fewer say nothing about a signal
INTERVAL = 0.90  # of the gain
_SHRINK = 8.0  # pseudo-observations that pull a coefficient towards no effect
_POOL = 2.0  # weight of the mean over horizons against a horizon's own pairs
_VARIANCE = np.pi / 2  # of a normal error whose mean absolute value is 1
_CLIP = 3.0  # in scales of the error


Admitted = tuple[tuple[str, int], ...]  # names and lag indices of the signals already in, in order


@dataclass(frozen=True)
class Trial:
    """One signal tried on the errors (n, horizon) left so far, at every lag and origin; all arrays know only the past.

    `reach` (lags,) is the last horizon with news, at which the signal's own value is known; beyond it the newest
    surprise is held.
    """

    errors: FloatArray
    lags: np.ndarray
    reach: np.ndarray
    scores: FloatArray  # (lags, n), clipped error x clipped surprise over the horizons with news
    adjustment: FloatArray  # (lags, n, horizon), NaN before there are pairs enough

    def news(self, lag: int, origin: int) -> tuple[FloatArray, FloatArray]:
        """Mean absolute error without and with the adjustment at one lag, over the horizons with news.

        One value each for every origin whose whole horizon was known at `origin`.
        """
        return self._compared(lag, origin, slice(0, self.reach[lag]))

    def held(self, lag: int, origin: int) -> tuple[FloatArray, FloatArray]:
        """The same over the horizons beyond the news."""
        return self._compared(lag, origin, slice(self.reach[lag], None))

    def _compared(self, lag: int, origin: int, part: slice) -> tuple[FloatArray, FloatArray]:
        past = slice(0, max(0, origin - self.errors.shape[1] + 1))
        errors, adjustment = self.errors[past, part], self.adjustment[lag, past, part]
        if not errors.size:
            return np.empty(0), np.empty(0)
        left = errors - adjustment
        whole = np.isfinite(left).all(axis=1)
        return np.abs(errors[whole]).mean(axis=1), np.abs(left[whole]).mean(axis=1)


def evidence_horizon(periods: int, horizon: int) -> int:
    """How far ahead signals are judged and used: no further than a twelfth of the history."""
    return min(horizon, max(1, periods // 12))


def try_signal(errors: FloatArray, signal: Surprise, half_life: float) -> Trial:
    """Adjust `errors` (n, horizon) by the signal at each lag, with coefficients known at each origin."""
    horizon = errors.shape[1]
    lags = np.array([lag for lag in LAGS if signal.ahead + lag >= 0] or LAGS[-1:])
    reach = np.clip(signal.ahead + lags, 1, horizon)
    scale, told = discounted_mean(realised(np.abs(errors)), half_life)
    scale[told < MIN_SCALE] = np.nan
    features = np.stack([signal.feature(int(lag), horizon) for lag in lags])
    news = np.broadcast_to((np.arange(horizon) < reach[:, None])[:, None, :], features.shape)
    adjustment = _adjust(errors, features, scale, _pooling(reach, horizon), half_life)
    scores = _scores(errors, features, scale, news, half_life)
    return Trial(errors, lags, reach, scores, adjustment)


def _scores(
    errors: FloatArray, features: FloatArray, scale: FloatArray, news: np.ndarray, half_life: float
) -> FloatArray:
    """Mean over the horizons with news of error x surprise, each in its own scale as known then and clipped."""
    usual = discounted_mean(np.abs(features), half_life)[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        product = np.clip(errors / scale, -_CLIP, _CLIP) * np.clip(features / usual, -_CLIP, _CLIP)
    return np.asarray(np.where(news, product, 0.0).sum(axis=-1) / news.sum(axis=-1))


def _adjust(
    errors: FloatArray, features: FloatArray, scale: FloatArray, pooling: FloatArray, half_life: float
) -> FloatArray:
    """`beta[t,h] u[t,h]` with beta by weighted ridge on pairs known at t; NaN where there are too few of them.

    Half of each coefficient is pooled over the horizons of its kind (with news, or held), and it is drawn to zero by
    how uncertain it is, `1 - 1/F` (positive part of James and Stein). No adjustment exceeds the largest error so far.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        weighted = features / scale**2
        cross, pairs = discounted_mean(realised(errors * weighted), half_life)
        square, _ = discounted_mean(realised(np.where(np.isfinite(errors), features * weighted, np.nan)), half_life)
    enough = np.cumsum(np.isfinite(realised(errors * features)), axis=-2) >= MIN_PAIRS
    cross, square = _zeroed(cross * pairs), _zeroed(square * pairs)
    top = cross + _POOL * cross @ pooling
    bottom = square * (1 + _SHRINK / np.maximum(pairs, 1)) + _POOL * square @ pooling
    with np.errstate(invalid="ignore", divide="ignore"):
        beta = top / bottom * np.maximum(0.0, 1 - _VARIANCE * bottom / top**2)
    beta = np.where(enough & np.isfinite(beta), beta, np.nan)
    seen = np.maximum.accumulate(_zeroed(realised(np.abs(errors))), axis=0)
    return np.clip(beta * features, -seen, seen)


def _zeroed(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), values, 0.0)


def _pooling(reach: np.ndarray, horizon: int) -> FloatArray:
    """Matrices (lags, horizon, horizon) that take the mean over the horizons with news, and over those held."""
    news = np.arange(horizon) < reach[:, None]
    same = news[:, :, None] == news[:, None, :]
    return np.asarray(same / same.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Verdict:
    """A trial judged at one origin: best lag, strength over bound, evidence, and the adjustment (horizon,) to use."""

    lag: int
    strength: float
    evidence: Evidence
    adjustment: FloatArray


def judge(name: str, trial: Trial, origin: int, offered: int) -> Verdict:
    """Judge a trial by the origins whose whole horizon was known at `origin`."""
    horizon = trial.adjustment.shape[-1]
    best, strength, bound = clearest_lag(trial, origin, offered)
    reach = int(trial.reach[best])
    before, after = trial.news(best, origin)
    if before.size < MIN_MEASURED:
        reason = f"not enough history to tell: measured at {before.size} past origins, needs {MIN_MEASURED}"
        return Verdict(best, 0.0, Evidence(name, False, reason), np.zeros(horizon))
    gain, interval = _gain(before, after, reach)
    admitted = strength > bound and gain >= 0
    reason = _reason(admitted, strength, bound, gain)
    evidence = Evidence(name, admitted, reason, gain, interval, int(trial.lags[best]), reach)
    return Verdict(best, strength / bound, evidence, _usable_part(trial, best, origin))


def clearest_lag(trial: Trial, origin: int, offered: int) -> tuple[int, float, float]:
    """The lag to use at `origin` as an index, its absolute t statistic and the bound that it has to pass.

    Of the lags that pass their bounds it is the one with the largest gain where it has news; where none does, the one
    that came nearest.
    """
    horizon = trial.adjustment.shape[-1]
    past = trial.scores[:, : max(0, origin - horizon + 1)]
    sizes = SIZE / offered * _shares(trial.lags)
    clear = [_clearness(row, int(r), s) for row, r, s in zip(past, trial.reach, sizes, strict=True)]
    passed = [k for k, (strength, bound) in enumerate(clear) if strength > bound]
    if passed:
        best = max(passed, key=lambda k: _saved(trial, k, origin))
    else:
        best = max(range(len(clear)), key=lambda k: clear[k][0] / clear[k][1])
    return best, *clear[best]


def _saved(trial: Trial, lag: int, origin: int) -> float:
    before, after = trial.news(lag, origin)
    return float(1 - after.mean() / before.mean()) if before.size and before.any() else -np.inf


def _shares(lags: np.ndarray) -> FloatArray:
    """How the size of the test is spent on the lags: most on the short ones, which are the likelier."""
    weight = 1.0 / (1.0 + lags)
    return np.asarray(weight / weight.sum())


def _clearness(scores: FloatArray, overlap: int, size: float) -> tuple[float, float]:
    """Absolute t statistic of the mean score, and the bound it has to pass."""
    seen = scores[np.isfinite(scores)]
    if seen.size < MIN_MEASURED:
        return 0.0, 1.0
    error = _standard_error(seen, overlap)
    return (abs(float(seen.mean())) / error if error > 0 else 0.0), _bound(seen.size, overlap, size)


def _usable_part(trial: Trial, lag: int, origin: int) -> FloatArray:
    """The adjustment at a lag, and what is held beyond the news only where holding has gained."""
    adjustment: FloatArray = np.nan_to_num(trial.adjustment[lag, origin])
    before, after = trial.held(lag, origin)
    if before.size < MIN_MEASURED or _gain(before, after, adjustment.size)[1][0] < 0:
        adjustment[trial.reach[lag] :] = 0.0
    return adjustment


def _reason(admitted: bool, strength: float, bound: float, gain: float) -> str:
    if admitted:
        return f"lowers the error out of sample by {gain:.1f} % (evidence {strength:.1f}, needs {bound:.1f})"
    if gain < 0:
        return f"would have raised the error out of sample by {-gain:.1f} %"
    return f"no clear evidence out of sample (evidence {strength:.1f}, needs {bound:.1f})"


def _standard_error(values: FloatArray, overlap: int) -> float:
    centred = values - values.mean()
    n = values.size
    window = min(n - 1, max(overlap + overlap // 2, round(n ** (1 / 3))))
    variance = float(centred @ centred) / n
    for k in range(1, window + 1):
        variance += 2 * (1 - k / (window + 1)) * float(centred[k:] @ centred[:-k]) / n
    return float(np.sqrt(max(variance, 0.0) / n))


def _bound(count: int, overlap: int, size: float) -> float:
    """Two-sided critical value, Student-t by Cornish-Fisher with as many degrees of freedom as overlaps fit."""
    z = NormalDist().inv_cdf(1 - size / 2)
    freedom = max(2.0, count / overlap - 1)
    return z + (z**3 + z) / (4 * freedom)


def _gain(before: FloatArray, after: FloatArray, overlap: int) -> tuple[float, tuple[float, float]]:
    """`100 (1 - MAE with / MAE without)` and its 90 % interval."""
    base = float(before.mean()) if before.size else 0.0
    if base <= 0:
        return 0.0, (0.0, 0.0)
    gain = 100 * float((before - after).mean()) / base
    half = 100 * NormalDist().inv_cdf(0.5 + INTERVAL / 2) * _standard_error(before - after, overlap) / base
    return gain, (gain - half, gain + half)


class Admission:
    """Chooses signals origin by origin; trials are shared by all origins that admitted the same signals before."""

    def __init__(self, errors: FloatArray, signals: list[Surprise], half_life: float) -> None:
        self._signals = {s.name: s for s in signals}
        self._half_life = half_life
        self._errors: dict[Admitted, FloatArray] = {(): errors}
        self._trials: dict[Admitted, dict[str, Trial]] = {}

    def choose(self, origin: int) -> tuple[dict[str, FloatArray], dict[str, Evidence]]:
        """Adjustments (horizon,) of the signals admitted at `origin`, in order, and the evidence on each offered."""
        admitted: Admitted = ()
        evidence: dict[str, Evidence] = {}
        adjustments: dict[str, FloatArray] = {}
        while True:
            trials = self._tried(admitted)
            verdicts = {name: judge(name, trial, origin, len(self._signals)) for name, trial in trials.items()}
            evidence |= {name: verdict.evidence for name, verdict in verdicts.items()}
            passed = [name for name, verdict in verdicts.items() if verdict.evidence.admitted]
            if not passed:
                return adjustments, evidence
            best = max(passed, key=lambda name: verdicts[name].strength)
            adjustments[best] = verdicts[best].adjustment
            admitted = (*admitted, (best, verdicts[best].lag))
            if len(admitted) == MAX_ADMITTED:
                return adjustments, _close(evidence, set(adjustments))

    def _tried(self, admitted: Admitted) -> dict[str, Trial]:
        if admitted not in self._trials:
            if admitted:
                name, lag = admitted[-1]
                adjustment = self._trials[admitted[:-1]][name].adjustment[lag]
                self._errors[admitted] = self._errors[admitted[:-1]] - np.nan_to_num(adjustment)
            taken = {name for name, _ in admitted}
            rest = [s for name, s in self._signals.items() if name not in taken]
            self._trials[admitted] = {s.name: try_signal(self._errors[admitted], s, self._half_life) for s in rest}
        return self._trials[admitted]


def _close(evidence: dict[str, Evidence], admitted: set[str]) -> dict[str, Evidence]:
    """The list is full: whatever else passed by itself is refused, with that reason."""
    full = f"{MAX_ADMITTED} stronger signals are admitted already"
    return {
        name: e
        if name in admitted or not e.admitted
        else Evidence(name, False, full, e.gain_pct, e.gain_interval_pct, e.lag, e.lead)
        for name, e in evidence.items()
    }
