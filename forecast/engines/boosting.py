"""Gradient boosting of quantile trees on a category's own history, its calendar and its admitted signals."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from forecast.engines.base import Engine, Path, Problem
from forecast.engines.covariates import Covariates, covariates
from forecast.engines.state_space import constant
from forecast.season import IntArray, analog_lags
from forecast.transform import FloatArray

_OWN = 8  # recent values that say where the level is going
_YEARS = 2  # past years whose move at the same season is shown
_ROWS = 1500  # pairs of origin and step at most, evenly thinned
_KEPT = 400  # origins
_ROUNDS = 60
_PARAMETERS = {
    "objective": "quantile",
    "alpha": 0.5,
    "num_leaves": 8,
    "min_data_in_leaf": 10,
    "learning_rate": 0.08,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 0,
    "verbose": -1,
}


@dataclass(frozen=True)
class Features:
    """`x` (rows, features) with the driver that each feature belongs to, and the seasonal start of each row."""

    x: FloatArray
    drivers: tuple[str, ...]
    start: FloatArray


class Boosting(Engine):
    """The median of the move from the seasonal start (LightGBM: Ke et al. 2017), one model for all steps ahead.

    What each feature adds is its exact tree attribution (Lundberg et al. 2020), which sums to the prediction.
    """

    name = "boosting"
    summary = "LightGBM: the median by boosted trees on own lags, calendar and admitted signals, attributed exactly"
    uses_signals = True
    backtest_origins = 8
    min_periods = 30

    def predict(self, problem: Problem) -> Path:
        """Terms `level`, `season` and one for each admitted signal."""
        import lightgbm

        found, flat = covariates(problem), constant(problem)
        if flat is not None:
            return replace(flat, evidence=found.evidence)
        origins, steps = _pairs(problem)
        past = _features(problem, found, origins, steps)
        moves = problem.z[origins + steps] - past.start
        told = problem.observed[origins + steps]
        data = lightgbm.Dataset(past.x[told], moves[told], params={"verbose": -1})
        model = lightgbm.train(_PARAMETERS, data, _ROUNDS)
        ahead = np.arange(1, problem.horizon + 1)
        now = _features(problem, found, np.full(problem.horizon, len(problem) - 1), ahead)
        parts = np.asarray(model.predict(now.x, pred_contrib=True), dtype=float)
        return Path(_terms(problem, now, parts, found.names), found.evidence)


def _terms(problem: Problem, now: Features, parts: FloatArray, names: tuple[str, ...]) -> dict[str, FloatArray]:
    """The attributions by driver; the base value and what the season's start brings stand where they belong."""
    level = _level(problem.z, np.array([len(problem) - 1]))[0]
    terms = {"level": level + parts[:, -1], "season": now.start - level}
    terms |= {name: np.zeros(problem.horizon) for name in names}
    for driver, column in zip(now.drivers, parts.T[:-1], strict=True):
        terms[driver] = terms[driver] + column
    return terms


def _pairs(problem: Problem) -> tuple[IntArray, IntArray]:
    """Origins and steps ahead to learn from, as long as the target is known."""
    n, horizon = len(problem), problem.horizon
    first = max(_OWN, n - _KEPT)
    origins, steps = (
        grid.ravel() for grid in np.meshgrid(np.arange(first, n - 1), np.arange(1, horizon + 1), indexing="ij")
    )
    known = origins + steps < n
    origins, steps = origins[known], steps[known]
    thin = slice(None, None, max(1, -(-origins.size // _ROWS)))
    return origins[thin], steps[thin]


def _level(z: FloatArray, origins: IntArray) -> FloatArray:
    """The mean of the last four periods at each origin."""
    return np.asarray(np.mean([z[origins - k] for k in range(4)], axis=0))


def _features(problem: Problem, found: Covariates, origins: IntArray, steps: IntArray) -> Features:
    z, level = problem.z, _level(problem.z, origins)
    columns = {f"own {k}": z[origins - k] - level for k in range(_OWN)} | {"step": steps.astype(float)}
    drivers = ["level"] * len(columns)
    start = level.copy()
    for season in problem.season_lengths:
        moved = [_moved(z, season, origins, steps, year) for year in range(_YEARS)]
        columns |= {f"move {season:g} {year}": move for year, move in enumerate(moved)}
        angle = 2 * np.pi * (origins + steps) / season
        columns |= {f"sine {season:g}": np.sin(angle), f"cosine {season:g}": np.cos(angle)}
        drivers += ["season"] * (_YEARS + 2)
        start = level + np.nan_to_num(moved[0])
    columns |= {name: found.x[origins + steps, i] for i, name in enumerate(found.names)}
    return Features(np.column_stack(list(columns.values())), (*drivers, *found.names), start)


def _moved(z: FloatArray, season: float, origins: IntArray, steps: IntArray, year: int) -> FloatArray:
    """The move from the level to the same season position in a past year; NaN before the history."""
    lags = analog_lags(season, steps, year + 1)[year]
    then = origins - lags
    seen = then >= _OWN
    move = z[np.maximum(then + steps, 0)] - _level(z, np.maximum(then, _OWN))
    return np.where(seen, move, np.nan)
