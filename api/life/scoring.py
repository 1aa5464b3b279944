"""Scores issued forecasts as their actuals come: in the job worker's process, or by hand where nothing serves.

A pass takes in what was issued, follows the actuals, opens each forecast of which a period became known (its naive
forecasts are made then), and makes the last forecast of each origin again without signals. Each piece is one
transaction and leaves a mark, so that a pass that was killed goes on where it was, and the same again changes nothing.
A score is a row of `score` beside one of `actual`: a revision changes the actual, and so every score of the period.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
import pandas as pd
import sqlalchemy as sa

from api.database import now, reading, scores_engine_of, writing
from api.fold import BUSY, GIVE_WAY
from api.ledger import Issued, Ledger
from api.life.actuals import follow, newest_version
from api.life.editions import Pause, take_in
from api.life.references import References, references
from api.life.remade import WITHOUT_SIGNALS, keep, row_of, without_signals
from api.life.score_tables import actual, edition, score, score_state
from api.service import history_frame
from api.settings import Settings
from api.snapshots import Snapshots
from signals.store import Snapshot, StoreEmpty, UnknownCategory, VersionNotPublished

log = logging.getLogger("groundswell")

TOGETHER = 16  # forecasts that are opened or made again between two looks at who else wants the cores
LOOK_SECONDS = 5.0
EVERY_SECONDS = 3600.0  # also where the store has not moved on: a job may have come late, or a period be over
MADE, FAILED = "made", "failed"
_PASSES = "passes"  # in score_state
Rows = list[dict[str, Any]]
History = Callable[[str, int], pd.DataFrame]


@dataclass(frozen=True)
class Scored:
    """What one pass did."""

    forecasts: int  # of the ledger, that were looked at
    actuals: int  # that are new or were revised
    opened: int  # different forecasts of which a period became known
    without_signals: int  # of these, made again without signals


class _Stopped(Exception):  # noqa: N818 - no error: the pass goes on after the next start
    """It is to end in the middle of a pass."""


def score_until(settings: Settings, stop: threading.Event) -> None:
    """Score whenever the store has moved on, and once an hour, until `stop`; an error is logged, and tried again."""
    snapshots, passed = Snapshots(settings.home), float("-inf")
    while not stop.is_set():
        try:
            snapshot = snapshots.current()
            if time.monotonic() - passed > EVERY_SECONDS or snapshot.data_version != newest_version(settings):
                done = score_issued(settings, snapshot, moment=now(), pause=giving_way(stop))
                passed = time.monotonic()
                if done.actuals or done.opened:
                    log.info("%d actuals are new or revised, %d forecasts were opened", done.actuals, done.opened)
        except StoreEmpty:
            pass  # nothing to score by
        except _Stopped:
            return
        except Exception:
            log.exception("issued forecasts were not scored; it is tried again in a while")
            stop.wait(10 * LOOK_SECONDS)
        stop.wait(LOOK_SECONDS)


def giving_way(stop: threading.Event) -> Pause:
    """A pause between two pieces of work: none, unless the cores are wanted by others; raises where it is to stop."""
    at, worked = time.monotonic(), time.thread_time()

    def pause() -> None:
        nonlocal at, worked
        took, did = time.monotonic() - at, time.thread_time() - worked
        if stop.wait(GIVE_WAY * took if took > BUSY * did else 0.0):
            raise _Stopped
        at, worked = time.monotonic(), time.thread_time()

    return pause


def no_pause() -> None:
    """Where nobody else wants the cores."""


def score_issued(
    settings: Settings, snapshot: Snapshot, *, moment: dt.datetime, pause: Pause = no_pause, whole: bool = False
) -> Scored:
    """Score what can be scored of the ledger with the actuals that were known at a moment (UTC without a zone).

    `whole`: look for forecasts in all of it, and not only in what came since two days before the last time.
    """
    looked = take_in(settings, moment, pause, whole=whole)
    changed = follow(settings, snapshot, snapshot.data_version, moment, pause)
    work = _Pass(settings, snapshot, Ledger(settings), _history_of(snapshot))
    opened = _each(settings, to_open(), work.open, pause)
    done = Scored(looked, changed, opened, _each(settings, _to_remake(), work.remake, pause))
    _count_pass(settings)
    return done


def _count_pass(settings: Settings) -> None:
    with writing(scores_engine_of(settings)) as connection:
        passed = passes(connection)
        connection.execute(score_state.delete().where(score_state.c.name == _PASSES))
        connection.execute(score_state.insert().values(name=_PASSES, value=str(passed + 1)))


def passes(connection: sa.Connection) -> int:
    """How many passes were made: what is told of many scores stays the same as long as this does."""
    return int(connection.execute(sa.select(score_state.c.value).where(score_state.c.name == _PASSES)).scalar() or 0)


def _each(settings: Settings, query: sa.Select[Any], do: Callable[[sa.RowMapping], None], pause: Pause) -> int:
    """Do something with each edition that a query finds, until it finds none."""
    count = 0
    while True:
        with reading(scores_engine_of(settings)) as connection:
            rows = connection.execute(query.limit(TOGETHER)).mappings().all()
        for row in rows:
            do(row)
            pause()
        count += len(rows)
        if len(rows) < TOGETHER:
            return count


def to_open() -> sa.Select[Any]:
    """Editions of which a period became known."""
    within = actual.c.period.between(edition.c.first, edition.c.last)
    known = sa.exists().where(actual.c.category == edition.c.category, within, actual.c.latest.is_not(None))
    order = (edition.c.category, edition.c.data_version, edition.c.first)
    return sa.select(edition).where(edition.c.opened == sa.false(), known).order_by(*order)


def chosen() -> sa.ColumnElement[bool]:
    """Of the editions of one category and origin that which counts: the champion's, if there is one, and the last."""
    other = edition.alias("other")
    better = sa.or_(
        other.c.rank < edition.c.rank,
        sa.and_(other.c.rank == edition.c.rank, other.c.receipt > edition.c.receipt),
    )
    same = sa.and_(other.c.category == edition.c.category, other.c.origin == edition.c.origin)
    return ~sa.exists().where(same, better)


