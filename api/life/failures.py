"""Requests that a challenger could not answer: counted, for they end its canary."""

from __future__ import annotations

import sqlalchemy as sa

from api.database import canary_failure as table
from api.database import engine_of, now, writing
from api.settings import Settings


def note_failure(settings: Settings, category: str, configuration: str, error: Exception) -> None:
    """Count one; raises what the database raises."""
    mine = sa.and_(table.c.category == category, table.c.configuration == configuration)
    last = {"moment": now(), "error": repr(error)[:500]}
    with writing(engine_of(settings)) as connection:
        changed = connection.execute(table.update().where(mine).values(count=table.c.count + 1, **last)).rowcount
        if not changed:
            row = {"category": category, "configuration": configuration, "count": 1}
            connection.execute(table.insert().values(**row, **last))
