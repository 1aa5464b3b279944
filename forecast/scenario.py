"""What if a signal took another path? A difference between two conditional forecasts, never a new forecast.

The conditional model is the fast engine's own regression with the signal known over the horizon: sales given the signal
at the same time. `conditional(path) - conditional(expected path)` is added to the forecast, so an unchanged path
changes nothing. It tells an association, not a cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from forecast import columns
from forecast import frequency as freq
from forecast.engines.base import Problem
from forecast.engines.fast import Fit
from forecast.errors import SignalsError
from forecast.evidence import response
from forecast.regressors import Regressor, lay, read
from forecast.series import Series
from forecast.surprise import moved, surprises
from forecast.transform import FloatArray

PREFIX = "scenario/"


def differences(scenario: Mapping[str, pd.Series], problem: Problem, series: Series) -> dict[str, FloatArray]:
    """For each named signal the step on the working scale, (horizon,), that its path makes; raises SignalsError.

    A path is a Series of values on dates; periods of the horizon that it leaves out keep the expected value, which is
    the known one or the last known one held.
    """
    if not isinstance(scenario, Mapping):
        raise SignalsError("scenario", type(scenario).__name__, "a mapping from signal to a Series of values on dates")
    known = {r.name: r for r in problem.regressors}
    fit = Fit(problem)
    out = {}
    for name, path in scenario.items():
        if name not in known or known[name].edge < 0:
            raise SignalsError(
                "scenario", name, "a signal of the request with known values: " + ", ".join(sorted(known))
            )
        expected = _held(known[name])
        changed = _laid(name, path, expected, series, problem.horizon)
        out[PREFIX + name] = _difference(fit, problem.horizon, expected, changed)
    return out


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


def _difference(fit: Fit, horizon: int, expected: Regressor, changed: Regressor) -> FloatArray:
    """`b (z'[t+h-l] - z[t+h-l])` with lag l and coefficient b from a regression on this signal alone, known over the
    whole horizon; no more than the largest error so far, as is true of every adjustment."""
    lag, coefficient = response(
        fit.errors, fit.grid, surprises([expected], fit.filter, fit.grid, horizon), fit.half_life
    )
    out = np.zeros(horizon)
    move = moved(expected.x, changed.x)[len(expected.x) - horizon :]
    out[lag:] = coefficient * move[: max(0, horizon - lag)]
    largest = np.nanmax(np.abs(fit.errors), initial=0.0)
    return np.clip(out, -largest, largest)
