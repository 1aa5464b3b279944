"""What a signal did that could not be expected from its own level and season: the only part of it that is news.

Sales enter the engine through a filter (smoothed level, seasonal analogues). A signal is sent through the same filter,
so that regressing the error of sales on the surprise of the signal is a regression with exponential-smoothing errors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from forecast.experts import GAINS, Smoothed
from forecast.origins import Origins
from forecast.regressors import Regressor
from forecast.season import IntArray, analog_lags
from forecast.smoothing import BLOCK
from forecast.transform import SMALLEST_SHARE, FloatArray

LAGS = (0, 1, 2, 3, 4, 6, 8, 12)
_LARGEST = 4.0  # usual sizes: what lies beyond was never seen often enough to know what follows from it
_WAVES = 2  # of each season that are taken out of surprises
_RIDGE = 4.0
_FLAT = 1e-9  # of its size: a signal that moves by less never varies
_TINY = 1e-300
_SMALLEST = 1e-50  # unit of a signal: a path given ahead may be far larger than all that was seen
_ROUND = 512  # lengths are rounded up to it, so that the fit of the waves is the same for many requests
_YEARS = 3  # seasons that the expected move is averaged over


@dataclass(frozen=True)
class Filter:
    """The sales' own filter as it stood after each period: share of each gain (gains, n) and of the seasonal experts
    (n,), and the lengths of the seasons."""

    gains: FloatArray
    seasonal: FloatArray
    seasons: tuple[float, ...]


def filter_of(weights: FloatArray, pull: FloatArray, history: Smoothed, grid: Origins) -> Filter:
    """The filter that the blend amounts to one step ahead; between origins it is that of the origin before.

    `pull` (seasonal experts,) says how much of a season each of them follows, 0 standing for all of it.
    """
    one = weights[0]
    gains = one.reshape(-1, len(GAINS), one.shape[-1]).sum(axis=0)
    seasonal = np.where(pull > 0, pull, 1.0) @ one[history.level.shape[0] :]
    at = np.maximum((np.arange(grid.n) - grid.first) // grid.stride, 0)
    return Filter(gains[:, at], seasonal[at], history.seasons)


@dataclass(frozen=True)
class Surprises:
    """What `names` did that was not to be expected, beside what is needed to say it for any step ahead.

    `z` (signals, n + horizon) are the signals on their working scales, NaN where unknown; `level` (signals, n) the
    filter's level of them, `one` (signals, n) their surprise one step ahead of each period, 0 where unknown, and
    `usual` its size up to then; `ahead` (signals,) says how many periods they run ahead of sales. `refused` are those
    that cannot be tried, with the reason; `order` has all names, `planned` those that are future-known.
    `only_now`: they are tried at no lag.
    """

    names: tuple[str, ...]
    z: FloatArray
    level: FloatArray
    one: FloatArray
    usual: FloatArray
    ahead: IntArray
    filter: Filter
    grid: Origins
    refused: dict[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    planned: frozenset[str] = frozenset()
    only_now: bool = False

    def steps_ahead(self, signal: int, lag: int, steps: IntArray, rows: IntArray) -> FloatArray:
        """`u[t - lag, h]` at the origins t in `rows` for each h in `steps`, (steps, origins); 0 where unknown."""
        at = rows - lag
        inside = np.maximum(at, 0)
        z, level = self.z[signal], self.level[signal]
        u = z[inside + steps[:, None]] - level[inside]
        u -= self.filter.seasonal[inside] * moves_of(z, level, inside, steps, self.filter.seasons)
        largest = _LARGEST * self.usual[signal, inside]
        return np.clip(np.where((at >= 0) & np.isfinite(u), u, 0.0), -largest, largest)

    def only(self, names: Collection[str]) -> Surprises:
        """Some of the signals."""
        kept = [i for i, name in enumerate(self.names) if name in names]
        rows = {field_: getattr(self, field_)[kept] for field_ in ("z", "level", "one", "usual", "ahead")}
        order = tuple(name for name in self.order if name in names)
        refused = {name: why for name, why in self.refused.items() if name in names}
        return replace(self, names=tuple(self.names[i] for i in kept), order=order, refused=refused, **rows)

    def beside(self, first: str) -> Surprises:
        """All other signals, each without what of its surprises goes with those of `first`.

        The share is that of least squares (Frisch and Waugh 1933). Where the first cannot be tried they stay.
        """
        others = self.only([name for name in self.order if name != first])
        if first not in self.names:
            return others
        at = self.names.index(first)
        share = (others.one @ self.one[at] / max(float(self.one[at] @ self.one[at]), _TINY))[:, None]
        one = np.where(others.one != 0, others.one - share * self.one[at], 0.0)
        z, level = others.z - share * self.z[at], others.level - share * self.level[at]
        ahead = np.minimum(others.ahead, self.ahead[at])
        return replace(others, z=z, level=level, one=one, usual=_usual(one), ahead=ahead)


def surprises(regressors: Sequence[Regressor], filter_: Filter, grid: Origins, horizon: int) -> Surprises:
    """The surprises of all signals that can be tried."""
    n, order = grid.n, tuple(r.name for r in regressors)
    x = np.full((len(regressors), n + horizon), np.nan)
    for row, regressor in zip(x, regressors, strict=True):
        row[: regressor.x.size] = regressor.x[: n + horizon]
    laid = _laid(x)
    reasons = [_reason(laid, i, n) for i in range(len(order))]
    refused = {name: reason for name, reason in zip(order, reasons, strict=True) if reason}
    kept = [i for i, reason in enumerate(reasons) if not reason]
    names = tuple(order[i] for i in kept)
    z, level = laid.z[kept], levels_of(laid.filled[kept, :n], filter_)
    one = _without_season(_one_step(z, level, filter_), filter_.seasons)
    usual = _usual(one)
    one = np.clip(one, -_LARGEST * usual, _LARGEST * usual)
    ahead = np.minimum(laid.last[kept] - (n - 1), horizon)
    planned = frozenset(r.name for r in regressors if r.future_known)
    return Surprises(names, z, level, one, usual, ahead, filter_, grid, refused, order, planned)


@dataclass(frozen=True)
class _Laid:
    """Signals on their working scales, (signals, n + horizon): `filled` without holes and held at both ends, `z` the
    same but NaN beyond both ends. `last` is where each ends, `flat` says which never vary."""

    z: FloatArray
    filled: FloatArray
    last: IntArray
    flat: npt.NDArray[np.bool_]


def _laid(x: FloatArray) -> _Laid:
    """`x` with its holes filled from before, positive signals in logs, so that effects are elasticities.

    Those with zeros, such as flags, shares and rare mentions, or with negative values, keep their own scale.
    """
    seen, periods = np.isfinite(x), np.arange(x.shape[1])
    first, last = seen.argmax(axis=1), x.shape[1] - 1 - seen[:, ::-1].argmax(axis=1)
    newest = np.maximum.accumulate(np.where(seen, periods, first[:, None]), axis=1)
    scale = _scale_of(x, seen)
    z = scale.applied(np.where(seen, x, 1.0))
    filled = np.take_along_axis(z, newest, axis=1)
    inside = (periods >= first[:, None]) & (periods <= last[:, None]) & np.any(seen, axis=1, keepdims=True)
    return _Laid(np.where(inside, filled, np.nan), filled, last, scale.flat)


@dataclass(frozen=True)
class _Scale:
    """The working scale of each signal, (signals, 1): in `unit`, its mean size, and in `logs` where it stays well above
    zero (see `transform`), with its `low` and `high` values."""

    unit: FloatArray
    logs: npt.NDArray[np.bool_]
    low: FloatArray
    high: FloatArray

    @property
    def flat(self) -> npt.NDArray[np.bool_]:
        """Which signals never vary, (signals,)."""
        size = np.maximum(np.abs(self.low), np.abs(self.high))
        return np.logical_not(self.high > self.low + _FLAT * size)[:, 0]

    def applied(self, x: FloatArray) -> FloatArray:
        """`x` (signals, periods) on this scale; logs of values that are far below all that were seen are cut off."""
        z = x / self.unit
        rows = self.logs[:, 0]
        z[rows] = np.log(np.maximum(z[rows], SMALLEST_SHARE * (self.low / self.unit)[rows]))
        return np.asarray(z)


def _scale_of(x: FloatArray, seen: npt.NDArray[np.bool_]) -> _Scale:
    """The scale of each signal by its values where they are `seen`."""
    count, each = np.maximum(seen.sum(axis=1), 1), np.arange(len(x))
    ranked = np.sort(np.where(seen, x, np.inf), axis=1)
    low, high = ranked[:, 0], ranked[each, count - 1]
    middle = (ranked[each, (count - 1) // 2] + ranked[each, count // 2]) / 2
    size = np.abs(np.where(seen, x, 0.0)).sum(axis=1) / count
    unit = np.where(np.isfinite(size) & (size > 0), np.maximum(size, _SMALLEST), 1.0)
    logs = (low > SMALLEST_SHARE * middle) & (low > 0) & np.isfinite(high)
    return _Scale(unit[:, None], logs[:, None], low[:, None], high[:, None])


def _reason(laid: _Laid, signal: int, n: int) -> str:
    """Why a signal cannot even be tried, or an empty string."""
    if not np.isfinite(laid.z[signal, :n]).any():
        return "no value falls on the periods of the history"
    if laid.flat[signal]:
        return "it never varies"
    if laid.last[signal] + max(LAGS) < n:
        return f"its last value lies {n - 1 - laid.last[signal]} periods before the last known sale"
    return ""


def levels_of(x: FloatArray, filter_: Filter) -> FloatArray:
    """The level of each signal in `x` (signals, n) by the filter, (signals, n).

    Exponential smoothing with each gain g, a block of periods at a time: what a block's own values make of it is one
    matrix product, `sum_j g (1-g)^(i-j) x[j]`, and the level before the block fades as `(1-g)^(i+1)`.
    """
    within, fading = _smoothing()
    signals, n = x.shape
    blocks = -(-n // BLOCK)
    padded = np.zeros((signals, blocks * BLOCK))
    padded[:, :n] = x
    level = (padded.reshape(signals * blocks, BLOCK) @ within).reshape(len(GAINS), signals, blocks, BLOCK)
    before = np.repeat(x[None, :, 0], len(GAINS), axis=0)
    states = np.empty((len(GAINS), signals, blocks))
    for block in range(blocks):
        states[..., block] = before
        before = level[..., block, -1] + fading[:, -1:] * before
    level += states[..., None] * fading[:, None, None]
    return np.asarray(
        np.einsum("gt,gst->st", filter_.gains, level.reshape(len(GAINS), signals, blocks * BLOCK)[..., :n])
    )


@lru_cache(maxsize=1)
def _smoothing() -> tuple[FloatArray, FloatArray]:
    """Weights of a block's values in its levels (gains, values, levels), and of the level before it (gains, levels)."""
    gain, age = np.array(GAINS)[:, None, None], np.arange(BLOCK) - np.arange(BLOCK)[:, None]
    within = np.where(age >= 0, gain * (1 - gain) ** np.maximum(age, 0), 0.0)
    return within, (1 - gain[:, 0]) ** np.arange(1, BLOCK + 1)


