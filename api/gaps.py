"""What of the past is missing when one forecasts: sales that are not in yet, and when values became known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import pandas as pd

from forecast import Event
from forecast.events import LEVEL_SHIFT
from signals.store import CategoryRecord


@dataclass(frozen=True)
class Gap:
    """The whole periods that were over by the origin, but whose sales were not known."""

    start: pd.Timestamp
    end: pd.Timestamp
    periods: int

    @property
    def days(self) -> int:
        """How long it is."""
        return (self.end - self.start).days

    def warning(self, max_days: int) -> str:
        """What to say where it is too long to fill."""
        return (
            f"sales end before {self.start:%Y-%m-%d}, {self.days} days before the moment of forecasting; up to "
            f"{max_days} days are filled, so the horizon counts from the last known period: import newer sales, "
            "or give an earlier as_of"
        )


def gap_of(sales: pd.DataFrame, record: CategoryRecord, origin: dt.datetime) -> Gap:
    """The gap before a moment (UTC without a zone), from all vintages of a category's sales."""
    local = origin.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(record.timezone or "UTC"))
    today = pd.Timestamp(local.date())
    last = _last_known_end(sales, today)
    if last is None:
        return Gap(today, today, 0)
    edges = pd.date_range(last, today, freq="7D" if record.frequency.startswith("W-") else record.frequency)
    return Gap(last, edges[-1], len(edges) - 1)


def _last_known_end(sales: pd.DataFrame, today: pd.Timestamp) -> pd.Timestamp | None:
    """The end of the last complete period whose newest version is a value; rows are sorted by start and known_at."""
    newest = ~sales["start"].duplicated(keep="last")
    ends = sales["end"][newest & sales["quantity"].notna() & (sales["end"] <= today)]
    return None if ends.empty else ends.iloc[-1]


def without(sales: pd.DataFrame, events: Sequence[Event]) -> pd.DataFrame:
    """The sales that the forecaster will see: those of accepted events are as good as not known."""
    kept = pd.Series(True, index=sales.index)
    for event in events:
        if event.kind != LEVEL_SHIFT:
            kept &= (sales["end"] <= pd.Timestamp(event.first)) | (sales["start"] > pd.Timestamp(event.last))
    return sales[kept]


def assumed(sales: pd.DataFrame, observations: pd.DataFrame | None) -> list[str]:
    """Whoever uses a `known_at` that nobody has observed says so."""
    guessed = int((sales["known_basis"] == "assumed_lag").sum())
    parts = [f"{guessed} of {len(sales)} sales values"] if guessed else []
    if observations is not None:
        signals = observations["signal"][observations["known_basis"] == "assumed_lag"].nunique()
        parts += [f"{signals} of {observations['signal'].nunique()} signals"] if signals else []
    if not parts:
        return []
    return [
        f"when they became known is assumed, not observed, for {' and '.join(parts)} (end of the period and the "
        "declared lag): the backtest takes them as published on time and never revised"
    ]
