"""/openapi.json is valid OpenAPI, and has an example of every operation that fits its schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from api.app import create_app
from api.errors import Problem
from api.idempotency import read_key
from api.settings import Settings

SCHEMA = create_app(Settings()).openapi()
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, methods in SCHEMA["paths"].items()
    for method, operation in methods.items()
]


def test_it_is_valid() -> None:
    validate(SCHEMA)


def assert_fits(example: Any, schema: dict[str, Any]) -> None:
    whole = {"components": SCHEMA["components"], **schema}
    errors = [error.message for error in Draft202012Validator(whole).iter_errors(example)]
    assert not errors


@pytest.mark.parametrize(("name", "operation"), OPERATIONS)
def test_each_operation_has_examples_that_fit(name: str, operation: dict[str, Any]) -> None:
    shown = 0
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        assert_fits(content["example"], content["schema"])
    for status, response in operation["responses"].items():
        assert response["description"]
        for media, content in response.get("content", {}).items():
            if media.endswith("json") and media != "application/x-ndjson":
                assert "example" in content, (status, media)
                assert_fits(content["example"], content["schema"])
                shown += int(status) < 300
    tables = "text/csv" in operation["responses"].get("200", {}).get("content", {})
    assert shown or tables or "204" in operation["responses"]


@pytest.mark.parametrize(("name", "operation"), [one for one in OPERATIONS if one[0].startswith("POST /v1/")])
def test_each_post_takes_a_key(name: str, operation: dict[str, Any]) -> None:
    assert "Idempotency-Key" in [parameter["name"] for parameter in operation["parameters"]]
    assert {"400", "409", "422"} <= set(operation["responses"])


def keywords(schema: Any) -> Iterator[str]:
    """The names of all that is said of values; not the names of fields."""
    if isinstance(schema, list):
        for one in schema:
            yield from keywords(one)
    elif isinstance(schema, dict):
        yield from schema
        for name, inner in schema.items():
            if name == "properties":
                yield from keywords(list(inner.values()))
            elif name not in ("default", "example", "examples", "enum"):
                yield from keywords(inner)


def test_bounds_are_said_in_words_of_json_schema() -> None:
    assert not {"ge", "gt", "le", "lt", "max_length", "min_length"} & set(keywords(SCHEMA))
    parameters = {one["name"]: one["schema"] for one in SCHEMA["paths"]["/v1/categories"]["get"]["parameters"]}
    assert (parameters["limit"]["minimum"], parameters["limit"]["maximum"]) == (1, 1000)
    assert (parameters["offset"]["minimum"], parameters["offset"]["maximum"]) == (0, 2**53)


def test_limits_that_are_settings_are_said() -> None:
    schema = create_app(Settings(max_horizon=7, max_signals=3, max_history=99, max_bulk_job=11)).openapi()
    models = {name: model.get("properties") for name, model in schema["components"]["schemas"].items()}
    assert models["ForecastRequest"]["horizon"]["maximum"] == models["RunRequest"]["horizon"]["maximum"] == 7
    assert models["ForecastRequest"]["signals"]["maxItems"] == 3
    assert models["Values"]["values"]["maxItems"] == models["InlineSignal"]["values"]["maxItems"] == 99
    body = schema["paths"]["/v1/forecasts/bulk"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert (body["minItems"], body["maxItems"]) == (1, 11)


def test_an_idempotency_key_and_a_date_have_the_form_that_is_said() -> None:
    keys = [one for one in SCHEMA["paths"]["/v1/sales"]["post"]["parameters"] if one["name"] == "Idempotency-Key"]
    for text in ('"8e03 978e"', "8e03978e", "a" * 255, '"' + "a" * 255 + '"', "a" * 256, '"', "a b", "é"):
        fits = Draft202012Validator(keys[0]["schema"]).is_valid(text)
        assert fits == (len(text) <= 257 and reads(text)), text
    for day, fits in (("1800-01-01", True), ("2199-12-31", True), ("1799-12-31", False), ("2200-01-01", False)):
        assert (
            Draft202012Validator(SCHEMA["components"]["schemas"]["Values"]["properties"]["start"]).is_valid(day) == fits
        )


def reads(key: str) -> bool:
    try:
        return bool(read_key([key]))
    except Problem:
        return False
