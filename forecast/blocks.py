"""Origins in blocks: what is learnt from the past is learnt anew at the start of each, and the last starts at the last
origin, so that today's answer rests on all that is known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from forecast.season import IntArray
from forecast.transform import FloatArray

_ENOUGH = 64  # blocks: fewer origins are each a block of their own


@dataclass(frozen=True)
class Blocks:
    """`count` origins in blocks of `size`, the first one filled up from the front, the last one from behind.

    An array in blocks has the shape (…, size, blocks).
    """

    count: int
    size: int

    @cached_property
    def front(self) -> int:
        """How many places of the first block lie before the first origin."""
        return (1 - self.count) % self.size

    @cached_property
    def blocks(self) -> int:
        """How many blocks there are."""
        return (self.front + self.count - 1) // self.size + 1

    @property
    def places(self) -> IntArray:
        """The origin at each place, (size, blocks), below 0 or from `count` on where there is none."""
        return np.arange(self.size * self.blocks).reshape(self.blocks, self.size).T - self.front

    def cut(self, values: FloatArray) -> FloatArray:
        """`values` (origins,) in blocks, 0 where there is no origin."""
        padded = np.zeros(self.blocks * self.size)
        padded[self.front : self.front + self.count] = values
        return np.ascontiguousarray(padded.reshape(self.blocks, self.size).T)

    def starts(self, values: FloatArray) -> FloatArray:
        """`values` (origins,) at the first origin of each block, (blocks,)."""
        rest = values[self.size - self.front if self.front else 0 :: self.size]
        return np.concatenate([values[:1], rest]) if self.front else rest

    def whole(self, values: FloatArray) -> FloatArray:
        """An array in blocks (…, size, blocks) by origins, (…, origins)."""
        flat = values.swapaxes(-1, -2).reshape(*values.shape[:-2], -1)
        return np.asarray(flat[..., self.front : self.front + self.count])

    def each(self, values: FloatArray) -> FloatArray:
        """What holds in each block (…, blocks) at each origin, (…, origins)."""
        return np.asarray(np.repeat(values, self.size, axis=-1)[..., self.front : self.front + self.count])

    def past(self, values: FloatArray, factor: FloatArray | None = None) -> FloatArray:
        """`sum_s values[s] factor[s]` over the origins s before each block; (…, size, blocks) to (…, blocks)."""
        if factor is None:
            return _before(values.sum(axis=-2))
        return _before(np.einsum("...rg,...rg->...g", values, factor))


def _before(total: FloatArray) -> FloatArray:
    """Sums over the blocks before each."""
    out = np.empty(total.shape)
    out[..., 0] = 0.0
    np.cumsum(total[..., :-1], axis=-1, out=out[..., 1:])
    return out


@lru_cache(maxsize=64)
def blocks_of(count: int) -> Blocks:
    """The blocks of `count` origins."""
    return Blocks(count, max(1, count // _ENOUGH))
