"""Forecasts: each request retrains and answers; a receipt gives the same answer again."""

from __future__ import annotations

import datetime as dt
import time
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request, Response

from api.attempts import forecast_within
from api.errors import Problem
from api.forecasting import check_limits, within_sight
from api.issued import page_of_category
from api.issued_models import IssuedForecast, IssuedPage
from api.job_models import JobState
from api.jobs import Job
from api.ledger import Issued, Ledger
from api.models import ForecastAnswer, ForecastRequest
from api.now_or_later import in_turn
from api.prefer import preference_of
from api.replay import Replayer
from api.replay_models import Replay
from api.routes import UNCHANGED, AppLedger, AppSettings, Limit, base_url, ledger_of, settings_of, statuses
from api.routes.jobs import accepted
from api.security import Caller, needs
from api.strict import StrictRoute
from api.tables import CSV, JSON, PARQUET, conditional, negotiated, rendered

router = APIRouter(prefix="/v1/forecasts", tags=["forecasts"], route_class=StrictRoute)

FOR_EVER = "private, max-age=31536000, immutable"
FORMS: dict[str, Any] = {
    CSV: {"schema": {"type": "string"}},
    PARQUET: {"schema": {"type": "string", "format": "binary"}},
}
LOCATION = {"Location": {"description": "where the job answers", "schema": {"type": "string"}}}
Receipt = Annotated[str | None, Query(pattern=r"^fc_[0-9A-HJKMNP-TV-Z]{26}$", description="only earlier ones")]
Wanted = Annotated[str, Query(min_length=1, max_length=200, description="the category")]


@router.post(
    "",
    summary="Forecast one category",
    response_model=ForecastAnswer,  # for /openapi.json: the answer goes out as bytes, checked in the tests
    responses=statuses(400, 401, 403, 404, 406, 409, 413, 415, 422, 503)
    | {200: {"content": FORMS}, 202: {"model": JobState, "headers": LOCATION}},
)
async def create_forecast(
    body: ForecastRequest, request: Request, settings: AppSettings, caller: Annotated[Caller, needs("forecast:write")]
) -> Response:
    """Retrain on what is known and forecast, from the store by category or from a history given inline.

    From the store the horizon counts from the moment of forecasting: periods that are over, but whose sales are not
    known yet, come before it as `nowcast`. From an inline history it counts from the last value. `Prefer:
    respond-async` answers 202 with a job at once, `Prefer: wait=10` where it takes longer than ten seconds. A busy
    service answers 202 too where the request would wait too long for its turn, and with `Prefer: handling=strict` 503.
    """
    asked = time.perf_counter()
    form, preference = negotiated(request), preference_of(request)
    body = within_sight(body, caller)
    check_limits(body, settings)
    made = await forecast_within(request, body, caller, asked, preference)
    if isinstance(made, Job):
        response = accepted(request, made)
    else:
        response = Response(rendered(made.answer, form), media_type=form)
        response.headers["Content-Location"] = address_of(request, made.receipt)
    response.headers.update({"Cache-Control": "no-store", "Vary": "Accept, Prefer"} | preference.applied)
    return response


@router.get("", summary="The issued forecasts of a category", responses={401: {}, 403: {}, 422: {}})
def list_forecasts(
    request: Request,
    settings: AppSettings,
    caller: Annotated[Caller, needs("forecast:read")],
    category: Wanted,
    limit: Limit = 100,
    before: Receipt = None,
) -> IssuedPage:
    """Newest first, a page at a time; `next` is the address of the older ones."""
    caller.check_category(category)
    page = page_of_category(settings, category, limit, before)
    following = None
    if page.more:
        query = {"category": category, "limit": limit, "before": page.items[-1].receipt}
        following = f"{base_url(request)}{request.url.path}?{urlencode(query)}"
    return IssuedPage(items=[_listed(request, item) for item in page.items], next=following)


def _listed(request: Request, item: Issued) -> IssuedForecast:
    asked = orjson.loads(item.request)
    assert item.issued is not None
    return IssuedForecast(
        receipt=item.receipt,
        category=item.category,
        issued=item.issued.replace(tzinfo=dt.UTC),
        location=address_of(request, item.receipt),
        face=item.face,
        **{name: asked[name] for name in ("horizon", "engine", "levels", "as_of", "data_version")},
        **{name: asked.get(name) for name in ("deadline_ms", "members")},
    )


@router.get(
    "/{receipt}",
    summary="The forecast of a receipt",
    response_model=ForecastAnswer,
    responses=statuses(400, 401, 403, 404, 406, 422) | {200: {"content": FORMS}, 304: UNCHANGED},
)
def get_forecast(
    receipt: str,
    request: Request,
    ledger: AppLedger,
    caller: Annotated[Caller, needs("forecast:read")],
) -> Response:
    """The same answer that was given when it was issued."""
    form, issued = negotiated(request), _visible(ledger, receipt, caller)
    tag = receipt if form == JSON else f"{receipt}-{'csv' if form == CSV else 'parquet'}"
    response = conditional(
        request, f'"{tag}"', FOR_EVER, lambda: Response(rendered(issued.answer, form), media_type=form)
    )
    response.headers["Vary"] = "Accept"
    return response


@router.get(
    "/{receipt}/replay", summary="Make the forecast of a receipt again", responses=statuses(401, 403, 404, 422, 503)
)
async def replay_forecast(
    receipt: str, request: Request, response: Response, caller: Annotated[Caller, needs("forecast:read")]
) -> Replay:
    """From what was known and asked then, compared to the byte with what was issued; nothing is kept of it."""
    found = await run_sync(_visible, ledger_of(request), receipt, caller)
    response.headers["Cache-Control"] = "no-store"
    replayer = Replayer(settings_of(request), request.app.state.forecaster, ledger_of(request))
    return await in_turn(request, "replay", partial(replayer.compared, found))


def _visible(ledger: Ledger, receipt: str, caller: Caller) -> Issued:
    """The forecast of a receipt; raises the problem 404 where there is none that the caller may see."""
    issued = ledger.resolve(receipt)
    if issued is None or not (caller.may_see(issued.category) or caller.owns(issued.key_id)):
        raise Problem(404, "unknown-receipt", f"no forecast has the receipt {receipt!r}")
    return issued


def address_of(request: Request, receipt: str) -> str:
    """Where a receipt is resolved."""
    return f"{base_url(request)}/v1/forecasts/{receipt}"
