"""Any history gets an answer of plain numbers, or none; never an error."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.erp.exchange import ADDRESS, asked, request_of

LARGEST = 999_999_999_999
quantities = st.one_of(
    st.integers(0, 3).map(float),
    st.floats(0, 1e3, allow_subnormal=False),
    st.floats(-1e3, 1e3, allow_subnormal=False),
    st.sampled_from([0.0, 1e-300, 1e-9, 5e-5, 1e6, 1e15, -1e15]),
)


def rows_of_text(text: str) -> list[list[Any]]:
    """The rows of an answer, in which every number is written plainly: digits, a point, no exponent."""

    def plain(digits: str) -> float:
        assert set(digits) <= set("-.0123456789"), digits
        return float(digits)

    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    found: list[list[Any]] = json.loads(text, parse_float=plain, parse_constant=refuse)["Results"]["Output1"]["value"][
        "Values"
    ]
    return found


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(quantities, min_size=1, max_size=40),
    st.sampled_from([365, 52, 12, 4, 1]),
    st.integers(1, 24),
    st.floats(0.01, 99.99),
    st.dates(dt.date(1900, 1, 1), dt.date(2150, 1, 1)),
    st.sampled_from(["number", "integer", "string"]),
)
def test_any_history_is_answered_in_plain_numbers(
    service: TestClient,
    history: list[float],
    seasonality: int,
    horizon: int,
    confidence: float,
    day: dt.date,
    form: str,
) -> None:
    rows = [["A", str(key), repr(quantity)] for key, quantity in enumerate(history, 1)]
    body = request_of(rows, f"{horizon},{seasonality},{len(history) + 1},ARIMA,{confidence:.4f}")
    response = service.post(f"{ADDRESS}?anchor={day}&values={form}", json=body)
    assert response.status_code == 200, response.text
    found = rows_of_text(response.text)
    assert len(found) == (horizon if len(history) > 1 else 0)
    for number, (item, key, *both) in enumerate(found):
        assert (item, key) == ("A", len(history) + 1 + number)
        quantity, sigma = (float(cell) for cell in both)
        assert abs(quantity) <= LARGEST
        assert 0 <= sigma <= LARGEST
        assert quantity >= 0 or min(history) < 0


@pytest.mark.parametrize("seasonality", [365, 52, 12, 4, 1])
def test_the_longest_history_and_horizon_that_settings_allow(seasonality: int, service: TestClient) -> None:
    years = {365: 5000, 52: 5000, 12: 2700, 4: 900, 1: 200}[seasonality]
    body = asked([float(5 + key % 7) for key in range(years)], horizon=150, seasonality=seasonality)
    assert len(rows_of_text(service.post(ADDRESS, json=body).text)) == 150
