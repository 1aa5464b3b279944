"""The working scale: effects on sales multiply, so experts add on the log scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

SMALLEST_SHARE = 0.05  # of the median: above it, log needs no offset
_OFFSET_SHARE = 0.5  # of the mean: an offset that keeps zeros from dominating


@dataclass(frozen=True)
class Transform:
    """`z = log(y + offset)` for non-negative history, `z = y / unit` otherwise."""

    log: bool
    offset: float
    unit: float

    def forward(self, y: FloatArray) -> FloatArray:
        """From sales units to the working scale."""
        return np.log(y / self.unit + self.offset) if self.log else y / self.unit

    def inverse(self, z: FloatArray) -> FloatArray:
        """From the working scale to sales units."""
        return self.unit * (np.exp(z) - self.offset) if self.log else self.unit * z


IDENTITY = Transform(log=False, offset=0.0, unit=1.0)


def median(values: npt.NDArray[np.float64] | npt.NDArray[np.int64]) -> float:
    """The median of `values` (n,), at least one and none of them NaN: np.median without its overhead."""
    half = values.size // 2
    if values.size % 2:
        return float(np.partition(values, half)[half])
    low, high = np.partition(values, (half - 1, half))[half - 1 : half + 1]
    return float((low + high) / 2)


def choose(y: FloatArray, wanted: str = "auto") -> Transform:
    """The working scale for a history `y` of shape (periods,), NaN where missing: the logarithm where that exists.

    `wanted` "identity" leaves sales as they are.
    """
    seen = y[np.isfinite(y)]
    size = float(np.mean(np.abs(seen)))
    unit = size if size > 0 else 1.0
    if seen.min() < 0 or size == 0 or wanted == "identity":
        return Transform(log=False, offset=0.0, unit=unit)
    small = seen.min() <= SMALLEST_SHARE * median(seen) or seen.min() / unit == 0  # the logarithm has to exist
    return Transform(log=True, offset=_OFFSET_SHARE if small else 0.0, unit=unit)
