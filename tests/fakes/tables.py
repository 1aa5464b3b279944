"""A dataset that a fake portal serves, queried by DuckDB, and how a test asks a connector for it without the runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import httpx
import pandas as pd

from signals.connector import Connector, Observations, Payload, Pull, Request, Task

MACROS = (
    "CREATE MACRO date_trunc_ymd(d) AS date_trunc('day', d)::TIMESTAMP",
    "CREATE MACRO date_trunc_ym(d) AS date_trunc('month', d)::TIMESTAMP",
    "CREATE MACRO date_format(d, f) AS CASE f WHEN 'yyyy-MM-dd' THEN strftime(d, '%Y-%m-%d') "
    "WHEN 'yyyy-MM' THEN strftime(d, '%Y-%m') ELSE error('unknown format') END",
)


class Dataset:
    """Rows under names of columns, that SQL near to that of the portals is run on."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.columns = tuple(rows.columns)
        self._connection = duckdb.connect()
        self._connection.register("given", rows)
        self._connection.execute("CREATE TABLE rows AS SELECT * FROM given")  # a cursor does not see what is registered
        for macro in MACROS:
            self._connection.execute(macro)

    def select(self, sql: str) -> list[dict[str, Any]]:
        """The rows that `SELECT ... FROM rows ...` gives; duckdb.Error where a column is not there."""
        cursor = self._connection.cursor()
        cursor.execute(sql)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def get(request: Request) -> Payload:
    """One answer over HTTP, as the runner hands it to `parse`."""
    answer = httpx.get(request.url, params=dict(request.params), headers=dict(request.headers))
    moment = datetime.now(UTC).replace(tzinfo=None)
    return Payload(request, answer.content, moment, answer.status_code, answer.headers.get("Content-Type", ""))


def task(connector: Connector[Any, Any], given: Mapping[str, Any], since: datetime, now: datetime) -> Task:
    """An entry of groundswell.toml that is due."""
    entry = connector.entry_type.model_validate(given)
    signals = tuple(connector.signals(entry))
    return Task(entry, signals, {one.signal: since for one in signals}, now, since)


def answers(connector: Connector[Any, Any], pull: Pull) -> list[Payload]:
    """All answers to a pull, page after page."""
    payloads = [get(request) for request in pull.requests]
    while (request := connector.next_page(pull, payloads)) is not None:
        payloads.append(get(request))
    return payloads


def pulled(connector: Connector[Any, Any], due: Task) -> Observations:
    """What all pulls of a task find."""
    found: Sequence[Observations] = [connector.parse(pull, answers(connector, pull)) for pull in connector.plan(due)]
    return sum(found[1:], start=found[0])
