"""Signals as columns for engines that regress on them: those that the fast engine's evidence admits, and no others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.engines.base import Evidence, Problem
from forecast.engines.fast import Fit, recent
from forecast.transform import FloatArray


@dataclass(frozen=True)
class Covariates:
    """`x` (n + horizon, names) is in standard deviations from the mean of the history; nothing in it is unknown."""

    names: tuple[str, ...]
    x: FloatArray
    evidence: tuple[Evidence, ...]

    def last(self, periods: int) -> FloatArray:
        """The columns of the last `periods` of the history and of the horizon."""
        return self.x[-periods:] if periods else self.x[:0]


def covariates(problem: Problem) -> Covariates:
    """Each admitted signal at the lag that its evidence is about; a group is the mean of its members.

    Past its edge the newest value is held, before its beginning it lies at its mean.
    """
    evidence = Fit(recent(problem)).admitted.evidence if problem.regressors else ()
    columns = {r.name: r.x for r in problem.regressors}
    size = problem.ds.size
    admitted = [e for e in evidence if e.admitted]
    x = [_column([columns[name] for name in e.members or (e.signal,)], e.lag or 0, len(problem)) for e in admitted]
    return Covariates(tuple(e.signal for e in admitted), np.array(x).reshape(-1, size).T, evidence)


def _column(members: list[FloatArray], lag: int, n: int) -> FloatArray:
    return np.asarray(np.mean([_standard(_lagged(x, lag), n) for x in members], axis=0))


def _lagged(x: FloatArray, lag: int) -> FloatArray:
    """The signal by so many periods later, its newest value held to the end."""
    edge = int(np.flatnonzero(np.isfinite(x))[-1])
    held = np.append(x[: edge + 1], np.full(x.size - edge - 1, x[edge]))
    return np.concatenate([np.full(lag, np.nan), held])[: x.size]


def _standard(x: FloatArray, n: int) -> FloatArray:
    """Gaps lie at the mean; a signal that never moved is zero."""
    deviation = float(np.nanstd(x[:n]))
    if not deviation > 0:
        return np.zeros(x.size)
    return np.nan_to_num((x - np.nanmean(x[:n])) / deviation)
