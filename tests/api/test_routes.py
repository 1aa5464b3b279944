"""Lists, probes, the documentation page, and the errors that every address shares."""

from __future__ import annotations

import datetime as dt
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from signals.store import Batch, submit
from tests.api.stores import CATEGORIES, described, fill, last_week, sales


def test_categories_are_listed_by_name_with_their_extent(client: TestClient) -> None:
    page = client.get("/v1/categories").json()
    assert [item["category"] for item in page["items"]] == list(CATEGORIES)
    assert (page["total"], page["next"]) == (2, None)
    assert page["items"][0]["periods"] == 130
    assert page["items"][0]["attributes"] == {"item": "1000"}


def test_pages_follow_one_another(client: TestClient) -> None:
    first = client.get("/v1/categories", params={"limit": 1}).json()
    assert first["next"].startswith("http://testserver/v1/categories?")
    second = client.get(first["next"]).json()
    assert [page["items"][0]["category"] for page in (first, second)] == list(CATEGORIES)
    assert second["next"] is None


def test_links_begin_with_the_public_address(home: Path, client_of: Callable[..., TestClient]) -> None:
    client = client_of(home, public_url="https://shop.example/groundswell")
    address = client.get("/v1/categories?limit=1").json()["next"]
    assert address == "https://shop.example/groundswell/v1/categories?limit=1&offset=1"


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "offset=-1", "limit=x", f"offset={10**30}"])
def test_a_page_out_of_range_is_refused(query: str, client: TestClient) -> None:
    response = client.get(f"/v1/categories?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == query.split("=")[0]


def test_a_category_shows_its_newest_sales_and_its_signals(client: TestClient) -> None:
    detail = client.get("/v1/categories/Boots").json()
    assert detail["candidate_signals"] == ["weather"]
    assert len(detail["latest"]) == 12
    newest = last_week() - pd.Timedelta(weeks=3)
    assert detail["latest"][-1]["period"] == f"{newest + pd.Timedelta(days=6):%Y-%m-%d}"
    assert detail["end"] == f"{newest + pd.Timedelta(days=7):%Y-%m-%d}"


def test_a_name_with_slashes_spaces_and_ampersands_works(client: TestClient) -> None:
    name = CATEGORIES[1]
    assert client.get(f"/v1/categories/{quote(name, safe='')}").json()["category"] == name
    assert client.get(f"/v1/categories/{quote(name)}").json()["category"] == name


def test_an_unknown_category_gets_near_matches(client: TestClient) -> None:
    response = client.get("/v1/categories/Bots")
    assert response.status_code == 404
    assert response.json()["near"] == ["Boots"]


def test_signals_tell_how_old_their_newest_value_is(client: TestClient) -> None:
    page = client.get("/v1/signals").json()
    assert [item["signal"] for item in page["items"]] == ["weather"]
    known_at = dt.datetime.fromisoformat(page["items"][0]["last_known_at"])
    age = (dt.datetime.now(dt.UTC) - known_at) / dt.timedelta(days=1)
    assert page["items"][0]["age_days"] == pytest.approx(age, abs=0.02)


def test_signals_of_one_category(client: TestClient) -> None:
    assert client.get("/v1/signals", params={"category": "Boots"}).json()["total"] == 1
    assert client.get("/v1/signals", params={"category": CATEGORIES[1]}).json()["total"] == 0
    assert client.get("/v1/signals", params={"category": "none"}).status_code == 404


def test_a_new_publication_is_seen_without_a_restart(tmp_path: Path, client_of: Callable[..., TestClient]) -> None:
    client = client_of(tmp_path)
    response = client.get("/v1/categories")
    assert response.status_code == 503
    assert "groundswell import sales" in response.json()["detail"]
    fill(tmp_path, last_week())
    assert client.get("/v1/categories").json()["total"] == 2
    new = Batch("test", sales=sales("Socks", last_week()), categories=pd.DataFrame([described("Socks", None)]))
    submit(tmp_path, new)
    assert client.get("/v1/categories").json()["total"] == 3


def test_probes(tmp_path: Path, client_of: Callable[..., TestClient]) -> None:
    client = client_of(tmp_path)
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/startup").json() == {"status": "started"}
    assert "groundswell import sales" in client.get("/health/ready").json()["detail"]
    fill(tmp_path, last_week())
    assert "never ran" in client.get("/health/ready").json()["detail"]
    beat = tmp_path / "ingest.heartbeat"
    beat.touch()
    assert client.get("/health/ready").json() == {"status": "ready"}
    os.utime(beat, (time.time() - 60, time.time() - 60))
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert "60 s ago" in response.json()["detail"]


def test_a_damaged_snapshot_is_a_problem_with_its_remedy(tmp_path: Path, client_of: Callable[..., TestClient]) -> None:
    fill(tmp_path, last_week())
    (tmp_path / "snapshots" / "CURRENT").write_bytes(b"\xff")
    client = client_of(tmp_path)
    body = {"category": "Boots", "horizon": 1}
    for response in (
        *(client.get(address) for address in ("/v1/categories", "/v1/categories/Boots", "/health/ready")),
        client.post("/v1/forecasts", json=body),
    ):
        assert (response.status_code, response.headers["content-type"]) == (503, "application/problem+json")
        assert response.json()["type"].endswith(":store-damaged")
        assert "publishes it afresh" in response.json()["detail"]
    assert client.get("/health/live").status_code == 200


def test_an_address_that_is_not_served(client: TestClient) -> None:
    for address in ("/nothing", "/v1/categories/", "/v1/forecasts/x", "/docs/assets/nothing.js"):
        response = client.get(address)
        assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json"), address


@pytest.mark.parametrize(
    ("method", "address", "allowed"),
    [
        ("DELETE", "/v1/forecasts", "GET, POST"),
        ("OPTIONS", "/v1/forecasts/bulk", "POST"),
        ("PUT", "/v1/jobs/x", "DELETE, GET"),
        ("POST", "/v1/categories/a/forecast", "GET"),
        ("POST", "/docs", "GET"),
        ("POST", "/docs/assets/swagger-ui.css", "GET, HEAD"),
    ],
)
def test_a_method_that_is_not_allowed(method: str, address: str, allowed: str, client: TestClient) -> None:
    response = client.request(method, address)
    assert response.status_code == 405
    assert response.headers["allow"] == allowed
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"] == f"{method} is not allowed here; allowed: {allowed}"


def chunks(total: int) -> Iterator[bytes]:
    for _ in range(total // 1000):
        yield b" " * 1000


@pytest.mark.parametrize("body", [b" " * 2001, chunks(5000)], ids=["declared", "chunked"])
def test_a_body_that_is_too_large(body: Any, home: Path, client_of: Callable[..., TestClient]) -> None:
    response = client_of(home, max_body_bytes=2000).post("/v1/forecasts", content=body)
    assert response.status_code == 413
    assert response.json()["detail"] == "the body is larger than 2000 bytes (setting max_body_bytes)"


def test_a_request_id_is_returned_and_a_strange_one_replaced(client: TestClient) -> None:
    assert client.get("/health/live", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    replaced = client.get("/health/live", headers={"X-Request-ID": "a b\tc"}).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", replaced)


def test_a_defect_answers_without_a_word_of_the_cause(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("the secret cause")

    monkeypatch.setattr("api.snapshots.Snapshots.current", broken)
    response = client.get("/v1/categories", headers={"X-Request-ID": "r-7"})
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"] == response.json()["request_id"] == "r-7"
    assert "secret" not in response.text
    assert "Traceback" not in response.text


def test_the_documentation_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded
    for address in loaded:
        assert not address.startswith(("http", "//")), address
        assert address.startswith("data:") or client.get(address).status_code == 200, address


def test_openapi_documents_the_errors_as_problems(tmp_path: Path) -> None:
    schema = create_app(Settings(home=tmp_path)).openapi()
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    errors = [item for operation in operations for code, item in operation["responses"].items() if code >= "400"]
    assert len(errors) >= len(operations)
    assert all(list(item["content"]) == ["application/problem+json"] for item in errors)
    assert {"400", "404", "413", "422", "500", "503"} <= schema["paths"]["/v1/forecasts"]["post"]["responses"].keys()
    assert "HTTPValidationError" not in schema["components"]["schemas"]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (item for key, item in value.items() if key == "$ref")
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_reference_of_openapi_resolves(tmp_path: Path) -> None:
    schema = create_app(Settings(home=tmp_path)).openapi()
    found = set(references(schema))
    assert "#/components/schemas/ForecastAnswer" in found
    assert found <= {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]}
