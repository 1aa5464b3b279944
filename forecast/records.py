"""Past forecasts of all nodes of a tree at the origins and steps that they share, and how large their errors are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from forecast import intervals
from forecast.backtest import Backtest
from forecast.coherent import LEAST_ERRORS, Method, moments_of
from forecast.frequency import Days
from forecast.result import Forecast
from forecast.season import BoolArray, IntArray
from forecast.transform import FloatArray
from forecast.tree import Tree

_SHARED = 12  # origins that a node must share with the others, or half of theirs
_ONE_SIGMA = np.array([0.1587, 0.8413])


@dataclass(frozen=True)
class Records:
    """Past forecasts (nodes, origins, steps); `apart` has the size of the errors of nodes that have no such record.

    Where a leaf was not forecast at a past origin, its last sale stands for it: a total needs something of each.
    """

    ds: Days
    periods: Days
    actual: FloatArray
    mean: FloatArray
    apart: Mapping[int, float]

    @property
    def known(self) -> BoolArray:
        """Where all nodes have an error, (origins, steps)."""
        return np.asarray(np.isfinite(self.actual - self.mean).all(axis=0))

    def errors(self, at: int | None = None) -> FloatArray:
        """Errors (nodes, pairs) that are known by origin number `at`; all where None."""
        known = self.known if at is None else self.known & (self.periods <= self.ds[at])
        return np.asarray((self.actual - self.mean)[:, known])

    def moments(self, method: Method, at: int | None = None) -> FloatArray | None:
        """Second moments of the errors that are known by origin number `at`."""
        return moments_of(method, self.errors(at), self.apart)


def records_of(tree: Tree, before: Mapping[str, Forecast], new: frozenset[str]) -> Records:
    """The past of forecasts of each node; those of totals are without the leaves that are `new`, see `totals`."""
    tests = {name: before[name].backtest for name in tree.names}
    longest = max(tests.values(), key=lambda test: test.ds.size)
    shared = {name for name, test in tests.items() if _common(test, longest) >= min(_SHARED, longest.ds.size / 2)}
    shared = {name for name in shared if tests[name].ds.size}
    ds, steps = longest.ds, longest.steps
    for name in sorted(shared):
        ds, steps = np.intersect1d(ds, tests[name].ds), np.intersect1d(steps, tests[name].steps)
    grid = _Grid(ds, steps, _periods(longest, ds, steps))
    told = {name: grid.told(before[name], own=name in shared) for name in tree.names}
    summed = [_with_new(tree, name, told, new) for name in tree.names]
    lacking = [i for i, name in enumerate(tree.names) if name not in shared]
    if ds.size * steps.size < LEAST_ERRORS and all(_sized(before[name]) for name in tree.inner):
        lacking = list(range(len(tree.names)))
    apart = {i: _size(before[tree.names[i]]) for i in lacking}
    actual, mean = (np.stack([each[k] for each in summed]) for k in (0, 1))
    return Records(ds, grid.periods, actual, mean, apart)


def _common(test: Backtest, longest: Backtest) -> int:
    return int(np.isin(test.ds, longest.ds).sum())


def _periods(test: Backtest, ds: Days, steps: IntArray) -> Days:
    return np.asarray(test.periods[np.ix_(np.isin(test.ds, ds), np.isin(test.steps, steps))])


@dataclass(frozen=True)
class _Grid:
    """Origins, steps and the labels (origins, steps) that are forecast."""

    ds: Days
    steps: IntArray
    periods: Days

    def told(self, made: Forecast, *, own: bool) -> tuple[FloatArray, FloatArray]:
        """Actual values and means (origins, steps) of a node: its past forecasts, or its last sale in place of them."""
        if own:
            where = np.ix_(np.isin(made.backtest.ds, self.ds), np.isin(made.backtest.steps, self.steps))
            return made.backtest.actual[where], made.backtest.mean[where]
        labels = made.history["ds"].to_numpy().astype("datetime64[D]")
        y = made.history["y"].to_numpy(dtype=float)
        known = np.isfinite(y)
        last = np.searchsorted(labels[known], self.ds, side="right") - 1
        naive = np.where(last >= 0, np.append(y[known], 0.0)[last], 0.0)
        return _at(labels, y, self.periods), np.broadcast_to(naive[:, None], self.periods.shape).copy()


def _at(labels: Days, y: FloatArray, wanted: Days) -> FloatArray:
    """The values of labels: 0 before the first, NaN where not known."""
    if not labels.size:
        return np.zeros(wanted.shape)
    at = np.minimum(np.searchsorted(labels, wanted), labels.size - 1)
    found = np.where(labels[at] == wanted, y[at], np.nan)
    return np.where(wanted < labels[0], 0.0, found)


def _with_new(
    tree: Tree, name: str, told: Mapping[str, tuple[FloatArray, FloatArray]], new: frozenset[str]
) -> tuple[FloatArray, FloatArray]:
    """The record of a node, with that of the new leaves below it where it is a total without them."""
    if name not in tree.inner or not new.intersection(tree.leaves_of(name)):
        return told[name]
    below = tree.leaves_of(name)
    added = [leaf for leaf in below if leaf in new]
    own = () if len(added) == len(below) else (told[name],)
    actual, mean = (np.sum([each[k] for each in (*own, *(told[leaf] for leaf in added))], axis=0) for k in (0, 1))
    return actual, mean


def _sized(made: Forecast) -> bool:
    return int(np.isfinite(made.backtest.actual - made.backtest.mean).sum()) >= LEAST_ERRORS


def _size(made: Forecast) -> float:
    """The root mean square of a node's own past errors, or of what it expects where it has too few."""
    if _sized(made):
        return float(np.sqrt(np.nanmean(np.square(made.backtest.actual - made.backtest.mean))))
    low, high = intervals.at(made.grid, _ONE_SIGMA).T
    return float(np.sqrt(np.mean(np.square((high - low) / 2))))
