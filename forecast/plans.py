"""Plans at one level of a tree, split over all below it and over the periods that they span, as the forecasts are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecast import frequency as freq
from forecast.changes import LEVEL_ALLOWED, days_of
from forecast.errors import OptionError, SignalsError
from forecast.frequency import Days
from forecast.season import BoolArray, IntArray
from forecast.transform import FloatArray
from forecast.tree import Tree

Plan = Mapping[str, float]  # by `2026-W48`, `2027-Q1`, `2027` or `2026-W49..2027-W02`
_TRIES = 8


@dataclass(frozen=True)
class Span:
    """Days from `first` to the one before `after`, as they were `named`; those of whole periods."""

    named: str
    first: np.datetime64
    after: np.datetime64

    def shares(self, starts: Days, ends: Days) -> FloatArray:
        """The share of each period's days that it has."""
        days = np.minimum(ends, self.after) - np.maximum(starts, self.first)
        return np.asarray(np.maximum(days.astype(int), 0) / (ends - starts).astype(int))


def spans_of(texts: Sequence[str], ds: Days, frequency: str, fields: Sequence[str]) -> list[Span]:
    """What the texts of a plan mean, each told by its field in errors: OptionError where one is no part of the horizon.

    Days inside one period mean that period; else they are meant as they are, and a period that only some of them
    belong to counts by the share of its days.
    """
    starts, ends = freq.spans(ds, frequency)
    found: list[Span] = []
    for text, field in zip(texts, fields, strict=True):
        first, last = _days(text, field)
        label = freq.label(np.array([first, last]), frequency)
        if label[0] == label[1]:
            first, after = (day[0] for day in freq.spans(label[:1], frequency))
        else:
            after = last + np.timedelta64(1, "D")
        if first < starts[0] or after > ends[-1]:
            raise OptionError(field, text, f"periods of the horizon, {ds[0]} to {ds[-1]}")
        if any(first < one.after and one.first < after for one in found):
            raise OptionError(field, text, "each period once")
        found.append(Span(text, first, after))
    return found


def _days(text: str, field: str) -> tuple[np.datetime64, np.datetime64]:
    parts = text.split("..")
    try:
        first, last = days_of(parts[0], field)[0], days_of(parts[-1], field)[1]
    except SignalsError as error:
        raise OptionError(field, text, LEVEL_ALLOWED) from error
    if len(parts) > 2 or last < first:
        raise OptionError(field, text, f"{LEVEL_ALLOWED}, the earlier first")
    return first, last


def partial_periods(spans: Sequence[Span], ds: Days, frequency: str) -> list[str]:
    """What to tell of periods that a plan only has some days of."""
    starts, ends = freq.spans(ds, frequency)
    found = []
    for span in spans:
        shares = span.shares(starts, ends)
        for i in np.flatnonzero((shares > 0) & (shares < 1)).tolist():
            days = int((ends[i] - starts[i]).astype(int))
            found.append(f"the plan of {span.named} has {round(shares[i] * days)} of {days} days of the period {ds[i]}")
    return found


def split(tree: Tree, name: str, plan: Plan | pd.Series, sold: FloatArray, ds: Days, frequency: str) -> pd.DataFrame:
    """A plan for the node `name` as unique_id, ds, plan: one row a node below it and planned period.

    `sold` (leaves, periods) are the forecasts of the leaves on the labels `ds`. Raises OptionError.
    """
    texts = [f"{key:%Y-%m-%d}" if isinstance(key, pd.Timestamp) else str(key) for key in plan.keys()]  # noqa: SIM118 - of a Series
    if not texts:
        raise OptionError("plan", "nothing", f"periods of the horizon, {ds[0]} to {ds[-1]}")
    spans = spans_of(texts, ds, frequency, ["plan"] * len(texts))
    own = tree.below[tree.inner.index(name)].astype(bool)
    shares = [span.shares(*freq.spans(ds, frequency)) for span in spans]
    leaves, total = np.zeros_like(sold), np.zeros(ds.size)
    for share, value in zip(shares, plan.values() if isinstance(plan, Mapping) else plan.tolist(), strict=True):
        part = _shared(np.where(own[:, None], np.maximum(sold, 0.0), 0.0), own, share, float(value))
        leaves += part
        total += _exactly(part.sum(axis=0), float(value))
    values = tree.sums(leaves)
    values[tree.names.index(name)] = total
    return _rows(tree, name, ds, np.flatnonzero(np.sum(shares, axis=0) > 0), values)


def _shared(sold: FloatArray, own: BoolArray, share: FloatArray, value: float) -> FloatArray:
    """One value over leaves (leaves, periods), in equal parts where nothing is expected of them; they add up to it."""
    weight = sold * share
    if not weight.sum() > 0:
        weight = own[:, None] * share
    return _exactly(value * (weight / weight.sum()), value)


def _exactly(parts: FloatArray, value: float) -> FloatArray:
    """Parts that add up to a value but for rounding, which the largest takes: of a plan of 1000 nothing is to miss."""
    largest = np.unravel_index(int(np.argmax(np.abs(parts))), parts.shape)
    for _ in range(_TRIES):
        if not (left := value - float(parts.sum())):
            break
        parts[largest] += left
    return parts


def _rows(tree: Tree, name: str, ds: Days, planned: IntArray, values: FloatArray) -> pd.DataFrame:
    below = [i for i, node in enumerate(tree.names) if node == name or name in tree.above(node)]
    labels = pd.DatetimeIndex(ds[planned])
    rows = [pd.DataFrame({"unique_id": tree.names[i], "ds": labels, "plan": values[i, planned]}) for i in below]
    return pd.concat(rows, ignore_index=True)
