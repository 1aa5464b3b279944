"""POST /v1/forecasts: from the store, inline, and everything that can be wrong with a request."""

from __future__ import annotations

import datetime as dt
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.models import ForecastAnswer
from api.settings import Settings
from forecast import forecast
from tests.api.stores import CATEGORIES, fill, last_week

VALUES = [100 + 20 * math.sin(i * 2 * math.pi / 52) + i % 5 for i in range(120)]
HISTORY = {"start": "2024-01-07", "frequency": "W-SUN", "values": VALUES}


def post(client: TestClient, **body: Any) -> Any:
    return client.post("/v1/forecasts", json=body)


def post_text(client: TestClient, text: str | bytes) -> Any:
    return client.post("/v1/forecasts", content=text, headers={"content-type": "application/json"})


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Every error has this shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["type"] == f"urn:problem-type:groundswell:{code}"
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["x-request-id"]
    return problem


def test_a_category_of_the_store_is_forecast_as_documented(client: TestClient) -> None:
    response = post(client, category="Boots", horizon=4)
    assert response.status_code == 200, response.text
    answer = ForecastAnswer.model_validate_json(response.content)
    assert (answer.category, answer.unit, answer.frequency, answer.data_version) == ("Boots", "pairs", "W-SUN", 1)
    assert answer.receipt.startswith("fc_")
    assert [signal.signal for signal in answer.signals] == ["weather"]
    for row in answer.forecast:
        assert sum(row.contributions.values()) == pytest.approx(row.value, rel=1e-9)
        assert row.intervals["95"][0] <= row.intervals["80"][0] <= row.median <= row.intervals["80"][1]


def test_horizon_counts_from_now_and_the_gap_comes_first(client: TestClient) -> None:
    rows = post(client, category="Boots", horizon=4).json()["forecast"]
    assert [row["kind"] for row in rows] == ["nowcast"] * 3 + ["forecast"] * 4
    assert (
        rows[3]["period"] > dt.datetime.now(dt.UTC).date().isoformat()
        or rows[3]["period"] == (last_week() + pd.Timedelta(days=13)).date().isoformat()
    )


def test_sales_that_ended_long_ago_are_forecast_from_there_with_a_warning(
    tmp_path: Path, client_of: Callable[..., TestClient]
) -> None:
    end = last_week() - pd.Timedelta(weeks=60)
    fill(tmp_path, end)
    answer = post(client_of(tmp_path), category="Boots", horizon=4).json()
    assert [row["kind"] for row in answer["forecast"]] == ["forecast"] * 4
    assert answer["forecast"][0]["period"] == (end + pd.Timedelta(days=13)).date().isoformat()
    assert any(
        text.startswith(f"sales end before {end + pd.Timedelta(days=7):%Y-%m-%d}") for text in answer["warnings"]
    )


def test_as_of_uses_what_was_known_then(client: TestClient) -> None:
    moment = last_week() - pd.Timedelta(weeks=30)
    answer = post(client, category="Boots", horizon=2, as_of=f"{moment:%Y-%m-%d}T00:00:00Z").json()
    assert answer["history"]["end"] == (moment - pd.Timedelta(days=1)).date().isoformat()
    assert answer["as_of"].startswith(f"{moment:%Y-%m-%d}")


def test_the_same_question_gets_the_same_answer(client: TestClient) -> None:
    body = {"category": "Boots", "horizon": 4, "as_of": f"{last_week():%Y-%m-%d}T12:00:00Z"}
    first, second = (post(client, **body).json() for _ in range(2))
    assert first.pop("receipt") != second.pop("receipt")
    first.pop("timing_ms"), second.pop("timing_ms")
    assert json.dumps(first) == json.dumps(second)


def test_an_inline_history_needs_no_store(tmp_path: Path, client_of: Callable[..., TestClient]) -> None:
    response = post(client_of(tmp_path), history=HISTORY, horizon=3, category="mine", unit="kg")
    answer = ForecastAnswer.model_validate_json(response.content)
    assert (answer.category, answer.unit, answer.data_version) == ("mine", "kg", None)
    assert [row.period.isoformat() for row in answer.forecast] == ["2026-04-26", "2026-05-03", "2026-05-10"]


