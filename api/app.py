"""The REST API as one ASGI application."""

from __future__ import annotations

import os
from collections.abc import Collection
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

import api.erp.state  # noqa: F401 - its tables are made with the others
from api import errors, outages
from api.audit import Audit
from api.erp import bc_errors, business_central
from api.forecasting import Forecaster
from api.gate import Gate
from api.headers import ResponseHeaders, cross_origin, page_policy
from api.idempotency import Idempotency
from api.inbox import Inbox
from api.jobs import Jobs
from api.ledger import Ledger
from api.metrics import Metrics
from api.middleware import BodyLimit, RequestId
from api.openapi import enrich
from api.request_log import RequestLog
from api.routes import (
    bulk,
    categories,
    events,
    forecasts,
    health,
    jobs,
    life,
    metrics,
    odata,
    overrides,
    power_platform,
    runs,
    scenarios,
    scores,
    signals,
    sources,
    trees,
    uploads,
    webhooks,
)
from api.security import document
from api.settings import Settings
from api.snapshots import Snapshots
from api.turns import Turns

DESCRIPTION = (
    "Forecasts sales per product category, retrains on every request, and shows which outside signals moved the "
    "number. Every error is a problem detail (RFC 9457), `application/problem+json`."
)
ASSETS = "/docs/assets"
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill='none' "
    "stroke='%23157' stroke-width='2' d='M1 10c3-8 5-8 7-2s4 4 7-3'/%3E%3C/svg%3E"
)


def create_app(settings: Settings, anonymous_hosts: Collection[str] | None = None) -> FastAPI:
    """Make the application over the store in `settings.home`; it reads published snapshots and never writes them.

    `anonymous_hosts`: under which names it may be called while there is neither key nor issuer; None: any.
    """
    app = FastAPI(
        title="Groundswell",
        version=version("groundswell"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.snapshots = Snapshots(settings.home)
    app.state.forecaster = Forecaster(settings, app.state.snapshots)
    app.state.ledger, app.state.jobs = Ledger(settings), Jobs(settings)
    app.state.inbox = Inbox(settings, app.state.jobs)
    app.state.business_central = business_central.Batch(settings, app.state.snapshots, app.state.ledger)
    app.state.error_shapes = [(bc_errors.is_ours, bc_errors.azure_error), (odata.is_ours, odata.odata_error)]
    app.state.running = set()  # forecasts that nobody waits for any more
    app.state.turns = Turns(_at_once(settings))
    app.state.gate = Gate(settings, anonymous_hosts)
    app.add_middleware(Idempotency)
    app.add_middleware(
        BodyLimit,
        max_bytes=settings.max_body_bytes,
        max_upload_bytes=settings.max_upload_bytes,
        max_run_bytes=settings.max_run_bytes,
    )
    app.add_middleware(Audit, settings=settings)
    if settings.cors_origins:
        app.add_middleware(cross_origin, origins=settings.cors_origins)
    app.add_middleware(ResponseHeaders)
    app.add_middleware(RequestLog)
    app.add_middleware(Metrics)
    app.add_middleware(RequestId)
    errors.install(app)
    outages.install(app)
    data = (uploads, events, overrides, scores, life, categories, signals, sources)
    nouns = (bulk, forecasts, *data, jobs, health, runs, webhooks, scenarios, trees, metrics)
    faces = (odata, business_central, power_platform)
    for noun in (*nouns, *faces):
        app.include_router(noun.router)
    _add_docs(app)
    _document_problems(app)
    return app


def _at_once(settings: Settings) -> int:
    """How many forecasts this worker makes at once; the others wait in the order in which they came.

    Each takes a core, and up to 700 MB where history and horizon are long: more at once would only take more memory.
    """
    return settings.max_concurrent_forecasts or max(1, (os.cpu_count() or 1) // settings.workers)


def _add_docs(app: FastAPI) -> None:
    """Swagger UI from files that come with a package, so that /docs works without the internet."""
    app.mount(ASSETS, StaticFiles(directory=str(files("fastapi_offline") / "static")), name="docs assets")

    page = get_swagger_ui_html(
        openapi_url=str(app.openapi_url),
        title="Groundswell API",
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=ICON,
    )
    page.headers["Content-Security-Policy"] = page_policy(bytes(page.body).decode())

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return page

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("/docs")


def _document_problems(app: FastAPI) -> None:
    """Describe each error response as what it is: problem details."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            document(schema)
            _rewrite_errors(schema)
            enrich(schema, app.state.settings)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _rewrite_errors(schema: dict[str, Any]) -> None:
    components = schema["components"]["schemas"]
    problem = errors.ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    components |= problem.pop("$defs") | {"ProblemDetails": problem}
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    content = {errors.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    for operation in (operation for path in schema["paths"].values() for operation in path.values()):
        operation["responses"].setdefault("500", {"description": "Internal Server Error"})
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                response["content"] = content
