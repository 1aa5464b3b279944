"""Forecasts around holidays from the periods that were the same in the calendar, and how far to follow them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecast.calendar import KINDS, YEARS, Alignment
from forecast.holt_winters import KERNEL, REACH
from forecast.origins import Origins
from forecast.season import IntArray
from forecast.transform import FloatArray

_STEPS = (1, 2, 4, 8)  # at which the record of aligned forecasts is taken; errors of one period are taken for one
_GAIN = 1  # the level that it is taken with
_DOUBT = 4.0  # mean squared differences that are added to the record as if they had told nothing
_TINY = 1e-12
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Calendar:
    """Where periods are aligned, and the `share` (kinds + 1, n) of the way to them that forecasts go at each origin."""

    alignment: Alignment
    share: FloatArray

    def pairs(self, grid: Origins) -> tuple[IntArray, IntArray, FloatArray]:
        """Step and origin, as places in the grid, of each forecast near a holiday that is moved, and its share."""
        step, origin, period = _near(grid, self.alignment.near)
        share = self.share[self.alignment.near[period], grid.rows[origin]]
        moved = share > 0
        return step[moved], origin[moved], share[moved]

    def forecasts(self, z: FloatArray, level: FloatArray, t: IntArray, h: IntArray) -> tuple[FloatArray, BoolArray]:
        """Aligned forecasts (pairs, gains) of period t+h at t, and whether there is a period to align with (pairs,)."""
        return _from_past(z, level, self.alignment.past, t, h)


def followed(z: FloatArray, level: FloatArray, alignment: Alignment) -> Calendar:
    """How far aligned forecasts would best have been followed, by errors known at each t.

    For each kind of nearness to a holiday the share is the coefficient of `aligned - other` in `z - other`, drawn to
    zero by `_DOUBT` and by `1 - 1/F`, and not below 0 or above 1; the least of those beside the usual forecast, which
    goes back by whole seasons to values averaged over the weeks around, and beside a slow and a quick level. `z` is
    (n,), `level` (gains, n).
    """
    over = np.append(alignment.near[: z.size], np.zeros(_STEPS[-1], np.int64))  # nothing is known of periods ahead
    _, t, period = _near(Origins(z.size, 0, 1, _STEPS), over)
    one = level[_GAIN, None]
    aligned, known = _from_past(z, one, alignment.past, t, period - t)
    usual, before = _from_past(_rounded(z, alignment.week), one, alignment.usual, t, period - t)
    cell = np.ravel_multi_index((alignment.near[period], period), (len(KINDS) + 1, z.size))
    told, others = known & before, (usual[:, 0], level[_GAIN, t], level[-1, t])
    shares = [_share(aligned[:, 0] - other, z[period] - other, told, cell, z.size) for other in others]
    return Calendar(alignment, np.minimum.reduce(shares))


def _share(away: FloatArray, error: FloatArray, told: BoolArray, cell: IntArray, n: int) -> FloatArray:
    """The shrunken coefficient of `away` in `error` (pairs,) over the pairs that `told` something, (kinds + 1, n).

    `cell` says to which kind and period each pair belongs; a period tells of all pairs up to it.
    """
    away, error = away * told, error * told
    parts = (told, away * away, away * error, error * error)
    sums = np.stack([np.bincount(cell, part, (len(KINDS) + 1) * n) for part in parts]).reshape(len(parts), -1, n)
    count, square, product, whole = np.cumsum(sums, axis=-1)
    count = np.maximum(count, 1)
    share = product / np.maximum(square * (1 + _DOUBT / count), _TINY)
    explained = np.maximum(share * product, _TINY)
    noise = len(_STEPS) * (whole - explained) / count
    return np.asarray(np.clip(share, 0.0, 1.0) * np.maximum(1 - noise / explained, 0.0))


def _near(grid: Origins, near: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Step and origin, as places in the grid, and period of each forecast near a holiday."""
    period = grid.rows + np.array(grid.steps)[:, None]
    step, origin = np.nonzero(near[period])
    return step, origin, period[step, origin]


def _from_past(
    z: FloatArray, level: FloatArray, past: IntArray, t: IntArray, h: IntArray
) -> tuple[FloatArray, BoolArray]:
    """`level[t] + mean_k (z[a_k] - level[a_k-h])`, (pairs, gains), over those of `YEARS` known; and whether any is.

    The first year is the nearest one that was known at t, so that nothing lies ahead of it.
    """
    past = past[:, t + h]
    nearest = np.argmax(past <= t, axis=0)
    total, count, pair = np.zeros((len(level), t.size)), np.zeros(t.size), np.arange(t.size)
    for k in range(YEARS):
        analogue = past[np.minimum(nearest + k, len(past) - 1), pair]
        known = (analogue >= h) & (analogue <= t) & (nearest + k < len(past))
        analogue, start = analogue * known, (analogue - h) * known
        total += known * (z[analogue] - level.take(start, axis=1))
        count += known
    total /= np.maximum(count, 1)
    total += level.take(t, axis=1)
    return total.T, count > 0


def _rounded(z: FloatArray, week: int) -> FloatArray:
    """Averaged over two weeks, of `week` periods, on either side."""
    out, reach = z.copy(), REACH * week
    if z.size > 2 * reach:
        shifted = (z[k * week : z.size - 2 * reach + k * week] for k in range(KERNEL.size))
        out[reach:-reach] = sum(w * part for w, part in zip(KERNEL, shifted, strict=True))
    return out
