"""What a reader must know before the numbers: sales that ended long ago, and ranges that held too little."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd

from api.reports.items import ReportItem

_SHORT = 10  # per cent points below its promise at which a range is called too narrow
_ONE_PERIOD = {
    "D": pd.DateOffset(days=1),
    "W": pd.DateOffset(days=1),  # a week is labelled by its last day
    "M": pd.DateOffset(months=1),
    "Q": pd.DateOffset(months=3),
}


def is_old(item: ReportItem, now: datetime) -> bool:
    """Whether the first period that is not a nowcast was over at the moment that was asked for, else `now`."""
    result, moment = item.forecast, item.moment or now
    ahead = [ds for ds, kind in zip(result.ds, result.kinds, strict=True) if kind != "nowcast"]
    if not ahead:
        return True
    naive = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    return pd.Timestamp(ahead[0]) + _ONE_PERIOD[result.frequency[0]] <= pd.Timestamp(naive)


def freshness(items: Sequence[ReportItem], now: datetime) -> str | None:
    """One sentence about the categories whose data is old; None where there are none."""
    old = [item for item in items if is_old(item, now)]
    if not old:
        return None
    ends = sorted({_last_day(item) for item in old})
    when = f"on {_day(ends[0])}" if len(ends) == 1 else f"between {_day(ends[0])} and {_day(ends[-1])}"
    first = old[0].record.category
    count = "all" if len(old) == len(items) else f"{len(old)} of {len(items)}"
    who = first if len(old) == 1 else f"{count} categories"
    return f"Sales of {who} end {when}, so periods that are called next are over: import newer sales."


def old_note(item: ReportItem, now: datetime) -> str:
    """The same for one category; empty where its data is fresh."""
    return f"Old data: sales end on {_day(_last_day(item))}, what follows is over." if is_old(item, now) else ""


def narrow_ranges(item: ReportItem) -> list[str]:
    """One remark for each range that held clearly less than it promised."""
    held = [(level, share) for level, share in item.forecast.quality.coverage.items() if share is not None]
    return [
        f"At past origins the {level} % range held only {100 * share:.0f} % of actual sales: expect more misses than "
        "it promises."
        for level, share in held
        if 100 * share < float(level) - _SHORT
    ]


def in_brief(item: ReportItem, now: datetime) -> str:
    """The remarks in a few words, for a table."""
    told = ["old data"] if is_old(item, now) else []
    return ", ".join([*told, "ranges too narrow"] if narrow_ranges(item) else told)


def _last_day(item: ReportItem) -> pd.Timestamp:
    return pd.Timestamp(item.forecast.history_end)


def _day(day: pd.Timestamp) -> str:
    return f"{day.day} {day:%b %Y}"
