"""When the mean of a sequence changed: river's Page-Hinkley test, its threshold set by the sequence's own noise.

Page (1954) and Hinkley (1971): alarm where the sum of `x - mean - delta` has risen by `threshold` above its minimum.
Pure functions of the whole sequence: what was found in the first n values is found again when later ones are added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from forecast.transform import FloatArray

NORMAL_95 = 1.96
_WILDEST = 3.0  # standard deviations that one value may lie from the mean: a single wild one is no change
_MOST_PERSISTENT = 0.6  # first-order autocorrelation that is believed of a short sequence
_FEWEST = 3  # values on each side of a change


@dataclass(frozen=True)
class Sensitivity:
    """How large a change must be. All but `noise` and `settle` in the units of the sequence.

    `delta`: half of the change to be found. `least`: the threshold of a sequence without noise. `noise`: times the
    long-run variance, the threshold of a noisy one; a mean level of false alarms at any noise asks for
    `ln(periods between false alarms) / (2 delta)`, see Siegmund, Sequential Analysis (1985). `settle`: values before
    the first alarm.
    """

    delta: float
    least: float
    noise: float
    settle: int


@dataclass(frozen=True)
class Jump:
    """The mean rose: the value `found` (its place) raised the alarm, `since` is the first of the new mean.

    `size` is by how much, from `low` to `high` with 95 % confidence, judged on the values up to `found`.
    """

    since: int
    found: int
    size: float
    low: float
    high: float


def rises(x: FloatArray, sensitivity: Sensitivity) -> list[Jump]:
    """Where the mean of `x` (n,) rose, oldest first; NaN are skipped. Each alarm begins anew on what follows it."""
    places = np.flatnonzero(np.isfinite(x))
    found: list[Jump] = []
    start = 0
    for stop, tamed in _alarms(x[places], sensitivity):
        at = places[start : stop + 1]
        found.append(_jump(tamed, x[at], at))
        start = stop + 1
    return found


def _alarms(x: FloatArray, sensitivity: Sensitivity) -> list[tuple[int, FloatArray]]:
    """The place of each alarm, with the tamed values since the one before, up to and with it."""
    from river.drift import PageHinkley  # only who looks for drift pays for the import

    alarms = []
    run = _Run(sensitivity)
    detector = PageHinkley(sensitivity.settle, sensitivity.delta, sensitivity.least, mode="up")
    for place, value in enumerate(x.tolist()):
        tamed = run.take(value)
        detector.threshold = run.threshold
        detector.update(tamed)
        if detector.drift_detected:
            alarms.append((place, np.array(run.values)))
            run = _Run(sensitivity)
    return alarms


class _Run:
    """The values since the last alarm, with their mean, variance and persistence so far."""

    def __init__(self, sensitivity: Sensitivity) -> None:
        self.sensitivity = sensitivity
        self.values: list[float] = []
        self._mean = self._squares = self._products = 0.0

    @property
    def threshold(self) -> float:
        """What the noise so far asks for."""
        return max(self.sensitivity.least, self.sensitivity.noise * self._long_run_variance())

    def take(self, value: float) -> float:
        """The value that is counted: a wild one at the edge of what the values before made likely."""
        n = len(self.values)
        if n >= self.sensitivity.settle:
            reach = _WILDEST * math.sqrt(self._squares / (n - 1))
            value = min(max(value, self._mean - reach), self._mean + reach)
        before = self._mean
        self._mean += (value - before) / (n + 1)
        self._squares += (value - before) * (value - self._mean)
        if n:
            self._products += (value - self._mean) * (self.values[-1] - self._mean)
        self.values.append(value)
        return value

    def _long_run_variance(self) -> float:
        n = len(self.values)
        return persistence(self._products, self._squares) * self._squares / (n - 1) if n > 1 else 0.0


def persistence(products: float, squares: float) -> float:
    """By how much autocorrelation raises the variance of a mean, from the lagged and the plain sum of squares."""
    if squares <= 0:
        return 1.0
    rho = min(max(products / squares, 0.0), _MOST_PERSISTENT)
    return (1 + rho) / (1 - rho)


def _jump(tamed: FloatArray, run: FloatArray, places: np.ndarray) -> Jump:
    """The most likely single change of the mean within a run that ends with an alarm (least squares).

    Where it was, the tamed values say; how large it is, the values themselves: after a large change all look wild.
    """
    n = run.size
    splits = np.arange(_FEWEST, n - _FEWEST + 1)
    sums = np.cumsum(tamed)[splits - 1]
    difference = (tamed.sum() - sums) / (n - splits) - sums / splits
    gain = np.where(difference > 0, difference**2 * splits * (n - splits), -1.0)
    best = int(np.argmax(gain))
    split = int(splits[best])
    size = float(run[split:].mean() - run[:split].mean())
    half = NORMAL_95 * deviation_of_difference(run[:split], run[split:])
    return Jump(int(places[split]), int(places[-1]), size, size - half, size + half)


def deviation_of_difference(before: FloatArray, after: FloatArray) -> float:
    """The standard deviation of the difference of two means, neighbours being alike as they are in the values."""
    parts = [before - before.mean(), after - after.mean()]
    squares = sum(float((part**2).sum()) for part in parts)
    products = sum(float((part[1:] * part[:-1]).sum()) for part in parts)
    variance = persistence(products, squares) * squares / max(before.size + after.size - 2, 1)
    return math.sqrt(variance * (1 / before.size + 1 / after.size))
