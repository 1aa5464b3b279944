"""What if a signal took another path? A difference between two conditional forecasts, never a new forecast.

The conditional model is the fast engine's own regression with the signal known over the horizon: sales given the signal
at the same time. `conditional(path) - conditional(expected path)` is added to the forecast, so an unchanged path
changes nothing. It tells an association, not a cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist

import numpy as np
import pandas as pd

from forecast import columns, intervals
from forecast import frequency as freq
from forecast.engines.base import Problem
from forecast.engines.fast import Fit, recent
from forecast.errors import SignalsError
from forecast.regressors import Regressor, lay, read
from forecast.response import Response, response
from forecast.scale import SPREAD
from forecast.season import BoolArray
from forecast.series import Series
from forecast.surprise import moved
from forecast.transform import FloatArray

PREFIX = "scenario/"
_SPREAD = NormalDist().inv_cdf(SPREAD[1]) - NormalDist().inv_cdf(SPREAD[0])
_TINY = 1e-300


@dataclass(frozen=True)
class Effect:
    """What another path of one signal does. `expected` and `changed` are the paths, (horizon,).

    `moves` (k, horizon) are how far the signal moves, on its own scale, as seen by sales at each lag of `response`; a
    step of the working scale is at most `largest`, the largest error so far, as is true of every adjustment. `seen` are
    the signal's smallest and largest values so far; `planned`: its coming values are known.
    """

    signal: str
    expected: FloatArray
    changed: FloatArray
    response: Response
    moves: FloatArray
    largest: float
    seen: tuple[float, float]
    planned: bool

    @property
    def step(self) -> FloatArray:
        """The difference on the working scale, (horizon,)."""
        return np.asarray(np.clip(self._straight, -self.largest, self.largest))

    @property
    def held(self) -> BoolArray:
        """Where the step is held at `largest`, (horizon,)."""
        return np.asarray(self.step != self._straight)

    @property
    def doubt(self) -> FloatArray:
        """The standard error of it, (horizon,): no less for a step that is held, which is one more thing not known."""
        return np.asarray(np.hypot(self._error, self._straight - self.step))

    def steps(self, coefficient: FloatArray) -> FloatArray:
        """What it may be as well, for other coefficients (draws, k): (draws, horizon), around `step`.

        What a held step is short of counts as an error towards the side of it that was cut off.
        """
        away = (coefficient - self.response.coefficient) @ self.moves
        short = self._straight - self.step
        wider = np.hypot(1.0, short / np.maximum(self._error, _TINY))
        return np.asarray(self.step + away * np.where(away * short > 0, wider, 1.0))

    @property
    def _straight(self) -> FloatArray:
        """A straight line through all that was seen, however far the signal moves."""
        return np.asarray(self.response.coefficient @ self.moves)

    @property
    def _error(self) -> FloatArray:
        return np.asarray(np.sqrt(np.square(self.response.root.T @ self.moves).sum(axis=0)))


class Conditional:
    """Sales given signals: what other paths of them would do to the forecast of one problem."""

    def __init__(self, problem: Problem, series: Series) -> None:
        self.known = {r.name: r for r in problem.regressors}
        self.horizon = problem.horizon
        self._series, self._kept = series, recent(problem)
        self._cut = len(problem) - len(self._kept)

    @cached_property
    def _fit(self) -> Fit:
        return Fit(self._kept)

    def effects(self, scenario: Mapping[str, pd.Series]) -> tuple[Effect, ...]:
        """The effect of each path, a Series of values on dates; raises SignalsError.

        Periods of the horizon that a path leaves out keep the expected value, which is the known one or the last known
        one held.
        """
        if not isinstance(scenario, Mapping):
            raise SignalsError(
                "scenario", type(scenario).__name__, "a mapping from signal to a Series of values on dates"
            )
        return tuple(self._effect(name, path) for name, path in scenario.items())

    def expected(self, name: str, field: str = "scenario") -> Regressor:
        """A signal as it is expected: the known values, and the last one held; `field` is what is wrong without it."""
        if name not in self.known or self.known[name].edge < 0:
            allowed = sorted(other for other, regressor in self.known.items() if regressor.edge >= 0)
            wanted = f"a signal of the request with known values: {', '.join(allowed) or 'there is none'}"
            how = "plans and prices: groundswell import signals FILE --future-known"
            raise SignalsError(field, name, f"{wanted}; {how}")
        return _held(self.known[name])

    def _effect(self, name: str, path: pd.Series) -> Effect:
        expected, planned = self.expected(name), self.known[name].future_known
        changed = _laid(name, path, expected, self._series, self.horizon).x[self._cut :]
        kept = replace(expected, x=expected.x[self._cut :], edge=expected.edge - self._cut)
        found = response(self._fit, kept, planned=planned)
        ahead = slice(-self.horizon, None)
        moves = found.moves(moved(kept.x, changed)[ahead])
        largest = float(np.nanmax(np.abs(self._fit.errors), initial=0.0))
        known = self.known[name].x[: self.known[name].edge + 1][: len(self._series)]
        seen = (float(np.nanmin(known)), float(np.nanmax(known)))
        return Effect(name, kept.x[ahead], changed[ahead], found, moves, largest, seen, planned)


def widened(spread: FloatArray, effects: Sequence[Effect]) -> FloatArray:
    """Quantiles of the error, (horizon, probabilities), with what is not known of the effects on top."""
    if not effects:
        return spread
    doubt = np.sum([np.square(e.doubt) for e in effects], axis=0)
    low, high = intervals.at(spread, np.array(SPREAD)).T
    usual = np.maximum((high - low) / _SPREAD, _TINY)
    return np.asarray(spread * np.sqrt(1.0 + doubt / usual / usual)[:, None])


def _held(regressor: Regressor) -> Regressor:
    x = regressor.x.copy()
    x[regressor.edge + 1 :] = x[regressor.edge]
    return replace(regressor, x=x, edge=x.size - 1, future_known=True)


def _laid(name: str, path: pd.Series, expected: Regressor, series: Series, horizon: int) -> Regressor:
    field = f"scenario[{name}]"
    if not isinstance(path, pd.Series) or path.empty:
        raise SignalsError(field, type(path).__name__, "a pandas Series of values on dates of the horizon")
    frame = pd.DataFrame({"signal": name, "ds": path.index, "value": path.to_numpy(), "future_known": True})
    frame["aggregation"] = "sum" if expected.total else "mean"
    days = columns.days(frame["ds"], field, SignalsError)
    if np.isin(days, series.future(horizon)).all():  # the series' own periods, however few
        frame["start"], frame["end"] = freq.spans(days, series.frequency)
        frame = frame.drop(columns="ds")
    laid = lay(read(frame)[0], series, horizon, None).x
    changed = (np.arange(laid.size) >= len(series)) & np.isfinite(laid)
    if not changed.any():
        raise SignalsError(field, f"dates {days.min()} to {days.max()}", "values on dates inside the horizon")
    x = np.where(changed, laid, expected.x)
    return replace(expected, x=x)
