"""Small frames for the tests of the store: weeks of one category or signal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from signals.store import AppendResult, Batch, Snapshot, Store, open_snapshot

NOW = datetime(2026, 11, 23, 9)
FIRST_WEEK = pd.Timestamp("2026-01-05")


def periods(count: int, skip: int = 0) -> dict[str, pd.DatetimeIndex]:
    start = pd.date_range(FIRST_WEEK, periods=count + skip, freq="7D", unit="us")[skip:]
    return {"start": start, "end": start + pd.Timedelta(days=7)}


def sales(quantities: Sequence[float | None], category: str = "Shoes", skip: int = 0, **more: object) -> pd.DataFrame:
    columns = {**periods(len(quantities), skip), "quantity": pd.array(list(quantities), dtype="Float64"), **more}
    return pd.DataFrame({"category": category, **columns})


def observations(values: Sequence[float | None], signal: str = "rain", skip: int = 0, **more: object) -> pd.DataFrame:
    columns = {**periods(len(values), skip), "value": pd.array(list(values), dtype="Float64"), **more}
    return pd.DataFrame({"signal": signal, **columns})


def categories(*names: str, **more: object) -> pd.DataFrame:
    return pd.DataFrame({"category": list(names) or ["Shoes"], "frequency": "W-SUN", **more})


def signals(*names: str, **more: object) -> pd.DataFrame:
    return pd.DataFrame({"signal": list(names) or ["rain"], **more})


def batch(sales: pd.DataFrame | None = None, **more: object) -> Batch:
    """A batch that brings its own category when it has sales."""
    if sales is not None and "categories" not in more:
        more["categories"] = categories(*sales["category"].unique())
    return Batch("test", sales=sales, **more)  # type: ignore[arg-type]


def append(home: Path, *batches: Batch, now: datetime = NOW) -> list[AppendResult]:
    """Append batches a minute apart, beginning at `now`, and publish."""
    with Store.open(home) as store:
        results = [store.append(item, now + timedelta(minutes=i)) for i, item in enumerate(batches)]
        store.publish()
    return results


def stored(home: Path, *batches: Batch, now: datetime = NOW) -> Snapshot:
    """The snapshot after `append`."""
    append(home, *batches, now=now)
    return open_snapshot(home)
