"""Holt-Winters smoothing: level, damped trend and a seasonal state that is corrected once a season.

`u[t]` is the state a season before, for weeks averaged over its neighbours (a peak may move by a week); the filter of
`smoothing.py` follows `z[t] - u[t]`, and the state moves by a share of what is left: `s[t] = s[t-m] + c (z[t] - l[t] -
s[t-m])`. As the states of a season are known before it begins, a whole block of periods is one step (Holt 1957, Winters
1960; damped: Gardner 1985).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.origins import Origins
from forecast.smoothing import Filters, run, smooth
from forecast.transform import FloatArray

KERNEL_SUM = 9
KERNEL = np.array([1, 2, 3, 2, 1]) / KERNEL_SUM
REACH = KERNEL.size // 2
_LONGEST_BLOCK = 64


@dataclass(frozen=True)
class States:
    """`level`, `slope` and seasonal `state` after each period, (gains x filters, n).

    `rounded` is the state averaged over its neighbours, or the state itself; `season` is its length in periods.
    """

    level: FloatArray
    slope: FloatArray
    state: FloatArray
    rounded: FloatArray
    season: int

    def ahead(self, grid: Origins) -> FloatArray:
        """The seasonal term at t+h, (steps, filters, origins); zero within the first season.

        Where the average over neighbours would look beyond t, the state itself is taken.
        """
        by = np.array([step - self.season * -(-step // self.season) for step in grid.steps])
        at = np.maximum(grid.rows + by[:, None], 0)
        if (by <= -REACH).all():
            term = self.rounded[:, at]
        else:
            term = np.where((by <= -REACH)[:, None], self.rounded[:, at], self.state[:, at])
        term *= grid.rows >= self.season
        return term.transpose(1, 0, 2)


def holt_winters(
    z: FloatArray, season: int, filters: Filters, seasonal_gains: tuple[float, ...], *, rounding: bool
) -> States:
    """All states of `z` (n,) for each seasonal gain and filter, the filters running fastest; needs n > season.

    Within the first season, which only starts the states, the level is that of simple smoothing.
    """
    n, count, gains = z.size, len(filters), len(seasonal_gains)
    size = min(_LONGEST_BLOCK, season - (REACH if rounding else 0))
    whole = np.zeros((4, count, n, gains))
    level, slope, state, rounded = whole
    level[:, :season] = smooth(z[:season], filters)[0][:, :, None]
    state[:, :season] = rounded[:, :season] = (z[:season] - z[:season].mean())[:, None]
    if rounding:
        _round(rounded, state, REACH, season)
    now = np.zeros((count, 2, gains))
    now[:, 0] = z[:season].mean()
    for first in range(season, n, size):
        block = slice(first, min(first + size, n))
        before = slice(first - season, block.stop - season)
        out = run(z[block, None] - rounded[:, before], now, filters, size)
        level[:, block], slope[:, block], now = out[:, 0], out[:, 1], out[:, :, -1]
        left = z[block, None] - out[:, 0] - state[:, before]
        state[:, block] = rounded[:, block] = state[:, before] + seasonal_gains * left
        if rounding:
            _round(rounded, state, first - REACH, block.stop)
    joined = whole.transpose(0, 3, 1, 2).reshape(4, gains * count, n)
    return States(joined[0], joined[1], joined[2], joined[3], season)


def _round(rounded: FloatArray, state: FloatArray, first: int, stop: int) -> None:
    """Average `state` over its neighbours into `rounded` from `first` on, where both sides are known before `stop`."""
    part = state[:, first - REACH : stop]
    if part.shape[1] >= KERNEL.size:  # the kernel is a mean of three, twice
        for _ in range(2):
            part = part[:, :-2] + part[:, 1:-1] + part[:, 2:]
        rounded[:, first : stop - REACH] = part / KERNEL_SUM
