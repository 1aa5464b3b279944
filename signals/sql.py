"""Running SQL on DuckDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb


def run(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()
) -> list[tuple[Any, ...]]:
    """Execute and fetch every row. A connection refuses further work while a result is only partly fetched."""
    return connection.execute(sql, parameters).fetchall()


def literal(text: object) -> str:
    """Text as an SQL literal, for the statements that take no parameters (ATTACH)."""
    return "'" + str(text).replace("'", "''") + "'"
