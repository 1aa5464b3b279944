"""An Opendatasoft portal, Explore API 2.1: records of at most 100 beside their number, and exports of everything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import duckdb

from tests.fakes.server import Answer, Asked
from tests.fakes.tables import Dataset

COMMON = {"select", "where", "group_by", "order_by", "limit", "timezone"}
PARAMETERS = {"records": COMMON | {"offset"}, "exports/json": COMMON}
_PATH = re.compile(r"/api/explore/v2\.1/catalog/datasets/([^/]+)/(records|exports/json)")
_KEY = re.compile(r"(.+?)(?: as (\w+))?")


class Opendatasoft:
    """The portal's datasets by identifier."""

    def __init__(self, datasets: Mapping[str, Dataset]) -> None:
        self.datasets = dict(datasets)

    def __call__(self, asked: Asked) -> Answer:
        path = _PATH.fullmatch(asked.path)
        if path is None or path[1] not in self.datasets:
            return Answer({"message": "Dataset not found", "error_code": "DatasetNotFound"}, 404)
        unknown = sorted(set(asked.query) - PARAMETERS[path[2]])
        if unknown:
            return _wrong(f"Unknown API parameter: {unknown[0]}", "InvalidRESTParameterError")
        try:
            return _answer(path[2], asked.query, self.datasets[path[1]])
        except duckdb.Error as error:
            return _wrong(f"ODSQL query is malformed: {error}", "ODSQLError")


def _answer(endpoint: str, query: Mapping[str, str], dataset: Dataset) -> Answer:
    # Text stands in double quotes, which in SQL are for names.
    where = re.sub(r'"([^"]*)"', r"'\1'", query.get("where", "true"))
    keys = [_KEY.fullmatch(key.strip()) for key in re.split(r",(?![^(]*\))", query.get("group_by", "")) if key]
    names = ", ".join(f"{key[1]} AS {key[2] or key[1]}" for key in keys if key)
    selected = ", ".join(part for part in (names, query.get("select", "*")) if part)
    grouped = f" GROUP BY {', '.join(str(key[1]) for key in keys if key)}" if keys else ""
    if endpoint == "exports/json":
        return Answer(_shown(dataset.select(f"SELECT {selected} FROM rows WHERE {where}{grouped}")))
    limit = int(query.get("limit", 10))
    if not -1 <= limit <= 100:
        return _wrong(f"Invalid value for limit API parameter: {limit} was found", "InvalidRESTParameterError")
    rows = dataset.select(f"SELECT {selected} FROM rows WHERE {where}{grouped}")
    return Answer({"total_count": len(rows), "results": _shown(rows[: limit if limit >= 0 else 100])})


def _wrong(message: str, code: str) -> Answer:
    return Answer({"message": message, "error_code": code}, 400)


def _shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str | int | float | None) else float(value)
