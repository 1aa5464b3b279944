"""The door for who has arrays: consecutive values, without a frame. What comes in is checked as at the door of frames.

history = Values(start=dt.date(2024, 1, 7), frequency="W-SUN", values=sales)
rain = SignalValues(signal="rain", start=dt.date(2024, 1, 1), frequency="D", values=millimetres)
result = forecast(history, 8, signals=[rain])
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from forecast import columns
from forecast import frequency as freq
from forecast.columns import Refusal
from forecast.errors import SignalsError
from forecast.frequency import Days
from forecast.transform import FloatArray


@dataclass(frozen=True, kw_only=True)
class Values:
    """Consecutive periods of a frequency from `start`, the label of the first; one value each, NaN where not known."""

    start: dt.date
    frequency: str
    values: npt.ArrayLike  # (periods,)

    @cached_property
    def labels(self) -> Days:
        """The labels of the periods, (periods,)."""
        return self.spans[0]

    @cached_property
    def spans(self) -> tuple[Days, Days, Days]:
        """The labels of the periods, their first days, and the days after their last ones, each (periods,)."""
        count = len(np.asarray(self.values))
        return _spans(self.start, count, freq.check(self.frequency))

    @property
    def first_label(self) -> np.datetime64:
        """The label of the period that holds `start`: `start` itself where all is well."""
        return _label(self.start, freq.check(self.frequency))


@lru_cache(maxsize=256)
def _spans(start: dt.date, periods: int, frequency: str) -> tuple[Days, Days, Days]:
    """Made once: many series have the same."""
    labels = freq.consecutive(np.datetime64(start, "D"), periods, frequency)
    first, after = freq.spans(labels, frequency)
    return freq.frozen(labels), freq.frozen(first), freq.frozen(after)


@lru_cache(maxsize=256)
def _label(start: dt.date, frequency: str) -> np.datetime64:
    return np.datetime64(freq.label(np.array([start], "datetime64[D]"), frequency)[0])


@dataclass(frozen=True, kw_only=True)
class SignalValues(Values):
    """A signal of consecutive values; `aggregation` is mean or sum, `future_known` as in a frame of signals."""

    signal: str
    future_known: bool = False
    aggregation: str = "mean"


def read_values(given: Values, field: str, error: Refusal) -> tuple[Days, FloatArray]:
    """Labels and values, both (periods,); raises `error` for what cannot be used."""
    try:
        values = np.asarray(given.values, dtype=float)
    except (ValueError, TypeError) as problem:
        raise error(f"{field}.values", str(problem), "numbers, NaN where unknown") from problem
    if values.ndim != 1 or not values.size:
        raise error(f"{field}.values", f"values of shape {values.shape}", "one value a period, at least one")
    columns.refuse_too_large(values, f"{field}.values", error)
    if given.first_label != given.labels[0]:
        allowed = f"the label of a period of {given.frequency}, such as {given.first_label}"
        raise error(f"{field}.start", str(given.labels[0]), allowed)
    return given.labels, values


def read_signal_values(
    given: Sequence[SignalValues], moment: np.datetime64 | None
) -> list[tuple[SignalValues, Days, Days, FloatArray]]:
    """Each signal with the spans of its values that had begun by `moment`, or are planned; in the order of names."""
    spans: dict[tuple[object, str, int], tuple[Days, Days]] = {}  # signals that share theirs share the arrays
    found = []
    for one in sorted(given, key=lambda one: one.signal):
        field = f"signals[{one.signal}]"
        if one.aggregation not in ("mean", "sum"):
            raise SignalsError(f"{field}.aggregation", one.aggregation, "mean or sum")
        labels, values = read_values(one, field, SignalsError)
        count = len(labels) if moment is None or one.future_known else int((labels <= moment).sum())
        same = one.start, one.frequency, count
        if same not in spans:
            _, start, end = one.spans
            spans[same] = (start, end) if count == len(labels) else (start[:count], end[:count])
        if count:
            found.append((one, *spans[same], values[:count]))
    return found
