"""Extremes at every door of the REST API: a clear problem that names the field, or an answer of finite numbers."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from tests.api.erp.exchange import ADDRESS, YEAR, asked
from tests.api.extremes import (
    DATES,
    DOORS,
    FIELDS,
    FINE,
    INLINE,
    JSON,
    JSONS,
    LITERALS,
    MANY,
    TEXTS,
    assert_azure,
    assert_odata,
    assert_sane,
    post,
    with_literal,
)  # fmt: skip
from tests.api.stores import LARGE
from tests.api.test_forecasts import HISTORY, VALUES


@pytest.mark.parametrize("number", range(len(LITERALS)))
@pytest.mark.parametrize("place", [0, 60, 119])
def test_a_literal_among_the_sales(number: int, place: int, large: TestClient) -> None:
    values = [*VALUES[:place], "HERE", *VALUES[place + 1 :]]
    body = with_literal(INLINE | {"history": HISTORY | {"values": values}}, LITERALS[number])
    response = post(large, "/v1/forecasts", body)
    assert response.status_code == (200 if LITERALS[number] in FINE else 422)
    answer = assert_sane(response, f"history.values.{place}")
    bulk = assert_sane(post(large, "/v1/forecasts/bulk", f"[{body}]"))
    assert "items" not in bulk or bulk["items"][0]["status"] == answer.get("status", 200)


@pytest.mark.parametrize("number", range(len(LITERALS)))
@pytest.mark.parametrize(
    "field", ["horizon", "levels", "as_of", "data_version", "engine", "unit", "history", "signals"]
)
def test_a_literal_in_each_field(number: int, field: str, large: TestClient) -> None:
    value: Any = ["HERE"] if field == "levels" else "HERE"
    body = with_literal(INLINE | {field: value}, LITERALS[number])
    response = post(large, "/v1/forecasts", body)
    answer = assert_sane(response)
    if response.status_code == 422:
        assert any(row["field"].startswith((field, "body")) for row in answer["errors"]), answer
    assert_sane(post(large, "/v1/forecasts/bulk", f"[{body}]"))


@pytest.mark.parametrize("number", range(len(LITERALS)))
@pytest.mark.parametrize("field", ["horizon", "levels", "engine", "categories"])
def test_a_literal_in_a_run(number: int, field: str, large: TestClient) -> None:
    body = with_literal({"categories": ["Boots"], "horizon": 1} | {field: "HERE"}, LITERALS[number])
    response = post(large, "/v1/runs", body)
    answer = assert_sane(response)
    assert response.status_code in (400, 422)
    if response.status_code == 422:
        assert any(row["field"].startswith(field) for row in answer["errors"]), answer


@pytest.mark.parametrize("number", range(len(LITERALS)))
@pytest.mark.parametrize("field", ["callbackUrl", "eventType", "handshake"])
def test_a_literal_in_a_webhook(number: int, field: str, large: TestClient) -> None:
    body = with_literal({"callbackUrl": "https://8.8.8.8/a", "handshake": False} | {field: "HERE"}, LITERALS[number])
    if field == "handshake" and LITERALS[number] == "true":
        return  # it would call
    response = post(large, "/v1/webhooks", body)
    assert response.status_code in (400, 422)
    assert_sane(response, field)


@pytest.mark.parametrize("number", range(len(DATES)))
def test_a_date_at_the_edge(number: int, large: TestClient) -> None:
    date = DATES[number]
    start = INLINE | {"history": HISTORY | {"start": date}}
    response = post(large, "/v1/forecasts", json.dumps(start))
    assert response.status_code == 422
    assert_sane(response, "history.start")
    for moment in (date, f"{date}T00:00:00Z", f"{date}T23:59:59.999999+14:00", f"{date}T00:00:00-23:59"):
        for body in (INLINE, {"category": "Boots", "horizon": 1}):
            response = post(large, "/v1/forecasts", json.dumps(body | {"as_of": moment}))
            assert response.status_code == 422, moment
            assert_sane(response, "as_of", "history")


@pytest.mark.parametrize("door", DOORS)
def test_deep_json(door: str, large: TestClient) -> None:
    for text in ("[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000, '{"history":' + "[" * 10_000):
        response = post(large, door, text)
        assert response.status_code == 400
        (assert_sane if door.startswith("/v1/") else assert_azure)(response)


@pytest.mark.parametrize("door", [*DOORS, "/v1/sales", "/v1/signals"])
def test_a_body_of_10_mb(door: str, large: TestClient) -> None:
    check = assert_sane if door.startswith("/v1/") else assert_azure
    for size in (LARGE - 1, LARGE):
        response = post(large, door, b"{}".ljust(size))
        assert response.status_code == (202 if door in ("/v1/sales", "/v1/signals") else response.status_code)
        assert response.status_code != 413
        check(response)
    response = post(large, door, b"{}".ljust(LARGE + 1))
    assert response.status_code == 413
    check(response)


def test_a_forecast_in_a_body_of_the_very_limit(large: TestClient) -> None:
    assert post(large, "/v1/forecasts", json.dumps(INLINE).ljust(LARGE)).status_code == 200
    assert post(large, "/v1/forecasts/bulk", json.dumps([INLINE]).ljust(LARGE)).status_code == 200
    assert post(large, ADDRESS, json.dumps(asked(YEAR)).ljust(LARGE)).status_code == 200


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_odd_unicode_in_names(number: int, large: TestClient) -> None:
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
        assert_sane(post(large, "/v1/forecasts", json.dumps(body)))
        assert_sane(post(large, "/v1/forecasts/bulk", json.dumps([body])))
    assert_sane(post(large, "/v1/runs", json.dumps({"categories": [text], "horizon": 1})))
    assert_sane(post(large, "/v1/webhooks", json.dumps({"callbackUrl": f"https://8.8.8.8/{text}"})))
    assert_azure(post(large, ADDRESS, json.dumps(asked(YEAR, text))))


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_odd_unicode_in_addresses(number: int, large: TestClient) -> None:
    text = quote(TEXTS[number].encode("utf-8", "surrogatepass"), safe="")
    for address in (
        f"/v1/categories/{text}", f"/v1/categories/{text}/forecast", f"/v1/categories?limit={text}",
        f"/v1/signals?category={text}", f"/v1/forecasts?category={text}", f"/v1/forecasts?category=a&before={text}",
        f"/v1/forecasts/{text}", f"/v1/jobs/{text}", f"/v1/runs/{text}", f"/v1/runs/{text}/csv",
        f"/v1/webhooks/{text}/deliveries", f"/v1/{text}", f"/{text}", f"/v1/categories?{text}=1",
    ):  # fmt: skip
        assert_sane(large.get(address))
    for address in (f"/v1/jobs/{text}", f"/v1/webhooks/{text}"):
        assert_sane(large.delete(address))
    assert_sane(large.post(f"/v1/sales?unit={text}&category={text}", content=b"[]", headers=JSON))
    for address in (
        f"{text}",
        f"Forecasts?$filter=Category eq '{text}'",
        f"Forecasts?{text}=1",
        f"Categories('{text}')",
    ):
        assert_odata(large.get(f"/odata/v4/{address}"))
    assert_azure(large.post(f"{ADDRESS}?values={text}&anchor={text}", json=asked(YEAR)))


@pytest.mark.parametrize(
    "value", [b"\x00", b"\xff\xfe", "é".encode(), b"a" * 10_000, b'"', b";q=1", b"", b"*", b"wait=" + b"9" * 400]
)
@pytest.mark.parametrize(
    "name", ["Idempotency-Key", "Prefer", "X-Request-ID", "Accept", "If-None-Match", "Content-Type"]
)
def test_odd_headers(name: str, value: bytes, large: TestClient) -> None:
    headers = {b"content-type": b"application/json"} | {name.lower().encode(): value}
    for door, body in (("/v1/forecasts", INLINE), ("/v1/forecasts/bulk", [INLINE]), ("/v1/sales", [])):
        response = large.post(door, content=json.dumps(body), headers=headers)
        assert response.status_code < 500, response.text
    assert large.get("/v1/categories", headers=headers).status_code < 500
    assert large.get("/odata/v4/Forecasts", headers=headers).status_code < 500
    assert large.post(ADDRESS, content=json.dumps(asked(YEAR)), headers=headers).status_code < 500


@pytest.mark.parametrize(
    ("door", "body", "field"),
    [
        ("/v1/forecasts", '{"category": "Boots", "horizon": 1, "horizon": 2}', "horizon"),
        ("/v1/forecasts/bulk", '[{"category": "Boots", "horizon": 1, "horizon": 2}]', "horizon"),
        ("/v1/runs", '{"horizon": 1, "horizon": 2}', "horizon"),
        ("/v1/webhooks", '{"callbackUrl": "https://8.8.8.8/", "callbackUrl": "https://8.8.8.8/b"}', "callbackUrl"),
        ("/v1/forecasts", '{"category": "Boots", "horizon": 1, "levels": []}', "levels"),
        (
            "/v1/forecasts",
            '{"history": {"start": "2024-01-07", "frequency": "W-SUN", "values": []}, "horizon": 1}',
            "history.values",
        ),
        ("/v1/runs", '{"categories": [], "horizon": 1}', "categories"),
    ],
)  # fmt: skip
def test_doubled_keys_and_empty_arrays(door: str, body: str, field: str, large: TestClient) -> None:
    response = post(large, door, body)
    assert response.status_code == 422
    assert assert_sane(response)["errors"][0]["field"] == field


def test_no_items_at_all(large: TestClient) -> None:
    response = post(large, "/v1/forecasts/bulk", "[]")
    assert response.status_code == 422
    assert assert_sane(response)["detail"].startswith("0 items; allowed: 1 to ")


@MANY
@given(fields=st.dictionaries(FIELDS, JSONS, min_size=1, max_size=3))
def test_anything_in_the_fields_of_a_forecast(fields: dict[str, Any], large: TestClient) -> None:
    body = json.dumps(INLINE | fields)
    answer = assert_sane(post(large, "/v1/forecasts", body))
    if "Infinity" not in body and "NaN" not in body and answer.get("status") == 422:
        assert answer["errors"], answer
    assert_sane(post(large, "/v1/forecasts/bulk", f"[{body}]"))


@MANY
@given(body=JSONS)
def test_anything_as_a_body(body: Any, large: TestClient) -> None:
    text = json.dumps(body)
    for door in DOORS:
        response = post(large, door, text)
        assert response.status_code >= 400 or door == "/v1/forecasts/bulk"
        (assert_sane if door.startswith("/v1/") else assert_azure)(response)


@MANY
@given(
    values=st.lists(st.floats(allow_nan=False, min_value=-1e15, max_value=1e15) | st.none(), min_size=1, max_size=60)
)
def test_any_series_gives_finite_numbers_or_is_refused(values: list[float | None], large: TestClient) -> None:
    assert_sane(post(large, "/v1/forecasts", json.dumps(INLINE | {"history": HISTORY | {"values": values}})))
