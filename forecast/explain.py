"""Contributions in sales units that add up exactly to the forecast.

Terms add on the working scale. Where that is the logarithm, the step from the level's own forecast to the whole one is
shared out by the logarithmic mean (LMDI; Ang 2004): driver k gets `L(f, f0) c_k` with `L(a, b) = (a - b) / ln(a / b)`,
which adds up to `f - f0` without a remainder. The level takes what is not a move: its own forecast, the offset of the
working scale and the step from median to mean.
"""

from __future__ import annotations

import numpy as np

from forecast.transform import FloatArray, Transform

LEVEL = "level"


def contributions(terms: dict[str, FloatArray], mean: FloatArray, transform: Transform) -> dict[str, FloatArray]:
    """Each driver's part of `mean` in sales units, each (horizon,); they add up to `mean`."""
    start = terms[LEVEL]
    moves = {name: term for name, term in terms.items() if name != LEVEL}
    rate = _rate(start, np.sum(list(moves.values()), axis=0) if moves else np.zeros_like(start), transform)
    parts = {name: rate * term for name, term in moves.items()}
    rest = mean - np.sum(list(parts.values()), axis=0) if parts else mean
    return {LEVEL: rest, **parts}


def _rate(start: FloatArray, move: FloatArray, transform: Transform) -> FloatArray:
    """Sales units a unit of the working scale, between `start` and `start + move`: their logarithmic mean."""
    if not transform.log:
        return np.full_like(start, transform.unit)
    small = np.abs(move) < 1e-8
    share = np.where(small, 1.0 + move / 2, np.expm1(move) / np.where(small, 1.0, move))
    return np.asarray(transform.unit * np.exp(start) * share)


def importance(parts: dict[str, FloatArray]) -> list[dict[str, float | str]]:
    """Share of each driver but the level in the absolute moves of the forecast, largest first."""
    size = {name: float(np.abs(part).mean()) for name, part in parts.items() if name != LEVEL}
    total = sum(size.values())
    ranked = sorted(size.items(), key=lambda item: (-item[1], item[0]))
    return [{"driver": name, "share": value / total if total > 0 else 0.0} for name, value in ranked]
