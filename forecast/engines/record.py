"""What each member of a stack is worth: its errors at the stack's own past origins, and the stack's without it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecast import metrics
from forecast.engines.base import MemberRecord, Problem
from forecast.engines.stack import weights
from forecast.season import IntArray
from forecast.transform import FloatArray


def record_of(
    names: Sequence[str],
    forecasts: FloatArray,
    weight: FloatArray,
    problems: list[Problem],
    leaders: Sequence[int],
    steps: IntArray,
) -> tuple[MemberRecord, ...]:
    """A record for each of the `names`, and one named "stack" before them; none where there is no past origin.

    `forecasts` (members, problems, horizon) and `weight` (members, problems) are those of the stack; the last problem
    is now. Errors are shares of sales over the same origins and `steps` for all, of what is known today. Without
    a member the others are weighed anew at each origin, and nothing is fitted again.
    """
    past, now = problems[:-1], problems[-1]
    actual = _actual(past, now)[:, steps - 1]
    if not np.isfinite(actual).any():
        return ()

    def missed(mix: FloatArray) -> float | None:
        median = np.einsum("mp,mph->ph", mix, np.nan_to_num(forecasts))[:-1]
        return metrics.wape(actual, now.transform.inverse(median[:, steps - 1]))

    found = [MemberRecord("stack", 1.0, missed(weight), None)]
    for i, name in enumerate(names):
        alone = np.zeros_like(weight)
        alone[i] = 1.0
        whole = bool(np.isfinite(forecasts[i, :-1]).all())
        without = _without(i, forecasts, weight, problems, leaders)
        own = missed(alone) if whole else None
        found.append(MemberRecord(name, float(weight[i, -1]), own, None if without is None else missed(without)))
    return tuple(found)


def _without(
    member: int, forecasts: FloatArray, weight: FloatArray, problems: list[Problem], leaders: Sequence[int]
) -> FloatArray | None:
    """Weights of the others by their own record, None where some origin has no other."""
    others = np.delete(np.arange(len(forecasts)), member)
    if not np.isfinite(forecasts[others][:, :-1]).all(axis=2).any(axis=0).all() or not others.size:
        return None
    mix = np.zeros_like(weight)
    mix[others] = weights(forecasts[others], problems, [i for i, at in enumerate(others.tolist()) if at in leaders])
    return mix


def _actual(past: Sequence[Problem], now: Problem) -> FloatArray:
    """Sales of each step ahead of each past origin, (origins, horizon), NaN where they are not known."""
    sales = np.where(now.observed, now.transform.inverse(now.z), np.nan)
    sales = np.concatenate([sales, np.full(now.horizon, np.nan)])
    ends = np.array([len(problem) for problem in past], dtype=int)
    return np.asarray(sales[ends[:, None] + np.arange(now.horizon)])
