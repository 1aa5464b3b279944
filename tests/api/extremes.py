"""Extremes of every kind, and what each door may make of them: a refusal in its own shape, or finite numbers."""

from __future__ import annotations

import json
import math
from typing import Any

from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.api.erp.exchange import ADDRESS
from tests.api.test_forecasts import HISTORY

JSON = {"Content-Type": "application/json"}
INLINE: dict[str, Any] = {"history": HISTORY, "horizon": 2, "category": "mine"}
DOORS = ["/v1/forecasts", "/v1/forecasts/bulk", "/v1/runs", "/v1/webhooks", ADDRESS, "/score"]
LITERALS = [
    "1e308", "-1e308", "1e400", "5e-324", "-0.0", "1e15", "1.0000001e15", "NaN", "Infinity", "-Infinity",
    "true", '"5"', "[]", "{}", "9" * 400, '"\\ud800"',
]  # fmt: skip
DATES = [
    "0001-01-01", "9999-12-31", "0000-00-00", "10000-01-01", "-001-01-01", "1799-12-31", "2200-01-01", "2026-02-30",
    "1e308", "", "\u0000", "\ud800", "٢٠٢٦-٠١-٠١", "2026-01-01\n",
]  # fmt: skip
TEXTS = [
    "\ud800", "\u0000", "\u202eabc", "e\u0301", "\U0001f9e6", "\ufeff", "\u2028", "a" * 200, " ", "%00", "../..",
    "'; --",
]  # fmt: skip
FINE = {"5e-324", "-0.0", "1e15"}  # the literals that are numbers of sales


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
    assert response.status_code < 500 or response.status_code == 501, response.text  # 501: OData's own, not supported
    assert response.headers["odata-version"] == "4.0"
    answer = response.json()
    assert_finite(answer)
    if response.status_code >= 400:
        assert answer["error"]["code"]
        assert answer["error"]["message"]
    return answer


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
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
