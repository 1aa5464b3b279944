"""A Socrata portal: SoQL in parameters that begin with $, numbers as text, nulls left out, errors as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb

from tests.fakes.server import Answer, Asked
from tests.fakes.tables import Dataset

PARAMETERS = {"$select", "$where", "$group", "$order", "$limit", "$offset"}
LARGEST = 50_000
_PATH = re.compile(r"/resource/([a-z0-9]{4}-[a-z0-9]{4})\.json")


class Socrata:
    """The portal's datasets by identifier; with `token` set another application token is refused."""

    def __init__(self, datasets: Mapping[str, Dataset], token: str = "") -> None:
        self.datasets, self.token = dict(datasets), token

    def __call__(self, asked: Asked) -> Answer:
        path = _PATH.fullmatch(asked.path)
        if path is None or path[1] not in self.datasets:
            return _refused(404, "dataset.missing", "Not found")
        if self.token and asked.headers.get("x-app-token") != self.token:
            return _refused(403, "permission_denied", "Invalid app_token specified")
        wrong = _problem(asked.query, self.datasets[path[1]])
        return wrong or self._rows(asked.query, self.datasets[path[1]])

    def _rows(self, query: Mapping[str, str], dataset: Dataset) -> Answer:
        group, order = (f" {word} {query[key]}" if key in query else "" for word, key in _CLAUSES)
        page = f" LIMIT {query.get('$limit', 1000)} OFFSET {query.get('$offset', 0)}"
        sql = f"SELECT {query.get('$select', '*')} FROM rows WHERE {query.get('$where', 'true')}{group}{order}{page}"
        try:
            rows = dataset.select(sql)
        except duckdb.Error as error:
            return _error(f"Query coordinator error: query.soql.no-such-column; {error}", "query.soql.no-such-column")
        return Answer([{name: _shown(value) for name, value in row.items() if value is not None} for row in rows])


_CLAUSES = (("GROUP BY", "$group"), ("ORDER BY", "$order"))


def _problem(query: Mapping[str, str], dataset: Dataset) -> Answer | None:
    unknown = sorted(set(query) - PARAMETERS)
    if unknown:
        return _error(f"Unrecognized arguments [{', '.join(unknown)}]", "query.execution.queryParameters")
    aliases = re.findall(r"\bAS (\w+)", query.get("$select", ""))
    if set(aliases) & set(dataset.columns):
        return _error("Circular alias", "query.soql.circular-alias-definition")
    if not 0 <= int(query.get("$limit", 1000)) <= LARGEST:
        return _error(f"$limit must be between 0 and {LARGEST}", "query.soql.invalid-limit")
    return None


def _error(message: str, code: str) -> Answer:
    return Answer({"message": message, "errorCode": code, "data": {}}, 400)


def _refused(status: int, code: str, message: str) -> Answer:
    return Answer({"code": code, "error": True, "message": message}, status)


def _shown(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.000")
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) and value != int(value) else str(int(value))
    return value
