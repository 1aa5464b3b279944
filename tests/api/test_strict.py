"""Requests that could be read in two ways are refused: by body, by query, by address."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.errors import Problem
from api.strict import parse_json

BODY = b'{"category": "Boots", "horizon": 1}'
JSON = {"content-type": "application/json"}


def post(client: TestClient, body: bytes, **headers: str) -> Any:
    return client.post("/v1/forecasts", content=body, headers=JSON | headers)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"category": "Boots", "horizon": 1, "category": "Hats"}', "category"),
        (b'{"horizon": 1, "history": {"start": "2024-01-01", "start": "2024-02-01"}}', "start"),
    ],
)
def test_a_doubled_field_is_refused(body: bytes, field: str, client: TestClient) -> None:
    response = post(client, body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field
    assert response.json()["detail"] == f"the field {field} is given 2 times"


@pytest.mark.parametrize("body", [b'{"category": "B\xffoots", "horizon": 1}', BODY.decode().encode("utf-16")])
def test_a_body_that_is_not_utf_8_is_refused(body: bytes, client: TestClient) -> None:
    response = post(client, body)
    assert response.status_code == 400
    assert response.json()["detail"].startswith("the body is not UTF-8: byte ")


def test_a_byte_order_mark_does_no_harm(client: TestClient) -> None:
    assert post(client, b"\xef\xbb\xbf" + BODY).status_code == 200


def test_a_compressed_body_is_refused(client: TestClient) -> None:
    response = post(client, BODY, **{"content-encoding": "gzip"})
    assert response.status_code == 415
    assert "without compression" in response.json()["detail"]
    assert post(client, BODY, **{"content-encoding": "identity"}).status_code == 200


def test_a_body_without_end_is_refused_in_words(client: TestClient) -> None:
    assert post(client, b"[" * 100_000).json()["detail"] == "the body is nested more than 32 levels deep"


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("/v1/categories?limt=1", "limt"),
        ("/v1/categories?limit=1&limit=2", "limit"),
        ("/v1/categories/Boots?limit=1", "limit"),
        ("/v1/signals?horizon=1", "horizon"),
        ("/v1/categories?limit=1_0", "limit"),
        ("/v1/categories?limit=%201", "limit"),
        ("/v1/categories?limit=1.0", "limit"),
        ("/v1/categories?offset=%2B1", "offset"),
    ],
)
def test_a_query_is_taken_by_the_letter(address: str, field: str, client: TestClient) -> None:
    response = client.get(address)
    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["field"] == field


def test_a_forecast_has_no_query(client: TestClient) -> None:
    response = client.post("/v1/forecasts?horizon=2", content=BODY, headers=JSON)
    assert response.json()["detail"] == "there is no query parameter horizon; allowed: none"


@pytest.mark.parametrize("name", ["a%0Ab", "Boots%0A", "%0D%0A", "%E2%80%A8", "x" * 5000])
def test_a_name_with_a_line_break_is_only_an_unknown_name(name: str, client: TestClient) -> None:
    response = client.get(f"/v1/categories/{name}")
    assert response.status_code == 404
    assert response.json()["type"].endswith("unknown-category")


def test_each_moment_of_a_body_has_the_shape_of_one(client: TestClient) -> None:
    for moment in ("1700000000", "20261101T000000Z", "2026-11"):
        response = post(client, json.dumps({"category": "Boots", "horizon": 1, "as_of": moment}).encode())
        assert response.status_code == 422
        assert response.json()["errors"][0] == {
            "field": "as_of",
            "value": moment,
            "allowed": "a moment in ISO 8601 with its offset, such as 2026-11-23T09:00:00Z",
            "message": "a moment in ISO 8601 with its offset, such as 2026-11-23T09:00:00Z",
        }


@pytest.mark.parametrize("text", ['"' + "[" * 100, '"\\"' + "[{" * 50, '"' + '\\"' * 200_000 + "\\"])
def test_brackets_in_a_text_nest_nothing(text: str) -> None:
    started = time.perf_counter()
    for closed in (text, "[" + text):
        with pytest.raises(json.JSONDecodeError):
            parse_json(closed.encode())
    assert parse_json(json.dumps([text] * 33).encode()) == [text] * 33
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    "text",
    [
        "-0",
        "[-0.0, 1e-400, 1e999, 0.1, 5e-324, 123456789.123456789]",
        "[9223372036854775807, 9223372036854775808, 18446744073709551616, -9223372036854775809, 1e22]",
        "NaN",
        '{"a": Infinity}',
        '{"a:b": ":", "c": {"d": [{"e": ":"}, 1, {"f": 2}]}}',
        '[1, {"a": 1}]',
        r'"\ud800"',
        r'{"\u0061": 1, "b": "\u00fc"}',
        '"\t"',
        '{"a": 1,}',
        "[1] 2",
        "",
    ],
)
def test_a_body_is_read_as_the_standard_library_reads_it(text: str) -> None:
    assert outcome(lambda: parse_json(text.encode())) == outcome(lambda: json.loads(text))


def outcome(read: Callable[[], object]) -> str:
    """What was read, or why not, as text: 1 is 1.0 otherwise, and NaN is not NaN."""
    try:
        return repr(read())
    except json.JSONDecodeError as error:
        return str(error)


@pytest.mark.parametrize("text", ['[1, {"a": 1, "a": 2}]', '{"a:": {"b": 1, "\\u0062": 2}}', '[{"a": 1, "a": 1}]'])
def test_a_doubled_name_is_found_wherever_it_stands(text: str) -> None:
    with pytest.raises(Problem, match="is given 2 times"):
        parse_json(text.encode())


def test_as_many_levels_as_allowed_are_read() -> None:
    assert parse_json(b"[" * 32 + b"]" * 32)
    assert len(parse_json(b"[" + b"[],".join([b""] * 100) + b"[]]")) == 100
    with pytest.raises(Problem, match="32 levels"):
        parse_json(b'{"a":' * 33 + b"1" + b"}" * 33)
