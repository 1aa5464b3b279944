"""Business Central's calls: the reference exchange, and each trap that its versions and locales set."""

from __future__ import annotations

import json
import re
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from api.erp.business_central import Batch, time_span
from api.ledger import Ledger
from api.models import ForecastAnswer
from forecast import forecast
from tests.api.erp.exchange import (
    ADDRESS,
    COLUMNS,
    NAMES,
    QUERY,
    REFERENCE,
    YEAR,
    answer,
    asked,
    refusal,
    request_of,
    rows_of,
)  # fmt: skip

HEAD = (
    '{"Results":{"Output1":{"type":"table","value":{"ColumnNames":["GranularityAttribute","DateKey","TransactionQty",'
    '"Sigma"],"ColumnTypes":["String","Int32","Double","Double"],"Values":['
)


def ledger_of(client: TestClient) -> Ledger:
    ledger: Ledger = client.app.state.ledger  # type: ignore[attr-defined]
    return ledger


def last(client: TestClient, item: str = "A") -> tuple[dict[str, Any], dict[str, Any]]:
    """Request and answer of the newest forecast of an item in the ledger."""
    issued = ledger_of(client).last(item)
    assert issued is not None
    return json.loads(issued.request), json.loads(issued.answer)


def test_the_reference_exchange_is_answered_to_the_byte(service: TestClient) -> None:
    response = service.post(ADDRESS + QUERY + "&anchor=2026-11-30", json=REFERENCE)
    history = pd.DataFrame({"ds": pd.date_range("2026-07-01", periods=5, freq="MS"), "y": [10.0, 6, 8, 9, 9]})
    result = forecast(history, 3, frequency="MS", as_of="2026-12-01")
    low, high = result.interval(80)
    rows = [
        f'["1896-S",{6 + step},{round(result.mean[step], 4)},{round((high[step] - low[step]) / 2, 4)}]'
        for step in range(3)
    ]
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert re.fullmatch(r"0\.00:00:\d\d\.\d{7}", response.headers["x-ms-request-duration"])
    assert response.text == HEAD + ",".join(rows) + "]}}}}"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.042, "0.00:00:00.0420000"), (3661.5, "0.01:01:01.5000000"), (90_000.0000001, "1.01:00:00.0000001")],
)
def test_durations_are_those_of_net(seconds: float, text: str) -> None:
    assert time_span(seconds) == text


@pytest.mark.parametrize(
    "address",
    [
        "/services.azureml.net/workspaces/",
        "/services.azureml.net/workspaces/2eaccaaec84c47c7a1f8f01ec0a6eea7",
        "/services.azureml.net/workspaces/2eaccaaec84c47c7a1f8f01ec0a6eea7/execute",
        "/services.azureml.net/workspaces/a/services/b/execute?api-version=2.0&details=true&unknown=1",
        "/behind/a/proxy/services.azureml.net/workspaces/a/services/b/execute",
        "/score",
        "/score/execute?api-version=2.0&details=true",
    ],
)
def test_every_address_that_its_setup_page_takes_is_served(address: str, service: TestClient) -> None:
    response = service.post(address, json=REFERENCE)
    assert response.status_code == 200
    assert response.text.startswith(HEAD + '["1896-S",6,')


def test_the_addresses_are_not_in_the_description_of_the_rest_api(service: TestClient) -> None:
    assert not [path for path in service.get("/openapi.json").json()["paths"] if path == "/score" or "azure" in path]


def test_each_forecast_has_a_receipt_that_resolves(service: TestClient) -> None:
    rows = answer(service, asked(YEAR, "RECEIPT"), "?anchor=2026-11-24")
    request, kept = last(service, "RECEIPT")
    resolved = service.get(f"/v1/forecasts/{kept['receipt']}").json()
    assert resolved == kept
    ForecastAnswer.model_validate(resolved)
    assert [row[2] for row in rows] == [round(period["value"], 4) for period in kept["forecast"]]
    assert [period["period"] for period in kept["forecast"]] == ["2026-11-25", "2026-12-25", "2027-01-25"]
    assert kept["history"] == {"start": "2024-11-25", "end": "2026-11-24", "periods": 24}
    assert request["inline"]["periods"] == 24
    inline = ledger_of(service).inline_of(kept["receipt"])
    assert inline is not None
    assert json.loads(inline)["history"]["start"] == "2024-11-25"
    assert request["business_central"]["anchor"] == "2026-11-24"
    issued = ledger_of(service).resolve(kept["receipt"])
    assert issued is not None
    assert issued.face == "business-central"


