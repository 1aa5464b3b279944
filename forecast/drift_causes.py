"""The probable cause of an alarm: what else changed at that time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecast.detectors import NORMAL_95, deviation_of_difference
from forecast.drift_record import Alarm, Record
from forecast.frequency import family, season_lengths
from forecast.season import BoolArray
from forecast.transform import FloatArray, median

DATA, SIGNAL, REGIME, CONFIGURATION = "data", "signal", "regime", "configuration"
_MISSING = 0.2  # share of the periods since
_TIMES = 20.0  # the usual sale: hard to believe
_NEAR = {"W": 8, "MS": 3, "QS": 2}  # periods by which a signal's fault may come before or after what it did
_WORSE = np.log(1.15)  # the reference's loss
_SHIFT = np.log(1.2)  # sales
_FEWEST = 3  # values on each side that are compared
_LONGEST_BEFORE = 52


def cause_of(record: Record, alarm: Alarm, signals: Sequence[Alarm]) -> str:
    """`data`, `signal`, `regime` or `configuration`, the first that the record shows; the last where none does.

    Data: actuals since then are missing or hard to believe. Signal: one died or changed scale at about that time.
    Regime: the reference did worse too, or sales moved to another level.
    """
    since, found = (int(np.searchsorted(record.ds, label)) for label in (alarm.since, alarm.found))
    sales = record.sales[-record.ds.size :]
    if _is_doubtful(sales, since, found):
        return DATA
    near = _NEAR[family(record.frequency)]
    places = [int(np.searchsorted(record.ds, one.since)) for one in signals if one.since <= alarm.found]
    if any(abs(place - since) <= near for place in places):
        return SIGNAL
    worse = _moved(np.log(np.where(record.reference > 0, record.reference, np.nan)), since, found)
    if worse > _WORSE or abs(_moved(_against_last_year(record, sales), since, found)) > _SHIFT:
        return REGIME
    return CONFIGURATION


def _is_doubtful(sales: FloatArray, since: int, found: int) -> bool:
    """Are actuals missing, zero where zero was never sold, or many times the usual?"""
    before, after = sales[:since], sales[since : found + 1]
    seen = np.abs(before[np.isfinite(before)])
    unlikely: BoolArray = ~np.isfinite(after)
    if seen.size and seen.min() > 0:
        unlikely = unlikely | (after == 0)
    usual = median(seen[seen > 0]) if (seen > 0).any() else np.inf
    return bool((np.abs(after) > _TIMES * usual).any() or unlikely.mean() > _MISSING)


def _moved(x: FloatArray, since: int, found: int) -> float:
    """By how much the mean of what is known moved at `since`, 0 where that may be chance or too little is known."""
    before, after = x[max(0, since - _LONGEST_BEFORE) : since], x[since : found + 1]
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if min(before.size, after.size) < _FEWEST:
        return 0.0
    size = float(after.mean() - before.mean())
    return size if abs(size) > NORMAL_95 * deviation_of_difference(before, after) else 0.0


def _against_last_year(record: Record, sales: FloatArray) -> FloatArray:
    """The logarithm of sales, less that of the year before where the record has it for as long as it is compared."""
    season = round(season_lengths(record.frequency)[-1])
    log = np.log(np.where(record.sales > 0, record.sales, np.nan))
    if record.sales.size < sales.size + season:
        return log[-sales.size :]
    return np.asarray(log[-sales.size :] - log[-sales.size - season : -season])
