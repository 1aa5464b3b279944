"""What Business Central is told when something is wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.api.erp.exchange import ADDRESS, NAMES, REFERENCE, YEAR, refusal, request_of, rows_of


def bad_cell(position: int, cell: object) -> dict[str, Any]:
    body = copy.deepcopy(REFERENCE)
    body["Inputs"]["input1"]["Values"][1][position] = cell  # type: ignore[index]
    return body


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (bad_cell(0, None), "Error code: 202. Inputs.input1, row 2: GranularityAttribute is None; allowed: text"),
        (bad_cell(0, "x" * 201), "Error code: 202. Inputs.input1, row 2: GranularityAttribute is 'xxx"),
        (bad_cell(1, "zwei"), "Error code: 202. Inputs.input1, row 2: DateKey is 'zwei'; allowed: a whole number > 0"),
        (bad_cell(1, 0), "Error code: 202. Inputs.input1, row 2: DateKey is 0"),
        (bad_cell(1, 2.5), "Error code: 202. Inputs.input1, row 2: DateKey is 2.5"),
        (bad_cell(1, True), "Error code: 202. Inputs.input1, row 2: DateKey is True"),
        (bad_cell(1, "99999999999"), "Error code: 202. Inputs.input1, row 2: DateKey is '99999999999'"),
        (bad_cell(2, "6,5"), "Error code: 202. Inputs.input1, row 2: TransactionQty is '6,5'; allowed: a number"),
        (bad_cell(2, "NaN"), "Error code: 202. Inputs.input1, row 2: TransactionQty is 'NaN'"),
        (bad_cell(2, "1e999"), "Error code: 202. Inputs.input1, row 2: TransactionQty is '1e999'"),
        (bad_cell(2, 1e16), "Error code: 202. Inputs.input1, row 2: TransactionQty is 1e+16"),
        (bad_cell(2, []), "Error code: 202. Inputs.input1, row 2: TransactionQty is []"),
        (request_of([["A", "1"]], "3,12,2,ARIMA,80"), "Error code: 202. Inputs.input1, row 1: allowed: a value"),
        (request_of([7], "3,12,2,ARIMA,80"), "Error code: 202. Inputs.input1, row 1: allowed: a value"),  # type: ignore[list-item]
        (request_of(rows_of("A", YEAR), "0,12,25,ARIMA,80"), "Error code: 201. horizon is '0'; allowed: a whole"),
        (request_of(rows_of("A", YEAR), ",12,25,ARIMA,80"), "Error code: 201. horizon is ''"),
        (request_of(rows_of("A", YEAR), "-3,12,25,ARIMA,80"), "Error code: 201. horizon is '-3'"),
        (request_of(rows_of("A", YEAR), "3,7,25,ARIMA,80"), "Error code: 201. seasonality is '7'; allowed: 365 (days)"),
        (request_of(rows_of("A", YEAR), "3,12,25,PROPHET,80"), "Error code: 204. time_series_model is 'PROPHET'"),
        (request_of(rows_of("A", YEAR), "3,12,25,ARIMA,100"), "Error code: 201. confidence_level is '100'; allowed"),
        (request_of(rows_of("A", YEAR), "3,12,25,ARIMA,0"), "Error code: 201. confidence_level is '0'"),
        (request_of(rows_of("A", YEAR), "3,12,24,ARIMA,80"), "Error code: 203. forecast_start_datekey is 24"),
        (request_of(rows_of("A", YEAR), "401,12,25,ARIMA,80"), "Error code: 205. horizon is 401; allowed: at most 400"),
        ({"Inputs": REFERENCE["Inputs"]}, "Error code: 201. the parameters are missing"),
        ({**REFERENCE, "GlobalParameters": {"Parameters": NAMES}}, "Error code: 201. the parameters have no row"),
        ({**REFERENCE, "GlobalParameters": {"Parameters": ""}}, "Error code: 201. the parameters have no row"),
        ({**REFERENCE, "GlobalParameters": {"Parameters": 7}}, "Error code: 201. the parameters have no row"),
        ({**REFERENCE, "Inputs": {}}, "Error code: 200. Inputs.input1 is missing"),
        ([], "Error code: 201. the parameters are missing"),
        ("", "Error code: 201. the parameters are missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_sentence(body: Any, message: str, service: TestClient) -> None:
    assert refusal(service, body).startswith(message)


def test_a_message_has_no_backslash_at_which_business_central_would_cut_it(service: TestClient) -> None:
    message = refusal(service, bad_cell(2, "C:\\temp\n\r\t\x7f"))
    assert "\\" not in message
    assert "C:/" in message


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe{}", b'{"Inputs": NaN}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_told_so(body: bytes, service: TestClient) -> None:
    response = service.post(ADDRESS, content=body)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("Error code: 200. the body is not JSON: ")


def test_the_type_of_the_content_and_a_mark_before_it_do_no_harm(service: TestClient) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(REFERENCE).encode()
    assert service.post(ADDRESS, content=body, headers={"content-type": "text/plain"}).status_code == 200


def test_errors_of_the_server_have_the_same_shape(empty: Path, client_of: Callable[..., TestClient]) -> None:
    client = client_of(empty, max_body_bytes=1000)
    for method, address, status, code in [
        ("GET", ADDRESS, 405, "MethodNotAllowed"),
        ("GET", "/score", 405, "MethodNotAllowed"),
        ("POST", "/services.azureml.net/elsewhere", 404, "NotFound"),
        ("POST", "/score/elsewhere", 404, "NotFound"),
        ("POST", "/score", 413, "RequestTooLarge"),
    ]:
        response = client.request(method, address, content=b" " * 2000)
        assert (response.status_code, response.headers["content-type"]) == (status, "application/json"), address
        assert response.json()["error"]["code"] == code
        assert response.json()["error"]["message"].startswith(f"Error code: {status}. ")
    assert client.get("/v1/nothing").headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("anchor", ["2026-13-01", "20261101", "today", "", "1700-01-01", "2199-12-31"])
def test_an_anchor_is_a_date(anchor: str, service: TestClient) -> None:
    assert refusal(service, REFERENCE, f"?anchor={anchor}").startswith(
        f"Error code: 206. anchor is '{anchor}'; allowed"
    )