def test_no_answer_without_a_place_in_the_ledger(service: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Ledger, "append", fail)
    response = service.post(ADDRESS, json=REFERENCE)
    assert response.status_code == 500
    error = response.json()["error"]
    assert error["code"] == "InternalServerError"
    assert error["message"].startswith("Error code: 500. an unexpected error; the log of the service has the cause")
    assert "disk full" not in response.text


# --- traps of the request


def test_the_rows_and_column_names_of_earlier_items_come_again(
    service: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[str | None] = []
    append = Ledger.append
    monkeypatch.setattr(
        Ledger, "append", lambda self, *all_: (kept.extend(e.category for e in all_), append(self, *all_))
    )
    rows: list[list[Any]] = []
    single = {item: answer(service, asked(YEAR[:n], item)) for item, n in [("P", 24), ("Q", 12), ("R", 24)]}
    kept.clear()
    for count, (item, n) in enumerate([("P", 24), ("Q", 12), ("R", 24)], 1):
        rows += rows_of(item, YEAR[:n])
        body = request_of(rows, f"3,12,{n + 1},ARIMA,80")
        body["Inputs"]["input1"]["ColumnNames"] = COLUMNS * count
        body["GlobalParameters"]["Parameters"] += f"\n3,12,{n + 1},ARIMA,80"
        found = answer(service, body)
        assert [row for row in found if row[0] == item] == single[item]
    # P is remembered when R comes, but with Q its buckets reach beyond those to forecast; Q has a gap when R comes.
    assert kept == ["P", "Q", "Q", "R"]
    assert {row[0] for row in found} == {"P", "Q", "R"}


def test_an_earlier_item_of_a_batch_is_not_forecast_again(service: TestClient) -> None:
    made = Batch._one
    names: list[str] = []

    def counted(self: Batch, ask: Any, *rest: Any) -> Any:
        names.append(ask.item)
        return made(self, ask, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Batch, "_one", counted)
        items = ["I1", "I2", "I3", "I4"]
        for end in range(1, 5):
            rows = [row for item in items[:end] for row in rows_of(item, YEAR)]
            assert len(answer(service, request_of(rows, "2,12,25,ARIMA,80"))) == 2 * end
        assert names == items
        answer(service, asked(YEAR, "I4", horizon=2))
        assert names == [*items, "I4"]  # what a call is about is always made anew


def test_the_last_row_of_a_bucket_wins(service: TestClient) -> None:
    rows = rows_of("A", YEAR)
    wrong = [["A", "7", "5000"], ["A", "24", "1"]]
    assert answer(service, request_of(wrong + rows, "3,12,25,ARIMA,80")) == answer(service, asked(YEAR))


def test_a_bucket_without_a_row_counts_as_zero(service: TestClient) -> None:
    quantities = [*YEAR[:10], 0.0, *YEAR[11:]]
    rows = [row for row in rows_of("A", quantities) if row[1] != "11"]
    assert answer(service, request_of(rows, "3,12,25,ARIMA,80")) == answer(service, asked(quantities))


def test_the_order_of_rows_does_not_matter(service: TestClient) -> None:
    rows = rows_of("A", YEAR)
    assert answer(service, request_of(rows[::-1], "3,12,25,ARIMA,80")) == answer(service, asked(YEAR))


def test_several_items_are_answered_each_as_if_alone(service: TestClient) -> None:
    rows = rows_of("A", YEAR) + rows_of("B", [2 * value for value in YEAR])
    found = answer(service, request_of(rows, "3,12,25,ARIMA,80"))
    assert found == answer(service, asked(YEAR)) + answer(service, asked([2 * value for value in YEAR], "B"))


@pytest.mark.parametrize(
    "parameters",
    [
        f"{NAMES}\r\n3,12,25,ARIMA,80\r\n",
        f"{NAMES}\r3,12,25,ARIMA,80",
        f"{NAMES.upper()}\n3,12,25,arima,80",
        f"\ufeff{NAMES}\n\n3,12,25,ARIMA,80\n\n",
        '"horizon","seasonality","forecast_start_datekey","time_series_model","confidence_level"\n'
        '"3","12","25","ARIMA","80"',
        '"horizon", "seasonality", "forecast_start_datekey", "time_series_model", "confidence_level"\n'
        '3, 12, 25, "ETS", 80',
        "confidence_level,unknown,time_series_model,seasonality,forecast_start_datekey,horizon\n80,,tbats,12,25,3",
        f"{NAMES}\n9,365,9,STL,10\n3,12,25,ARIMA,80",
        {"horizon": "3", "seasonality": "12", "forecast_start_datekey": "25", "confidence_level": "80.0"},
        {"Horizon": 3, "Seasonality": 12, "time_series_model": "ETS + STL", "confidence_level": 80},
        [{"horizon": 3, "seasonality": 12, "confidence_level": 80}],
        {"ColumnNames": NAMES.split(","), "Values": [["1", "1", "1", "", "1"], ["3", "12", "25", "", "80"]]},
    ],
)
def test_parameters_may_be_written_in_many_ways(parameters: Any, service: TestClient) -> None:
    body = request_of(rows_of("A", YEAR), "")
    body["GlobalParameters"]["Parameters"] = parameters
    assert answer(service, body) == answer(service, asked(YEAR))


def test_parameters_may_be_the_global_parameters_themselves_or_a_second_table(service: TestClient) -> None:
    body = request_of(rows_of("A", YEAR), "")
    body["GlobalParameters"] = {"horizon": "3", "seasonality": "12", "confidence_level": "80"}
    assert answer(service, body) == answer(service, asked(YEAR))
    del body["GlobalParameters"]
    table = {"ColumnNames": NAMES.split(","), "Values": [["3", "12", "25", "ARIMA", "80"]]}
    for name in ("input2", "Parameters"):
        assert answer(service, {"Inputs": {**body["Inputs"], name: table}}) == answer(service, asked(YEAR))


def test_rows_may_be_objects_and_columns_in_another_order(service: TestClient) -> None:
    body = request_of([], "3,12,25,ARIMA,80")
    body["Inputs"]["input1"] = [
        {"transactionqty": quantity, "DateKey": key, "GranularityAttribute": "A"}
        for key, quantity in enumerate(YEAR, 1)
    ]
    expected = answer(service, request_of([["A", key, value] for key, value in enumerate(YEAR, 1)], "3,12,25,ARIMA,80"))
    assert answer(service, body) == expected
    body["Inputs"]["input1"] = {
        "ColumnNames": ["Transaction Qty", "More", "DateKey", "GranularityAttribute"],
        "Values": [[str(value), "x", key, "A"] for key, value in enumerate(YEAR, 1)],
    }
    assert answer(service, body) == expected


def test_a_history_of_over_a_thousand_buckets_in_german(service: TestClient) -> None:
    rows = [["A", f"{key:,}".replace(",", "."), str(5 + key % 7)] for key in range(1, 1101)]
    found = answer(service, request_of(rows, "2,365,1.101,ARIMA,80"))
    assert [row[1] for row in found] == [1101, 1102]
    assert last(service)[1]["history"]["periods"] == 1100


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("train", "Error code: 100. Unknown method: 'train'"),
        ("PlotModel", "Error code: 100. Unknown method: 'PlotModel'"),
    ],
)
def test_other_methods_are_unknown(method: str, message: str, service: TestClient) -> None:
    body = request_of([], "")
    body["GlobalParameters"]["Parameters"] = f"method,train_percent\n{method},80"
    assert refusal(service, body).startswith(message)