def test_inline_signals_are_candidates(client: TestClient) -> None:
    signal = {"signal": "rain", "start": "2024-01-01", "frequency": "D", "values": [float(i % 7) for i in range(850)]}
    answer = post(client, history=HISTORY, signals=[signal], horizon=3).json()
    assert [row["signal"] for row in answer["signals"]] == ["rain"]
    assert answer["signals"][0]["reason"]


def test_missing_values_are_allowed_in_a_history(client: TestClient) -> None:
    values = [None if i == 50 else value for i, value in enumerate(VALUES)]
    response = post(client, history={**HISTORY, "values": values}, horizon=2)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"horizon": 0}, "horizon"),
        ({"horizon": True}, "horizon"),
        ({"horizon": "4"}, "horizon"),
        ({"horizon": 401}, "horizon"),
        ({"horizon": 10**30}, "horizon"),
        ({"levels": [100]}, "levels.0"),
        ({"levels": []}, "levels"),
        ({"engine": "magic"}, "engine"),
        ({"as_of": 1700000000}, "as_of"),
        ({"as_of": "2026-01-01T00:00:00"}, "as_of"),
        ({"as_of": "yesterday"}, "as_of"),
        ({"as_of": "0001-01-01T00:00:00+14:00"}, "as_of"),
        ({"as_of": "9999-12-31T23:59:59-14:00"}, "as_of"),
        ({"history": {**HISTORY, "values": [1e308, 2.0]}}, "history.values.0"),
        ({"signals": [{"signal": "a", "start": "2024-01-01", "frequency": "D", "values": [1]}] * 2}, "body"),
        ({"surprise": 1}, "surprise"),
        ({"history": {**HISTORY, "values": [1.0, True, 2.0]}}, "history.values.1"),
        ({"history": {**HISTORY, "values": [1.0, "2", 2.0]}}, "history.values.1"),
        ({"history": {**HISTORY, "values": []}}, "history.values"),
        ({"history": {**HISTORY, "start": "2024-01-08"}}, "history.start"),
        ({"history": {**HISTORY, "start": "2024-02-30"}}, "history.start"),
        ({"history": {**HISTORY, "start": 20240107}}, "history.start"),
        ({"history": {**HISTORY, "start": "9999-12-26"}}, "history.start"),
        ({"history": {**HISTORY, "start": "2199-12-01"}}, "history.values"),
        ({"history": {**HISTORY, "frequency": "fortnight"}}, "history.frequency"),
        ({"history": {**HISTORY, "frequency": "h"}}, "history.frequency"),
        ({"history": {**HISTORY, "end": "2025-01-01"}}, "history.end"),
        ({"signals": [{"signal": "", "start": "2024-01-01", "frequency": "D", "values": [1]}]}, "signals.0.signal"),
        ({"data_version": 1}, "body"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], field: str, client: TestClient) -> None:
    response = post_text(client, json.dumps({"history": HISTORY, "horizon": 4} | change))
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    rows = response.json()["errors"]
    assert rows[0]["field"] == field
    assert rows[0]["allowed"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(number: str, client: TestClient) -> None:
    body = json.dumps({"history": HISTORY, "horizon": 4}).replace("[", f"[{number}, ", 1)
    problem = assert_problem(post_text(client, body), 422, "invalid-request")
    assert problem["errors"][0]["field"] == "history.values.0"


def test_too_little_history_is_refused_in_words(client: TestClient) -> None:
    response = post(client, history={**HISTORY, "values": [3.0]}, horizon=4)
    assert assert_problem(response, 422, "cannot-forecast")["errors"][0]["field"].startswith("history")


@pytest.mark.parametrize(
    "body",
    [{"horizon": 4}, {"category": "Boots", "horizon": 4, "unit": "kg"}, {"category": "Boots"}, [], "text", None, 5],
)
def test_a_body_without_a_source_or_of_the_wrong_kind_is_refused(body: Any, client: TestClient) -> None:
    assert_problem(client.post("/v1/forecasts", json=body), 422, "invalid-request")


@pytest.mark.parametrize("text", ["{", "", "\xff", '{"horizon": }', "[" * 100_000])
def test_what_is_not_json_is_refused(text: str, client: TestClient) -> None:
    response = post_text(client, text.encode("latin-1"))
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


def test_an_unknown_category_gets_near_matches(client: TestClient) -> None:
    problem = assert_problem(post(client, category="boot", horizon=4), 404, "unknown-category")
    assert problem["near"] == ["Boots"]


@pytest.mark.parametrize("name", ["'; DROP TABLE sales; --", "\x00", "\ud800", "💥" * 50, "../../etc/passwd"])
def test_a_hostile_name_is_only_an_unknown_name(name: str, client: TestClient) -> None:
    response = post_text(client, json.dumps({"category": name, "horizon": 4}))
    assert response.status_code in (404, 422)
    assert response.headers["content-type"] == "application/problem+json"
    assert post(client, category="Boots", horizon=1).status_code == 200


def test_a_data_version_that_is_not_there_is_refused(client: TestClient) -> None:
    assert_problem(post(client, category="Boots", horizon=4, data_version=99), 422, "version-not-published")


def test_a_name_with_a_slash_is_forecast(client: TestClient) -> None:
    assert post(client, category=CATEGORIES[1], horizon=1).json()["category"] == CATEGORIES[1]


def test_limits_come_from_the_settings(home: Path, client_of: Callable[..., TestClient]) -> None:
    client = client_of(home, max_horizon=5, max_history=119, max_signals=1, max_values=110)
    signals = [{"signal": name, **HISTORY, "values": [1.0]} for name in ("rain", "snow")]
    short = {**HISTORY, "values": VALUES[:110]}
    bodies: dict[str, dict[str, Any]] = {
        "max_history": {"history": HISTORY, "horizon": 5},
        "max_horizon": {"category": "Boots", "horizon": 6},
        "max_signals": {"history": short, "signals": signals, "horizon": 5},
        "max_values": {"history": short, "signals": signals[:1], "horizon": 5},
    }
    for name, body in bodies.items():
        assert name in assert_problem(post(client, **body), 422, "invalid-request")["detail"]


def test_no_more_forecasts_at_once_than_the_setting_says(
    home: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most, real = [0], [0], forecast

    def watched(*args: Any, **options: Any) -> Any:
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.05)
        running[0] -= 1
        return real(*args, **options)

    monkeypatch.setattr("api.forecasting.forecast", watched)
    with client_of(home, max_concurrent_forecasts=1) as client, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: post(client, history=HISTORY, horizon=1).status_code, range(4)))
    assert (answers, most[0]) == ([200] * 4, 1)


