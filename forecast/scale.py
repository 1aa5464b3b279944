"""From the working scale to sales units, inside the guard."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from forecast.intervals import at
from forecast.transform import FloatArray, Transform

GUARD = 5.0  # no forecast beyond this multiple of the largest sale in the history
_TENTHS = np.array([0.1, 0.9])
_SPREAD = NormalDist().inv_cdf(0.9) - NormalDist().inv_cdf(0.1)
_LARGEST_STEP = 0.25  # of the mean over the median, on the log scale


@dataclass(frozen=True)
class Scale:
    """A transform and the smallest and largest values allowed on its working scale."""

    transform: Transform
    low: float
    high: float

    def hold(self, z: FloatArray) -> FloatArray:
        """Values on the working scale, held inside the guard."""
        return np.clip(z, self.low, self.high)

    def units(self, z: FloatArray) -> FloatArray:
        """Values held inside the guard, in sales units; never below zero for non-negative history."""
        y = self.transform.inverse(self.hold(z))
        return np.maximum(y, 0.0) if self.transform.log else y

    def mean(self, median: FloatArray, spread: FloatArray) -> FloatArray:
        """The expectation of each step in sales units, (horizon,), from its median and error quantiles on the grid.

        On a log scale that of a log-normal distribution with the spread of the central 80 %: tails estimated from a
        handful of errors, which the mean of the whole grid would rest on, must not move the number that is shown.
        """
        if not self.transform.log:
            return self.units(median)
        tenth, ninth = at(spread, _TENTHS).T
        deviation = (ninth - tenth) / _SPREAD
        return self.units(median + np.minimum(deviation**2 / 2, _LARGEST_STEP))


def guarded(transform: Transform, y: FloatArray) -> Scale:
    """The scale for a history `y` (n,): zero at least where it is non-negative, and `GUARD` times its largest value."""
    high = GUARD * float(np.nanmax(np.abs(y))) or 1.0
    low = (0.0 if transform.offset else high * 1e-12) if transform.log else -high
    ends = transform.forward(np.array([low, high]))
    return Scale(transform, float(ends[0]), float(ends[1]))
