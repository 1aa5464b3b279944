"""Tells subscribers of new alerts, promotions and rollbacks, whoever brought them about; each once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from api import webhooks
from api.database import alert, engine_of, life_event, life_told, reading, writing
from api.jobs import Jobs
from api.keys import all_keys
from api.settings import Settings

ALERTS, EVENTS = "alerts", "events"
TOGETHER = 500
TOLD: dict[str, webhooks.Event] = {
    "promoted": "configuration.promoted",
    "rolled back": "configuration.rolled_back",
}


@dataclass(frozen=True)
class _Notice:
    number: int
    category: str
    event: webhooks.Event
    subject: str
    data: Callable[[str], dict[str, Any]]


def tell(settings: Settings, jobs: Jobs) -> int:
    """Announce what is new since the last time; how many notices. After a kill none is told twice."""
    count = 0
    for name, find in ((ALERTS, _alerts), (EVENTS, _events)):
        while found := find(settings, _mark(settings, name)):
            for one in found:
                _announce(settings, jobs, one)
            _move(settings, name, found[-1].number)
            count += len(found)
    return count


def _announce(settings: Settings, jobs: Jobs, one: _Notice) -> None:
    keys = all_keys(settings)

    def may_see(key_id: str | None) -> bool:
        """Of keys of that name the newest counts; who has none (an open API, a token) sees all."""
        names = {key.name for key in keys if key.id == key_id}
        same = [key for key in keys if key.name in names]
        newest = max(same, key=lambda key: key.created, default=None)
        return newest is None or newest.categories is None or one.category in newest.categories

    webhooks.announce_of_category(engine_of(settings), jobs, one.event, one.subject, one.data, may_see)


def _alerts(settings: Settings, after: int) -> list[_Notice]:
    query = sa.select(alert).where(alert.c.number > after).order_by(alert.c.number).limit(TOGETHER)
    with reading(engine_of(settings)) as connection:
        rows = connection.execute(query).mappings().all()
    return [_alert(row) for row in rows]


def _alert(row: sa.RowMapping) -> _Notice:
    def data(base: str) -> dict[str, Any]:
        told = {name: row[name] for name in ("category", "kind", "cause", "sentence", "done")}
        told |= {"signal": row["signal"] or None, "since": row["since"].isoformat(), "size": row["size"]}
        return {"id": f"al_{row['number']}", **told, "alert": f"{base}/v1/alerts/al_{row['number']}"}

    return _Notice(row["number"], row["category"], "alert.raised", f"alert/{row['number']}", data)


def _events(settings: Settings, after: int) -> list[_Notice]:
    wanted = sa.and_(life_event.c.number > after, life_event.c.action.in_(TOLD))
    query = sa.select(life_event).where(wanted).order_by(life_event.c.number).limit(TOGETHER)
    with reading(engine_of(settings)) as connection:
        rows = connection.execute(query).mappings().all()
    return [_event(row) for row in rows]


def _event(row: sa.RowMapping) -> _Notice:
    def data(base: str) -> dict[str, Any]:
        told = {name: row[name] for name in ("category", "configuration", "actor", "reason")}
        address = f"{base}/v1/categories/{quote(row['category'], safe='')}/configurations"
        return told | {"moment": f"{row['moment'].isoformat()}Z", "configurations": address}

    return _Notice(row["number"], row["category"], TOLD[row["action"]], f"life/{row['number']}", data)


def _mark(settings: Settings, name: str) -> int:
    with reading(engine_of(settings)) as connection:
        return int(connection.execute(sa.select(life_told.c.number).where(life_told.c.name == name)).scalar() or 0)


def _move(settings: Settings, name: str, number: int) -> None:
    with writing(engine_of(settings)) as connection:
        connection.execute(life_told.delete().where(life_told.c.name == name))
        connection.execute(life_told.insert().values(name=name, number=number))
