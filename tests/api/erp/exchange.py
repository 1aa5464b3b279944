"""Requests as Business Central makes them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

ADDRESS = (
    "/services.azureml.net/workspaces/2eaccaaec84c47c7a1f8f01ec0a6eea7"
    "/services/0123456789abcdef0123456789abcdef/execute"
)
QUERY = "?api-version=2.0&details=true"
COLUMNS = ["GranularityAttribute", "DateKey", "TransactionQty"]
NAMES = "horizon,seasonality,forecast_start_datekey,time_series_model,confidence_level"
YEAR = [float(10 + 3 * np.sin(month / 2) + month % 3) for month in range(24)]
REFERENCE = {
    "Inputs": {
        "input1": {
            "ColumnNames": COLUMNS,
            "Values": [["1896-S", "1", "10"], ["1896-S", "2", "6"], ["1896-S", "3", "8"], ["1896-S", "4", "9"],
                       ["1896-S", "5", "9"]],
        }
    },
    "GlobalParameters": {"Parameters": f"{NAMES}\n3,12,6,ARIMA,80"},
}  # fmt: skip


def rows_of(item: str, quantities: list[float]) -> list[list[Any]]:
    """One row a bucket, cells as text."""
    return [[item, str(key), f"{quantity:g}"] for key, quantity in enumerate(quantities, 1)]


def request_of(rows: list[list[Any]], parameters: str) -> dict[str, Any]:
    """A request for rows, with the values of the parameters in their usual order."""
    return {
        "Inputs": {"input1": {"ColumnNames": COLUMNS, "Values": rows}},
        "GlobalParameters": {"Parameters": f"{NAMES}\n{parameters}"},
    }


def asked(
    quantities: list[float], item: str = "A", horizon: int = 3, seasonality: int = 12, confidence: float = 80
) -> dict[str, Any]:
    """A request for one item."""
    start = len(quantities) + 1
    return request_of(rows_of(item, quantities), f"{horizon},{seasonality},{start},ARIMA,{confidence}")


def answer(client: TestClient, body: Any, query: str = QUERY) -> list[list[Any]]:
    """The rows of the answer to a request that must succeed."""
    response = client.post(ADDRESS + query, json=body)
    assert response.status_code == 200, response.text
    values: list[list[Any]] = response.json()["Results"]["Output1"]["value"]["Values"]
    return values


def refusal(client: TestClient, body: Any, query: str = "") -> str:
    """The message of the answer to a request that must be refused with 400."""
    response = client.post(ADDRESS + query, json=body)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["code"] == "BadArgument"
    assert error["message"] == f"Error code: {error['details'][0]['code']}. {error['details'][0]['message']}"
    return str(error["message"])


def today() -> dt.date:
    """The work date where nothing else is said."""
    return dt.datetime.now(dt.UTC).date()
