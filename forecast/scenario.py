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

from forecast import admission, columns
from forecast import frequency as freq
from forecast.engines.base import Problem
from forecast.engines.fast import Fit
from forecast.errors import SignalsError
from forecast.regressors import Regressor, lay, read
from forecast.series import Series
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
    out = {}
    for name, path in scenario.items():
        if name not in known or known[name].edge < 0:
            raise SignalsError(
                "scenario", name, "a signal of the request with known values: " + ", ".join(sorted(known))
            )
        expected = _held(known[name])
        changed = _laid(name, path, expected, series, problem.horizon)
        out[PREFIX + name] = _conditional(problem, changed) - _conditional(problem, expected)
    return out


def _held(regressor: Regressor) -> Regressor:
    x = regressor.x.copy()
    x[regressor.edge + 1 :] = x[regressor.edge]
    return Regressor(regressor.name, x, x.size - 1, future_known=True)


def _laid(name: str, path: pd.Series, expected: Regressor, series: Series, horizon: int) -> Regressor:
    field = f"scenario[{name}]"
    if not isinstance(path, pd.Series) or path.empty:
        raise SignalsError(field, type(path).__name__, "a pandas Series of values on dates of the horizon")
    frame = pd.DataFrame({"signal": name, "ds": path.index, "value": path.to_numpy(), "future_known": True})
    days = columns.days(frame["ds"], field, SignalsError)
    if np.isin(days, series.future(horizon)).all():  # the series' own periods, however few
        frame["start"], frame["end"] = freq.spans(days, series.frequency)
        frame = frame.drop(columns="ds")
    laid = lay(read(frame)[0], series, horizon, None).x
    changed = (np.arange(laid.size) >= len(series)) & np.isfinite(laid)
    if not changed.any():
        raise SignalsError(field, f"dates {days.min()} to {days.max()}", "values on dates inside the horizon")
    x = np.where(changed, laid, expected.x)
    return Regressor(name, x, x.size - 1, future_known=True)


def _conditional(problem: Problem, regressor: Regressor) -> FloatArray:
    """The adjustment at the last origin by a regression on this signal alone, known over the whole horizon."""
    fit = Fit(replace(problem, regressors=(regressor,)))
    if not fit.surprises:
        return np.zeros(problem.horizon)
    trial = admission.try_signal(fit.errors, fit.surprises[0], fit.half_life)
    lag = admission.clearest_lag(trial, len(problem) - 1, offered=1)[0]
    adjustment = np.nan_to_num(trial.adjustment[lag, -1])
    return np.pad(adjustment, (0, problem.horizon - adjustment.size))
