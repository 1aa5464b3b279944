"""/openapi.json is valid OpenAPI, and has an example of every operation that fits its schema."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from api.app import create_app
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
