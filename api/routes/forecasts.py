"""Forecasts: each request retrains and answers; a receipt gives the same answer again."""

from __future__ import annotations

import time
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request, Response

from api.errors import Problem
from api.forecasting import Forecaster, check_limits
from api.ledger import Issued, Ledger
from api.models import ForecastAnswer, ForecastRequest
from api.routes import AppSettings, ledger_of
from api.security import Caller, needs
from api.strict import StrictRoute

router = APIRouter(prefix="/v1/forecasts", tags=["forecasts"], route_class=StrictRoute)


@router.post(
    "",
    summary="Forecast one category",
    response_model=ForecastAnswer,  # for /openapi.json: the answer goes out as bytes, checked in the tests
    responses={status: {} for status in (400, 401, 403, 404, 413, 415, 422, 503)},
)
async def create_forecast(
    body: ForecastRequest, request: Request, settings: AppSettings, caller: Annotated[Caller, needs("forecast:write")]
) -> Response:
    """Retrain on what is known and forecast, from the store by category or from a history given inline.

    From the store the horizon counts from the moment of forecasting: periods that are over, but whose sales are not
    known yet, come before it as `nowcast`. From an inline history it counts from the last value.
    """
    asked = time.perf_counter()
    caller.check_category(body.category)
    check_limits(body, settings)
    issued = await run_sync(_issue, body, request, caller, asked, limiter=request.app.state.forecasting)
    return Response(issued.answer, media_type="application/json")


def _issue(body: ForecastRequest, request: Request, caller: Caller, asked: float) -> Issued:
    forecaster: Forecaster = request.app.state.forecaster
    issued = forecaster.make(body, asked=asked, key_id=caller.key_id)
    ledger_of(request).append(issued)
    return issued


@router.get(
    "/{receipt}",
    summary="The forecast of a receipt",
    response_model=ForecastAnswer,
    responses={401: {}, 403: {}, 404: {}},
)
def get_forecast(
    receipt: str, ledger: Annotated[Ledger, Depends(ledger_of)], caller: Annotated[Caller, needs("forecast:read")]
) -> Response:
    """The same answer that was given when it was issued."""
    issued = ledger.resolve(receipt)
    if issued is None or not (caller.may_see(issued.category) or caller.owns(issued.key_id)):
        raise Problem(404, "unknown-receipt", f"no forecast has the receipt {receipt!r}")
    return Response(issued.answer, media_type="application/json")
