"""Which days belong to which period, and how any other spans of days fall on these periods."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from forecast import frequency as freq
from forecast.frequency import Days, IntArray
from forecast.transform import FloatArray, median

_MOST_CUTS = 32  # that are kept: a grid serves many series
_MIN_COVER = 0.5  # of a period's days, where what is laid on it has holes


@dataclass(frozen=True)
class Cut:
    """Spans cut where periods meet, one row a piece: the period that holds it, its days, and its span.

    `seen` (periods,) counts the days that have a value, NaN where they are too few for one.
    """

    holder: IntArray
    days: IntArray
    span: IntArray | slice
    seen: FloatArray

    def mean(self, values: FloatArray) -> FloatArray:
        """The mean over the days of each period, (periods,), of values (spans,) that hold for each day of a span."""
        return np.asarray(np.bincount(self.holder, self.days * values[self.span], self.seen.size) / self.seen)


@dataclass(frozen=True)
class Grid:
    """Consecutive periods: their labels and the day after each, both (periods,). Every day has its period."""

    labels: Days
    ends: Days
    first: int  # day number of the first day
    days: IntArray  # of each period
    _cuts: dict[tuple[int, int], tuple[Days, Days, Cut]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def holder(self) -> IntArray:
        """For each day from the first on, the index of its period."""
        return np.repeat(np.arange(self.days.size), self.days)

    @cached_property
    def usual(self) -> float:
        """The median length of a period in days."""
        return median(self.days)

    def cut(self, start: Days, end: Days) -> Cut:
        """How half-open spans, sorted by start, fall on the periods; where they overlap, the later start has the day.

        Signals of one source share their arrays of spans, which are cut once: known again by identity, as the arrays
        are kept with their cut.
        """
        key = id(start), id(end)
        found = self._cuts.get(key)
        if found is None:
            if len(self._cuts) >= _MOST_CUTS:
                self._cuts.clear()
            cut = _cut(freq.numbered(start) - self.first, freq.numbered(end) - self.first, self)
            found = self._cuts[key] = start, end, cut
        return found[2]


def grid(labels: Days, frequency: str) -> Grid:
    """The grid of consecutive labels of a frequency."""
    starts, ends = freq.spans(labels, frequency)
    first = freq.numbered(starts)
    return Grid(labels, ends, int(first[0]), freq.numbered(ends) - first)


def _cut(start: IntArray, end: IntArray, grid: Grid) -> Cut:
    """Spans in days since the grid's first."""
    span: IntArray | slice
    if (end[:-1] <= start[1:]).all():
        span = slice(int(np.searchsorted(end, 0, "right")), int(np.searchsorted(start, grid.holder.size)))
    else:
        start, span = _single_days(start, end, grid.holder.size)
        end = start + 1
    if isinstance(span, slice):
        start, end = np.maximum(start[span], 0), np.minimum(end[span], grid.holder.size)
    holder, days, span = _pieces(start, end, span, grid)
    seen = np.bincount(holder, days, grid.days.size)
    return Cut(holder, days, span, np.where(seen >= _MIN_COVER * grid.days, seen, np.nan))


def _single_days(start: IntArray, end: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """The days of the grid that overlapping spans have, and the span that has each."""
    day, span = _ranges(start, end - start)
    day, last = np.unique(day[::-1], return_index=True)
    span = span[::-1][last]
    inside = (day >= 0) & (day < size)
    return day[inside], span[inside]


def _pieces(
    start: IntArray, end: IntArray, span: IntArray | slice, grid: Grid
) -> tuple[IntArray, IntArray, IntArray | slice]:
    """The period that holds each piece, its days, and its span."""
    first, last = grid.holder[start], grid.holder[end - 1]
    if (first == last).all():
        return first, end - start, span
    holder, owner = _ranges(first, last - first + 1)
    after = np.cumsum(grid.days)
    days = np.minimum(end[owner], after[holder]) - np.maximum(start[owner], after[holder] - grid.days[holder])
    return holder, days, owner + span.start if isinstance(span, slice) else span[owner]


def _ranges(start: IntArray, length: IntArray) -> tuple[IntArray, IntArray]:
    """The whole numbers of the ranges that begin at `start`, one range after the other, and the range of each."""
    owner = np.repeat(np.arange(start.size), length)
    before = np.cumsum(length) - length
    return np.arange(owner.size) + (start - before)[owner], owner
