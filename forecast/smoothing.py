"""Exponential smoothing with fixed gains, many filters at once and a block of periods at a time.

Every filter is linear (Gardner 1985), with gain g, damping d and slope share s; s = 0 is simple exponential smoothing:

    e[t] = z[t] - l[t-1] - d b[t-1],    l[t] = l[t-1] + d b[t-1] + g e[t],    b[t] = d b[t-1] + g s e[t]

So level and slope over a block are one matrix, computed once for all requests, times the block's values, plus what the
state before it still says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from forecast.transform import FloatArray

BLOCK = 32


@dataclass(frozen=True)
class Filters:
    """Gain, damping and slope share of each filter, tuples of one length."""

    gains: tuple[float, ...]
    dampings: tuple[float, ...]
    slope_shares: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.gains)


@lru_cache(maxsize=64)
def _responses(filters: Filters, size: int, *, warm: bool) -> tuple[FloatArray, FloatArray]:
    """Level and slope after each period of a block, linear in its values (filters, 2, size, size) and in the state
    before it (filters, 2, size, 2).

    A cold start has the gain 1/(t+1) while that is larger, so that the first levels are running means and no start
    value is guessed.
    """
    gain, damping, share = (np.array(v) for v in (filters.gains, filters.dampings, filters.slope_shares))
    to_values = np.zeros((len(filters), 2, size, size))
    to_state = np.zeros((len(filters), 2, size, 2))
    values, state = np.zeros((len(filters), 2, size)), np.tile(np.eye(2), (len(filters), 1, 1))
    for t in range(size):
        g = gain if warm else np.maximum(gain, 1 / (t + 1))
        step = np.array([[1 - g, damping * (1 - g)], [-g * share, damping * (1 - g * share)]]).transpose(2, 0, 1)
        values, state = step @ values, step @ state
        values[:, :, t] = np.stack([g, g * share if warm or t else 0 * g], axis=-1)
        to_values[:, :, t], to_state[:, :, t] = values, state
    return to_values, to_state


def smooth(z: FloatArray, filters: Filters) -> tuple[FloatArray, FloatArray]:
    """Level and slope of each filter after each period of `z` (n,), both (filters, n)."""
    blocks = -(-z.size // BLOCK)
    padded = np.zeros(blocks * BLOCK)
    padded[: z.size] = z
    cold, _ = _responses(filters, BLOCK, warm=False)
    to_values, to_state = _responses(filters, BLOCK, warm=True)
    forced = (to_values.reshape(-1, BLOCK) @ padded.reshape(blocks, BLOCK).T).reshape(len(filters), 2, BLOCK, blocks)
    forced[..., 0] = cold @ padded[:BLOCK]
    for block in range(1, blocks):  # what the state before a block adds to it
        forced[..., block] += (to_state @ forced[:, None, :, -1, block - 1, None])[..., 0]
    level, slope = forced.transpose(1, 0, 3, 2).reshape(2, len(filters), -1)[:, :, : z.size]
    return level, slope


def run(values: FloatArray, state: FloatArray, filters: Filters, size: int) -> FloatArray:
    """Level and slope, (filters, 2, k, rows), over a block of k <= size `values` (filters, k, rows) after `state`
    (filters, 2, rows)."""
    to_values, to_state = _responses(filters, size, warm=True)
    k, rows = values.shape[1:]
    joined = to_values[:, :, :k, :k].reshape(len(filters), 2 * k, k) @ values
    joined += to_state[:, :, :k].reshape(len(filters), 2 * k, 2) @ state
    return np.asarray(joined.reshape(len(filters), 2, k, rows))