def _to_remake() -> sa.Select[Any]:
    """Those that count and were not tried without signals yet."""
    wanted = sa.and_(edition.c.opened == sa.true(), edition.c.without.is_(None), chosen())
    return sa.select(edition).where(wanted).order_by(edition.c.category, edition.c.first)


@dataclass(frozen=True)
class _Pass:
    """What both kinds of work on an edition need."""

    settings: Settings
    snapshot: Snapshot
    ledger: Ledger
    history: History

    def open(self, row: sa.RowMapping) -> None:
        """Write what an edition says of each period, and what naive forecasts say of it."""
        found, this = self.ledger.resolve(row["receipt"]), edition.c.edition == row["edition"]
        if found is None:  # no longer kept
            with writing(scores_engine_of(self.settings)) as connection:
                connection.execute(edition.delete().where(this))
            return
        rows = _said(found)
        beside = _references(self.history, row, [one["period"] for one in rows])
        for one, naive, seasonal in zip(rows, beside.naive.tolist(), beside.seasonal.tolist(), strict=True):
            one |= {"edition": row["edition"], "naive": _known(naive), "seasonal_naive": _known(seasonal)}
            one["period"] = dt.date.fromisoformat(one["period"])
        with writing(scores_engine_of(self.settings)) as connection:
            connection.execute(score.delete().where(score.c.edition == row["edition"]))
            connection.execute(score.insert(), rows)
            connection.execute(edition.update().where(this).values(opened=True, scale=beside.scale))

    def remake(self, row: sa.RowMapping) -> None:
        """Make what an edition said again without signals."""
        found = self.ledger.resolve(row["receipt"])
        rows = None if found is None else without_signals(self.settings, self.snapshot, found.request)
        keep(self.settings, row["edition"], WITHOUT_SIGNALS, rows or [])
        with writing(scores_engine_of(self.settings)) as connection:
            state = edition.update().where(edition.c.edition == row["edition"])
            connection.execute(state.values(without=FAILED if rows is None else MADE))


def _said(found: Issued) -> Rows:
    periods = orjson.loads(found.answer)["forecast"]
    return [
        row_of(one) | {"lead": lead, "nowcast": one["kind"] == "nowcast"} | published_of(one)
        for lead, one in enumerate(periods, 1)
    ]


def published_of(period: dict[str, Any]) -> dict[str, float | None]:
    """What people had put in place of the system's value and median; None: nobody had."""
    found = period.get("published", {})
    return {"published": found.get("value"), "published_median": found.get("median")}


def _known(value: float) -> float | None:
    return None if value != value else value


def _history_of(snapshot: Snapshot) -> History:
    """All vintages by category and data version; the last ones are kept, for editions come in this order."""

    @lru_cache(maxsize=1)
    def read(category: str, data_version: int) -> pd.DataFrame:
        return history_frame(snapshot, category, data_version=data_version)

    return read


def _references(history: History, row: sa.RowMapping, periods: list[str]) -> References:
    """Naive forecasts from what was known at the edition's origin."""
    labels = np.array(periods, "datetime64[D]")
    try:
        known = history(row["category"], row["data_version"])
    except (UnknownCategory, VersionNotPublished):  # of another store, whose ledger this was
        unknown = np.full(labels.size, np.nan)
        return References(unknown, unknown, None)
    return references(known, row["frequency"], pd.Timestamp(row["as_of"]), labels)
