"""One Python client against a service: `python python_clients.py CLIENT ROOT`; prints what it read, as JSON.

Runs in an environment of its own (`make odata-clients`), so it imports nothing of Groundswell.
"""

# ruff: noqa: T201
from __future__ import annotations

import json
import sys
from typing import Any
from urllib.parse import urlsplit


def python_odata(root: str) -> dict[str, Any]:
    from odata import ODataService

    service = ODataService(root + "/", reflect_entities=True)
    rows = service.entities["Forecasts"]
    latest = service.query(rows).filter(rows.Category == "Boots").filter(rows.IsLatest == True)  # noqa: E712
    latest = latest.order_by(rows.Period.desc()).limit(3)
    return {
        "sets": sorted(service.entities),
        "latest": [[str(row.Period)[:10], float(row.ForecastedQuantity)] for row in latest],
        "ids": [str(row.Id) for row in service.query(rows)],
        "one": str(service.query(rows).first().Id),
    }


def sqlalchemy_odata(root: str) -> dict[str, Any]:
    from sqlalchemy import create_engine, inspect, text

    address = urlsplit(root)
    engine = create_engine(f"odata://any:key@{address.netloc}{address.path}")
    newest = text(
        'SELECT "Period", "ForecastedQuantity" FROM "Forecasts" WHERE "Category" = \'Boots\' AND "IsLatest" = 1 '
        'ORDER BY "Period" DESC LIMIT 3'
    )
    with engine.connect() as connection:
        return {
            "sets": sorted(inspect(engine).get_table_names()),
            "latest": [[str(period)[:10], float(value)] for period, value in connection.execute(newest)],
            "ids": [row[0] for row in connection.execute(text('SELECT "Id" FROM "Forecasts"'))],
            "columns": [column["name"] for column in inspect(engine).get_columns("Forecasts")],
        }


def odatapy(root: str) -> dict[str, Any]:
    from odatapy.client import Field, HttpxTransport, ODataClient

    client = ODataClient(root, transport=HttpxTransport())
    forecasts = client.uri().append_entity_set_segment("Forecasts")
    latest = forecasts.copy().filter(Field("Category").eq("Boots") & Field("IsLatest").eq(True))
    latest = latest.select("Id", "Period", "ForecastedQuantity").orderby("Period desc").top(3)
    rows = client.iter_entities(latest)
    return {
        "sets": sorted(client.get_service_document().entity_sets),
        "latest": [[str(row.get_value("Period")), float(row.get_value("ForecastedQuantity"))] for row in rows],
        "ids": [str(row.get_value("Id")) for row in client.iter_entities(forecasts.copy().select("Id"))],
        "count": client.get_count(forecasts.copy().append_count_segment()),
    }


if __name__ == "__main__":
    clients = {"python-odata": python_odata, "sqlalchemy-odata": sqlalchemy_odata, "odatapy": odatapy}
    print(json.dumps(clients[sys.argv[1]](sys.argv[2])))
