"""Trading days: what a month sells depends on which weekdays it has five of, known years ahead.

The counts of weekdays go through the sales' own filter like any signal, and one set of effects is fitted to the errors
of the blend at all steps by ridge regression on what was known at each origin (Young 1965; Bell and Hillmer 1983; the
`td` regressors of X-13ARIMA-SEATS), drawn to zero until the record is long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.blend import known
from forecast.frequency import Days
from forecast.origins import Origins
from forecast.season import IntArray
from forecast.surprise import Filter, levels_of, moves_of
from forecast.transform import FloatArray

DRIVER = "calendar"
_MONTH, _QUARTER = 28, 93  # days: the shortest month, and more than the longest quarter
_DAYS = 3.0  # contrasts are in units of so many days, to be about one in size
_PRIOR = 4000.0  # precision: one such unit moves the working scale by some 1.6 %
_CLIP = 3.0  # usual errors
_SMALLEST = 1e-5  # usual error on the working scale that still counts: below it the equations are singular


@dataclass(frozen=True)
class TradingDays:
    """Adjustments on the working scale: at each step and origin (steps, origins), and for the horizon (horizon,)."""

    adjustment: FloatArray
    now: FloatArray


def weekday_contrasts(ds: Days) -> FloatArray | None:
    """For labels of months or quarters, (7, periods): each of Monday to Saturday against Sunday, and the length.

    None for other periods: every week has the same days, and a day is its own weekday.
    """
    first = ds.astype("datetime64[D]").astype(np.int64)
    if not _MONTH <= first[1] - first[0] < _QUARTER:
        return None
    months = 1 if first[1] - first[0] < 2 * _MONTH else 3
    after = (ds.astype("datetime64[M]") + months).astype("datetime64[D]").astype(np.int64)
    offset = np.arange(7)[:, None] - 3  # 1970-01-01 was a Thursday
    counts = (after - 1 - offset) // 7 - (first - 1 - offset) // 7
    length = counts.sum(axis=0)
    return np.asarray(np.vstack([counts[:6] - counts[6], length - length.mean()]) / _DAYS)


def trading_days(
    contrasts: FloatArray, errors: FloatArray, grid: Origins, filter_: Filter, horizon: int
) -> TradingDays:
    """Effects of `contrasts` (k, n + horizon) on `errors` (steps, origins), from what was known at each origin."""
    level = levels_of(contrasts[:, : grid.n], filter_)
    last = np.array([grid.n - 1])
    u = _surprise(contrasts, level, filter_, grid.rows, np.array(grid.steps))
    effects, usual = _effects(u, errors, grid)
    adjustment = np.clip(np.einsum("ksr,rk->sr", u, effects), -_CLIP * usual, _CLIP * usual)
    ahead = _surprise(contrasts, level, filter_, last, np.arange(1, horizon + 1))[:, :, 0]
    largest = np.interp(np.arange(1, horizon + 1), grid.steps, _CLIP * usual[:, -1])
    return TradingDays(adjustment, np.clip(effects[-1] @ ahead, -largest, largest))


def _surprise(x: FloatArray, level: FloatArray, filter_: Filter, rows: IntArray, steps: IntArray) -> FloatArray:
    """`x[t+h]` less what the filter expects of it at t, (k, steps, origins)."""
    moves = moves_of(x, level, rows, steps, filter_.seasons)
    return np.asarray(x[:, rows + steps[:, None]] - level[:, None, rows] - filter_.seasonal[rows] * moves)


def _effects(u: FloatArray, errors: FloatArray, grid: Origins) -> tuple[FloatArray, FloatArray]:
    """Ridge estimates (origins, k) from pairs known at each origin, and the usual error (steps, origins) there.

    Errors count in usual sizes, clipped, and less the further ahead they were made, as those overlap.
    """
    size = np.where(np.isfinite(errors), errors, 0.0)
    e = known(size, grid.delays, 0.0)
    told = known(np.isfinite(errors).astype(float), grid.delays, 0.0)
    usual = np.sqrt(np.cumsum(e * e, axis=1) / np.maximum(np.cumsum(told, axis=1), 1))
    weight = told / np.maximum(usual, _SMALLEST) ** 2 / np.array(grid.steps)[:, None]
    e = np.clip(e, -_CLIP * usual, _CLIP * usual)
    x = np.stack([known(row, grid.delays, 0.0) for row in u])
    square = np.cumsum(np.einsum("isr,jsr,sr->rij", x, x, weight), axis=0)
    cross = np.cumsum(np.einsum("isr,sr->ri", x, weight * e), axis=0)
    effects = np.linalg.solve(square + _PRIOR * np.eye(len(u)), cross[..., None])[..., 0]
    return effects, usual


def effects_of(ds: Days, z: FloatArray, season: int) -> FloatArray | None:
    """What trading days add to each of the labels `ds` (n + horizon,), from the history `z` (n,); None where unknown.

    The same ridge on the history's own changes from a season ago, for models without a filter to send counts through.
    """
    contrasts = weekday_contrasts(ds) if ds.size > 1 and z.size > 2 * season + 1 else None
    if contrasts is None or season < 2:
        return None
    y, x = _changes(z, season), _changes(contrasts[:, : z.size], season)
    usual = max(float(np.median(np.abs(y))), _SMALLEST)
    y = np.clip(y, -_CLIP * usual, _CLIP * usual) / usual**2
    effects = np.linalg.solve(x @ x.T / usual**2 + _PRIOR * np.eye(len(x)), x @ y)
    added = effects @ contrasts
    return np.asarray(added - added[: z.size].mean())


def _changes(x: FloatArray, season: int) -> FloatArray:
    """The change of the change from a season ago, along the last axis."""
    return np.asarray(np.diff(x[..., season:] - x[..., :-season], axis=-1))
