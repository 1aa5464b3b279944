"""Forecasts of categories and of their totals that add up, and what that gained at each level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from forecast import metrics
from forecast.backtest import Backtest
from forecast.coherent import LEAST_ERRORS, METHODS, Method, coherent
from forecast.core import forecast
from forecast.errors import HistoryError, OptionError
from forecast.frequency import Days
from forecast.result import Forecast
from forecast.transform import FloatArray
from forecast.tree import Tree, tree_of

COLUMNS = ("unique_id", "ds", "y")
DRIVER = "reconciliation"
_NARROWEST, _WIDEST = 0.5, 2.0


@dataclass(frozen=True)
class Hierarchy:
    """The answer of `reconcile()`. `forecasts` by node, adding up in every period; `before` as they were made.

    `gains` has one row a level of the tree, 0 for the top: nodes, and WAPE and MASE of past forecasts before and after,
    each reconciled with errors that were known at its origin; `gain_pct` is 100 (1 - WAPE after / WAPE before).
    """

    tree: Tree
    method: Method
    forecasts: dict[str, Forecast]
    before: dict[str, Forecast]
    gains: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """unique_id, level, ds, mean, median, lo- and hi-: one row a node and period, totals first."""
        told = zip(self.tree.names, self.tree.depths.tolist(), strict=True)
        frames = [self.forecasts[name].to_frame().assign(unique_id=name, level=depth) for name, depth in told]
        frame = pd.concat(frames, ignore_index=True)
        return frame[["unique_id", "level", *[c for c in frame if c not in ("unique_id", "level")]]]

    def split(self, name: str, plan: pd.Series) -> pd.DataFrame:
        """A plan for one node, by label of the period, split over all below it as their forecasts are.

        unique_id, ds, plan: one row a node and planned period; each parent is the sum of its children.
        """
        if name not in self.tree.inner:
            raise OptionError("name", name, f"a category with others below it: {', '.join(self.tree.inner)}")
        ds = self.forecasts[name].ds
        days = np.asarray(pd.DatetimeIndex(plan.index), dtype="datetime64[D]")
        at = np.searchsorted(ds, days)
        if not len(plan) or (at >= ds.size).any() or (ds[np.minimum(at, ds.size - 1)] != days).any():
            raise OptionError("plan", f"{days.min()} to {days.max()}" if len(plan) else "nothing",
                              f"periods of the horizon, {ds[0]} to {ds[-1]}")  # fmt: skip
        own = self.tree.below[self.tree.inner.index(name)][:, None]
        sold = own * np.maximum([self.forecasts[leaf].mean[at] for leaf in self.tree.leaves], 0.0)
        total = sold.sum(axis=0)
        share = np.where(total > 0, sold / np.where(total > 0, total, 1.0), own / own.sum())
        values = self.tree.sums(share * np.asarray(plan, dtype=float))
        below = [i for i, node in enumerate(self.tree.names) if node == name or name in self.tree.above(node)]
        return pd.concat(
            [pd.DataFrame({"unique_id": self.tree.names[i], "ds": plan.index, "plan": values[i]}) for i in below],
            ignore_index=True,
        )


def reconcile(
    history: pd.DataFrame,
    horizon: int,
    parents: Mapping[str, str | None],
    *,
    method: Method = "wls",
    signals: Mapping[str, pd.DataFrame] | None = None,
    engine: str = "fast",
    levels: Sequence[float] = (80, 95),
    frequency: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    calendar: str | None = None,
) -> Hierarchy:
    """Forecast every category of a tree and every total, then make them add up.

    `history` is a long frame unique_id, ds, y of the leaves, which end at the same label; totals are their sums.
    `parents` names the parent of each category; `signals` are those of each node. `method`: `wls` weighs all levels by
    how large their past errors are, `mint` also by how these go together, `bottom_up` sums the leaves, `top_down`
    splits the totals as the forecasts below them are.
    Raises HistoryError, SignalsError and OptionError.
    """
    if method not in METHODS:
        raise OptionError("method", method, f"one of {', '.join(METHODS)}")
    tree = tree_of(parents)
    if unknown := [name for name in signals or {} if name not in tree.names]:
        raise OptionError("signals", unknown[0], f"a category of the tree: {', '.join(tree.names)}")
    sales = _sales(history, tree)
    before = {
        name: forecast(
            pd.DataFrame({"ds": sales.index, "y": sales[name].to_numpy()}),
            horizon,
            signals=(signals or {}).get(name),
            engine=engine,
            levels=levels,
            frequency=frequency,
            as_of=as_of,
            calendar=calendar,
        )
        for name in tree.names
    }
    return _reconciled(tree, method, before, positive=bool((history["y"].fillna(0) >= 0).all()))


def _sales(history: pd.DataFrame, tree: Tree) -> pd.DataFrame:
    """Sales of all nodes, one row a label. Before its first sale a leaf sold nothing."""
    if missing := [column for column in COLUMNS if column not in history]:
        raise HistoryError("history", f"no column {missing[0]}", f"the columns {', '.join(COLUMNS)}")
    if "known_at" in history:
        raise HistoryError("history", "a column known_at", "one value a period: totals have no vintages")
    if history.duplicated(["unique_id", "ds"]).any():
        first = history[history.duplicated(["unique_id", "ds"])].iloc[0]
        raise HistoryError("history", f"{first['unique_id']} at {first['ds']} twice", "one value a period")
    names = set(history["unique_id"])
    if strange := sorted(names - set(tree.leaves)) or sorted(set(tree.leaves) - names):
        has = "sales" if strange[0] in names else "no sales"
        allowed = f"sales of each category without children and of no other: {', '.join(tree.leaves)}"
        raise HistoryError("history", f"{has} of {strange[0]}", allowed)
    wide = history.pivot(index="ds", columns="unique_id", values="y").sort_index()[list(tree.leaves)]
    wide.index = labels = pd.DatetimeIndex(wide.index)
    for name in tree.leaves:
        known = np.flatnonzero(wide[name].notna())
        if not known.size or known[-1] < labels.size - 1:
            end = f"which ends at {labels[known[-1]]:%Y-%m-%d}" if known.size else "without a value"
            allowed = f"sales to {labels[-1]:%Y-%m-%d} as the others; zeros where nothing was sold"
            raise HistoryError("history", f"{name}, {end}", allowed)
        wide.loc[labels[: known[0]], name] = 0.0
    values = tree.sums(wide.to_numpy(dtype=float).T)
    return pd.DataFrame(values.T, index=wide.index, columns=list(tree.names))


@dataclass(frozen=True)
class _Past:
    """Past forecasts of all nodes at the origins and steps that all have, (nodes, origins, steps)."""

    ds: Days
    periods: Days
    actual: FloatArray
    mean: FloatArray

    def errors(self, at: int | None = None) -> FloatArray:
        """Errors (nodes, pairs) that are known by origin number `at`; all where None."""
        known = np.isfinite(self.actual - self.mean).all(axis=0)
        if at is not None:
            known &= self.periods <= self.ds[at]
        return np.asarray((self.actual - self.mean)[:, known])


def _past(tree: Tree, before: Mapping[str, Forecast]) -> _Past:
    tests = [before[name].backtest for name in tree.names]
    ds, steps = tests[0].ds, tests[0].steps
    for test in tests[1:]:
        ds, steps = np.intersect1d(ds, test.ds), np.intersect1d(steps, test.steps)
    return _Past(
        ds,
        _of(tests[0], "periods", ds, steps),
        np.stack([_of(test, "actual", ds, steps) for test in tests]),
        np.stack([_of(test, "mean", ds, steps) for test in tests]),
    )


def _of(test: Backtest, name: str, ds: Days, steps: np.ndarray) -> np.ndarray:
    return np.asarray(getattr(test, name)[np.ix_(np.isin(test.ds, ds), np.isin(test.steps, steps))])


def _reconciled(tree: Tree, method: Method, before: dict[str, Forecast], *, positive: bool) -> Hierarchy:
    past = _past(tree, before)

    def adding_up(values: FloatArray, errors: FloatArray) -> FloatArray:
        made = coherent(tree, method, values, errors)
        return tree.sums(np.maximum(made[len(tree.inner) :], 0.0)) if positive else made

    told = [adding_up(past.mean[:, i], past.errors(i)) for i in range(past.ds.size)]
    after = np.stack(told, axis=1) if told else past.mean
    mean = adding_up(np.array([before[name].mean for name in tree.names]), past.errors())
    width = _width(past, after)
    forecasts = {name: _moved(before[name], mean[i], width[i], method) for i, name in enumerate(tree.names)}
    scales = np.array([before[name].backtest.scale for name in tree.names])
    return Hierarchy(tree, method, forecasts, before, _gains(tree, past, after, scales))


def _width(past: _Past, after: FloatArray) -> FloatArray:
    """How much larger the errors are than before, by node."""
    known = np.isfinite(past.actual - past.mean).all(axis=0)
    if known.sum() < LEAST_ERRORS:
        return np.ones(len(after))
    new, old = (np.square(past.actual - each)[:, known].mean(axis=1) for each in (after, past.mean))
    return np.asarray(np.clip(np.sqrt(new / np.maximum(old, 1e-12)), _NARROWEST, _WIDEST))


def _moved(before: Forecast, mean: FloatArray, width: float, method: Method) -> Forecast:
    """A forecast around another mean; the move is a driver of its own, so that contributions add up."""
    least = 0.0 if (before.grid >= 0).all() and (mean >= 0).all() else -np.inf
    grid = np.maximum(mean[:, None] + width * (before.grid - before.mean[:, None]), least)
    median = np.maximum(mean + width * (before.median - before.mean), least)
    return replace(
        before,
        mean=mean,
        median=median,
        grid=grid,
        parts=before.parts | {DRIVER: mean - before.mean},
        engine=replace(before.engine, reason=f"{before.engine.reason}; reconciled by {method}"),
    )


def _gains(tree: Tree, past: _Past, after: FloatArray, scales: FloatArray) -> pd.DataFrame:
    rows = []
    for level in range(int(tree.depths.max()) + 1):
        at = np.flatnonzero(tree.depths == level)
        row: dict[str, float | int | None] = {"level": level, "nodes": at.size}
        for name, made in (("before", past.mean), ("after", after)):
            row[f"wape_{name}"] = metrics.wape(past.actual[at], made[at])
            each = [metrics.mase(past.actual[i], made[i], float(scales[i])) for i in at]
            told = [one for one in each if one is not None]
            row[f"mase_{name}"] = float(np.mean(told)) if told else None
        old, new = row["wape_before"], row["wape_after"]
        row["gain_pct"] = 100 * (1 - new / old) if old and new is not None else None
        rows.append(row)
    return pd.DataFrame(rows)
