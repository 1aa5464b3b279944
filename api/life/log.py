"""What was done to the configurations of categories, and since when: the log that `change` and `note` write."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from api.database import engine_of, life_event, reading
from api.settings import Settings


@dataclass(frozen=True)
class Happening:
    """One entry. `moment` is UTC without a zone."""

    number: int
    moment: dt.datetime
    category: str
    action: str
    configuration: str | None
    actor: str
    reason: str
    evidence: dict[str, Any]


def happenings(
    settings: Settings,
    *,
    category: str | None = None,
    actions: Collection[str] | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[Happening]:
    """The newest first."""
    wanted: list[sa.ColumnElement[bool]] = [life_event.c.number > after]
    wanted += [] if category is None else [life_event.c.category == category]
    wanted += [] if actions is None else [life_event.c.action.in_(actions)]
    query = sa.select(life_event).where(*wanted).order_by(life_event.c.number.desc()).limit(limit)
    with reading(engine_of(settings)) as connection:
        return [_happening(row) for row in connection.execute(query).mappings()]


def last_moments(settings: Settings, actions: Collection[str]) -> dict[str, dt.datetime]:
    """By category when one of these was last done."""
    moment = sa.func.max(life_event.c.moment)
    query = sa.select(life_event.c.category, moment).where(life_event.c.action.in_(actions))
    with reading(engine_of(settings)) as connection:
        return {row[0]: row[1] for row in connection.execute(query.group_by(life_event.c.category))}


def _happening(row: sa.RowMapping) -> Happening:
    return Happening(**{str(name): row[name] for name in row} | {"evidence": json.loads(row["evidence"])})
