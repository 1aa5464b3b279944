"""Issued forecasts as flat rows, for OData: oldest first, a few at a time, each exactly once.

The job worker's process folds all the time (`fold_until`); a read of OData folds what is left where that is little
(`catch_up`). Both may do the same forecast at once: ids come from its receipt, and a row that is there is left alone.
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Iterable
from typing import Any

import orjson
import sqlalchemy as sa

from api.database import engine_of, issued, job, now, reading, rows_engine_of, writing
from api.fold_rows import Parts, category_row, parts_of, run_of
from api.ledger_packing import unpack
from api.odata.inserting import insert_rows
from api.odata.model import ACCURACY, CATEGORIES, CONTRIBUTIONS, FORECASTS, KEY, RUNS, SIGNALS
from api.odata.tables import FORECAST_ROW, TABLES, fold_state
from api.settings import Settings
from api.snapshots import Snapshots
from signals.store import StoreEmpty

log = logging.getLogger("groundswell")

TOGETHER = 64  # forecasts in one transaction; as large a backlog a read works off by itself
PAUSE_SECONDS = 0.5
BUSY = 2.0  # seconds that pass for a second of work where others have the cores
GIVE_WAY = 4.0  # times as long as it took it waits then: those who want an answer come first
_CATEGORY_ROW, _RUN_ROW = TABLES[CATEGORIES.name], TABLES[RUNS.name]
_VERSION = "categories"  # in fold_state: the data version that category_row shows
_BEGUN = "begun with overrides"  # in fold_state: these tables are filled from a ledger whose marks are theirs
_FORMER = "forecast_row"  # what earlier versions read


def fold_until(settings: Settings, stop: threading.Event) -> None:
    """Fold what is issued until `stop`; an error is logged, and tried again."""
    snapshots = Snapshots(settings.home)
    while not stop.is_set():
        began, worked = time.monotonic(), time.thread_time()
        try:
            begin(settings)
            follow_store(settings, snapshots)
            folded = fold_some(settings)
            follow_jobs(settings)
        except Exception:
            log.exception("issued forecasts were not folded for OData; it is tried again")
            stop.wait(10 * PAUSE_SECONDS)
            continue
        stop.wait(_pause(folded, time.monotonic() - began, time.thread_time() - worked))


def _pause(folded: int, took: float, worked: float) -> float:
    """Seconds until it looks again: none while there is more, unless the cores are wanted by others."""
    if folded < TOGETHER:
        return PAUSE_SECONDS
    return GIVE_WAY * took if took > BUSY * worked else 0.0


def begin(settings: Settings) -> None:
    """Where the tables are new, or were deleted: fold the whole ledger anew."""
    mark = sa.select(fold_state.c.value).where(fold_state.c.name == _BEGUN)
    with reading(rows_engine_of(settings)) as connection:
        if connection.execute(mark).first() is not None:
            return
    with writing(engine_of(settings)) as connection:
        connection.execute(issued.update().where(issued.c.folded == sa.true()).values(folded=False))
    with writing(rows_engine_of(settings)) as connection:
        if connection.execute(mark).first() is None:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {_FORMER}")
            connection.execute(fold_state.insert().values(name=_BEGUN, value=1))


def catch_up(settings: Settings, snapshots: Snapshots) -> None:
    """Fold a small backlog, so that a forecast shows at once; a large one is left to `fold_until`."""
    begin(settings)
    follow_store(settings, snapshots)
    with reading(engine_of(settings)) as connection:
        waiting = connection.execute(sa.select(issued.c.receipt).where(_waiting()).limit(TOGETHER + 1)).all()
    if 0 < len(waiting) <= TOGETHER:
        fold_some(settings)
    follow_jobs(settings)


def fold_some(settings: Settings) -> int:
    """Fold the oldest forecasts that are not; how many there were, at most `TOGETHER`."""
    query = sa.select(issued).where(_waiting()).order_by(issued.c.receipt).limit(TOGETHER)
    with reading(engine_of(settings)) as connection:
        waiting = connection.execute(query).mappings().all()
        if not waiting:
            return 0
        runs = {row["run"] for row in waiting} - {None}
        jobs = {row["job"]: row for row in connection.execute(_jobs_of(runs)).mappings()}
    with reading(rows_engine_of(settings)) as connection:
        names = {row["category"] for row in waiting} - {None}
        known = connection.execute(sa.select(_CATEGORY_ROW).where(_CATEGORY_ROW.c.Category.in_(names))).mappings()
        categories = {row["Category"]: row for row in known}
    moment = now()
    made = [parts for row in waiting if (parts := _parts(row, categories, moment)) is not None]
    owners = {run[KEY]: run for run in (run_of(row, jobs.get(row["run"]), moment) for row in waiting)}
    with writing(rows_engine_of(settings)) as connection:
        _write(connection, made, list(owners.values()))
    # Last: after a kill in between they are folded again, and rows that are there are left alone.
    with writing(engine_of(settings)) as connection:
        receipts = [row["receipt"] for row in waiting]
        connection.execute(issued.update().where(issued.c.receipt.in_(receipts)).values(folded=True))
    return len(waiting)


def _waiting() -> sa.ColumnElement[bool]:
    return issued.c.folded == sa.false()


def _jobs_of(runs: Iterable[str]) -> sa.Select[Any]:
    names = ("job", "kind", "state", "accepted", "started", "finished", "total", "done")
    return sa.select(*(job.c[name] for name in names)).where(job.c.job.in_(runs))


def _parts(row: sa.RowMapping, categories: dict[str, sa.RowMapping], moment: Any) -> Parts | None:
    """The rows of one forecast; None for an answer that is no forecast of ours, which is then left out."""
    try:
        return parts_of(row, orjson.loads(unpack(row["answer"])), categories.get(row["category"]), moment)
    except (KeyError, TypeError, ValueError, IndexError, zlib.error) as error:
        log.error("forecast %s cannot be shown by OData: %r", row["receipt"], error)
        return None


def _write(connection: sa.Connection, made: list[Parts], runs: list[dict[str, Any]]) -> None:
    newest = _newest(connection, made)
    for parts in made:
        for row in parts.forecasts:
            row["IsLatest"] = newest.get(row["Category"]) == row["Receipt"]
    insert_rows(connection, TABLES[RUNS.name], runs)
    insert_rows(connection, TABLES[FORECASTS.name], [row for parts in made for row in parts.forecasts])
    insert_rows(connection, TABLES[CONTRIBUTIONS.name], [row for parts in made for row in parts.contributions])
    insert_rows(connection, TABLES[SIGNALS.name], [row for parts in made for row in parts.signals])
    insert_rows(connection, TABLES[ACCURACY.name], [parts.accuracy for parts in made])
    for category, receipt in newest.items():
        old = sa.and_(FORECAST_ROW.c.Category == category, FORECAST_ROW.c.IsLatest == sa.true())
        over = FORECAST_ROW.update().where(old, FORECAST_ROW.c.Receipt != receipt)
        connection.execute(over.values(IsLatest=False, ModifiedAt=now()))


def _newest(connection: sa.Connection, made: list[Parts]) -> dict[str, str]:
    """By category the newest receipt among those that are written and those that are `made`."""
    newest: dict[str, str] = {}
    for parts in made:
        if parts.category is not None and parts.forecasts and parts.current:
            newest[parts.category] = max(newest.get(parts.category, ""), parts.forecasts[0]["Receipt"])
    column = FORECAST_ROW.c
    written = sa.select(column.Category, sa.func.max(column.Receipt)).where(
        column.Category.in_(newest), column.IsLatest == sa.true()
    )
    for category, receipt in connection.execute(written.group_by(column.Category)):
        newest[category] = max(newest[category], receipt)
    return newest


def follow_jobs(settings: Settings) -> None:
    """Bring the states of runs that are under way up to date."""
    query = sa.select(_RUN_ROW).where(_RUN_ROW.c.State.in_(("pending", "running")))
    with reading(rows_engine_of(settings)) as connection:
        shown = {row[KEY]: row for row in connection.execute(query).mappings()}
    if not shown:
        return
    with reading(engine_of(settings)) as connection:
        jobs = [dict(row) for row in connection.execute(_jobs_of(shown)).mappings()]
    pairs = {"State": "state", "StartedAt": "started", "FinishedAt": "finished", "Total": "total", "Done": "done"}
    changed = []
    for found in jobs:
        values = {name: found[column] for name, column in pairs.items()}
        if any(shown[found["job"]][name] != value for name, value in values.items()):
            changed.append((found["job"], values))
    if changed:
        with writing(rows_engine_of(settings)) as connection:
            for number, values in changed:
                update = _RUN_ROW.update().where(_RUN_ROW.c[KEY] == number)
                connection.execute(update.values(**values, ModifiedAt=now()))


def follow_store(settings: Settings, snapshots: Snapshots) -> None:
    """Bring the categories up to date with the published store, where that has moved on."""
    try:
        snapshot = snapshots.current()
    except StoreEmpty:
        return
    version, engine = snapshot.data_version, rows_engine_of(settings)
    with reading(engine) as connection:
        seen = connection.execute(sa.select(fold_state.c.value).where(fold_state.c.name == _VERSION)).scalar()
        if seen == version:
            return
        shown = {row[KEY]: row for row in connection.execute(sa.select(_CATEGORY_ROW)).mappings()}
    moment = now()
    rows = [category_row(row, moment) for row in snapshot.categories().to_dict("records")]
    changed = [row for row in rows if _differs(row, shown.get(row[KEY]))]
    gone = shown.keys() - {row[KEY] for row in rows}
    with writing(engine) as connection:
        connection.execute(fold_state.delete().where(fold_state.c.name == _VERSION))
        connection.execute(fold_state.insert().values(name=_VERSION, value=version))
        keys = [*gone, *(row[KEY] for row in changed)]
        if keys:
            connection.execute(_CATEGORY_ROW.delete().where(_CATEGORY_ROW.c[KEY] == sa.bindparam("key")),
                               [{"key": key} for key in keys])  # fmt: skip
        insert_rows(connection, _CATEGORY_ROW, changed)


def _differs(row: dict[str, Any], shown: sa.RowMapping | None) -> bool:
    return shown is None or any(shown[name] != value for name, value in row.items() if name != "ModifiedAt")
