"""Forecasts of categories and of their totals that add up, and what that gained at each level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from forecast import frequency as freq
from forecast import intervals, metrics
from forecast.coherent import LEAST_ERRORS, METHODS, Method, coherent
from forecast.core import forecast
from forecast.errors import HistoryError, OptionError
from forecast.like import BORROWING, forecast_like, is_short, known_periods
from forecast.plans import Plan, split
from forecast.records import Records, records_of
from forecast.result import Forecast
from forecast.totals import laid_on, summed, with_new
from forecast.transform import FloatArray
from forecast.tree import Tree, tree_of

COLUMNS = ("unique_id", "ds", "y")
DRIVER = "reconciliation"
_NARROWEST, _WIDEST = 0.5, 2.0
_FAR = 2.0  # a move of so many usual errors is beyond what the interval tells
_NORMAL = intervals.student(intervals.PROBABILITIES) / intervals.student(np.array([0.8413]))  # in usual errors


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

    def split(self, name: str, plan: Plan | pd.Series) -> pd.DataFrame:
        """A plan for one node split over all below it, and over the periods that it spans, as their forecasts are.

        `plan` maps `2026-W48`, `2027-Q1`, `2027` or a range such as `2026-W49..2027-W02` (or labels of periods) to
        values. The answer is unique_id, ds, plan: one row a node and planned period; each parent is the sum of its
        children, and the node's own rows add up to the plan. Raises OptionError.
        """
        if name not in self.tree.inner:
            raise OptionError("name", name, f"a category with others below it: {', '.join(self.tree.inner)}")
        made = self.forecasts[name]
        sold = np.array([self.forecasts[leaf].mean for leaf in self.tree.leaves])
        return split(self.tree, name, plan, sold, made.ds, made.frequency)


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
    `parents` names the parent of each category; `signals` are those of each node. A leaf with less than a season of
    sales borrows from the others below its parent (see `forecast_like`). `method`: `wls` weighs all levels by how large
    their past errors are, `mint` also by how these go together, `bottom_up` sums the leaves, `top_down` splits the
    totals as the forecasts below them are.
    Raises HistoryError, SignalsError and OptionError.
    """
    check_method(method)
    tree = tree_of(parents)
    if unknown := [name for name in signals or {} if name not in tree.names]:
        raise OptionError("signals", unknown[0], f"a category of the tree: {', '.join(tree.names)}")
    sales = _sales(history, tree)
    name = frequency or freq.infer(_labels(sales), "history.ds")
    options: dict[str, Any] = {"levels": levels, "frequency": name, "as_of": as_of, "calendar": calendar}
    given = _Given(tree, sales, signals or {}, horizon, engine, options)
    leaves = {leaf: given.leaf(leaf) for leaf in tree.leaves}
    new = frozenset(leaf for leaf, made in leaves.items() if made.engine.name == "like")
    totals = {
        node: given.made(node, summed([sales[leaf] for leaf in old], name))
        for node in tree.inner
        if (old := [leaf for leaf in tree.leaves_of(node) if leaf not in new])
    }
    return adding_up(tree, method, leaves, totals, new, sales)


def check_method(method: str) -> None:
    """Raise OptionError for a method that is none."""
    if method not in METHODS:
        raise OptionError("method", method, f"one of {', '.join(METHODS)}")


@dataclass(frozen=True)
class _Given:
    """What `reconcile` was given, and forecasts of its nodes."""

    tree: Tree
    sales: Mapping[str, pd.Series]
    signals: Mapping[str, pd.DataFrame]
    horizon: int
    engine: str
    options: Mapping[str, Any]

    def made(self, name: str, history: pd.DataFrame) -> Forecast:
        signals = self.signals.get(name)
        return forecast(history, self.horizon, signals=signals, engine=self.engine, **self.options)

    def leaf(self, name: str) -> Forecast:
        """By its own history; a short one by the others below its parent, where one of them can be borrowed from."""
        own, like = _frame(self.sales[name]), self._like(name)
        if not like or self.engine not in BORROWING or not self._short(name):
            return self.made(name, own)
        try:
            signals = {one: self.signals.get(one) for one in like}
            return forecast_like(own, self.horizon, like, signals=signals, **self.options)
        except HistoryError as error:
            if error.field != "like":
                raise
            return self.made(name, own)

    def _like(self, name: str) -> dict[str, pd.DataFrame]:
        above = self.tree.parent.get(name)
        beside = (one for one in self.tree.leaves if self.tree.parent.get(one) == above and one != name)
        return {one: _frame(self.sales[one]) for one in beside}

    def _short(self, name: str) -> bool:
        sales, frequency = self.sales[name], self.options["frequency"]
        return bool(sales.any()) and is_short(known_periods(_frame(sales), frequency), frequency)


