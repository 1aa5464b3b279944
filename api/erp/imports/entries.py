"""Ledger entries of an ERP, kept as they were read, and added up to sales by item and period."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pandas as pd
import sqlalchemy as sa

from api.database import reading, writing
from api.erp.imports.base import Entry, ImportSettings, Source
from api.erp.state import erp_cursor, erp_entry, upsert
from signals.batch import Batch
from signals.periods import labels, spans
from signals.prepared import Prepared
from signals.refused import ImportRefused
from signals.rows import zone
from signals.sales_import import prepare_sales

SIZE = 2_000  # entries in one transaction


@dataclass(frozen=True)
class Fetched:
    """How many entries were read, and the moment that the next import begins at."""

    entries: int
    through: str | None


def fetch(engine: sa.Engine, source: Source, *, again: bool = False) -> Fetched:
    """Read what has changed and keep it; `again`: forget everything first. Whoever kills it meanwhile loses nothing."""
    if again:
        _forget(engine, source)
    since = _cursor(engine, source)
    count, through = 0, since or ""
    for part in _parts(source.changed(since)):
        _keep(engine, source, [entry for entry, _ in part])
        count += len(part)
        through = max(through, *(moment for _, moment in part))
    if through:
        # Only now: entries do not come in the order of their changes.
        values = {"source": source.name, "place": source.place, "through": through}
        with writing(engine) as connection:
            connection.execute(upsert(connection, erp_cursor), values)
    return Fetched(count, through or None)


def _forget(engine: sa.Engine, source: Source) -> None:
    with writing(engine) as connection:
        for table in (erp_cursor, erp_entry):
            connection.execute(table.delete().where(table.c.source == source.name, table.c.place == source.place))


def _parts(entries: Iterable[tuple[Entry, str]]) -> Iterator[list[tuple[Entry, str]]]:
    rest = iter(entries)
    while part := list(islice(rest, SIZE)):
        yield part


def _cursor(engine: sa.Engine, source: Source) -> str | None:
    where = (erp_cursor.c.source == source.name, erp_cursor.c.place == source.place)
    with reading(engine) as connection:
        return connection.execute(sa.select(erp_cursor.c.through).where(*where)).scalar()


def _keep(engine: sa.Engine, source: Source, entries: list[Entry]) -> None:
    head = {"source": source.name, "place": source.place}
    newest = {entry.entry: head | vars(entry) for entry in entries}  # one that changes meanwhile may come twice
    with writing(engine) as connection:
        connection.execute(upsert(connection, erp_entry), list(newest.values()))


def prepare(
    engine: sa.Engine, source: Source, settings: ImportSettings, known: Mapping[str, str], now: dt.datetime
) -> Prepared:
    """What is kept of a source as a batch of sales, a category for each item; `now` is UTC with its zone.

    A whole period without an entry since an item's first is one without sales. Raises ImportRefused.
    """
    frame, units = _sums(engine, source, settings)
    today = np.datetime64(now.astimezone(zone(settings.timezone)).date(), "D")
    table = _regular(frame, settings.frequency, today)
    if table.empty:
        raise ImportRefused(
            f"{source.name} has no sales in a {settings.frequency} period that is over",
            remedy="Check `start` and the login, and import again when a period is complete",
        )
    prepared = prepare_sales(
        table, category="category", date="date", quantity="quantity", frequency=settings.frequency,
        week="ends" if settings.frequency.startswith("W") else None, timezone=settings.timezone, gaps="zero",
        known_categories=known, now=now,
    )  # fmt: skip
    return replace(prepared, batch=_described(prepared.batch, source.name, units))


def _sums(engine: sa.Engine, source: Source, settings: ImportSettings) -> tuple[pd.DataFrame, dict[str, str]]:
    """Sums by item and day, and the unit of each item."""
    columns = (erp_entry.c.item, erp_entry.c.day, sa.func.sum(erp_entry.c.quantity), sa.func.max(erp_entry.c.unit))
    where = [erp_entry.c.source == source.name, erp_entry.c.place == source.place]
    if settings.start is not None:
        where.append(erp_entry.c.day >= settings.start)
    query = sa.select(*columns).where(*where).group_by(erp_entry.c.item, erp_entry.c.day)
    with reading(engine) as connection:
        rows = connection.execute(query.order_by(erp_entry.c.item, erp_entry.c.day)).all()
    frame = pd.DataFrame([tuple(row) for row in rows], columns=["category", "day", "quantity", "unit"])
    return frame, {item: unit for item, unit in zip(frame["category"], frame["unit"], strict=True) if unit}


def _regular(frame: pd.DataFrame, frequency: str, today: np.datetime64) -> pd.DataFrame:
    """Sums by item and whole period: category, date (the period's label), quantity; each up to the last period."""
    if frame.empty:
        return frame
    starts, ends = spans(frame["day"].to_numpy("datetime64[D]"), frequency)
    sums = frame.assign(start=starts, end=ends).groupby(["category", "start", "end"], as_index=False)["quantity"].sum()
    sums = sums[sums["end"].to_numpy("datetime64[D]") <= today]
    # The running period's first day is where the last whole one ends.
    running = spans(np.array([today]), frequency)[0][0]
    last_start, last_end = spans(np.array([running - np.timedelta64(1, "D")]), frequency)
    zeros = pd.DataFrame({"category": sums["category"].unique(), "start": last_start[0], "end": last_end[0]})
    whole = pd.concat([sums, zeros.assign(quantity=0.0)], ignore_index=True)
    whole = whole.groupby(["category", "start", "end"], as_index=False)["quantity"].sum()
    days = labels(whole["start"].to_numpy("datetime64[D]"), whole["end"].to_numpy("datetime64[D]"), frequency)
    return pd.DataFrame(
        {"category": whole["category"], "date": days.astype("datetime64[s]"), "quantity": whole["quantity"]}
    )


def _described(batch: Batch, source: str, units: Mapping[str, str]) -> Batch:
    """The batch with unit and attributes of each item: an export finds its way back by them."""
    assert batch.categories is not None
    names = batch.categories["category"]
    attributes = [
        json.dumps({"item": name} | ({"unit": units[name]} if name in units else {}), sort_keys=True) for name in names
    ]
    categories = batch.categories.assign(unit=names.map(dict(units)), attributes=attributes).astype("str")
    return replace(batch, categories=categories, connector=f"erp/{source}")
