"""Configurations that were ever used or tried, by their ids; none is changed or removed, so each can run again."""

from __future__ import annotations

import datetime as dt
import json
from functools import lru_cache

import sqlalchemy as sa

from api.database import configuration as table
from api.database import engine_of, reading
from api.settings import Settings
from forecast import Configuration, OptionError
from forecast.configuration import DEFAULT


def keep(connection: sa.Connection, made: Configuration, moment: dt.datetime) -> str:
    """Keep a configuration, in the caller's transaction; its id. The same again is left as it is."""
    made.check()
    if connection.execute(sa.select(table.c.id).where(table.c.id == made.name)).first() is None:
        body = json.dumps(made.to_dict(), sort_keys=True)
        connection.execute(table.insert().values(id=made.name, body=body, created=moment))
    return made.name


def configuration_of(settings: Settings, name: str) -> Configuration:
    """The configuration of an id; raises OptionError where none was kept under it."""
    return DEFAULT if name == DEFAULT.name else _kept(settings, name)


@lru_cache(maxsize=1024)
def _kept(settings: Settings, name: str) -> Configuration:
    with reading(engine_of(settings)) as connection:
        body = connection.execute(sa.select(table.c.body).where(table.c.id == name)).scalar()
    if body is None:
        raise OptionError("configuration", name, f"the id of a configuration that is kept, or {DEFAULT.name}")
    return Configuration.from_dict(json.loads(body))
