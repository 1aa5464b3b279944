"""Many forecasts in one request."""

from __future__ import annotations

import json
from concurrent.futures import Future
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response

from api.attempts import kind_of
from api.bulk import CHUNK, Item, job_request, joined, read_items, told
from api.errors import Problem, known_problem
from api.forecasting import Forecaster
from api.idempotency import Claim, claim_of
from api.job_models import JobState
from api.ledger import Ledger
from api.making import body_of
from api.models import BulkAnswer, ForecastRequest
from api.now_or_later import NOT_LATER, busy
from api.prefer import preference_of
from api.routes import AppSettings, jobs_of, ledger_of, statuses
from api.routes.forecasts import LOCATION
from api.routes.jobs import accepted
from api.security import Caller, needs
from api.strict import StrictRoute, content_type
from api.tables import JSON, NDJSON, negotiated
from api.turns import Turns

router = APIRouter(prefix="/v1/forecasts", tags=["forecasts"], route_class=StrictRoute)

REQUEST = {"$ref": "#/components/schemas/ForecastRequest"}
BODY: dict[str, Any] = {
    "required": True,
    "content": {JSON: {"schema": {"type": "array", "items": REQUEST}}, NDJSON: {"schema": REQUEST}},
}


@router.post(
    "/bulk",
    summary="Forecast many categories or histories",
    response_model=BulkAnswer,
    responses=statuses(400, 401, 403, 406, 409, 413, 415, 422, 503)
    | {200: {"content": {NDJSON: {"schema": {"type": "string"}}}}, 202: {"model": JobState, "headers": LOCATION}},
    openapi_extra={"requestBody": BODY},
)
async def create_forecasts(
    request: Request, settings: AppSettings, caller: Annotated[Caller, needs("forecast:write")]
) -> Response:
    """A list of requests, as JSON or a line each; the answers come in their order, each with a status of its own.

    Up to the setting `max_bulk` of them are answered at once; with `Prefer: respond-async` up to `max_bulk_job` become
    a job, whose answer is the same. A busy service makes a job of fewer, too.
    """
    given = content_type(request, (JSON, NDJSON))
    form, preference = negotiated(request, (JSON, NDJSON)), preference_of(request)
    later = preference.asynchronous or preference.wait == 0
    turns: Turns = request.app.state.turns
    most = settings.max_bulk_job if later else settings.max_bulk
    try:
        items = await run_sync(read_items, await request.body(), given, settings, caller, most)
    except json.JSONDecodeError as error:
        raise Problem(400, "bad-request", f"the body is not JSON: {error.msg}") from None
    if not later and turns.wait() > settings.max_wait_seconds:
        if preference.strict:
            raise busy(turns, NOT_LATER)
        later = True
    if later:
        response = await run_sync(_accept, request, items, form, caller)
        response.headers.update(preference.applied)
    else:
        response = Response(joined(await _answers(request, items, caller), form), media_type=form)
    response.headers.update({"Cache-Control": "no-store", "Vary": "Accept, Prefer"})
    return response


def _accept(request: Request, items: list[Item], form: str, caller: Caller) -> Response:
    jobs, claim = jobs_of(request), claim_of(request)
    parts = -(-len(items) // CHUNK)
    name = claim.name if claim else ""
    number = jobs.accept("bulk", job_request(items, form), key_id=caller.key_id, total=parts, name=name)
    job = jobs.status(number)
    assert job is not None
    return accepted(request, job)


async def _answers(request: Request, items: list[Item], caller: Caller) -> list[bytes]:
    """One after the other, each waiting for its turn among the requests of others; then all are safe on disk."""
    claim, kept, found = claim_of(request), [], []
    turns: Turns = request.app.state.turns
    for number, item in enumerate(items):
        if isinstance(item, bytes):
            found.append(told(number, item, good=False))
            continue
        answer, safe = await turns.take(kind_of(item), _answer, request, item, caller, claim, number)
        found.append(answer)
        kept += safe
    await run_sync(_settle, kept)
    return found


def _answer(
    request: Request, item: ForecastRequest, caller: Caller, claim: Claim | None, number: int
) -> tuple[bytes, list[Future[None]]]:
    forecaster: Forecaster = request.app.state.forecaster
    ledger: Ledger = ledger_of(request)
    receipt = claim.receipt_of(number) if claim else None
    before = ledger.resolve(receipt) if claim and claim.again and receipt else None
    if before:
        return told(number, before.answer, good=True), []
    try:
        issued = forecaster.make(item, key_id=caller.key_id, receipt=receipt)
    except Exception as error:
        problem = known_problem(error)
        if problem is None:
            raise
        return told(number, body_of(problem), good=False), []
    return told(number, issued.answer, good=True), [ledger.append_soon(issued)]


def _settle(kept: list[Future[None]]) -> None:
    for future in kept:
        future.result()
