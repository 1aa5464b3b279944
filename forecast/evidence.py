"""What speaks for a signal, at every origin at once: test, coefficient, adjustment and what adjusting has saved.

All of it rests on one-step errors, each known one origin later, so every sum over the past is one cumulative sum.
What is learnt is learnt anew after so many origins (`Blocks`), the last of them always. What holds for longer steps is
worked out only for the few signals that enter (`spread`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.blend import known
from forecast.blocks import Blocks
from forecast.candidates import CLIP, Candidates, candidates_of
from forecast.fading import growth
from forecast.origins import Origins
from forecast.surprise import LAGS, Surprises
from forecast.transform import FloatArray

MEMORY = 1.75  # half-lives of the blend: what a signal is worth changes more slowly than which expert is best
MIN_SCALE = 8  # errors before their usual size is known
MIN_PAIRS = 16  # of error and surprise before a coefficient is used
MIN_MEASURED = 16  # past origins at which it was used: fewer say nothing about a signal
_SHOCK = 4.0  # usual sizes: more of one error does not count in a coefficient
_CLEAR = 2.0  # standard errors by which holding a surprise must have saved error
_SHRINK = 16.0  # pseudo-observations that pull a coefficient towards no effect
_VARIANCE = np.pi / 2  # of a normal error whose mean absolute value is 1
_TINY = 1e-300


@dataclass(frozen=True)
class Sheet:
    """Errors (steps, origins) that signals are judged on, and what was known of their size at each origin.

    `error` is 0 and `seen` too where it is unknown or its size cannot be told yet; `scaled` is in usual sizes and
    clipped, `tame` the error with shocks cut to `_SHOCK` usual sizes, `unit` 1 over the usual size. `weight` is
    `1 / size^2` times a growth that makes sums discounted ones, and `decay` (origins,) takes it off again; `ridge` is
    what is left of a coefficient beside pseudo-observations of no effect, `noise` (steps,) the variance that draws it
    to zero, `largest` the largest absolute error before the origin.
    """

    error: FloatArray
    seen: FloatArray
    scaled: FloatArray
    tame: FloatArray
    unit: FloatArray
    weight: FloatArray
    decay: FloatArray
    ridge: FloatArray
    noise: FloatArray
    largest: FloatArray
    delays: tuple[int, ...]

    def past(self, *values: FloatArray) -> FloatArray:
        """The sum of each of `values` over the origins whose error was known, (values, steps, origins)."""
        told = known(np.stack(values, axis=1), self.delays, 0.0)
        return np.cumsum(told, axis=-1, out=told).swapaxes(0, 1)


def sheet_of(errors: FloatArray, delays: tuple[int, ...], half_life: float) -> Sheet:
    """The sheet of `errors` (steps, origins), NaN where unknown; `half_life` in origins.

    Errors of longer steps overlap, so as many fewer of them are independent: `noise` grows by the delay.
    """
    told = np.isfinite(errors)
    size = np.where(told, np.abs(errors), 0.0)
    grown = growth(errors.shape[-1], half_life)
    sums = known(np.stack([told, told * grown, size * grown, size], axis=1), delays, 0.0)
    count, discounted, total = np.cumsum(sums[:, :3], axis=-1).transpose(1, 0, 2)
    scale = total / np.maximum(discounted, _TINY)
    usable = told & (count >= MIN_SCALE) & (scale > _TINY)
    error, scale = np.where(usable, errors, 0.0), np.where(usable, scale, 1.0)
    relative = error / scale
    effective = np.cumsum(known(usable * grown, delays, 0.0), axis=-1)
    return Sheet(
        error=error,
        seen=usable.astype(float),
        scaled=np.clip(relative, -CLIP, CLIP),
        tame=np.clip(relative, -_SHOCK, _SHOCK) * scale,
        unit=usable / scale,
        weight=usable * grown / scale / scale,
        decay=1 / grown,
        ridge=effective / (effective + _SHRINK * grown),
        noise=_VARIANCE * np.array(delays, dtype=float),
        largest=np.maximum.accumulate(sums[:, 3], axis=-1),
        delays=delays,
    )


@dataclass(frozen=True)
class Trial:
    """Candidates tried on one-step errors; what is used in a block of origins rests on errors known before it.

    Over blocks, (candidates, lags, blocks): `strength` is the statistic over its bound, `pairs` how many errors are
    behind it, `coefficient` what a surprise is worth, `saved` how much absolute error adjusting has saved, in all and
    `lately`. `raw` is the one-step surprise and `adjustment` what is made of it at each origin, (candidates, lags,
    origins of a block, blocks).
    """

    raw: FloatArray
    strength: FloatArray
    pairs: FloatArray
    coefficient: FloatArray
    adjustment: FloatArray
    saved: FloatArray
    lately: FloatArray

    @property
    def passes(self) -> np.ndarray:
        """Where a candidate may enter, (candidates, lags, blocks)."""
        enough = self.pairs >= MIN_PAIRS + MIN_MEASURED
        return np.asarray((self.strength > 1.0) & (self.saved >= 0.0) & (self.lately >= 0.0) & enough)


def try_all(sheet: Sheet, candidates: Candidates) -> Trial:
    """Test and coefficients of every candidate at every lag, one step ahead."""
    blocks = candidates.blocks
    scaled, seen = blocks.cut(sheet.scaled[0]), blocks.cut(sheet.seen[0])
    statistic, total = _statistic(candidates.scaled, scaled, blocks)
    statistic = np.abs(statistic)
    pairs = blocks.past(candidates.told, seen)
    raw = candidates.raw
    for pool in candidates.pools:
        mixed = pool.mixed(candidates.scaled, total)[None]
        raw, statistic = np.concatenate([raw, mixed]), np.concatenate([statistic, _statistic(mixed, scaled, blocks)[0]])
        pairs = np.concatenate([pairs, pairs[pool.members].min(axis=0)[None]])
    slope = _slopes(sheet, raw, pairs, blocks)
    adjustment = raw * slope[:, :, None]
    largest = blocks.starts(sheet.largest[0])
    np.clip(adjustment, -largest, largest, out=adjustment)
    strength = statistic / candidates.bounds[..., None]
    return Trial(raw, strength, pairs, slope, adjustment, *_saved(sheet, adjustment, blocks))


def _statistic(surprise: FloatArray, error: FloatArray, blocks: Blocks) -> tuple[FloatArray, FloatArray]:
    """How far errors go with surprises before each block, and `sum d` alone, d = error x surprise.

    The encompassing test of Harvey, Leybourne and Newbold (1998) for errors one step ahead, `sum d / sqrt(sum d^2)`. No
    mean is taken off d, so that the statistic normalises itself: its tails are no heavier than the normal's however
    heavy those of d are (de la Peña, Lai and Shao 2009).
    """
    d = surprise * error
    total, square = blocks.past(d), blocks.past(d, d)
    return total / np.sqrt(np.maximum(square, _TINY)), total


def _slopes(sheet: Sheet, raw: FloatArray, pairs: FloatArray, blocks: Blocks) -> FloatArray:
    """What a one-step surprise is worth by what was known before each block, (candidates, lags, blocks)."""
    top = blocks.past(raw, blocks.cut(sheet.tame[0] * sheet.weight[0]))
    bottom = blocks.past(raw * raw, blocks.cut(sheet.weight[0]))
    ridge, decay = blocks.starts(sheet.ridge[0]), blocks.starts(sheet.decay)
    return shrunk(top, bottom, decay, sheet.noise[0], ridge) * (pairs >= MIN_PAIRS)


def _saved(sheet: Sheet, adjustment: FloatArray, blocks: Blocks) -> tuple[FloatArray, FloatArray]:
    """Absolute error that adjusting had saved before each block; and the same of late (discounted), in usual sizes and
    with shocks cut, so that no shock decides alone whether a signal helps."""
    error, seen = blocks.cut(sheet.error[0]), blocks.cut(sheet.seen[0])
    unit, growth = blocks.cut(sheet.unit[0]), blocks.cut(1 / sheet.decay)
    left = error - adjustment
    np.abs(left, out=left)
    size = np.abs(error)
    saved = blocks.past(size - left, seen)
    left *= unit
    np.minimum(left, _SHOCK, out=left)
    np.subtract(np.minimum(size * unit, _SHOCK), left, out=left)
    return saved, blocks.past(left, growth)


def shrunk(
    top: FloatArray, bottom: FloatArray, decay: FloatArray, noise: FloatArray | float, ridge: FloatArray
) -> FloatArray:
    """Ridge `top / bottom` drawn to zero by how uncertain it is, `1 - 1/F` (positive part of James and Stein 1961)."""
    slope = top / np.maximum(bottom, _TINY)
    ratio = top * slope
    ratio *= decay
    np.maximum(ratio, noise, out=ratio)
    return np.asarray(slope * ridge * (1.0 - noise / ratio))


def clearest(errors: FloatArray, grid: Origins, surprises: Surprises, half_life: float) -> tuple[int, float]:
    """The lag of the only signal in `surprises`, admitted or not, and how many errors are behind it.

    It is the clearest one, and none where no lag is clear.
    """
    if not surprises.names:
        return 0, 0.0
    trial = try_all(
        sheet_of(errors[:1], grid.delays[:1], MEMORY * half_life / grid.stride), candidates_of(surprises, 1)
    )
    strength = trial.strength[0, :, -1]
    column = int(strength.argmax()) if strength.max() > 1 else 0
    return LAGS[column], float(trial.pairs[0, column, -1])


@dataclass(frozen=True)
class Spread:
    """One candidate at one lag over all steps: `coefficient` and `adjustment` (steps, origins)."""

    coefficient: FloatArray
    adjustment: FloatArray


def spread(sheet: Sheet, surprise: FloatArray, nearest: FloatArray, news: np.ndarray, usable: np.ndarray) -> Spread:
    """The adjustments at all steps by a `surprise` (steps, origins).

    The coefficient of the `nearest` step (origins,) holds at all steps with `news`, as the signal went through the same
    filter as sales. Where the newest surprise is only held each step has a coefficient of its own. Beyond the nearest
    step both serve only where they have saved error by then, and held ones where that is clear.
    """
    weighted = surprise * sheet.weight
    top, bottom, pairs = sheet.past(sheet.tame * weighted, surprise * weighted, (surprise != 0) * sheet.seen)
    own = shrunk(top, bottom, sheet.decay, sheet.noise[:, None], sheet.ridge) * (pairs >= MIN_PAIRS)
    coefficient = np.where(news[:, None], nearest, own) * usable[:, None]
    adjustment = np.clip(coefficient * surprise, -sheet.largest, sheet.largest)
    saved = (np.abs(sheet.error) - np.abs(sheet.error - adjustment)) * sheet.seen
    total, square = sheet.past(saved, saved * saved)
    unsure = _CLEAR * np.sqrt(square * np.array(sheet.delays)[:, None])
    works = total >= np.where(news[:, None], 0.0, unsure)
    works[0] = True
    return Spread(coefficient * works, adjustment * works)
