"""Any forecaster of sktime by its import path, and its reduction of forecasting to a regression."""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from forecast.engines.base import Engine, Path, Problem
from forecast.engines.seasonal import split_season
from forecast.errors import OptionError
from forecast.transform import FloatArray

PREFIX = "sktime:"
_WITHIN = "sktime.forecasting."  # nothing else is imported because somebody asked for it
_WINDOW = 12  # lags of the reduction
_RIDGE = 1.0


class Reduction(Engine):
    """Ridge regression on the last values of the seasonally adjusted series (STL), one step after the other."""

    name = "reduction"
    summary = "sktime: reduction to a ridge regression on the last 12 values, after STL seasonal adjustment"
    uses_signals = False
    backtest_origins = 12
    min_periods = 10

    def predict(self, problem: Problem) -> Path:
        """Terms `level` (the last adjusted value), `trend` and `season`."""
        from sklearn.linear_model import Ridge
        from sktime.forecasting.compose import make_reduction

        rest, season = split_season(problem)
        window = min(_WINDOW, rest.size // 3)
        last = rest[-1]
        make = partial(make_reduction, Ridge(_RIDGE), strategy="recursive", window_length=window)
        path = predicted(make, rest - last, problem.horizon)
        return Path({"level": np.full(problem.horizon, last), "trend": path, "season": season})


class SktimeEngine(Engine):
    """The forecaster at an import path, made without arguments, on the seasonally adjusted series (STL)."""

    name = "sktime"
    summary = "any forecaster of sktime by its import path, after STL seasonal adjustment"
    uses_signals = False
    backtest_origins = 8
    min_periods = 10

    def __init__(self, path: str) -> None:
        """Import the class; raises OptionError where that cannot be done."""
        self.name = PREFIX + path  # type: ignore[misc]  # each path is an engine of its own
        self._kind = _imported(path)

    def predict(self, problem: Problem) -> Path:
        """Terms `level` (the last adjusted value), `season`, and the `remainder`: the library does not say more."""
        rest, season = split_season(problem)
        path = predicted(self._kind, rest, problem.horizon)
        level = np.full(problem.horizon, rest[-1])
        return Path({"level": level, "season": season, "remainder": path - level})


def predicted(make: Callable[[], Any], z: FloatArray, horizon: int) -> FloatArray:
    """What a forecaster of sktime, newly made and fitted to `z` (n,), says of the next `horizon` periods."""
    steps = np.arange(1, horizon + 1)
    with _quietly():
        path = make().fit(pd.Series(z), fh=steps).predict()
    return np.asarray(path, dtype=float).ravel()


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of a default that changes nothing here
        yield


def _imported(path: str) -> Any:
    module, _, name = path.rpartition(".")
    allowed = f"{PREFIX} and the import path of a forecaster, such as {PREFIX}{_WITHIN}naive.NaiveForecaster"
    if not f"{module}.".startswith(_WITHIN):
        raise OptionError("engine", PREFIX + path, allowed)
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise OptionError("engine", PREFIX + path, f"{allowed} ({error})") from error
    from sktime.forecasting.base import BaseForecaster

    if not (isinstance(kind, type) and issubclass(kind, BaseForecaster)):
        raise OptionError("engine", PREFIX + path, f"{allowed} ({name} is no forecaster)")
    try:
        with _quietly():
            kind()
    except (TypeError, ImportError) as error:  # sktime says which package is missing
        raise OptionError(
            "engine", PREFIX + path, f"a forecaster that can be made without arguments ({error})"
        ) from error
    return kind
