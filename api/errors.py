"""One shape for every error of the REST API: problem details (RFC 9457), ``application/problem+json``.

Our problems:

    Problem                  what a route raises; carries status, code and detail
    RequestValidationError   422, a row in `errors` for each field that is wrong
    ForecastError            422, field, value and what is allowed
    UnknownCategory          404, near matches
    VersionNotPublished      422
    StoreEmpty               503, how to import
    StoreDamaged             503, how to restore
    anything else            500, no detail but the request id; the log has the rest
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from api.headers import DEFAULTS
from api.request_log import address_of
from forecast import ForecastError
from signals.store import StoreDamaged, StoreEmpty, UnknownCategory, VersionNotPublished

log = logging.getLogger("groundswell")

MEDIA_TYPE = "application/problem+json"
KINDS = {
    "missing": "a value",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "date_from_datetime_parsing": "a date such as 2026-11-29",
    "date_parsing": "a date such as 2026-11-29",
    "datetime_from_date_parsing": "a moment such as 2026-11-23T09:00:00Z",
    "timezone_aware": "a moment with its offset, such as 2026-11-23T09:00:00Z",
}
CODES = {400: "bad-request", 404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str
    value: str
    allowed: str
    message: str
    row: int | None = Field(None, description="of an upload: the line of the file, or the number of the row from 1")


class ProblemDetails(BaseModel):
    """Any error: problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str | None
    errors: list[FieldError] = Field([], description="422: one row a wrong field")
    near: list[str] = Field([], description="404 of a category: names that are near")


class Problem(HTTPException):
    """An error to be answered as problem details."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(status, detail, headers)
        self.code, self.members = code, members


def invalid_field(field: str, value: object, allowed: str, message: str) -> Problem:
    """The problem of one field that validation does not know of: a limit that is a setting, a doubled name."""
    row = {"field": field, "value": _short(value), "allowed": allowed, "message": message}
    return Problem(422, "invalid-request", message, errors=[row])


def problem_body(status: int, code: str, detail: str, members: Mapping[str, Any]) -> bytes:
    """The JSON of one problem."""
    head = {"type": f"urn:problem-type:groundswell:{code}", "title": HTTPStatus(status).phrase, "status": status}
    return orjson.dumps(_printable({**head, "detail": detail, **members}))


def problem_response(
    request: Request, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **members: Any
) -> Response:
    """Answer `request` with one problem; faces with a shape of their own are in `app.state.error_shapes`."""
    for is_theirs, shape in request.app.state.error_shapes:
        if is_theirs(request.url.path):
            answer: Response = shape(status, detail, headers, members)
            return answer
    where = {"instance": request.url.path, "request_id": request.scope["state"].get("request_id")}
    return Response(problem_body(status, code, detail, where | members), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Register a handler for each kind of error."""
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(ForecastError, _known)
    app.add_exception_handler(UnknownCategory, _known)
    app.add_exception_handler(VersionNotPublished, _known)
    app.add_exception_handler(StoreEmpty, _known)
    app.add_exception_handler(StoreDamaged, _store_damaged)
    app.add_exception_handler(Exception, _unexpected)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, Problem):
        detail = str(error.detail)
        return problem_response(request, error.status_code, error.code, detail, error.headers, **error.members)
    detail = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"nothing is served at {request.url.path}; /docs lists what is"
    headers = error.headers
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = _methods_at(request, (headers or {}).get("Allow", "GET, HEAD"))  # the files of /docs tell none
        headers, detail = {"Allow": allowed}, f"{request.method} is not allowed here; allowed: {allowed}"
    code = CODES.get(error.status_code, "http-error")
    return problem_response(request, error.status_code, code, detail, headers)


