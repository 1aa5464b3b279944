"""Who is let in, with what, where, and what they then see."""

from __future__ import annotations

import base64
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from fastapi.testclient import TestClient
from starlette.routing import Mount

from api.app import create_app
from api.database import api_key, engine_of, now, writing
from api.jobs import Jobs
from api.keys import create, revoke, rotate
from api.security import SCOPES, Caller, Needs, needs
from api.settings import Settings
from tests.api.stores import CATEGORIES

OPEN = {
    "/power-platform/swagger.json",
    "/openapi.json",
    "/docs",
    "/",
    "/docs/assets",
    "/health/live",
    "/health/startup",
    "/health/ready",
}


def routes(found: list[Any]) -> Iterator[Any]:
    """Every route, through included routers, with the dependencies that these add."""
    for route in found:
        if hasattr(route, "effective_candidates"):
            yield from routes([*route.effective_candidates(), *route.effective_low_priority_routes()])
        elif isinstance(route, Mount) and route.routes:
            yield from routes(list(route.routes))
        else:
            yield route


def asks(dependant: Any) -> bool:
    return isinstance(dependant.call, Needs) or any(asks(inner) for inner in dependant.dependencies)


def unguarded(app: FastAPI) -> set[str]:
    return {
        route.path
        for route in routes(list(app.routes))
        if getattr(route, "dependant", None) is None or not asks(route.dependant)
    }


def test_every_route_asks_for_a_scope(tmp_path: Path) -> None:
    app = create_app(Settings(home=tmp_path))
    assert {"/v1/forecasts", "/v1/categories/{category:name}"} < {route.path for route in routes(list(app.routes))}
    assert unguarded(app) == OPEN


def test_a_route_without_a_scope_is_found(tmp_path: Path) -> None:
    app = create_app(Settings(home=tmp_path))
    app.add_api_route("/v1/forgotten", lambda: "open")
    app.mount("/v1/mounted", StaticFiles(directory=str(tmp_path)))
    assert unguarded(app) == OPEN | {"/v1/forgotten", "/v1/mounted"}


def test_openapi_says_how_to_authenticate_and_what_comes_of_it(tmp_path: Path) -> None:
    schema = create_app(Settings(home=tmp_path)).openapi()
    assert schema["components"]["securitySchemes"].keys() == {"ApiKey", "Bearer"}
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            is_open = path.startswith("/health/")
            assert operation.get("security", schema["security"]) == (
                [] if is_open else [{"ApiKey": []}, {"Bearer": []}]
            )
            assert is_open or {"401", "403", "429"} <= operation["responses"].keys()


@pytest.fixture
def own(home: Path, tmp_path: Path) -> Settings:
    """Settings of a home of the test's own, with sales and without keys."""
    shutil.copytree(home, tmp_path / "own", ignore=shutil.ignore_patterns("state"))
    return Settings(home=tmp_path / "own")


def client_over(settings: Settings, **more: Any) -> TestClient:
    app = create_app(settings, **more)
    for face in ("odata", "business-central"):

        @app.get(f"/faces/{face}")
        def of_face(caller: Caller = needs("data:read", face)) -> str:  # noqa: B008 - as FastAPI reads it
            return str(caller.key_id)

    return TestClient(app, raise_server_exceptions=False)


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_without_keys_everybody_may_call(own: Settings) -> None:
    client = client_over(own)
    assert client.get("/v1/categories").status_code == 200
    assert client.get("/v1/categories", headers=basic("a", "b")).status_code == 200  # as a proxy may pass it on


