"""The document that Power Apps, Power Automate and Logic Apps import as a custom connector: Swagger 2.0."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import orjson
from fastapi import APIRouter, Request, Response

from api.routes import base_url

router = APIRouter(prefix="/power-platform", include_in_schema=False)


@lru_cache(maxsize=1)
def _template() -> dict[str, Any]:
    template: dict[str, Any] = orjson.loads((files("api") / "documents" / "power_platform.json").read_bytes())
    return template


@router.get("/swagger.json")
def swagger(request: Request) -> Response:
    """The document, for the address under which the client reaches the API."""
    document = _template()
    base = urlsplit(base_url(request))
    where = {"host": base.netloc, "basePath": base.path or "/", "schemes": [base.scheme]}
    info = document["info"] | {"version": version("groundswell")}
    told = [
        {"propertyName": "Website", "propertyValue": f"{base.geturl()}/docs"},
        {"propertyName": "Categories", "propertyValue": "Business Intelligence;Data"},
    ]
    document = document | where | {"info": info, "x-ms-connector-metadata": told}
    return Response(orjson.dumps(document), media_type="application/json")
