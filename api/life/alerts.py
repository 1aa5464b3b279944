"""What went wrong with a category: raised once, told to whoever wants to know, and closed by a person or its remedy."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import sqlalchemy as sa

from api.database import alert as table
from api.database import engine_of, reading, scores_engine_of, watched, writing
from api.life.editions import pairs
from api.life.score_tables import actual, edition
from api.life.watching import record_of
from api.settings import Settings
from forecast import drift
from forecast import frequency as freq
from signals.store import Snapshot, UnknownCategory

State = Literal["open", "acknowledged", "closed"]
OPEN, ACKNOWLEDGED, CLOSED = "open", "acknowledged", "closed"
UNDER_WAY = (OPEN, ACKNOWLEDGED)
FRESH = dt.timedelta(days=92)  # what is found in an old record, when it is looked at first, is no news
REMEDIED = ("loss", "bias", "coverage")  # kinds that another configuration may mend


@dataclass(frozen=True)
class Alert:
    """One alert. Moments are UTC without a zone; `evidence` has change, low, high and unit (see forecast.drift)."""

    number: int
    category: str
    kind: str
    signal: str
    since: dt.date
    found: dt.date
    raised: dt.datetime
    size: float
    cause: str
    sentence: str
    evidence: Mapping[str, Any]
    done: str
    state: State
    changed: dt.datetime | None
    actor: str | None
    reason: str | None

    @property
    def id(self) -> str:
        """Its name outside."""
        return f"al_{self.number}"


def number_of(name: str) -> int | None:
    """The number of an alert's name; None where it is none."""
    digits = name.removeprefix("al_")
    return (
        int(digits) if name.startswith("al_") and digits.isascii() and digits.isdigit() and len(digits) < 16 else None
    )


def to_watch(settings: Settings, moment: dt.datetime) -> dict[str, dt.datetime]:
    """The categories that were forecast and of which something new was sold, with when the newest became known."""
    newest = (
        sa.select(actual.c.category, sa.func.max(actual.c.first_known))
        .where(actual.c.first_known <= moment, actual.c.category.in_(sa.select(edition.c.category)))
        .group_by(actual.c.category)
        .order_by(actual.c.category)
    )
    with reading(scores_engine_of(settings)) as connection:
        known: dict[str, dt.datetime] = pairs(connection, newest)
    with reading(engine_of(settings)) as connection:
        seen = pairs(connection, sa.select(watched.c.category, watched.c.known))
    return {category: at for category, at in known.items() if at != seen.get(category)}


def watch(
    settings: Settings, snapshot: Snapshot, category: str, known: dt.datetime, moment: dt.datetime
) -> list[Alert]:
    """Look for drift in what was known of a category at a moment, and keep what is new; these alerts.

    What is under way already is not raised again. `known`: when the newest actual became known (see `to_watch`).
    """
    try:
        record = record_of(settings, snapshot, category, moment)
    except UnknownCategory:  # of another store, whose ledger this was
        record = None
    alarms = [] if record is None else [one for one in drift.watch(record) if _is_fresh(one, record.frequency, moment)]
    with writing(engine_of(settings)) as connection:
        numbers = [number for one in alarms if (number := _raise(connection, category, one, moment)) is not None]
        connection.execute(watched.delete().where(watched.c.category == category))
        connection.execute(watched.insert().values(category=category, known=known))
        rows = connection.execute(sa.select(table).where(table.c.number.in_(numbers))).mappings().all()
    return [_alert(row) for row in rows]


def _is_fresh(alarm: drift.Alarm, frequency: str, moment: dt.datetime) -> bool:
    end = freq.spans(np.array([alarm.found], "datetime64[D]"), frequency)[1]
    return pd.Timestamp(moment) - pd.Timestamp(end[0]) <= FRESH


def _raise(connection: sa.Connection, category: str, alarm: drift.Alarm, moment: dt.datetime) -> int | None:
    """Keep an alarm, unless it was raised before or one of its kind is under way; its number."""
    same = sa.and_(
        table.c.category == category, table.c.kind == alarm.kind, table.c.signal == (alarm.signal or "")
    )  # fmt: skip
    found = alarm.found.astype("datetime64[D]").item()
    known = sa.or_(table.c.state.in_(UNDER_WAY), table.c.found >= found)
    if connection.execute(sa.select(table.c.number).where(same, known)).first() is not None:
        return None
    evidence = {name: getattr(alarm, name) for name in ("change", "low", "high", "unit")}
    row = {
        "category": category, "kind": alarm.kind, "signal": alarm.signal or "",
        "since": alarm.since.astype("datetime64[D]").item(), "found": found, "raised": moment, "size": alarm.change,
        "cause": alarm.cause, "sentence": alarm.sentence, "evidence": json.dumps(evidence), "done": "", "state": OPEN,
    }  # fmt: skip
    return int(connection.execute(table.insert().values(**row).returning(table.c.number)).scalar_one())


def note_done(settings: Settings, number: int, done: str) -> None:
    """Write down what was done about an alert."""
    with writing(engine_of(settings)) as connection:
        connection.execute(table.update().where(table.c.number == number).values(done=done))


def settle(
    settings: Settings, number: int, state: State, *, actor: str, reason: str | None, moment: dt.datetime
) -> Alert | None:
    """Acknowledge an alert or close it; None where there is none, and one that is closed stays as it is."""
    change = table.update().where(table.c.number == number, table.c.state.in_(UNDER_WAY))
    with writing(engine_of(settings)) as connection:
        connection.execute(change.values(state=state, actor=actor, reason=reason, changed=moment))
    return alert_of(settings, number)


def close_remedied(connection: sa.Connection, category: str, done: str, moment: dt.datetime) -> None:
    """Close what another configuration was to mend, now that one serves; in the caller's transaction."""
    mended = sa.and_(table.c.category == category, table.c.kind.in_(REMEDIED), table.c.state.in_(UNDER_WAY))
    connection.execute(
        table.update().where(mended).values(state=CLOSED, done=done, actor="groundswell", changed=moment)
    )


def alert_of(settings: Settings, number: int) -> Alert | None:
    """One alert by its number."""
    with reading(engine_of(settings)) as connection:
        row = connection.execute(sa.select(table).where(table.c.number == number)).mappings().first()
    return None if row is None else _alert(row)


def alerts(
    settings: Settings,
    *,
    categories: Collection[str] | None = None,
    state: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> tuple[Sequence[Alert], int]:
    """A page of the alerts, the newest first, and how many there are. `state`: only these, "all" or None for each."""
    wanted: list[sa.ColumnElement[bool]] = [] if categories is None else [table.c.category.in_(categories)]
    wanted += [] if state is None else [table.c.state == state]
    query = sa.select(table).where(*wanted).order_by(table.c.raised.desc(), table.c.number.desc())
    with reading(engine_of(settings)) as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(table).where(*wanted)).scalar_one()
        rows = connection.execute(query.limit(limit).offset(offset)).mappings().all()
    return [_alert(row) for row in rows], int(total)


def _alert(row: Mapping[Any, Any]) -> Alert:
    return Alert(**{str(name): row[name] for name in row} | {"evidence": json.loads(row["evidence"])})