def _one_step(z: FloatArray, level: FloatArray, filter_: Filter) -> FloatArray:
    """The surprise one step ahead of each period, (signals, n); 0 where it is not known.

    What the season lets expect of the next period is what the level missed at the same season position in years before.
    """
    n = level.shape[1]
    u = z[:, 1 : n + 1] - level
    known = np.isfinite(u)
    missed = u if known.all() else np.where(known, u, 0.0)
    move = np.zeros(u.shape)
    for season in filter_.seasons:
        own, count = np.zeros(u.shape), np.zeros(u.shape)
        for lag in analog_lags(season, np.array([1]), _YEARS)[:, 0].tolist():
            if lag < n:
                own[:, lag:] += missed[:, : n - lag]
                count[:, lag:] += known[:, : n - lag]
        move += own / np.maximum(count, 1) / len(filter_.seasons)
    return np.asarray((missed - filter_.seasonal * move) * known)


def moves_of(z: FloatArray, level: FloatArray, at: IntArray, steps: IntArray, seasons: tuple[float, ...]) -> FloatArray:
    """What the season lets expect, `mean_k (z[t+h-L_k] - level[t-L_k])`, (…, steps, periods); 0 before the first.

    Where there are two seasons, such as the week and the year of days, it is the mean of both.
    """
    total = np.zeros((*z.shape[:-1], steps.size, at.size))
    for season in seasons:
        own, count = np.zeros(total.shape), np.zeros(total.shape)
        for lags in analog_lags(season, steps, _YEARS):
            before = at - lags[:, None]
            inside = np.maximum(before, 0)
            move = z[..., inside + steps[:, None]] - level[..., inside]
            known = (before >= 0) & np.isfinite(move)
            own += np.where(known, move, 0.0)
            count += known
        total += own / np.maximum(count, 1) / len(seasons)
    return total


