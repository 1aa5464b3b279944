"""The Power Platform's document: what the platform asks of it, and that the API answers as it says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import jsonschema
import pytest
from fastapi.testclient import TestClient

from api.settings import Settings
from tests.api.stores import CATEGORIES, fill, last_week
from tests.api.workers import wait_for, working
from tests.fakes.server import Answer, serving

BASE = "https://erp.example/groundswell"
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("power")
    fill(path, last_week())
    (path / "groundswell.toml").write_text(
        '[[signals]]\nconnector = "holidays"\ncountries = ["US"]\n', encoding="utf-8"
    )
    return path


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home, webhook_targets="private", public_url=BASE)


@pytest.fixture
def client(settings: Settings, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    with client_of(**settings.model_dump(include={"home", "webhook_targets", "public_url"})) as client:
        yield client


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    answer = client.get("/power-platform/swagger.json")
    assert len(answer.content) < 1_000_000
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        yield from ((path, method, item[method]) for method in METHODS if method in item)


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(item)


@pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated")  # the validator uses it
def test_it_is_swagger_that_the_platform_takes(document: dict[str, Any]) -> None:
    from swagger_spec_validator.validator20 import validate_spec

    validate_spec(document)
    assert document["swagger"] == "2.0"
    assert document["securityDefinitions"] == {"api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
    assert document["security"] == [{"api_key": []}]
    assert (document["host"], document["basePath"], document["schemes"]) == ("erp.example", "/groundswell", ["https"])
    assert not re.search(r"api|connector|power", document["info"]["title"], re.IGNORECASE)
    assert 30 <= len(document["info"]["description"]) <= 500
    assert {item["propertyName"] for item in document["x-ms-connector-metadata"]} == {"Website", "Categories"}
    for word in ("oneOf", "anyOf", "nullable", "components", "requestBody"):  # of OpenAPI 3
        assert all(word not in part for part in parts(document)), word


def test_it_names_the_address_that_it_was_asked_at(home: Path, client_of: Callable[..., TestClient]) -> None:
    with client_of(home) as client:
        document = client.get("http://forecast.lan:8000/power-platform/swagger.json").json()
    assert (document["host"], document["basePath"], document["schemes"]) == ("forecast.lan:8000", "/", ["http"])


def test_all_that_people_see_has_a_name(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names) == 10
    for _, _, operation in operations(document):
        assert operation["summary"]
        assert operation["description"].endswith(".")
    shown = [parameter for _, _, operation in operations(document) for parameter in operation.get("parameters", ())]
    for part in parts(document):
        shown += part["properties"].values() if isinstance(part.get("properties"), dict) else ()
    for item in shown:
        target = document["definitions"][item["$ref"].rsplit("/", 1)[1]] if "$ref" in item else item
        assert all(word[0].isupper() for word in target["x-ms-summary"].split()), item


def test_each_operation_and_each_parameter_is_there(document: dict[str, Any], client: TestClient) -> None:
    served = client.app.openapi()  # type: ignore[attr-defined]
    for path, method, operation in operations(document):
        known = served["paths"][path][method].get("parameters", [])
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "body":
                body = served["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
                taken = served["components"]["schemas"][body["$ref"].rsplit("/", 1)[1]] if "$ref" in body else body
                assert set(resolved(document, parameter["schema"])["properties"]) <= set(taken["properties"])
            else:
                assert (parameter["name"], parameter["in"]) in {(one["name"], one["in"]) for one in known}


def test_lists_of_choices_come_from_a_real_answer(document: dict[str, Any], client: TestClient) -> None:
    found = [part["x-ms-dynamic-values"] for part in parts(document) if "x-ms-dynamic-values" in part]
    assert len(found) == 3
    by_name = {operation["operationId"]: (path, method) for path, method, operation in operations(document)}
    for choice in found:
        path, method = by_name[choice["operationId"]]
        items = client.request(method, path, params=choice["parameters"]).json()[choice["value-collection"]]
        assert [item[choice["value-path"]] for item in items] == sorted(CATEGORIES)
        assert all(item[choice["value-title"]] for item in items)


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["definitions"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    return found


def as_json_schema(value: Any) -> Any:
    """Swagger has no null: `x-nullable` says it."""
    if isinstance(value, list):
        return [as_json_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    schema = {key: as_json_schema(item) for key, item in value.items()}
    if value.get("x-nullable") is True:
        schema["type"] = [value["type"], "null"]
    return schema


class Platform:
    """Calls operations by name as the platform does, and holds each answer against the document."""

    def __init__(self, document: dict[str, Any], client: TestClient) -> None:
        self.document, self.client = document, client
        self.by_name = {operation["operationId"]: (p, m, operation) for p, m, operation in operations(document)}
        self.called: set[str] = set()

    def call(
        self, name: str, body: object = None, *, query: dict[str, str] | None = None, **path: str
    ) -> httpx.Response:
        address, method, operation = self.by_name[name]
        target = re.sub(r"\{(\w+)\}", lambda found: quote(path[found[1]], safe=""), address)
        answer: httpx.Response = self.client.request(method, target, json=body, params=query)  # type: ignore[assignment]
        self.called.add(name)
        self.check(operation["responses"][str(answer.status_code)], answer)
        return answer

    def check(self, response: dict[str, Any], answer: httpx.Response) -> None:
        for header in response.get("headers", ()):
            assert header in answer.headers
        schema = response.get("schema")
        if schema is not None and answer.headers["content-type"].startswith("application/json"):
            self.valid(answer.json(), schema)

    def valid(self, value: object, schema: dict[str, Any]) -> None:
        whole = as_json_schema({**schema, "definitions": self.document["definitions"]})
        jsonschema.Draft4Validator(whole, format_checker=jsonschema.FormatChecker()).validate(value)

    def until_over(self, answer: httpx.Response) -> httpx.Response:
        """Ask the absolute Location again until it is no longer 202."""
        response = self.by_name["GetForecastRun"][2]["responses"]
        address = answer.headers["location"]
        assert address.startswith(f"{BASE}/v1/")
        found: list[httpx.Response] = []

        def over() -> bool:
            found.append(self.client.get(address.removeprefix(BASE)))  # type: ignore[arg-type]
            self.check(response[str(found[-1].status_code)], found[-1])
            assert found[-1].headers.get("location", address) == address
            return found[-1].status_code != 202

        wait_for(over)
        return found[-1]


def test_the_answers_are_as_the_document_says(document: dict[str, Any], client: TestClient, settings: Settings) -> None:
    platform = Platform(document, client)
    assert platform.call("ListCategories", query={"limit": "1"}).json()["next"]
    assert platform.call("ListSignals", query={"category": CATEGORIES[0]}).json()["items"]
    assert platform.call("ListSources").json()["items"]
    forecast = platform.call("ForecastCategory", {"category": CATEGORIES[0], "horizon": 2})
    assert forecast.json()["signals"]
    assert platform.call("GetForecast", receipt=forecast.json()["receipt"]).content == forecast.content

    with serving(lambda _: Answer()) as flow, working(settings):
        trigger = platform.call("OnForecastRunFinished", {"callbackUrl": f"{flow.url}/workflows/1?sig=x"})
        started = platform.call("StartForecastRun", {"horizon": 2, "categories": [*CATEGORIES, "Hat"]})
        assert started.status_code == 202
        made = platform.until_over(started)
        assert (made.status_code, made.json()["counts"]) == (200, {"asked": 3, "made": 2, "failed": 1})
        run = made.json()["id"]
        assert platform.call("GetForecastRun", run=run).json() == made.json()
        assert platform.call("GetForecastRunCsv", run=run).text.startswith("Time,Value,Median,Lower80,")
        wait_for(lambda: bool(flow.asked))
    content = document["paths"]["/v1/webhooks"]["x-ms-notification-content"]
    platform.valid(json.loads(flow.asked[0].body), content["schema"])
    where = urlsplit(trigger.headers["location"])
    assert where.netloc == "erp.example"
    platform.call("DeleteWebhook", webhook=where.path.rsplit("/", 1)[1])
    assert platform.called == set(platform.by_name)


def test_problems_are_as_the_document_says(document: dict[str, Any], client: TestClient) -> None:
    platform = Platform(document, client)
    for name, answer in (
        ("ForecastCategory", client.post("/v1/forecasts", json={"category": "Hat", "horizon": 1})),
        ("StartForecastRun", client.post("/v1/runs", json={"horizon": -1})),
        ("GetForecastRun", client.get("/v1/runs/none")),
    ):
        assert answer.status_code >= 400
        platform.valid(answer.json(), platform.by_name[name][2]["responses"]["default"]["schema"])
