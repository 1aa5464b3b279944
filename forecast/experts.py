"""The experts of the fast engine: a smoothed level plus an expected move, at every origin of the history at once.

Each expert starts from a level smoothed with one of a few gains and adds
  level    nothing;
  trend    a damped trend (Gardner 1985);
  season   the mean move that the same season position made in past years,
           `mean_k (z[t+h-L_k] - level[t-L_k])`, whole or shrunk (analogues; smoothed over 5 weeks for weekly data).
All are linear in the history, so a blend of them adds up over the same drivers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.season import IntArray, analog_lags
from forecast.smoothing import damped_trend, levels
from forecast.transform import FloatArray

GAINS = np.array([0.05, 0.1, 0.2, 0.4, 0.7, 1.0])
DAMPINGS = (0.8, 0.95)
SLOPE_SHARE = 0.15
SHRINKAGES = (0.6, 1.0)
_YEARS = (1, 3, 8)  # how many past years an analogue averages
_CYCLES = (1, 4, 8)  # the same for short seasons such as the week
_WEEKLY = range(40, 60)  # season lengths whose shape is smoothed over neighbours
_KERNEL = np.array([1, 2, 3, 2, 1]) / 9


@dataclass(frozen=True)
class Experts:
    """`level` (experts, rows) and `move` (experts, rows, steps), NaN where an expert cannot speak yet.

    `gain` (experts,) indexes GAINS, `seasonal` (experts,) tells analogues from the rest.
    """

    level: FloatArray
    move: FloatArray
    gain: np.ndarray
    seasonal: np.ndarray


def build(z: FloatArray, seasons: tuple[float, ...], steps: IntArray, rows: IntArray) -> Experts:
    """All experts for a gapless history `z` (n,), at the origins `rows` and for the steps ahead `steps`."""
    smooth = levels(z, GAINS)
    blocks = [(smooth[:, rows], np.zeros((GAINS.size, rows.size, steps.size)), False)]
    for damping in DAMPINGS:
        level, slope = damped_trend(z, GAINS, damping, SLOPE_SHARE)
        reach = np.cumsum(damping ** np.arange(1, steps[-1] + 1))[steps - 1]
        blocks.append((level[:, rows], slope[:, rows, None] * reach, False))
    for season in seasons:
        for years in _CYCLES if season < 12 else _YEARS:
            if z.size < season * (1 if years == 1 else 2) + 2:
                continue
            for shape in _shapes(z, season):
                move = analog_move(z, shape, smooth, analog_lags(season, steps, years), steps, rows)
                blocks += [(smooth[:, rows], share * move, True) for share in SHRINKAGES]
    return Experts(
        level=np.concatenate([b[0] for b in blocks]),
        move=np.concatenate([b[1] for b in blocks]),
        gain=np.tile(np.arange(GAINS.size), len(blocks)),
        seasonal=np.repeat([b[2] for b in blocks], GAINS.size),
    )


def _shapes(z: FloatArray, season: float) -> list[FloatArray]:
    return [z, _rounded(z)] if round(season) in _WEEKLY and z.size > _KERNEL.size else [z]


def _rounded(z: FloatArray) -> FloatArray:
    """Averaged over two neighbours on either side, so that a peak which shifts by a week is not missed."""
    out = z.copy()
    out[2:-2] = np.convolve(z, _KERNEL, mode="valid")
    return out


def analog_move(
    z: FloatArray, shape: FloatArray, smooth: FloatArray, lags: IntArray, steps: IntArray, rows: IntArray
) -> FloatArray:
    """`mean_k (shape[t+h-L_k] - smooth[t-L_k])` over the past years `lags` (years, steps), (levels, rows, steps).

    Where `shape` looks two periods ahead, its last two values before t are replaced by `z`: nothing after t is seen.
    """
    t = rows[:, None]
    total = np.zeros((smooth.shape[0], rows.size, steps.size))
    count = np.zeros((rows.size, steps.size))
    for lag in lags:
        then = t - lag
        usable = then >= 0
        ahead = np.clip(then + steps, 0, z.size - 1)
        value = np.where(then + steps + 2 <= t, shape[ahead], z[ahead])
        total += np.where(usable, value - smooth[:, np.maximum(then, 0)], 0.0)
        count += usable
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
