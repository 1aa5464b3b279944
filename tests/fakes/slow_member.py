"""A member of the detailed engine that takes as long as a test wants."""

from __future__ import annotations

import time

import numpy as np

from forecast.engines import Engine, Path, Problem


class Slow(Engine):
    """The last value, after so many `seconds`; stands in for Theta. `asked` counts its forecasts."""

    name = "theta"
    summary = "the last value, after a while"
    uses_signals = False
    backtest_origins = 8
    seconds = 0.3
    asked = 0

    def predict(self, problem: Problem) -> Path:
        type(self).asked += 1
        time.sleep(self.seconds)
        return Path({"level": np.full(problem.horizon, problem.z[-1])})


TOO_SHORT = 2000  # milliseconds: enough for two forecasts of it, and less than what nine would take
LONG = 600_000
