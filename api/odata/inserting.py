"""Many rows at once into a table that OData reads; rows that are there are left alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from api.odata.model import KEY

_SQLITE = sqlite.dialect()
Process = Callable[[Any], Any]


def insert_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that all have the same columns, but for those whose key is there."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        _into_sqlite(connection, table, rows)
    else:
        statement = postgresql.insert(table).on_conflict_do_nothing(index_elements=[KEY])
        connection.execute(statement, rows)


def _into_sqlite(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """By column: SQLAlchemy, which prepares each value of each row by itself, takes twice as long as the database."""
    statement, processes = _statement(table, tuple(rows[0]))
    columns = [_processed([row[name] for row in rows], process) for name, process in processes]
    connection.exec_driver_sql(statement, list(zip(*columns, strict=True)))


def _processed(values: list[Any], process: Process | None) -> list[Any]:
    """Values as the database holds them; each different one is processed once, as moments are the same in many rows."""
    if process is None:
        return values
    known = {value: process(value) for value in set(values)}
    return [known[value] for value in values]


@lru_cache(maxsize=32)
def _statement(table: sa.Table, names: tuple[str, ...]) -> tuple[str, list[tuple[str, Process | None]]]:
    """The INSERT, and for each of its columns in order what makes a value one of the database."""
    insert = sqlite.insert(table).on_conflict_do_nothing(index_elements=[KEY])
    compiled = insert.compile(dialect=_SQLITE, column_keys=list(names))
    order = compiled.positiontup or []
    return str(compiled), [(name, _process(table.c[name])) for name in order]


def _process(column: sa.Column[Any]) -> Process | None:
    return column.type.dialect_impl(_SQLITE).bind_processor(_SQLITE)
