"""The record that drift is looked for in, and the alarm that is raised."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from forecast.errors import OptionError
from forecast.frequency import Days, IntArray, family, numbered
from forecast.transform import FloatArray

_MONDAY = 3  # 1970-01-01 was a Thursday


@dataclass(frozen=True)
class Signal:
    """A signal in each period of the record, (n,), NaN where it was not known, and what it did to the forecasts there.

    `effect` is its contribution in per cent of the forecast, (n,); None where that is not known.
    """

    name: str
    values: FloatArray
    effect: FloatArray | None = None


@dataclass(frozen=True)
class Record:
    """What became of a category's forecasts, one entry a period, oldest first, (n,), NaN where nothing is known.

    `loss` and `reference`: the mean loss of the champion's forecasts of the period and that of a pinned reference
    (seasonal naive, or the incumbent at approval) on the same forecasts, in one unit. `error`: forecast minus actual,
    in sales units. `inside`: the share of actuals inside the interval. `sales`: (m,) with m >= n, the last one of the
    last period; a season that moved takes three years of them to be seen.
    """

    ds: Days
    frequency: str
    loss: FloatArray
    reference: FloatArray
    error: FloatArray
    inside: FloatArray
    sales: FloatArray
    signals: tuple[Signal, ...] = ()

    def check(self) -> None:
        """Raises OptionError where a length or a value cannot be right."""
        n = self.ds.size
        parts = {name: getattr(self, name) for name in ("loss", "reference", "error", "inside")}
        for name, values in (*parts.items(), *((f"signals[{one.name}]", one.values) for one in self.signals)):
            if values.shape != (n,):
                raise OptionError(name, f"values of shape {values.shape}", f"one a period, ({n},)")
        if self.sales.ndim != 1 or self.sales.size < n:
            raise OptionError("sales", f"values of shape {self.sales.shape}", f"at least one a period, {n}")
        for name in ("loss", "reference"):
            if (parts[name] < 0).any():
                raise OptionError(name, float(np.nanmin(parts[name])), "losses from 0, NaN where unknown")
        if ((self.inside < 0) | (self.inside > 1)).any():
            raise OptionError("inside", "a share outside 0 to 1", "shares from 0 to 1, NaN where unknown")


@dataclass(frozen=True)
class Alarm:
    """Something changed for the worse.

    `kind`: loss, coverage, bias, signal died, signal changed scale, season moved. `since`: the label of the period in
    which it most likely began; `found`: of the one that raised the alarm. `change` by how much, in `unit`, between
    `low` and `high` with 95 % confidence where that can be said, judged on what was known when it was found: the loss
    against the reference in per cent, coverage in percentage points, bias in per cent of the usual sale, the scale of a
    signal in per cent, the season in periods. `cause`: data, signal, regime, configuration. `sentence`: all of it for a
    person.
    """

    kind: str
    since: np.datetime64
    found: np.datetime64
    change: float
    low: float | None
    high: float | None
    unit: str
    cause: str = ""
    signal: str | None = None
    sentence: str = ""


def weekly(record: Record) -> Record:
    """A daily record as the means of its whole weeks from Monday, a record of `W-SUN`; others as they are.

    A day is not enough to see a change in, and its neighbours are alike; thresholds are those of weeks.
    """
    if family(record.frequency) != "D":
        return record
    days = _whole_weeks(numbered(record.ds))
    sold = numbered(record.ds[-1:]) - np.arange(record.sales.size)[::-1]
    return replace(
        record,
        ds=record.ds[days[:, -1]],
        frequency="W-SUN",
        loss=_means(record.loss, days),
        reference=_means(record.reference, days),
        error=_means(record.error, days),
        inside=_means(record.inside, days),
        sales=_means(record.sales, _whole_weeks(sold)),
        signals=(),
    )


def _whole_weeks(day: IntArray) -> IntArray:
    """The places of the days of each whole week among consecutive days, (weeks, 7)."""
    first, counts = np.unique((day + _MONDAY) // 7, return_index=True, return_counts=True)[1:]
    return np.asarray(first[counts == 7][:, None] + np.arange(7))


def _means(x: FloatArray, days: IntArray) -> FloatArray:
    """The mean of what is known of each week, (weeks,), NaN where nothing is."""
    known = np.isfinite(x[days])
    count = known.sum(axis=1)
    total = np.where(known, x[days], 0.0).sum(axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))
