"""What the engines of statsmodels' state space models share: the history they use, fitting in silence, waves."""

from __future__ import annotations

import contextlib
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from forecast.engines.base import Engine, Path, Problem
from forecast.engines.covariates import Covariates, covariates
from forecast.transform import FloatArray

KEPT = 400  # periods: older ones cost time and move the parameters little
_WAVES = 3  # a season: what statistics offices need for most kinds of business


class StateSpace(Engine):
    """A model of statsmodels on the last `KEPT` periods, with the admitted signals as regressors."""

    uses_signals = True
    backtest_origins = 8
    min_periods = 10

    def predict(self, problem: Problem) -> Path:
        """The model's terms, one for each admitted signal among them; a history that never moved goes on as it is."""
        signals, flat = covariates(problem), constant(problem)
        return Path(self._terms(problem, signals) if flat is None else flat.terms, signals.evidence)

    @abstractmethod
    def _terms(self, problem: Problem, signals: Covariates) -> dict[str, FloatArray]:
        """The terms, each (horizon,), of a history that moves."""


def fitted(
    build: Callable[[FloatArray, FloatArray | None], Any], problem: Problem, x: FloatArray, search: int
) -> tuple[Any, FloatArray]:
    """The results of a model, after at most `search` steps of its optimiser, and its path (horizon,).

    `build` makes the model from the history used and the regressors in it, or None; `x` are the regressors over that
    history and the horizon, (periods, regressors).
    """
    n = kept(problem)
    past, ahead = (x[:n], x[n:]) if x.shape[1] else (None, None)
    with quietly():
        results = build(problem.z[-n:], past).fit(disp=False, maxiter=search, cov_type="none")
        return results, np.asarray(results.forecast(problem.horizon, exog=ahead), dtype=float)


def kept(problem: Problem) -> int:
    """How many of the last periods are used."""
    return min(len(problem), KEPT)


def seasons(problem: Problem) -> list[tuple[float, int]]:
    """Length and number of waves of each season that the history used holds twice."""
    usable = [s for s in problem.season_lengths if 2 * round(s) <= kept(problem)]
    return [(s, min(_WAVES, int((s - 1) // 2))) for s in usable if s >= 3]


def waves(problem: Problem) -> FloatArray:
    """Fourier terms over the history used and the horizon, (periods, 2 x waves)."""
    t = np.arange(-kept(problem), problem.horizon)
    angles = [2 * np.pi * k * t / season for season, count in seasons(problem) for k in range(1, count + 1)]
    columns = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.array(columns).reshape(-1, t.size).T


def constant(problem: Problem) -> Path | None:
    """The path of a history that never moved, on which no likelihood has a maximum; None for all others."""
    z = problem.z[-kept(problem) :]
    return Path({"level": np.full(problem.horizon, z[-1])}) if np.ptp(z) < 1e-9 else None


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without the warnings of a search that stops early or strays: its forecast is judged by its backtest."""
    from statsmodels.tools.sm_exceptions import ModelWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