def _frame(sales: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({"ds": sales.index, "y": sales.to_numpy()})


def _labels(sales: Mapping[str, pd.Series]) -> np.ndarray:
    return np.unique(np.concatenate([one.index.to_numpy() for one in sales.values()])).astype("datetime64[D]")


def _sales(history: pd.DataFrame, tree: Tree) -> dict[str, pd.Series]:
    """The sales of each leaf by label, from the first that is known."""
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
    wide = history.pivot(index="ds", columns="unique_id", values="y").sort_index()
    wide.index = labels = pd.DatetimeIndex(wide.index)
    found = {}
    for name in tree.leaves:
        known = np.flatnonzero(wide[name].notna())
        if not known.size or known[-1] < labels.size - 1:
            end = f"which ends at {labels[known[-1]]:%Y-%m-%d}" if known.size else "without a value"
            allowed = f"sales to {labels[-1]:%Y-%m-%d} as the others; zeros where nothing was sold"
            raise HistoryError("history", f"{name}, {end}", allowed)
        found[name] = wide[name].iloc[known[0] :].astype(float)
    return found


def adding_up(
    tree: Tree,
    method: Method,
    leaves: Mapping[str, Forecast],
    totals: Mapping[str, Forecast],
    new: frozenset[str],
    sales: Mapping[str, pd.Series],
) -> Hierarchy:
    """Forecasts that were made of each node, made to add up.

    Those of `totals` are of the leaves below them that are not `new` (see `totals`), absent where all are. `sales` are
    the known ones of each leaf by label; where they go further than those of another leaf they stand as they are.
    All forecasts end with the same period.
    """
    ds = _span([*leaves.values(), *totals.values()])
    before: dict[str, Forecast] = {}
    for leaf in tree.leaves:
        before[leaf] = laid_on(leaves[leaf], ds, sales[leaf])
    for node in tree.inner:
        rest, below = totals.get(node), tree.leaves_of(node)
        if rest is not None:
            frame = summed([sales[leaf] for leaf in below if leaf not in new], rest.frequency)
            rest = laid_on(rest, ds, pd.Series(frame["y"].to_numpy(), index=pd.DatetimeIndex(frame["ds"])))
        added = {leaf: before[leaf] for leaf in below if leaf in new}
        before[node] = with_new(rest, added, node) if added or rest is None else rest
    certain = np.stack([_certain(before[leaf]) for leaf in tree.leaves])
    return _reconciled(tree, method, {name: before[name] for name in tree.names}, new, certain)


def _certain(made: Forecast) -> FloatArray:
    """The values of periods that are known, closed or after the end of a category; NaN for others."""
    return np.where(np.ptp(made.grid, axis=1) == 0, made.mean, np.nan)


def _span(made: Sequence[Forecast]) -> freq.Days:
    """From the first period that somebody who was sold has to forecast, to the last."""
    sold = [one for one in made if len(one.history)] or list(made)
    return freq.between(min(one.ds[0] for one in sold), min(one.ds[-1] for one in made), made[0].frequency)


def _reconciled(
    tree: Tree, method: Method, before: dict[str, Forecast], new: frozenset[str], certain: FloatArray
) -> Hierarchy:
    past = records_of(tree, before, new)
    positive = np.array([bool((before[leaf].history["y"].fillna(0) >= 0).all()) for leaf in tree.leaves])

    def summed_up(values: FloatArray, at: int | None, fixed: FloatArray | None = None) -> FloatArray:
        made = coherent(tree, method, values, past.moments(method, at), fixed)[len(tree.inner) :]
        return tree.sums(np.where(positive[:, None], np.maximum(made, 0.0), made) + 0.0)  # no -0

    told = [summed_up(past.mean[:, i], i) for i in range(past.ds.size)]
    after = np.stack(told, axis=1) if told else past.mean
    mean = summed_up(np.array([before[name].mean for name in tree.names]), None, certain)
    wider = _wider(past, after)
    forecasts = {name: _moved(before[name], mean[i], wider[i], method) for i, name in enumerate(tree.names)}
    scales = np.array([before[name].backtest.scale for name in tree.names])
    return Hierarchy(tree, method, forecasts, before, _gains(tree, past, after, scales))


@dataclass(frozen=True)
class _Wider:
    """How many times larger errors are than before, and the usual size of those that this does not tell."""

    times: float
    more: float


def _wider(past: Records, after: FloatArray) -> list[_Wider]:
    """By node; what never erred before can err now."""
    known = past.known
    if known.sum() < LEAST_ERRORS:
        return [_Wider(1.0, 0.0)] * len(after)
    new, old = (np.square(past.actual - each)[:, known].mean(axis=1) for each in (after, past.mean))
    times = np.clip(np.sqrt(new / np.maximum(old, 1e-12)), _NARROWEST, _WIDEST)
    more = np.sqrt(np.maximum(new - np.square(times) * old, 0.0))
    return [_Wider(*pair) for pair in zip(times.tolist(), more.tolist(), strict=True)]


def _moved(before: Forecast, mean: FloatArray, wider: _Wider, method: Method) -> Forecast:
    """A forecast around another mean; the move is a driver of its own, so that contributions add up."""
    least = 0.0 if (before.grid >= 0).all() and (mean >= 0).all() else -np.inf
    median = np.maximum(mean + wider.times * (before.median - before.mean), least)
    own = np.sum([part for name, part in before.parts.items() if name != DRIVER], axis=0)
    return replace(
        before,
        mean=mean,
        median=median,
        grid=np.maximum(_spread(before, mean, wider), least),
        parts=before.parts | {DRIVER: np.where(mean == 0, -own, mean - before.mean)},  # no rounding beside 0
        engine=replace(before.engine, reason=f"{before.engine.reason}; reconciled by {method}"),
    )


def _spread(before: Forecast, mean: FloatArray, wider: _Wider) -> FloatArray:
    """The quantiles around another mean; wider by what errors became, and by a move that no error explains."""
    distance = wider.times * (before.grid - before.mean[:, None])
    move = np.abs(mean - before.mean)
    low, high = intervals.at(before.grid, np.array([0.1587, 0.8413])).T
    usual = wider.times * (high - low) / 2
    more = np.where(usual + move > 0, np.maximum(wider.more, np.where(move > _FAR * usual, move, 0.0)), 0.0)
    if not more.any():
        return mean[:, None] + distance
    added = more[:, None] * _NORMAL
    return np.asarray(np.maximum.accumulate(mean[:, None] + np.sign(_NORMAL) * np.hypot(distance, added), axis=1))


def _gains(tree: Tree, past: Records, after: FloatArray, scales: FloatArray) -> pd.DataFrame:
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
