"""OData v4.0 at /odata/v4, read-only; errors of every kind there have OData's shape."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy as sa
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from starlette.convertors import Convertor, register_url_convertor

from api.database import rows_engine_of
from api.fold import catch_up
from api.odata.protocol import VERSION, ODataError, Reply, error_reply
from api.odata.service import Asked, answer, is_first_page
from api.routes import base_url, settings_of
from api.security import Caller, needs

log = logging.getLogger("groundswell")
router = APIRouter()

ROOT = "/odata/v4"
METHODS = ("GET", "HEAD")
ALL = [*METHODS, "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
AT_ONCE = 4  # pages in the making in one process: each may take 20 MB
CODES = {401: "Unauthorized", 403: "Forbidden", 429: "TooManyRequests", 503: "ServiceUnavailable"}
limiter = CapacityLimiter(AT_ONCE)


class _Rest(Convertor[str]):
    """All that is left of the address: `path` ends before a line break, which would then be answered by others."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("rest", _Rest())


@router.api_route("/odata{path:rest}", methods=ALL, include_in_schema=False)
async def odata(request: Request, caller: Annotated[Caller, needs("forecast:read", face="odata")]) -> Response:
    """Any request below /odata."""
    try:
        reply = await run_sync(_answer, request, caller, limiter=limiter)
    except Exception as error:  # noqa: BLE001 - told, and logged where nobody foresaw it
        reply = error_reply(_told(request, error))
    head = request.method == "HEAD"
    headers = VERSION | reply.headers | ({"Content-Length": str(len(reply.body))} if head else {})
    return Response(b"" if head else reply.body, reply.status, headers, reply.media_type)


def is_ours(path: str) -> bool:
    """Whether an address belongs to this face."""
    return path.startswith("/odata")


def odata_error(status: int, detail: str, headers: Mapping[str, str] | None, _: Mapping[str, Any]) -> Response:
    """An error from before a request came here, such as missing credentials, in OData's shape."""
    reply = error_reply(ODataError(status, CODES.get(status, "Error"), detail, headers=headers))
    return Response(reply.body, reply.status, VERSION | reply.headers, reply.media_type)


def _answer(request: Request, caller: Caller) -> Reply:
    path: str = request.scope["path"]  # not that of `url`, which loses line breaks
    if path != ROOT and not path.startswith(f"{ROOT}/"):
        raise ODataError(404, "NotFound", f"nothing is served at {path}; the service is at {ROOT}/")
    if request.method not in METHODS and not path.startswith(f"{ROOT}/$batch"):
        message = f"{request.method} is not allowed: the service is read-only"
        raise ODataError(405, "MethodNotAllowed", message, headers={"Allow": ", ".join(METHODS)})
    settings = settings_of(request)
    query = request.scope["query_string"]
    asked = Asked(
        f"{base_url(request)}{ROOT}", path.removeprefix(ROOT), query, request.headers, caller, rows_engine_of(settings)
    )
    if is_first_page(asked):
        catch_up(settings, request.app.state.snapshots)
    return answer(asked)


def _told(request: Request, error: Exception) -> ODataError:
    if isinstance(error, ODataError):
        return error
    if isinstance(error, RecursionError | sa.exc.DataError):
        return ODataError(400, "BadRequest", "the query cannot be answered: it is too deep, or a value is out of range")
    request_id = request.scope["state"].get("request_id", "")
    log.error("request %s failed: %s %s: %r", request_id, request.method, request.url.path, error)
    message = f"an unexpected error; the log of the service has the cause under request id {request_id}"
    return ODataError(500, "InternalError", message)