def test_the_first_key_closes_it_and_its_revocation_does_not_open_it(
    own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.keyring.FRESH_SECONDS", 0.0)
    client = client_over(own)
    assert client.get("/v1/categories").status_code == 200
    key, text = create(own, "erp", ["data:read"])
    assert client.get("/v1/categories").status_code == 401
    assert client.get("/v1/categories", headers={"X-API-Key": text}).status_code == 200
    revoke(own, key.id)
    assert client.get("/v1/categories", headers={"X-API-Key": text}).status_code == 401
    assert client.get("/v1/categories").status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_a_key_works_in_both_headers_on_every_face(scheme: str, own: Settings) -> None:
    key, text = create(own, "erp", ["data:read"])
    client = client_over(own)
    for headers in ({"Authorization": f"{scheme} {text}"}, {"X-API-Key": text}):
        assert client.get("/v1/categories", headers=headers).status_code == 200
        for face in ("odata", "business-central"):
            assert client.get(f"/faces/{face}", headers=headers).json() == key.id


def test_basic_and_a_key_in_the_address_work_on_the_faces_that_need_them(own: Settings) -> None:
    key, text = create(own, "erp", ["data:read"])
    client = client_over(own)
    for face in ("odata", "business-central"):
        assert client.get(f"/faces/{face}", headers=basic("any:body", text)).status_code == 401
        assert client.get(f"/faces/{face}", headers=basic("anybody", text)).json() == key.id
        assert client.get(f"/faces/{face}", params={"api_key": text}).json() == key.id
        refused = client.get(f"/faces/{face}")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == 'Basic realm="groundswell", charset="UTF-8"'
    assert client.get("/v1/categories", headers=basic("anybody", text)).status_code == 401
    assert client.get("/v1/categories", params={"api_key": text}).status_code == 401


def test_two_credentials_are_refused_and_the_same_twice_is_not(own: Settings) -> None:
    _, one = create(own, "one", ["data:read"])
    _, two = create(own, "two", ["data:read"])
    client = client_over(own)
    both = {"Authorization": f"Bearer {one}", "X-API-Key": two}
    assert client.get("/v1/categories", headers=both).status_code == 400
    assert client.get("/v1/categories", headers={**both, "X-API-Key": one}).status_code == 200
    assert client.get("/faces/odata", headers=basic("x", one), params={"api_key": two}).status_code == 400
    assert client.get(f"/faces/odata?api_key={one}&api_key={two}").status_code == 400
    twice = [("X-API-Key", one), ("X-API-Key", two)]
    assert client.get("/v1/categories", headers=twice).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer gs_live_x"},
        {"Authorization": "Negotiate abc"},
        {"Authorization": "Basic %%%"},
        {"X-API-Key": ""},
        {"X-API-Key": "ä".encode()},
    ],
)
def test_wrong_credentials_are_a_problem_that_says_how_to_ask(headers: dict[str, Any], own: Settings) -> None:
    create(own, "erp", ["data:read"])
    client = client_over(own)
    response = client.get("/v1/categories", headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (401, "application/problem+json")
    assert response.headers["www-authenticate"] == 'Bearer realm="groundswell", error="invalid_token"'
    assert client.get("/faces/odata", headers=headers).status_code == 401


def test_nobody_learns_of_a_body_or_a_query_before_they_are_let_in(own: Settings) -> None:
    create(own, "erp", ["data:read"])
    client = client_over(own)
    assert client.get("/v1/categories?nonsense=1").status_code == 401
    assert client.post("/v1/forecasts", content=b"{").status_code == 401


def test_a_key_without_the_scope_is_told_so(own: Settings) -> None:
    _, text = create(own, "erp", ["data:read"])
    _, master = create(own, "operator", ["admin"])
    client = client_over(own)
    body = {"category": "Boots", "horizon": 1}
    response = client.post("/v1/forecasts", json=body, headers={"X-API-Key": text})
    assert response.status_code == 403
    assert response.json()["detail"] == "the key lacks the scope forecast:write; it has data:read"
    assert client.post("/v1/forecasts", json=body, headers={"X-API-Key": master}).status_code == 200


def test_an_expired_key_is_refused(own: Settings) -> None:
    key, text = create(own, "erp", ["data:read"])
    with writing(engine_of(own)) as connection:
        connection.execute(api_key.update().where(api_key.c.id == key.id).values(expires=now()))
    assert client_over(own).get("/v1/categories", headers={"X-API-Key": text}).status_code == 401


def test_a_key_sees_only_its_categories(own: Settings) -> None:
    hidden = CATEGORIES[1]
    _, text = create(own, "shop", [scope for scope in SCOPES if scope != "admin"], [CATEGORIES[0], "Hats/Caps"])
    client = client_over(own)
    client.headers["X-API-Key"] = text
    page = client.get("/v1/categories").json()
    assert ([item["category"] for item in page["items"]], page["total"]) == ([CATEGORIES[0]], 1)
    for response in (
        client.get(f"/v1/categories/{hidden}"),
        client.get("/v1/signals", params={"category": hidden}),
        client.get("/v1/categories/Hats%2FCaps"),
        client.post("/v1/forecasts", json={"category": "Hats/Caps", "horizon": 1}),
    ):
        assert (response.status_code, response.json()["near"]) == (404, [])
        assert "more" not in response.text.replace(hidden, "").replace(quote(hidden), "")
    for response in (client.get("/v1/categories/Hats"), client.get("/v1/signals?category=Hats")):
        assert "more" not in response.text
    assert client.post("/v1/forecasts", json={"category": hidden, "horizon": 1}).status_code == 403
    assert client.post("/v1/forecasts", json={"category": CATEGORIES[0], "horizon": 1}).status_code == 200


def test_another_key_sees_neither_jobs_nor_forecasts_but_the_successor_does(own: Settings) -> None:
    old, _ = create(own, "erp", ["jobs:read", "jobs:write"])
    _, other = create(own, "other", ["jobs:read", "jobs:write"])
    _, new = rotate(own, "erp")
    revoke(own, old.id)
    job = Jobs(own).accept("forecast", b"{}", key_id=old.id)
    client = client_over(own)
    assert client.get(f"/v1/jobs/{job}", headers={"X-API-Key": other}).status_code == 404
    assert client.delete(f"/v1/jobs/{job}", headers={"X-API-Key": other}).status_code == 404
    assert client.get(f"/v1/jobs/{job}", headers={"X-API-Key": new}).status_code == 202


def test_a_forecast_without_a_category_is_fetched_by_who_asked_for_it(own: Settings) -> None:
    _, one = create(own, "one", ["forecast:read", "forecast:write"], [CATEGORIES[0]])
    _, two = create(own, "two", ["forecast:read"], [CATEGORIES[0]])
    client = client_over(own)
    history = {"start": "2024-01-01", "frequency": "MS", "values": [1.0, 2.0, 3.0] * 8}
    body = {"history": history, "horizon": 1, "engine": "seasonal_naive"}
    answer = client.post("/v1/forecasts", json=body, headers={"X-API-Key": one})
    assert answer.status_code == 200, answer.text
    receipt = answer.json()["receipt"]
    assert client.get(f"/v1/forecasts/{receipt}", headers={"X-API-Key": one}).status_code == 200
    assert client.get(f"/v1/forecasts/{receipt}", headers={"X-API-Key": two}).status_code == 404


def test_the_ledger_names_the_key(own: Settings) -> None:
    key, _ = create(own, "erp", ["forecast:write"])
    _, text = rotate(own, "erp")  # whose forecasts stay those of the first key of its name
    client = client_over(own)
    answer = client.post("/v1/forecasts", json={"category": "Boots", "horizon": 1}, headers={"X-API-Key": text})
    issued = client.app.state.ledger.resolve(answer.json()["receipt"])  # type: ignore[attr-defined]
    assert issued.key_id == key.id


@pytest.mark.parametrize(
    ("hosts", "host", "status"),
    [
        (None, "anything.example", 200),
        ({"localhost", "::1"}, "localhost:8000", 200),
        ({"localhost", "::1"}, "[::1]:8000", 200),
        ({"localhost", "::1"}, "rebound.example", 421),
        (set(), "localhost", 401),
    ],
)
def test_without_keys_it_answers_under_the_names_of_this_machine(
    hosts: set[str] | None, host: str, status: int, own: Settings
) -> None:
    client = client_over(own, anonymous_hosts=hosts)
    assert client.get("/v1/categories", headers={"Host": host}).status_code == status


def test_keys_are_checked_in_many_threads_at_once(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.keyring.FRESH_SECONDS", 0.0)
    texts = [create(own, f"k{i}", ["data:read"])[1] for i in range(4)]
    client, found = client_over(own), []

    def call(text: str) -> None:
        found.extend(client.get("/faces/odata", headers={"X-API-Key": text}).json() for _ in range(5))

    threads = [threading.Thread(target=call, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(text[8:18] for text in texts for _ in range(5))


def test_odata_takes_its_key_in_every_way_and_tells_a_refusal_in_its_own_shape(own: Settings) -> None:
    _, text = create(own, "excel", ["forecast:read", "forecast:write"])
    client = client_over(own)
    for category in CATEGORIES[:2]:
        body = {"category": category, "horizon": 2}
        assert client.post("/v1/forecasts", json=body, headers={"X-API-Key": text}).status_code == 200
    # Of two categories, the two weeks ahead and the three that are not known yet.
    for given in ({"headers": basic("any", text)}, {"params": {"api_key": text}}, {"headers": {"X-API-Key": text}}):
        assert (
            client.get("/odata/v4/Forecasts/$count", **given).text.lstrip("\ufeff") == "10"
        )  # two weeks ahead, three behind  # type: ignore[arg-type]
    page = client.get("/odata/v4/Forecasts", params={"api_key": text}, headers={"Prefer": "odata.maxpagesize=3"})
    assert text not in page.json()["@odata.nextLink"]
    refused = client.get("/odata/v4/Forecasts")
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "Unauthorized")
    assert refused.headers["www-authenticate"].startswith("Basic")
    assert refused.headers["odata-version"] == "4.0"


def test_business_central_takes_its_key_in_every_way_and_tells_a_refusal_in_its_own_shape(own: Settings) -> None:
    _, text = create(own, "erp", ["forecast:write"])
    client, rows = client_over(own), [["1896-S", str(n), str(n % 4 + 5)] for n in range(1, 7)]
    columns = {"ColumnNames": ["GranularityAttribute", "DateKey", "TransactionQty"], "Values": rows}
    options = "horizon,seasonality,forecast_start_datekey,time_series_model,confidence_level\n3,12,7,ARIMA,80"
    body = {"Inputs": {"input1": columns}, "GlobalParameters": {"Parameters": options}}
    address = "/services.azureml.net/workspaces/company/services/default/execute?api-version=2.0&details=true"
    assert client.post(address, json=body, headers={"Authorization": f"Bearer {text}"}).status_code == 200
    assert client.post(address, json=body, headers=basic("anybody", text)).status_code == 200
    assert client.post(f"{address}&api_key={text}", json=body).status_code == 200
    refused = client.post(address, json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "Unauthorized")
    assert refused.headers["www-authenticate"].startswith("Basic ")
