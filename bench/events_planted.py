"""Events planted into sales, one of each kind."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from forecast.events import LEVEL_SHIFT, ONE_OFF, OUTLIER, STOCK_OUT
from forecast.robust import reach_of
from forecast.series import Series

PLANTED = (OUTLIER, ONE_OFF, STOCK_OUT, LEVEL_SHIFT)


@dataclass(frozen=True)
class Planted:
    """An event in the periods `start` to `stop` (exclusive)."""

    kind: str
    start: int
    stop: int


def plant(series: Series, kind: str, rng: np.random.Generator) -> tuple[Series, Planted]:
    """The series with an event somewhere in it, not at its ends.

    An outlier is 1.5 to 3.3 times the sale or its inverse, a one-off event of a few periods 1.35 to 2.2 times, a level
    shift 1.28 to 1.8 times, and in a stock-out nothing sells.
    """
    reach, n = reach_of(series.frequency), len(series)
    length = {OUTLIER: 1, LEVEL_SHIFT: 1}.get(kind, int(rng.integers(2, max(reach.longest, 2) + 1)))
    start = int(rng.integers(reach.step, n - reach.step - length))
    low, high = {OUTLIER: (0.4, 1.2), ONE_OFF: (0.3, 0.8), LEVEL_SHIFT: (0.25, 0.6)}.get(kind, (0.0, 0.0))
    times = np.exp(rng.choice([-1, 1]) * rng.uniform(low, high))
    y = series.y.copy()
    part = slice(start, None if kind == LEVEL_SHIFT else start + length)
    y[part] *= 0.0 if kind == STOCK_OUT else times
    return replace(series, y=y), Planted(kind, start, start + length)