@pytest.mark.parametrize(("given", "workers", "at_once"), [(0, 2, 4), (0, 16, 1), (3, 16, 3)])
def test_by_default_a_worker_has_its_share_of_the_cores(
    given: int, workers: int, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    app = create_app(Settings(home=tmp_path, workers=workers, max_concurrent_forecasts=given))
    assert app.state.turns.at_once == at_once


@pytest.mark.parametrize(
    ("as_of", "words"),
    [
        ("2150-01-01T00:00:00Z", "as_of: got 2150-01-01 00:00 UTC; wanted a moment that has come, at the latest now, "),
        ("1999-01-01T00:00:00Z", "nothing was known of Boots by 1999-01-01 00:00 UTC; its first sales became known on"),
    ],
)
def test_a_moment_without_knowledge_is_refused(as_of: str, words: str, client: TestClient) -> None:
    problem = assert_problem(post(client, category="Boots", horizon=1, as_of=as_of), 422, "cannot-forecast")
    assert problem["detail"].startswith(words)
    assert problem["errors"][0]["field"] == "as_of"
    assert problem["errors"][0]["allowed"].startswith("a moment ")


def test_an_inline_history_has_no_future_moment_either(client: TestClient) -> None:
    response = post(client, history=HISTORY, horizon=1, as_of="2150-01-01T00:00:00Z")
    assert assert_problem(response, 422, "cannot-forecast")["errors"][0]["field"] == "as_of"


def test_a_body_that_does_not_say_it_is_json_is_told_so(client: TestClient) -> None:
    response = client.post("/v1/forecasts", data={"category": "Boots"})
    problem = assert_problem(response, 415, "unsupported-media-type")
    assert "application/x-www-form-urlencoded" in problem["detail"]