def _methods_at(request: Request, told: str) -> str:
    """What may be done at an address: a route tells its own methods only, /openapi.json those of all routes there."""
    template = getattr(request.scope.get("route"), "path_format", None)
    documented = request.app.openapi()["paths"].get(template)
    return ", ".join(sorted(method.upper() for method in documented)) if documented else told


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    item = error.errors()[0]
    if item["type"] == "json_invalid":
        return problem_response(request, 400, "bad-request", f"the body is not JSON: {item['ctx']['error']}")
    if isinstance(item.get("input"), bytes):  # FastAPI reads a body as JSON only if it says that it is
        given = request.headers.get("content-type", "missing")
        detail = f"the Content-Type is {given}; the body must be JSON, sent with Content-Type: application/json"
        return problem_response(request, 415, "unsupported-media-type", detail)
    problem = invalid_fields(error.errors())
    return problem_response(request, 422, problem.code, str(problem.detail), **problem.members)


def invalid_fields(found: Sequence[Mapping[str, Any]]) -> Problem:
    """The problem of what validation found; `loc` of each begins with body, query or path."""
    errors = [_field_error(item) for item in found[:20]]
    first, more = errors[0], len(found) - 1
    where = f"{first['field']}: " if first["field"] else ""
    detail = f"{where}{first['message']}" + (f" (and {more} more)" if more else "")
    return Problem(422, "invalid-request", detail, errors=errors)


def _field_error(item: Mapping[str, Any]) -> dict[str, str]:
    """One validation error as field, value, allowed; `loc` begins with body, query or path."""
    field = ".".join(str(part) for part in item["loc"][1:] or item["loc"])
    value = "" if item["type"] == "missing" else _short(item.get("input"))
    allowed = _allowed(item)
    message = allowed if item["type"] == "value_error" else item["msg"]  # pydantic puts "Value error" before it
    return {"field": field, "value": value, "allowed": allowed, "message": message}


def _allowed(item: Mapping[str, Any]) -> str:
    context = item.get("ctx", {})
    if "expected" in context:
        return str(context["expected"])
    bounds = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "max_length": "length <=", "min_length": "length >="}
    stated = [f"{sign} {context[name]}" for name, sign in bounds.items() if name in context]
    if stated:
        return " and ".join(stated)
    if item["type"] == "extra_forbidden":
        return "no field of this name"
    if item["type"] == "value_error":
        return str(context["error"])
    return KINDS.get(item["type"], str(item["msg"]).lower())


def known_problem(error: Exception) -> Problem | None:
    """The problem that an error of the forecaster or the store is told as; None for one that nobody foresaw."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ForecastError):
        row = {"field": error.field, "value": _short(error.value), "allowed": error.allowed, "message": str(error)}
        return Problem(422, "cannot-forecast", str(error), errors=[row])
    if isinstance(error, UnknownCategory):
        return Problem(404, "unknown-category", str(error), near=list(error.near))
    if isinstance(error, VersionNotPublished):
        return Problem(422, "version-not-published", str(error))
    if isinstance(error, StoreEmpty):
        return Problem(503, "store-empty", str(error))
    return Problem(503, "store-damaged", str(error)) if isinstance(error, StoreDamaged) else None


async def _known(request: Request, error: Exception) -> Response:
    caller = request.scope["state"].get("caller")
    if isinstance(error, UnknownCategory) and caller is not None:
        error = UnknownCategory(error.name, [name for name in error.near if caller.may_see(name)])
    problem = known_problem(error)
    assert problem is not None
    headers = {"Retry-After": "5"} if problem.code == "store-empty" else None
    return problem_response(request, problem.status_code, problem.code, str(problem.detail), headers, **problem.members)


async def _store_damaged(request: Request, error: Exception) -> Response:
    log.error("request %s: %s", request.scope["state"].get("request_id", ""), error)
    return problem_response(request, 503, "store-damaged", str(error))


async def _unexpected(request: Request, error: Exception) -> Response:
    request_id = request.scope["state"].get("request_id", "")
    log.error("request %s failed: %s %s: %r", request_id, request.method, address_of(request.scope), error)
    detail = f"an unexpected error; the log of the service has the cause under request id {request_id}"
    headers = DEFAULTS | {"X-Request-ID": request_id}  # the answer to a defect passes no middleware of ours
    return problem_response(request, 500, "internal-error", detail, headers)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _printable(value: Any) -> Any:
    """Lone surrogates, which JSON can escape into a string, cannot be written as UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list) else value
