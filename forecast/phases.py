"""A category that begins or ends: sales rise to their usual level over some days, or fall from it to none."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from forecast import explain
from forecast import frequency as freq
from forecast.changes import LEVEL_ALLOWED, days_of
from forecast.errors import OptionError, SignalsError
from forecast.frequency import Days
from forecast.result import Forecast
from forecast.season import BoolArray
from forecast.transform import FloatArray
from forecast.words import amount, digits_for, period_noun

BEGINS, ENDS = "phase in", "phase out"  # drivers
_ROUNDING = 1e-12  # of a share: what sums of days leave of none
LEAST = 0.2  # share of the usual level below which sales do not say what that is


@dataclass(frozen=True)
class Phase:
    """Days from `first` to `last`, both included."""

    first: np.datetime64
    last: np.datetime64

    def __str__(self) -> str:
        return f"on {self.first}" if self.first == self.last else f"from {self.first} to {self.last}"

    def done(self, days: Days) -> FloatArray:
        """How far it is at the end of each day, in equal steps: 0 before the first day, 1 at the end of the last."""
        size = (self.last - self.first).astype(int) + 1
        return np.asarray(np.clip(((days - self.first).astype(int) + 1) / size, 0.0, 1.0))


def phase_of(text: str, field: str) -> Phase:
    """A phase written as `2026-12-07`, `2026-W50` or `2026-W50..2027-01`; raises OptionError."""
    parts = text.split("..")
    try:
        first, last = days_of(parts[0], field)[0], days_of(parts[-1], field)[1]
    except SignalsError as error:
        raise OptionError(field, text, LEVEL_ALLOWED) from error
    if len(parts) > 2 or last < first:
        raise OptionError(field, text, f"{LEVEL_ALLOWED}, the earlier first")
    return Phase(first, last)


@dataclass(frozen=True)
class Phases:
    """When a category begins and when it ends, as far as either is known.

    Before the first day of `begins` nothing is sold, from its last day on as usual; from the first day of `ends` on
    ever less, and after its last day nothing.
    """

    begins: Phase | None = None
    ends: Phase | None = None

    def __bool__(self) -> bool:
        return self.begins is not None or self.ends is not None

    def at_full_level(self, history: pd.DataFrame, frequency: str) -> pd.DataFrame:
        """A history (`ds`, `y`) as if sales had been whole throughout, from when a fifth of them had begun.

        Of a category that is still to begin, whatever was sold before counts as it is, and so does what is sold after
        the end; where sales go on as they were, they did not fall before it either.
        """
        whole = self._whole(history, frequency)
        kept = whole >= LEAST
        return history[kept].assign(y=history["y"][kept] / whole[kept])

    def applied(self, made: Forecast) -> Forecast:
        """A forecast of the whole level with what is not sold yet, or no longer, taken off as a driver of its own."""
        begun, left = self._shares(made.ds, made.frequency)
        share = begun * left
        parts = made.parts | {
            name: part
            for name, part in ((BEGINS, made.mean * (begun - 1)), (ENDS, made.mean * begun * (left - 1)))
            if part.any()
        }
        whole = self._whole(made.history, made.frequency)
        history = made.history.assign(y=made.history["y"] * whole)
        return replace(
            made,
            history=history,
            mean=made.mean * share,
            median=made.median * share,
            grid=made.grid * share[:, None],
            parts=parts,
            importance=explain.importance(parts, {}),
            warnings=[*made.warnings, *self._told(made, history, bool((whole < 1).any()))],
        )

    def _told(self, made: Forecast, history: pd.DataFrame, scaled: bool) -> list[str]:
        begins = f"sales begin {self.begins}: the level is that of after it" if self.begins else None
        ends = f"sales end {self.ends}: nothing is sold after it" if self.ends else None
        after = history["y"].to_numpy()[self._after(history["ds"], made.frequency)]
        sold = float(np.nansum(after))
        goes_on = (
            f"sales go on after their end {self.ends}: {amount(sold, made.unit, digits_for([sold]))} in "
            f"{after.size} {period_noun(made.frequency, after.size)}; is that day right?"
            if sold > 0
            else None
        )
        quality = (
            "quality is that of the whole level: past sales of the phase count as if they had been whole"
            if scaled
            else None
        )
        return [text for text in (begins, ends, goes_on, quality) if text]

    def _whole(self, history: pd.DataFrame, frequency: str) -> FloatArray:
        """What the sales of periods are divided by to tell the whole level."""
        begun, left = self._shares(_labels(history["ds"], frequency), frequency)
        begun = begun if begun.any() else np.ones(begun.size)
        y = history["y"].to_numpy(dtype=float)
        before, after = y[(begun == 1) & (left == 1)], y[left == 0]
        usual = float(np.nanmedian(before)) if np.isfinite(before).any() else 0.0
        if np.isfinite(after).any() and np.nanmedian(after) > LEAST * usual:
            return begun
        return np.asarray(begun * np.where(left == 0, 1.0, np.maximum(left, LEAST)))

    def _after(self, ds: pd.Series, frequency: str) -> BoolArray:
        """Which periods lie wholly after the end."""
        return np.asarray(self._shares(_labels(ds, frequency), frequency)[1] == 0)

    def _shares(self, labels: Days, frequency: str) -> tuple[FloatArray, FloatArray]:
        """Of each period, the share of its days' sales that has begun, and the one that has not ended."""
        one = np.ones(labels.size)
        begun = _mean(labels, frequency, self.begins, 0) if self.begins else one
        return begun, (1 - _mean(labels, frequency, self.ends, 1) if self.ends else one)


def _labels(ds: pd.Series, frequency: str) -> Days:
    return freq.label(pd.DatetimeIndex(ds).to_numpy().astype("datetime64[D]"), frequency)


def _mean(labels: Days, frequency: str, phase: Phase, later: int) -> FloatArray:
    """How far a phase is on the mean of each period's days, counted `later` days later."""
    if not labels.size:
        return np.empty(0)
    first, after = freq.spans(labels, frequency)
    days = np.arange(first.min(), after.max())
    total = np.append(0.0, np.cumsum(phase.done(days - later)))
    start, stop = (first - days[0]).astype(int), (after - days[0]).astype(int)
    mean = (total[stop] - total[start]) / (stop - start)
    return np.asarray(np.where(mean < _ROUNDING, 0.0, np.where(mean > 1 - _ROUNDING, 1.0, mean)))
