"""From the working scale to sales units, inside the guard."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from forecast.transform import FloatArray, Transform

GUARD = 5.0  # no forecast beyond this multiple of the largest sale in the history
SPREAD = (0.1, 0.9)  # the quantiles that the mean rests on
_SPREAD = NormalDist().inv_cdf(0.9) - NormalDist().inv_cdf(0.1)
_SMALLEST = float(np.log(1e-12))  # share of the largest value allowed, where zero has no logarithm
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

    def note(self, highest: FloatArray) -> list[str]:
        """That the `highest` ends of intervals, on the working scale, are held, and those of other levels maybe too."""
        if not (highest > self.high).any():
            return []
        held = f"a guard held upper ends of intervals at {GUARD:g} times the largest sale"
        return [f"{held}: those of several levels may be the same"]

    def units(self, z: FloatArray) -> FloatArray:
        """Values held inside the guard, in sales units; never below zero for non-negative history."""
        y = self.transform.inverse(self.hold(z))
        return np.maximum(y, 0.0) if self.transform.log else y

    def mean(self, median: FloatArray, tenth: FloatArray, ninth: FloatArray) -> FloatArray:
        """The expectation in sales units, from the median and the error's quantiles at SPREAD, arrays of one shape.

        On a log scale that of a log-normal distribution with the spread of the central 80 %: tails estimated from a
        handful of errors, which the mean of the whole grid would rest on, must not move the number that is shown.
        """
        if not self.transform.log:
            return self.units(median)
        deviation = (ninth - tenth) / _SPREAD
        return self.units(median + np.minimum(deviation**2 / 2, _LARGEST_STEP))


def guarded(transform: Transform, y: FloatArray) -> Scale:
    """The scale for a history `y` (n,): zero at least where it is non-negative, and `GUARD` times its largest value."""
    largest = GUARD * float(np.nanmax(np.abs(y))) or 1.0
    least = 0.0 if transform.offset or not transform.log else largest
    low, high = (float(z) for z in transform.forward(np.array([least, largest])))
    if transform.log:
        return Scale(transform, low if transform.offset else high + _SMALLEST, high)
    return Scale(transform, -high if np.nanmin(y) < 0 else 0.0, high)
