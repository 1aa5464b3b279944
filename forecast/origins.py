"""The past origins and steps ahead at which everything is judged, as slices of the history."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from forecast.season import IntArray
from forecast.transform import FloatArray


@dataclass(frozen=True)
class Origins:
    """Origins `first`, `first + stride`, …, up to the last of `n` periods, and increasing `steps` ahead of each.

    Arrays over a grid have the shape (steps, …, origins).
    """

    n: int
    first: int
    stride: int
    steps: tuple[int, ...]

    @cached_property
    def rows(self) -> IntArray:
        """The origins as indices of periods."""
        return np.arange(self.first, self.n, self.stride)

    @cached_property
    def delays(self) -> tuple[int, ...]:
        """After how many origins an error of each step is known."""
        return tuple(-(-step // self.stride) for step in self.steps)

    def before_last(self, count: int) -> Origins:
        """The last `count` origins, or as many as there are, without the very last one."""
        count = min(count, self.rows.size - 1)
        return Origins(self.n - self.stride, self.n - 1 - count * self.stride, self.stride, self.steps)

    def shifted(self, values: FloatArray, by: int) -> FloatArray:
        """`values[..., t + by]` at each origin t, zero before the history; `by` must not pass its end."""
        missing = max(0, -((self.first + by) // self.stride))
        if missing >= self.rows.size:
            return np.zeros((*values.shape[:-1], self.rows.size))
        found = values[..., self.first + by + missing * self.stride : self.n + by : self.stride]
        if not missing:
            return found
        out = np.zeros((*values.shape[:-1], self.rows.size))
        out[..., missing:] = found
        return out

    def targets(self, z: FloatArray, observed: npt.NDArray[np.bool_]) -> FloatArray:
        """`z[t+h]` at each step and origin, NaN where it lies ahead of the history or was not observed."""
        longest = self.steps[-1]
        seen = np.concatenate([np.where(observed, z, np.nan), np.full(longest, np.nan)])
        return np.stack([seen[self.first + h : self.n + h : self.stride] for h in self.steps])


def ending_at(n: int, stride: int, steps: tuple[int, ...], earliest: int) -> Origins:
    """Every `stride`-th origin up to the last period, none before the index `earliest`."""
    return Origins(n, n - 1 - (n - 1 - earliest) // stride * stride, stride, steps)


def last_only(n: int, horizon: int) -> Origins:
    """The last period as the only origin, with every step of the horizon."""
    return Origins(n, n - 1, 1, tuple(range(1, horizon + 1)))