def test_the_method_none_is_a_ping(service: TestClient) -> None:
    assert answer(service, {"Inputs": {}, "GlobalParameters": {"Parameters": "method\nnone"}}) == [["pong"]]


# --- traps of the answer


def test_buckets_are_json_integers_and_quantities_numbers(service: TestClient) -> None:
    text = service.post(ADDRESS, json=asked([4.0] * 12)).text
    assert re.search(r'"Values":\[\["A",13,4\.0,0\.\d+\],\["A",14,4\.0,', text), text


@pytest.mark.parametrize("quantities", [[], [5.0], [0.0], [1e14] * 2])
def test_what_cannot_be_forecast_has_no_rows_or_rows_of_numbers(quantities: list[float], service: TestClient) -> None:
    found = answer(service, asked(quantities))
    assert len(found) == (0 if len(quantities) < 2 else 3)
    assert all(abs(number) <= 999_999_999_999 for row in found for number in row[2:])


def test_values_beyond_what_net_writes_plainly_are_clipped(service: TestClient) -> None:
    found = answer(service, asked([9e14, 1e14, 8e14, 2e14, 9e14, 1e13]))
    assert [row[2:] for row in found] == [[999_999_999_999.0] * 2] * 3


@pytest.mark.parametrize("scale", [1.0, 1e-7, 1e-3, 1e9])
def test_no_number_is_written_with_an_exponent(scale: float, service: TestClient) -> None:
    rows = [["A", str(key), f"{value * scale:.12f}"] for key, value in enumerate(YEAR, 1)]
    text = service.post(ADDRESS, json=request_of(rows, "3,12,25,ARIMA,80")).text
    assert not re.search(r"\d[eE][+-]?\d|NaN|Infinity|null|-0\.0[,\]]", text), text


