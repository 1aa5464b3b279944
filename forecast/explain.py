"""Contributions in sales units that add up exactly to the forecast.

Terms add on the working scale. Where that is the logarithm, the step from the level's own forecast to the whole one is
shared out by the logarithmic mean (LMDI; Ang 2004): driver k gets `L(f, f0) c_k` with `L(a, b) = (a - b) / ln(a / b)`,
which adds up to `f - f0` without a remainder. The level takes what is not a move: its own forecast, the offset of the
working scale and the step from median to mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.transform import FloatArray, Transform

LEVEL = "level"
_FAR = 1e6  # times as large as what they add up to: then rounding shows
_BITS = 49  # of the largest part that are kept, so that sums of up to eight such are exact in any order
_MIN_PAST = 8  # origins below which a range of shares says too little


@dataclass(frozen=True)
class Importance:
    """The share of a driver in the moves of a forecast, and its 80 % interval over past origins (None: too few)."""

    driver: str
    share: float
    share_interval: tuple[float, float] | None


def contributions(terms: dict[str, FloatArray], mean: FloatArray, transform: Transform) -> dict[str, FloatArray]:
    """Each driver's part of `mean` in sales units, each (horizon,); they add up to `mean`."""
    start = terms[LEVEL]
    moves = {name: term for name, term in terms.items() if name != LEVEL}
    rate = _rate(start, np.sum(list(moves.values()), axis=0) if moves else np.zeros_like(start), transform)
    parts = {name: rate * term for name, term in moves.items()}
    rest = mean - np.sum(list(parts.values()), axis=0) if parts else mean
    return {LEVEL: rest, **parts}


def exact(mean: FloatArray, parts: dict[str, FloatArray]) -> tuple[FloatArray, dict[str, FloatArray]]:
    """`mean` and its parts, rounded where large parts cancel to next to nothing, so that they add up there too.

    There they all become multiples of one power of two, some 1e-15 of the largest part: far below what is told.
    """
    largest = np.max(np.abs(list(parts.values())), axis=0)
    far = largest > _FAR * np.abs(mean)
    if not far.any():
        return mean, parts
    unit = np.exp2(np.ceil(np.log2(np.where(far, largest, 1.0))) - _BITS)
    rounded = {name: np.where(far, np.round(part / unit) * unit, part) for name, part in parts.items()}
    moves = [part for name, part in rounded.items() if name != LEVEL]
    total = np.where(far, np.round(mean / unit) * unit, mean)
    return total, rounded | {LEVEL: np.where(far, total - np.sum(moves, axis=0), rounded[LEVEL])}


def _rate(start: FloatArray, move: FloatArray, transform: Transform) -> FloatArray:
    """Sales units a unit of the working scale, between `start` and `start + move`: their logarithmic mean."""
    if not transform.log:
        return np.full_like(start, transform.unit)
    small = np.abs(move) < 1e-8
    share = np.where(small, 1.0 + move / 2, np.expm1(move) / np.where(small, 1.0, move))
    return np.asarray(transform.unit * np.exp(start) * share)


def importance(parts: dict[str, FloatArray], lately: dict[str, FloatArray]) -> list[Importance]:
    """Share of each driver but the level in the absolute moves of the forecast, largest first.

    The interval holds the share of four in five of the past origins `lately`, whose terms are (steps, origins) on the
    working scale: how much the importance of a driver comes and goes.
    """
    size = {name: float(np.abs(part).mean()) for name, part in parts.items() if name != LEVEL}
    total = sum(size.values())
    ranked = sorted(size.items(), key=lambda item: (-item[1], item[0]))
    ranges = _ranges(lately)
    return [Importance(name, value / total if total > 0 else 0.0, ranges.get(name)) for name, value in ranked]


def _ranges(lately: dict[str, FloatArray]) -> dict[str, tuple[float, float]]:
    """The 10th and 90th percentile of each driver's share over past origins; nothing where those are too few."""
    size = {name: np.abs(term).mean(axis=0) for name, term in lately.items() if name != LEVEL}
    total = np.sum(list(size.values()), axis=0)
    if np.size(total) < _MIN_PAST:
        return {}
    shares = np.sort(np.stack(list(size.values())) / np.where(total > 0, total, 1.0), axis=1)
    ends = [round(p * (shares.shape[1] - 1)) for p in (0.1, 0.9)]
    return {name: (float(row[ends[0]]), float(row[ends[1]])) for name, row in zip(size, shares, strict=True)}
