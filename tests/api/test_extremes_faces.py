"""Extremes at the faces of Business Central and OData and in uploads: an error in the face's own shape, or numbers."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.erp.exchange import ADDRESS, COLUMNS, NAMES, YEAR, asked, rows_of
from tests.api.extremes import DATES, LITERALS, MANY, assert_azure, assert_odata, post, with_literal


@pytest.mark.parametrize("number", range(len(LITERALS)))
def test_a_literal_in_a_call_of_business_central(number: int, large: TestClient) -> None:
    literal = LITERALS[number]
    for column in range(3):
        rows: list[list[Any]] = rows_of("A", YEAR)
        rows[5][column] = "HERE"
        body: dict[str, Any] = {
            "Inputs": {"input1": {"ColumnNames": COLUMNS, "Values": rows}},
            "GlobalParameters": {"Parameters": f"{NAMES}\n3,12,25,ARIMA,80"},
        }
        told = assert_azure(post(large, ADDRESS, with_literal(body, literal)))
        message = told.get("error", {}).get("message", "")
        assert not message or "is not JSON" in message or f"row 6: {COLUMNS[column]} is" in message
        rows[5][column] = literal.strip('"')
        assert_azure(post(large, ADDRESS, json.dumps(body)))
    for parameters in (
        "{},12,25,ARIMA,80",
        "3,{},25,ARIMA,80",
        "3,12,{},ARIMA,80",
        "3,12,25,{},80",
        "3,12,25,ARIMA,{}",
    ):
        told = parameters.format(literal.strip('"'))
        body = {
            "Inputs": {"input1": {"ColumnNames": COLUMNS, "Values": rows_of("A", YEAR)}},
            "GlobalParameters": {"Parameters": f"{NAMES}\n{told}"},
        }
        assert_azure(post(large, ADDRESS, json.dumps(body)))


@pytest.mark.parametrize("number", range(len(DATES)))
def test_a_date_at_the_edge_in_a_call_of_business_central(number: int, large: TestClient) -> None:
    anchor = quote(DATES[number].encode("utf-8", "surrogatepass"), safe="")
    response = large.post(f"{ADDRESS}?anchor={anchor}", json=asked(YEAR))
    assert_azure(response)
    for key in ("-2147483648", "2147483647", "2147483648", "0", "-1", "1e308", "10101", "99991231"):
        rows: list[list[Any]] = [["A", key, "1"], *rows_of("A", YEAR)]
        body = {
            "Inputs": {"input1": {"ColumnNames": COLUMNS, "Values": rows}},
            "GlobalParameters": {"Parameters": f"{NAMES}\n3,12,25,ARIMA,80"},
        }
        assert_azure(post(large, ADDRESS, json.dumps(body)))


VALUES = {
    "ForecastedQuantity": [
        "1e308", "-1e308", "1e400", "5e-324", "-0.0", "NaN", "INF", "-INF", "true", "'5'", "9" * 400, "null",
    ],
    "PeriodNumber": ["9223372036854775807", "9223372036854775808", "-9223372036854775809", "1.5", "true"],
    "Period": ["0001-01-01", "9999-12-31", "0000-00-00", "10000-01-01", "-0001-01-01", "2026-02-30"],
    "IssuedAt": [
        "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "1000-01-01T00:00:00%2B14:00",
    ],
    "Category": ["'" + "a" * 5000 + "'", "''", "'%00'", "'%ED%A0%80'", "'%F0%9F%A7%A6'", "1e308"],
}  # fmt: skip
FILTERS = [
    *(f"{name} {sign} {value}" for name, values in VALUES.items() for sign in ("eq", "gt", "le") for value in values),
    "(" * 10_000 + "true" + ")" * 10_000, "not " * 10_000 + "true", "Median eq 1" + " or Median eq 1" * 2_000,
    "contains(" * 1000, "", "%00", "Median add 1e308 add 1e308 gt 0", "Median div 0 gt 1", "Median mod 0 gt 1",
    "PeriodNumber div 0 gt 1", "PeriodNumber mod 0 gt 1", "PeriodNumber mul 9223372036854775807 gt 1",
    "Median mul 1e308 mul 1e308 gt 1", "Period in ()", "PeriodNumber in (" + ",".join(["1"] * 20_000) + ")",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FILTERS)))
def test_extremes_in_a_filter_of_odata(number: int, large: TestClient) -> None:
    assert_odata(large.get(f"/odata/v4/Forecasts?$filter={FILTERS[number]}"))


@pytest.mark.parametrize("value", ["-1", "0", "1e308", "9" * 400, "true", "%00", "NaN", "", "%D9%A1"])
def test_extremes_in_the_paging_of_odata(value: str, large: TestClient) -> None:
    for option in ("$top", "$skip", "$skiptoken", "$count", "$orderby", "$select", "$expand"):
        assert_odata(large.get(f"/odata/v4/Forecasts?{option}={value}"))


@settings(MANY, max_examples=30)
@given(text=st.text(st.characters(), max_size=40))
def test_any_text_in_a_filter_of_odata(text: str, large: TestClient) -> None:
    value = quote(text.encode("utf-8", "surrogatepass"), safe="")
    for told in (value, f"Category eq '{value}'", f"Median gt {value}", f"contains(Category,{value})"):
        assert_odata(large.get(f"/odata/v4/Forecasts?$filter={told}"))