def _usual(one: FloatArray) -> FloatArray:
    """The root mean square of all surprises up to each period."""
    square, count = np.cumsum(one * one, axis=-1), np.cumsum(one != 0, axis=-1)
    return np.asarray(np.sqrt(square / np.maximum(count, 1)))


def _without_season(u: FloatArray, seasons: tuple[float, ...]) -> FloatArray:
    """One-step surprises without what a mean and the first waves of each season, fitted to those before, still explain.

    The filter leaves a part of a season in signals as in sales; the two would go together though neither drives the
    other. The fit at each period is least squares on all earlier ones, `u[t] - x[t]' (X'X + r I)^-1 X'u`, with a little
    ridge r for the first ones.
    """
    waves, gain = _waves(seasons, _ROUND * -(-u.shape[1] // _ROUND))
    known = u != 0
    sums = np.zeros((u.shape[0], len(waves), u.shape[1]))
    np.cumsum(u[:, None, :-1] * waves[:, : u.shape[1] - 1], axis=-1, out=sums[..., 1:])
    return np.asarray(u - known * np.einsum("spt,pt->st", sums, gain[:, : u.shape[1]]))


def seasonal_waves(seasons: tuple[float, ...], n: int) -> FloatArray:
    """A mean and the first waves of each season over n periods, (waves, n)."""
    return _waves(seasons, _ROUND * -(-n // _ROUND))[0][:, :n]


@lru_cache(maxsize=16)
def _waves(seasons: tuple[float, ...], n: int) -> tuple[FloatArray, FloatArray]:
    """Mean and waves x (waves, n), and `(X'X + r I)^-1 x` with the rows of X before each period."""
    t = np.arange(n)
    angles = [2 * np.pi * k * t / season for season in seasons for k in range(1, min(_WAVES, int(season / 2)) + 1)]
    x = np.array([np.ones(n), *(np.sqrt(2) * wave(angle) for angle in angles for wave in (np.sin, np.cos))])
    products = x[:, None] * x
    before = np.moveaxis(np.cumsum(products, axis=-1) - products, -1, 0)
    return x, np.linalg.solve(before + _RIDGE * np.eye(len(x)), x.T[..., None])[..., 0].T


def moved(expected: FloatArray, changed: FloatArray) -> FloatArray:
    """How far `changed` lies from `expected` (n,) on the scale of the latter; exactly 0 where they are equal."""
    seen = np.isfinite(expected)[None]
    scale = _scale_of(expected[None], seen)
    x = np.where(seen, np.stack([expected, changed])[:, None], 1.0)
    return np.asarray(scale.applied(x[1])[0] - scale.applied(x[0])[0])
