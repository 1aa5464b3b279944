"""Discounting: sums in which what is older counts for less."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from forecast.frequency import frozen
from forecast.transform import FloatArray


@lru_cache(maxsize=256)
def growth(size: int, half_life: float) -> FloatArray:
    """`2^(t / half_life)`, (size,): sums weighted with it, over it, are discounted ones."""
    return frozen(2.0 ** (np.arange(size) / half_life))
