"""What /openapi.json says beyond what the routes declare: headers that every POST takes, problems, examples."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from api.errors import MEDIA_TYPE
from api.examples import ANSWERS, BODIES, PROBLEM
from api.idempotency import FORM, HEADER
from api.run_models import RunRequest
from api.settings import Settings
from api.tables import JSON

KEY = {
    "name": HEADER,
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 257, "pattern": f"^({FORM})$"},
    "description": "a text that no other request has: sent again within 24 hours, the request is done once",
    "example": '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
}
PREFER = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string"},
    "description": "`respond-async`: 202 with a job at once; `wait=10`: 202 where it takes longer than 10 seconds",
    "example": "respond-async",
}
PREFERRED = (
    "POST /v1/forecasts",
    "POST /v1/forecasts/bulk",
    "POST /v1/scenarios",
    "POST /v1/scenarios/compare",
    "POST /v1/scenarios/{scenario}/forecast",
)


def enrich(schema: dict[str, Any], settings: Settings) -> None:
    """Complete a schema that FastAPI has made, in place."""
    models = schema["components"]["schemas"]
    models["RunRequest"] = RunRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    _add_limits(models, settings)
    bulk = schema["paths"]["/v1/forecasts/bulk"]["post"]["requestBody"]["content"][JSON]["schema"]
    bulk |= {"minItems": 1, "maxItems": settings.max_bulk_job}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            name = f"{method.upper()} {path}"
            if method == "post" and path.startswith("/v1/"):
                _add_headers(name, operation)
            _add_examples(name, operation)


def _add_limits(models: dict[str, Any], settings: Settings) -> None:
    """The limits of a request that are settings."""
    for name in ("ForecastRequest", "RunRequest", "ScenarioRequest", "TreeRequest"):
        models[name]["properties"]["horizon"]["maximum"] = settings.max_horizon
    for name in ("AgainRequest", "CompareRequest"):
        models[name]["properties"]["horizon"]["anyOf"][0]["maximum"] = settings.max_horizon
    models["ForecastRequest"]["properties"]["signals"]["maxItems"] = settings.max_signals
    for name in ("Values", "InlineSignal"):
        models[name]["properties"]["values"]["maxItems"] = settings.max_history


def _add_headers(name: str, operation: dict[str, Any]) -> None:
    operation.setdefault("parameters", []).extend([KEY, PREFER] if name in PREFERRED else [KEY])
    for status in (400, 409, 422):
        operation["responses"].setdefault(str(status), {"description": HTTPStatus(status).phrase})


def _add_examples(name: str, operation: dict[str, Any]) -> None:
    for status, example in ANSWERS.get(name, {}).items():
        content = operation["responses"][status].setdefault("content", {})
        content.setdefault(JSON, {"schema": {}})["example"] = example
    if name in BODIES:
        operation["requestBody"]["content"][JSON]["example"] = BODIES[name]
    for status, response in operation["responses"].items():
        if int(status) >= 400:
            phrase = HTTPStatus(int(status)).phrase
            example = PROBLEM | {"status": int(status), "title": phrase}
            schema = {"$ref": "#/components/schemas/ProblemDetails"}
            response["content"] = {MEDIA_TYPE: {"schema": schema, "example": example}}
