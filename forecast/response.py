"""How sales go with a signal whose whole path is known: the coefficients of a scenario, and how far off they may be.

The signal goes through the very filter of the sales, each expert with the weight it had at each origin, so that the
regression of the sales' one-step errors on the signal's is a regression with exponential-smoothing errors (Frisch and
Waugh 1933). A mean and two waves a season are in it too. A signal that is planned ahead, such as a promotion, may
also move the period before it (purchases wait for it) and the one after it (purchases were brought forward): these two
are in the regression too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from forecast.engines.fast import Fit
from forecast.evidence import MEMORY, MIN_PAIRS, clearest, sheet_of
from forecast.experts import experts, smoothed
from forecast.regressors import Regressor
from forecast.surprise import seasonal_waves, surprises
from forecast.transform import FloatArray

_RIDGE = 1e-6
_MOST_LEVERAGE = 0.9  # of one origin: an error that only it explains says nothing of its size
_SHOCK = 4.0  # usual sizes: more of what is left of an error does not count
_ROUNDS = 4
_TINY = 1e-300


@dataclass(frozen=True)
class Response:
    """So many periods after the signal (`lags`, (k,); before it where negative) sales move by `coefficient` (k,).

    `root` (k, k) is a root of the coefficients' covariance; that they are shrunken counts as an error. `told` says
    whether there is history enough for any.
    """

    lags: tuple[int, ...]
    coefficient: FloatArray
    root: FloatArray
    told: bool

    def moves(self, move: FloatArray) -> FloatArray:
        """How far a `move` of the signal (horizon,) moves it as seen by sales at each lag, (k, horizon)."""
        at = np.arange(move.size) - np.array(self.lags)[:, None]
        return np.where((at >= 0) & (at < move.size), move[np.clip(at, 0, move.size - 1)], 0.0)


def response(fit: Fit, signal: Regressor, *, planned: bool) -> Response:
    """What the errors of a `fit` say of one signal, known over the whole horizon; `planned`: it is so in truth."""
    horizon = fit.problem.horizon
    found = surprises([signal], fit.filter, fit.grid, horizon)
    lag, pairs = clearest(fit.errors, fit.grid, found, fit.half_life)
    nothing = Response((lag,), np.zeros(1), np.zeros((1, 1)), told=False)
    if not found.names or pairs < MIN_PAIRS:
        return nothing
    table = _Table(fit, found.z[0])
    around = (lag - 1, lag, lag + 1)
    return (table.regress(around) if planned else None) or table.regress((lag,)) or nothing


class _Table:
    """One-step errors of sales, and of a signal `z` (n + horizon,) on its working scale through the same filter."""

    def __init__(self, fit: Fit, z: FloatArray) -> None:
        self.fit, self.grid = fit, replace(fit.grid, steps=(1,))
        seen = np.flatnonzero(np.isfinite(z))
        self.z = z[np.clip(np.arange(z.size), seen[0], seen[-1])]
        sheet = sheet_of(fit.errors[:1], fit.grid.delays[:1], MEMORY * fit.half_life / fit.grid.stride)
        self.tame, self.error, self.weight = sheet.tame[0], sheet.error[0], sheet.weight[0]
        self.largest = _SHOCK / np.maximum(sheet.unit[0], _TINY)
        self.waves = seasonal_waves(fit.filter.seasons, len(fit.problem))[:, fit.grid.rows]

    def _missed(self, lag: int) -> FloatArray:
        """The signal's one-step errors `lag` periods before those of sales, (origins,)."""
        n, fit = len(self.fit.problem), self.fit
        inside = np.clip(np.arange(n + 1) - lag, 0, self.z.size - 1)
        z = self.z[inside]
        built = experts(smoothed(z[:n], fit.problem.season_lengths), self.grid).forecasts()
        return np.asarray(z[fit.grid.rows + 1] - np.einsum("mr,mr->r", fit.weights[0], built[0]))

    def regress(self, lags: tuple[int, ...]) -> Response | None:
        """All lags at once, least squares with discounted weights; None where they do not vary."""
        slope, covariance = self._fitted(lags)
        variance = np.diag(covariance)
        if not (variance > _TINY).all():
            return None
        shrunken = slope * np.maximum(0.0, 1.0 - variance / np.maximum(slope * slope, _TINY))
        whole = covariance + np.diag(np.square(slope - shrunken))
        return Response(lags, shrunken, np.linalg.cholesky(whole), told=True)

    def _fitted(self, lags: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        """Slopes (k,) and their covariance, whatever the errors' variances (White 1980, HC3).

        What the slopes leave is cut at some usual sizes and they are fitted again (Huber 1981): a shock that goes with
        the signal tells much of it, one that does not tells nothing.
        """
        x = np.concatenate([np.stack([self._missed(lag) for lag in lags]), self.waves])
        weighted = x * self.weight
        size = np.sqrt(np.maximum(np.einsum("pr,pr->p", weighted, x), _TINY))
        x, weighted = x / size[:, None], weighted / size[:, None]
        inverse = np.linalg.inv(weighted @ x.T + _RIDGE * np.eye(len(x)))
        error, fitted = self.tame, np.zeros(self.error.size)
        for _ in range(_ROUNDS):
            slope = inverse @ (weighted @ error)
            fitted = slope @ x
            error = fitted + np.clip(self.error - fitted, -self.largest, self.largest)
        leverage = np.minimum(np.einsum("pr,pr->r", x, inverse @ weighted), _MOST_LEVERAGE)
        left = (inverse @ weighted) * ((error - fitted) / (1.0 - leverage))
        some = slice(len(lags))
        return slope[some] / size[some], (left @ left.T)[some, some] / np.outer(size[some], size[some])
