"""Extremes of every kind at every door: a clear refusal in the door's own shape, or an answer of finite numbers."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import create_app
from api.settings import Settings
from tests.api.erp.exchange import ADDRESS, COLUMNS, NAMES, YEAR, asked, rows_of
from tests.api.test_forecasts import HISTORY, VALUES

LIMIT = 10_000_000  # bytes of a body
JSON = {"Content-Type": "application/json"}
INLINE: dict[str, Any] = {"history": HISTORY, "horizon": 2, "category": "mine"}
DOORS = ["/v1/forecasts", "/v1/forecasts/bulk", "/v1/forecast-runs", "/v1/webhooks", ADDRESS, "/score"]
LITERALS = [
    "1e308", "-1e308", "1e400", "5e-324", "-0.0", "1e15", "1.0000001e15", "NaN", "Infinity", "-Infinity",
    "true", '"5"', "[]", "{}", "9" * 400, '"\\ud800"',
]  # fmt: skip
DATES = [
    "0001-01-01", "9999-12-31", "0000-00-00", "10000-01-01", "-001-01-01", "1799-12-31", "2200-01-01", "2026-02-30",
    "1e308", "", "\u0000", "\ud800", "٢٠٢٦-٠١-٠١", "2026-01-01\n",
]  # fmt: skip
TEXTS = [
    "\ud800",
    "\u0000",
    "\u202eabc",
    "e\u0301",
    "\U0001f9e6",
    "\ufeff",
    "\u2028",
    "a" * 200,
    " ",
    "%00",
    "../..",
    "'; --",
]


@pytest.fixture(scope="module")
def client(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    path = tmp_path_factory.mktemp("extremes") / "home"
    shutil.copytree(home, path, ignore=shutil.ignore_patterns("state"))
    app = create_app(Settings(home=path, max_body_bytes=LIMIT, max_upload_bytes=LIMIT))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def post(client: TestClient, address: str, text: str | bytes, **headers: str) -> Any:
    return client.post(address, content=text, headers=JSON | headers)


def with_literal(body: Any, literal: str) -> str:
    """JSON in which the text HERE is replaced by a literal."""
    return json.dumps(body).replace('"HERE"', literal)


def assert_finite(value: Any) -> None:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            assert_finite(one)
    assert not isinstance(value, float) or math.isfinite(value)


def assert_sane(response: Any, *fields: str) -> Any:
    """200 with finite numbers, or a problem that names one of the fields (where any is given)."""
    assert response.status_code < 500, response.text
    answer = response.json()
    assert_finite(answer)
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert answer["status"] == response.status_code
        if fields and response.status_code == 422:
            assert any(row["field"] in fields for row in answer["errors"]), answer
    return answer


def assert_azure(response: Any) -> Any:
    """200 with finite numbers, or an error as Azure tells it."""
    assert response.status_code < 500, response.text
    answer = response.json()
    assert_finite(answer)
    if response.status_code >= 400:
        assert answer["error"]["code"]
        assert answer["error"]["message"]
    return answer


def assert_odata(response: Any) -> Any:
    assert response.status_code < 500, response.text
    assert response.headers["odata-version"] == "4.0"
    answer = response.json()
    assert_finite(answer)
    if response.status_code >= 400:
        assert answer["error"]["code"]
        assert answer["error"]["message"]
    return answer


@pytest.mark.parametrize("number", range(len(LITERALS)))
@pytest.mark.parametrize("place", [0, 60, 119])
def test_a_literal_among_the_sales(number: int, place: int, client: TestClient) -> None:
    values = [*VALUES[:place], "HERE", *VALUES[place + 1 :]]
    body = with_literal(INLINE | {"history": HISTORY | {"values": values}}, LITERALS[number])
    answer = assert_sane(post(client, "/v1/forecasts", body), f"history.values.{place}", "history.values")
    bulk = assert_sane(post(client, "/v1/forecasts/bulk", f"[{body}]"))
    assert "items" not in bulk or bulk["items"][0]["status"] == answer.get("status", 200)


@pytest.mark.parametrize("number", range(len(LITERALS)))
@pytest.mark.parametrize(
    "field", ["horizon", "levels", "as_of", "data_version", "engine", "unit", "history", "signals"]
)
def test_a_literal_in_each_field(number: int, field: str, client: TestClient) -> None:
    value: Any = ["HERE"] if field == "levels" else "HERE"
    body = with_literal(INLINE | {field: value}, LITERALS[number])
    response = post(client, "/v1/forecasts", body)
    answer = assert_sane(response)
    if response.status_code == 422:
        assert any(row["field"].startswith((field, "body")) for row in answer["errors"]), answer
    assert_sane(post(client, "/v1/forecasts/bulk", f"[{body}]"))


@pytest.mark.parametrize("number", range(len(LITERALS)))
@pytest.mark.parametrize("field", ["horizon", "levels", "engine", "categories"])
def test_a_literal_in_a_run(number: int, field: str, client: TestClient) -> None:
    body = with_literal({"categories": ["Boots"], "horizon": 1} | {field: "HERE"}, LITERALS[number])
    response = post(client, "/v1/forecast-runs", body)
    answer = assert_sane(response)
    assert response.status_code in (400, 422)
    if response.status_code == 422:
        assert any(row["field"].startswith(field) for row in answer["errors"]), answer


@pytest.mark.parametrize("number", range(len(LITERALS)))
@pytest.mark.parametrize("field", ["callbackUrl", "eventType", "handshake"])
def test_a_literal_in_a_webhook(number: int, field: str, client: TestClient) -> None:
    body = with_literal({"callbackUrl": "https://8.8.8.8/a", "handshake": False} | {field: "HERE"}, LITERALS[number])
    if field == "handshake" and LITERALS[number] == "true":
        return  # it would call
    response = post(client, "/v1/webhooks", body)
    assert response.status_code in (400, 422)
    assert_sane(response, field)


@pytest.mark.parametrize("number", range(len(DATES)))
def test_a_date_at_the_edge(number: int, client: TestClient) -> None:
    date = DATES[number]
    start = INLINE | {"history": HISTORY | {"start": date}}
    response = post(client, "/v1/forecasts", json.dumps(start))
    assert response.status_code == 422
    assert_sane(response, "history.start")
    for moment in (date, f"{date}T00:00:00Z", f"{date}T23:59:59.999999+14:00", f"{date}T00:00:00-23:59"):
        for body in (INLINE, {"category": "Boots", "horizon": 1}):
            response = post(client, "/v1/forecasts", json.dumps(body | {"as_of": moment}))
            assert response.status_code == 422, moment
            assert_sane(response, "as_of", "history")


@pytest.mark.parametrize("door", DOORS)
def test_deep_json(door: str, client: TestClient) -> None:
    for text in ("[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000, '{"history":' + "[" * 10_000):
        response = post(client, door, text)
        assert response.status_code == 400
        (assert_sane if door.startswith("/v1/") else assert_azure)(response)


@pytest.mark.parametrize("door", [*DOORS, "/v1/sales", "/v1/signals"])
def test_a_body_of_10_mb(door: str, client: TestClient) -> None:
    check = assert_sane if door.startswith("/v1/") else assert_azure
    for size in (LIMIT - 1, LIMIT):
        response = post(client, door, b"{}".ljust(size))
        assert response.status_code == (202 if door in ("/v1/sales", "/v1/signals") else response.status_code)
        assert response.status_code != 413
        check(response)
    response = post(client, door, b"{}".ljust(LIMIT + 1))
    assert response.status_code == 413
    check(response)


def test_a_forecast_in_a_body_of_the_very_limit(client: TestClient) -> None:
    assert post(client, "/v1/forecasts", json.dumps(INLINE).ljust(LIMIT)).status_code == 200
    assert post(client, "/v1/forecasts/bulk", json.dumps([INLINE]).ljust(LIMIT)).status_code == 200
    assert post(client, ADDRESS, json.dumps(asked(YEAR)).ljust(LIMIT)).status_code == 200


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_odd_unicode_in_names(number: int, client: TestClient) -> None:
    text = TEXTS[number]
    signal = HISTORY | {"signal": text, "values": [1.0, 2.0] * 60}
    for body in (
        INLINE | {"category": text},
        INLINE | {"unit": text[:50]},
        INLINE | {"signals": [signal]},
        {"category": text, "horizon": 1},
        INLINE | {"engine": text},
        INLINE | {text: 1},
    ):
        assert_sane(post(client, "/v1/forecasts", json.dumps(body)))
        assert_sane(post(client, "/v1/forecasts/bulk", json.dumps([body])))
    assert_sane(post(client, "/v1/forecast-runs", json.dumps({"categories": [text], "horizon": 1})))
    assert_sane(post(client, "/v1/webhooks", json.dumps({"callbackUrl": f"https://8.8.8.8/{text}"})))
    assert_azure(post(client, ADDRESS, json.dumps(asked(YEAR, text))))


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_odd_unicode_in_addresses(number: int, client: TestClient) -> None:
    text = quote(TEXTS[number].encode("utf-8", "surrogatepass"), safe="")
    for address in (
        f"/v1/categories/{text}", f"/v1/categories/{text}/forecast", f"/v1/categories?limit={text}",
        f"/v1/signals?category={text}", f"/v1/forecasts?category={text}", f"/v1/forecasts?category=a&before={text}",
        f"/v1/forecasts/{text}", f"/v1/jobs/{text}", f"/v1/forecast-runs/{text}", f"/v1/forecast-runs/{text}/csv",
        f"/v1/webhooks/{text}/deliveries", f"/v1/{text}", f"/{text}", f"/v1/categories?{text}=1",
    ):  # fmt: skip
        assert_sane(client.get(address))
    for address in (f"/v1/jobs/{text}", f"/v1/webhooks/{text}"):
        assert_sane(client.delete(address))
    assert_sane(client.post(f"/v1/sales?unit={text}&category={text}", content=b"[]", headers=JSON))
    for address in (
        f"{text}",
        f"Forecasts?$filter=Category eq '{text}'",
        f"Forecasts?{text}=1",
        f"Categories('{text}')",
    ):
        assert_odata(client.get(f"/odata/v4/{address}"))
    assert_azure(client.post(f"{ADDRESS}?values={text}&anchor={text}", json=asked(YEAR)))


@pytest.mark.parametrize(
    "value", [b"\x00", b"\xff\xfe", "é".encode(), b"a" * 10_000, b'"', b";q=1", b"", b"*", b"wait=" + b"9" * 400]
)
@pytest.mark.parametrize(
    "name", ["Idempotency-Key", "Prefer", "X-Request-ID", "Accept", "If-None-Match", "Content-Type"]
)
def test_odd_headers(name: str, value: bytes, client: TestClient) -> None:
    headers = {b"content-type": b"application/json"} | {name.lower().encode(): value}
    for door, body in (("/v1/forecasts", INLINE), ("/v1/forecasts/bulk", [INLINE]), ("/v1/sales", [])):
        response = client.post(door, content=json.dumps(body), headers=headers)
        assert response.status_code < 500, response.text
    assert client.get("/v1/categories", headers=headers).status_code < 500
    assert client.get("/odata/v4/Forecasts", headers=headers).status_code < 500
    assert client.post(ADDRESS, content=json.dumps(asked(YEAR)), headers=headers).status_code < 500


@pytest.mark.parametrize(
    ("door", "body", "field"),
    [
        ("/v1/forecasts", '{"category": "Boots", "horizon": 1, "horizon": 2}', "horizon"),
        ("/v1/forecasts/bulk", '[{"category": "Boots", "horizon": 1, "horizon": 2}]', "horizon"),
        ("/v1/forecast-runs", '{"horizon": 1, "horizon": 2}', "horizon"),
        ("/v1/webhooks", '{"callbackUrl": "https://8.8.8.8/", "callbackUrl": "https://8.8.8.8/b"}', "callbackUrl"),
        ("/v1/forecasts", '{"category": "Boots", "horizon": 1, "levels": []}', "levels"),
        ("/v1/forecasts", '{"history": {"start": "2024-01-07", "frequency": "W-SUN", "values": []}, "horizon": 1}', "history.values"),
        ("/v1/forecast-runs", '{"categories": [], "horizon": 1}', "categories"),
    ],
)  # fmt: skip
def test_doubled_keys_and_empty_arrays(door: str, body: str, field: str, client: TestClient) -> None:
    response = post(client, door, body)
    assert response.status_code == 422
    assert assert_sane(response)["errors"][0]["field"] == field


def test_no_items_at_all(client: TestClient) -> None:
    response = post(client, "/v1/forecasts/bulk", "[]")
    assert response.status_code == 422
    assert assert_sane(response)["detail"].startswith("0 items; allowed: 1 to ")


JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(st.characters(), max_size=20)
    | st.sampled_from([1e308, -1e308, 5e-324, -0.0, 10**400, "0001-01-01", "9999-12-31", "2024-01-07", "W-SUN", "NaN"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["category", "history", "signals", "horizon", "engine", "levels", "as_of", "data_version", "unit"]
)
MANY = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@MANY
@given(fields=st.dictionaries(FIELDS, JSONS, min_size=1, max_size=3))
def test_anything_in_the_fields_of_a_forecast(fields: dict[str, Any], client: TestClient) -> None:
    body = json.dumps(INLINE | fields)
    answer = assert_sane(post(client, "/v1/forecasts", body))
    if "Infinity" not in body and "NaN" not in body and answer.get("status") == 422:
        assert answer["errors"], answer
    assert_sane(post(client, "/v1/forecasts/bulk", f"[{body}]"))


@MANY
@given(body=JSONS)
def test_anything_as_a_body(body: Any, client: TestClient) -> None:
    text = json.dumps(body)
    for door in DOORS:
        response = post(client, door, text)
        assert response.status_code >= 400 or door == "/v1/forecasts/bulk"
        (assert_sane if door.startswith("/v1/") else assert_azure)(response)


@MANY
@given(
    values=st.lists(st.floats(allow_nan=False, min_value=-1e15, max_value=1e15) | st.none(), min_size=1, max_size=60)
)
def test_any_series_gives_finite_numbers_or_is_refused(values: list[float | None], client: TestClient) -> None:
    assert_sane(post(client, "/v1/forecasts", json.dumps(INLINE | {"history": HISTORY | {"values": values}})))


@pytest.mark.parametrize("number", range(len(LITERALS)))
def test_a_literal_in_a_call_of_business_central(number: int, client: TestClient) -> None:
    literal = LITERALS[number]
    for column in range(3):
        rows: list[list[Any]] = rows_of("A", YEAR)
        rows[5][column] = "HERE"
        body: dict[str, Any] = {
            "Inputs": {"input1": {"ColumnNames": COLUMNS, "Values": rows}},
            "GlobalParameters": {"Parameters": f"{NAMES}\n3,12,25,ARIMA,80"},
        }
        assert_azure(post(client, ADDRESS, with_literal(body, literal)))
        rows[5][column] = literal.strip('"')
        assert_azure(post(client, ADDRESS, json.dumps(body)))
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
        assert_azure(post(client, ADDRESS, json.dumps(body)))


@pytest.mark.parametrize("number", range(len(DATES)))
def test_a_date_at_the_edge_in_a_call_of_business_central(number: int, client: TestClient) -> None:
    anchor = quote(DATES[number].encode("utf-8", "surrogatepass"), safe="")
    response = client.post(f"{ADDRESS}?anchor={anchor}", json=asked(YEAR))
    assert_azure(response)
    for key in ("-2147483648", "2147483647", "2147483648", "0", "-1", "1e308", "10101", "99991231"):
        rows: list[list[Any]] = [["A", key, "1"], *rows_of("A", YEAR)]
        body = {
            "Inputs": {"input1": {"ColumnNames": COLUMNS, "Values": rows}},
            "GlobalParameters": {"Parameters": f"{NAMES}\n3,12,25,ARIMA,80"},
        }
        assert_azure(post(client, ADDRESS, json.dumps(body)))


FILTERS = [
    f"{name} {operator} {value}"
    for name, values in {
        "Value": ["1e308", "-1e308", "1e400", "5e-324", "-0.0", "NaN", "INF", "-INF", "true", "'5'", "9" * 400, "null"],
        "Period": ["0001-01-01", "9999-12-31", "0000-00-00", "10000-01-01", "-0001-01-01", "2026-02-30"],
        "IssuedAt": ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00%2B14:00"],
        "Category": ["'" + "a" * 5000 + "'", "''", "'%00'", "'%ED%A0%80'", "'%F0%9F%A7%A6'", "1e308"],
    }.items()
    for operator in ("eq", "gt", "le")
    for value in values
] + [
    "(" * 10_000 + "true" + ")" * 10_000, "not " * 10_000 + "true", "Value eq 1" + " or Value eq 1" * 2_000,
    "contains(" * 1000, "", "%00", "Value add 1e308 add 1e308 gt 0", "Value div 0 gt 1", "Value mod 0 gt 1",
    "Value mul 1e308 gt 1", "Period in ()", "Value in (" + ",".join(["1"] * 20_000) + ")",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FILTERS)))
def test_extremes_in_a_filter_of_odata(number: int, client: TestClient) -> None:
    assert_odata(client.get(f"/odata/v4/Forecasts?$filter={FILTERS[number]}"))


@pytest.mark.parametrize("value", ["-1", "0", "1e308", "9" * 400, "true", "%00", "NaN", "", "%D9%A1"])
def test_extremes_in_the_paging_of_odata(value: str, client: TestClient) -> None:
    for option in ("$top", "$skip", "$skiptoken", "$count", "$orderby", "$select", "$expand"):
        assert_odata(client.get(f"/odata/v4/Forecasts?{option}={value}"))


@settings(MANY, max_examples=100)
@given(text=st.text(st.characters(), max_size=40))
def test_any_text_in_a_filter_of_odata(text: str, client: TestClient) -> None:
    value = quote(text.encode("utf-8", "surrogatepass"), safe="")
    for told in (value, f"Category eq '{value}'", f"Value gt {value}", f"contains(Category,{value})"):
        assert_odata(client.get(f"/odata/v4/Forecasts?$filter={told}"))
