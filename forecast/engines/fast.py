"""The fast engine: closed form, numpy only, every retrain in milliseconds.

Experts (level, damped trend, seasonal analogues) are blended by their prequential record; what the blend got wrong is
explained by the surprises of admitted signals. Everything is computed for all origins of the history in one pass, and
what is chosen at an origin rests on errors that were known by then, so past origins are honest tests of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from forecast import admission
from forecast.blend import targets, weights
from forecast.engines.base import Engine, Evidence, Path, Problem
from forecast.experts import GAINS, Experts, build
from forecast.regressors import Regressor
from forecast.season import IntArray, analog_lags
from forecast.surprise import Surprise, filter_of, surprise
from forecast.transform import FloatArray

MAX_PERIODS = 1100  # three years of days, ten of weeks twice over: older values say little and cost time
_MIN_MEMORY = 12.0
_SEASONS_REMEMBERED = 2.0
_RECENTRING_YEARS = 3
_DENSE_STEPS = 16
_SPARSER = 1.2


class Fast(Engine):
    """Prequential blend of smoothing experts with admitted signals."""

    name = "fast"
    summary = "blend of smoothed levels, damped trends and seasonal analogues, with signals that earned their place"
    uses_signals = True
    backtest_origins = 104

    def predict(self, problem: Problem) -> Path:
        """The path from the last period on."""
        return self.predict_many(problem, [len(problem) - 1])[0]

    def predict_many(self, problem: Problem, origins: Sequence[int]) -> list[Path]:
        """All origins in one pass over the last `MAX_PERIODS`; origins too early for it in a pass of their own."""
        cut = max(0, len(problem) - MAX_PERIODS)
        early = [origin for origin in origins if cut and origin < cut + MAX_PERIODS // 2]
        first = self.predict_many(problem.at(early[-1]), early) if early else []
        fit = Fit(_cut(problem, cut)) if len(early) < len(origins) else None
        return first + [fit.path(origin - cut) for origin in origins[len(early) :] if fit]


def _cut(problem: Problem, first: int) -> Problem:
    if first == 0:
        return problem
    regressors = tuple(type(r)(r.name, r.x[first:], r.edge - first, r.future_known) for r in problem.regressors)
    return replace(
        problem,
        ds=problem.ds[first:],
        z=problem.z[first:],
        observed=problem.observed[first:],
        regressors=regressors,
    )


def judged_steps(horizon: int, evidence: int) -> IntArray:
    """The steps ahead at which experts are judged: every one at first, then ever sparser ones."""
    dense = np.arange(1, min(horizon, max(_DENSE_STEPS, evidence)) + 1)
    sparse = [int(dense[-1])]
    while sparse[-1] < horizon:
        sparse.append(min(horizon, int(np.ceil(sparse[-1] * _SPARSER))))
    return np.concatenate([dense, np.array(sparse[1:], dtype=int)])


class Fit:
    """One pass over a history: experts, weights, errors and the admission of signals at every origin."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        n, horizon = len(problem), problem.horizon
        ahead = admission.evidence_horizon(n, horizon)
        self.steps = judged_steps(horizon, ahead)
        self.experts: Experts = build(problem.z, problem.season_lengths, self.steps, np.arange(n))
        target = targets(problem.z, problem.observed, horizon)[:, self.steps - 1]
        self.half_life = max(_MIN_MEMORY, _SEASONS_REMEMBERED * max(problem.season_lengths, default=1.0))
        forecasts = self.experts.level[:, :, None] + self.experts.move
        self.weights = weights(forecasts, target, self.steps, self.half_life)
        usable = [s for s in problem.season_lengths if s + 2 <= n]
        self.season = usable[-1] if usable else None
        self.errors = self._errors(target[:, :ahead], forecasts[:, :, :ahead])
        self.refused: dict[str, Evidence] = {}
        self.surprises = self._surprises()
        self.admission = admission.Admission(self.errors, self.surprises, self.half_life)

    def _errors(self, target: FloatArray, forecasts: FloatArray) -> FloatArray:
        """What the blend got wrong, (n, ahead).

        A first season that nobody could foresee is not the signals' to explain, so it is left out.
        """
        errors = target - np.sum(self.weights[:, :, : target.shape[1]] * np.nan_to_num(forecasts), axis=0)
        if self.season is not None and len(self.problem) > 2 * self.season:
            errors[: round(self.season)] = np.nan
        return np.asarray(errors)

    def _surprises(self) -> list[Surprise]:
        filter_ = filter_of(self.experts, self.weights, self.season)
        ahead = self.errors.shape[1]
        usable = []
        for regressor in self.problem.regressors:
            reason = _unusable(regressor, len(self.problem), ahead)
            if reason:
                self.refused[regressor.name] = Evidence(regressor.name, False, reason)
            else:
                usable.append(surprise(regressor, filter_, ahead))
        return usable

    def path(self, origin: int) -> Path:
        """The forecast at one origin, as terms on the working scale."""
        terms = self._own_terms(origin)
        adjustments, evidence = self.admission.choose(origin)
        for name, adjustment in adjustments.items():
            terms[name] = np.pad(adjustment, (0, self.problem.horizon - adjustment.size))
        found = evidence | self.refused
        return Path(terms, tuple(found[r.name] for r in self.problem.regressors))

    def _own_terms(self, origin: int) -> dict[str, FloatArray]:
        steps = np.arange(1, self.problem.horizon + 1)
        nearest = np.abs(self.steps - steps[:, None]).argmin(axis=1)
        weight = self.weights[:, origin, nearest]
        level, moves = self._at(origin, steps)
        move, seasonal = weight * np.nan_to_num(moves), self.experts.seasonal
        base, trend, season = weight.T @ level, move[~seasonal].sum(0), move[seasonal].sum(0)
        share = weight[seasonal].sum(0)
        if self.season is None or not share.any():
            return {"level": base, "trend": trend}
        growth, to_mean = self._recentre(origin)
        return {
            "level": base + share * to_mean,
            "trend": trend + share * growth * steps,
            "season": season - share * (to_mean + growth * steps),
        }

    def _at(self, origin: int, steps: IntArray) -> tuple[FloatArray, FloatArray]:
        """Levels (experts,) and moves (experts, horizon) of all experts at one origin."""
        if self.steps.size == steps.size:
            return self.experts.level[:, origin], self.experts.move[:, origin]
        alone = build(self.problem.z, self.problem.season_lengths, steps, np.array([origin]))
        return alone.level[:, 0], alone.move[:, 0]

    def _recentre(self, origin: int) -> tuple[float, float]:
        """Growth a period, and how far the origin's season position lies below the mean of the year.

        Analogues move from one season position to another; this splits their moves into growth, the way to the
        year's mean (level) and the season proper. Only the attribution depends on it, never the forecast.
        """
        season = float(self.season or 1.0)
        z, weight = self.problem.z, self.weights[:, origin].mean(-1)
        gains = np.array([weight[self.experts.gain == g].sum() for g in range(GAINS.size)])
        smooth = gains @ self.experts.level[: GAINS.size, : origin + 1]  # the first experts are the plain levels
        lags = [int(lag) for lag in analog_lags(season, np.array([1]), _RECENTRING_YEARS)[:, 0] if lag <= origin]
        if not lags:
            return 0.0, 0.0
        growth = float(smooth[origin] - smooth[origin - lags[-1]]) / lags[-1]
        year = round(season)
        moves = [z[origin - lag + 1 : origin - lag + 1 + year].mean() - smooth[origin - lag] for lag in lags]
        return growth, float(np.mean(moves)) - growth * (year + 1) / 2


def _unusable(regressor: Regressor, n: int, ahead: int) -> str:
    """Why a signal cannot even be tried, or an empty string."""
    seen = regressor.x[: n + ahead]
    seen = seen[np.isfinite(seen)]
    if not np.isfinite(regressor.x[:n]).any():
        return "no value falls on the periods of the history"
    if np.ptp(seen) == 0:
        return "it never varies"
    if regressor.edge < n - 1 - max(admission.LAGS):
        return f"its last value lies {n - 1 - regressor.edge} periods before the last known sale"
    return ""