def test_below_zero_only_where_the_history_is(service: TestClient) -> None:
    falling = [20.0, 12, 7, 3, 1, 0, 0, 0, 0, 0]
    assert all(row[2] >= 0 for row in answer(service, asked(falling)))
    assert all(row[2] < 0 for row in answer(service, asked([-value - 5 for value in YEAR])))
    assert [row[2:] for row in answer(service, asked([0.0] * 12))] == [[0.0, 0.0]] * 3


def test_levels_may_be_fractions_and_widths_grow_with_them(service: TestClient) -> None:
    widths = [answer(service, asked(YEAR, confidence=c))[0][3] for c in (0.5, 50, 79.9, 80, 99, 99.5, 99.999)]
    assert widths == sorted(widths)
    assert len(set(widths)) == len(widths)
    assert {"80", "95", "99"} == set(last(service)[1]["forecast"][0]["intervals"])


def test_one_item_that_fails_does_not_fail_the_others(
    service: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from api.erp import business_central

    make = business_central.make

    def broken(ask: Any, *rest: Any) -> Any:
        if ask.item == "BAD":
            raise ZeroDivisionError("in the engine")
        return make(ask, *rest)

    monkeypatch.setattr(business_central, "make", broken)
    rows = rows_of("A", YEAR) + rows_of("BAD", YEAR) + rows_of("LATE", [*YEAR, 1.0]) + [["ONE", "24", "3"]]
    found = answer(service, request_of(rows, "3,12,25,ARIMA,80"))
    assert found == answer(service, asked(YEAR))
    told = [record.getMessage() for record in caplog.records]
    for item in ("BAD", "LATE", "ONE"):
        assert any(f"no forecast of item '{item}'" in message for message in told)


def test_an_item_whose_buckets_end_early_is_forecast_over_the_gap(service: TestClient) -> None:
    found = answer(service, request_of(rows_of("A", YEAR[:12]), "3,12,25,ARIMA,80"), "?anchor=2026-11-24")
    assert [row[1] for row in found] == [25, 26, 27]
    kept = last(service)[1]
    assert kept["history"]["end"] == "2025-11-24"
    assert [period["kind"] for period in kept["forecast"]] == ["nowcast"] * 12 + ["forecast"] * 3
    assert found[0][2] == round(kept["forecast"][12]["value"], 4)


@pytest.mark.parametrize("key", [2_000_000_000, 6_000])
def test_buckets_far_apart_take_no_memory(key: int, service: TestClient) -> None:
    rows = [["A", "1", "1"], ["A", str(key), "1"]]
    assert answer(service, request_of(rows, f"3,365,{key + 1},ARIMA,80")) == []
