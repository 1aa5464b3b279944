"""What is tried on the errors: the surprise of each signal at each lag, and groups of related signals as one.

Many weak signals would each be lost among the others' chances; a group is tried as one candidate beside its members.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from forecast.blocks import Blocks, blocks_of
from forecast.origins import Origins
from forecast.season import IntArray
from forecast.surprise import LAGS, Surprises
from forecast.transform import FloatArray

SIZE = 0.055  # of all tests of one request together, before an adjustment must also have saved error
ROUNDS = 0.8  # of it where there are several: they are judged again, round by round, on what the first ones leave
CLIP = 3.0  # in usual sizes: no single error or surprise decides a test
MIN_MEMBERS = 3  # of a group
_STEEPNESS = 1.5  # how much more of the size the nearer lags get
_MANY = 8  # signals without a group of their own are one group from here on


@dataclass(frozen=True)
class Pool:
    """A group of signals; `members` are their indices."""

    name: str
    members: IntArray

    def mixed(self, scaled: FloatArray, total: FloatArray) -> FloatArray:
        """The members' `scaled` surprises as one, (lags, size, blocks), in the direction learnt before each block.

        Weights are how far each member's surprise went with the errors by then, `total` (signals, lags, blocks), drawn
        half-way to the mean of the group: the first component of partial least squares, learnt prequentially, so that
        its own record is out of sample.
        """
        weight = total[self.members]
        weight = weight + weight.mean(axis=0)
        size = np.sqrt((weight * weight).sum(axis=0))
        weight /= np.where(size > 0, size, np.inf)
        return np.asarray(np.einsum("mlg,mlrg->lrg", weight, scaled[self.members]))


@dataclass(frozen=True)
class Candidates:
    """Signals at lags in blocks of origins, (signals, lags, size, blocks): `raw` surprises, the same in usual sizes and
    clipped (`scaled`), 0 where unknown, and 1 where they are `told`.

    `bounds` (signals and pools, lags) are what each test has to pass, infinite at lags where nothing is known in time;
    `reach` (signals and pools, lags) is the last step with news.
    """

    names: tuple[str, ...]
    raw: FloatArray
    scaled: FloatArray
    told: FloatArray
    blocks: Blocks
    pools: tuple[Pool, ...]
    reach: IntArray
    bounds: FloatArray


def candidates_of(surprises: Surprises, horizon: int) -> Candidates:
    """All signals at all lags, and the groups among them."""
    grid, one = surprises.grid, surprises.one
    pools = _pools(surprises.names)
    blocks = blocks_of(grid.rows.size)
    at = _lagged(grid, blocks)
    reach = np.minimum(surprises.ahead[:, None] + np.array(LAGS), horizon)
    for pool in pools:
        nearest = np.minimum(reach[pool.members].min(axis=0), 1)  # members are mixed by their one-step surprises
        reach = np.concatenate([reach, nearest[None]])
    names = surprises.names + tuple(pool.name for pool in pools)
    padded = np.zeros((2, len(one), max(LAGS) + grid.n))
    scaled = one / np.where(surprises.usual > 0, surprises.usual, np.inf)
    padded[0, :, max(LAGS) :], padded[1, :, max(LAGS) :] = one, np.clip(scaled, -CLIP, CLIP)
    raw, scaled = np.take(padded, at, axis=2)
    told = (raw != 0).astype(float)
    bounds = _bounds(reach, len(pools), only_now=surprises.only_now)
    return Candidates(names, raw, scaled, told, blocks, pools, reach, bounds)


@lru_cache(maxsize=16)
def _lagged(grid: Origins, blocks: Blocks) -> IntArray:
    """Where the origins lie in a history that begins with as many zeros as the longest lag, (lags, size, blocks)."""
    places = blocks.places
    rows = grid.first + grid.stride * places + (max(LAGS) - np.array(LAGS))[:, None, None]
    return np.where((places >= 0) & (places < blocks.count), rows, 0)


def _pools(names: tuple[str, ...]) -> tuple[Pool, ...]:
    """Signals that share a name up to the last `/`; the others too where they are many."""
    groups: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        groups.setdefault(name.rpartition("/")[0], []).append(i)
    pools: dict[str, Pool] = {}
    for prefix, members in groups.items():
        if len(members) >= (MIN_MEMBERS if prefix else _MANY):
            title = f"{prefix or 'signals'}/*"
            while title in names or title in pools:  # a name stands for one thing in an answer
                title += "*"
            pools[title] = Pool(title, np.array(members))
    return tuple(pools.values())


def _bounds(reach: IntArray, pools: int, *, only_now: bool) -> FloatArray:
    """Normal bounds at each lag: most of the size goes to the nearest usable lags, which are the likelier.

    Signals share the size (Bonferroni), on two sides; pools share half as much again, on one, as their direction is
    known.
    """
    signals = len(reach) - pools
    size = SIZE / 2 * (ROUNDS if len(reach) > 1 else 1.0)
    sizes = [size / max(signals, 1)] * signals + [size / max(pools, 1)] * pools
    usable = (reach >= 1).sum(axis=1).tolist()
    out = np.full(reach.shape, np.inf)
    for row, count, size in zip(out, usable, sizes, strict=True):
        if not only_now:
            row[row.size - count :] = _shared(count, size)
        elif count == row.size:
            row[0] = _shared(1, size)[0]
    return out


@lru_cache(maxsize=256)
def _shared(count: int, size: float) -> tuple[float, ...]:
    """One-sided normal bounds of `count` lags, nearest first, that share a size."""
    share = np.arange(1.0, count + 1) ** -_STEEPNESS
    return tuple(-NormalDist().inv_cdf(size * s) for s in share / share.sum())
