"""Events in the sales of a category: proposed, and accepted or refused by a person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BeforeValidator, Field

from api.errors import Problem
from api.event_models import CategoryEvents, DecisionPending, DecisionRequest, SalesEvent
from api.events import asked_of, decided, effect_of, events_of, found, wanted_of
from api.fields import Moment
from api.forecasting import check_limits
from api.keys import all_keys
from api.models import ForecastRequest
from api.now_or_later import busy
from api.routes import AppSettings, Reader, base_url, check_visible, newest_snapshot, statuses
from api.routes.categories import get_category
from api.security import Caller, needs
from api.settings import Settings
from api.strict import StrictRoute, whole
from api.turns import Turns
from signals.batch import Batch, BatchRefused
from signals.handing import Handing

router = APIRouter(prefix="/v1/categories", tags=["events"], route_class=StrictRoute)

ENDING = b"/events"
PATIENCE_SECONDS = 8.0  # snapshots are published every few seconds
Horizon = Annotated[
    int | None,
    Field(ge=1, le=520, description="forecast so many periods with the events and without, side by side"),
    BeforeValidator(whole),
]
Which = Annotated[
    Literal["accepted", "proposed"],
    Field(description="of the forecast with events: those accepted, or those proposed as well"),
]


@router.get(
    "/{category:name}/events",
    summary="Events in the sales of a category",
    response_model=CategoryEvents,
    responses=statuses(401, 403, 404, 422, 503),
)
async def list_events(
    category: str,
    request: Request,
    settings: AppSettings,
    caller: Reader,
    as_of: Moment | None = None,
    horizon: Horizon = None,
    events: Which = "accepted",
) -> Response:
    """Outliers, stock-outs, one-off events and level shifts: what looks like one, and what persons have decided.

    A proposal changes no forecast. With `horizon` the forecast is shown with and without the events. A category whose
    name ends in `/events` is asked for with `%2F` for that slash.
    """
    if not request.scope["raw_path"].endswith(ENDING):
        return get_category(f"{category}/events", request, newest_snapshot(request), caller)
    if horizon is not None:
        check_limits(ForecastRequest(category=category, horizon=horizon), settings)

    def make() -> CategoryEvents:
        snapshot = newest_snapshot(request)
        check_visible(snapshot, category, caller)
        asked = asked_of(snapshot, category, as_of)
        answer = events_of(snapshot, asked)
        if horizon is not None:
            answer.effect = effect_of(snapshot, asked, horizon, events)
        return answer

    turns: Turns = request.app.state.turns
    if turns.wait() > settings.max_wait_seconds:
        raise busy(turns, "its turn would not come in time")
    answer = await turns.take("events", make)
    return Response(answer.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})


@router.post(
    "/{category:name}/events",
    summary="Accept or refuse an event",
    status_code=201,
    response_model=SalesEvent,
    responses=statuses(400, 401, 403, 404, 409, 413, 415, 422, 503) | {202: {"model": DecisionPending}},
)
def decide_event(
    category: str,
    body: DecisionRequest,
    request: Request,
    settings: AppSettings,
    caller: Annotated[Caller, needs("data:write")],
) -> Response:
    """Accept an event, so that forecasts from now on are made without it, or refuse it, so that they are not.

    Each decision is kept with its author and its moment; the last one holds. A person may accept what nobody proposed.
    202: the decision is safe on disk and will be stored, but the store is busy elsewhere.
    """
    snapshot = newest_snapshot(request)
    check_visible(snapshot, category, caller)
    event, batch = decided(snapshot, category, wanted_of(body, name_of(caller, settings)))
    location = f"{base_url(request)}/v1/categories/{quote(category, safe='')}/events"
    if not _stored(settings.home, batch):
        return JSONResponse(DecisionPending(state="pending", location=location).model_dump(), 202)
    answer = events_of(newest_snapshot(request), asked_of(snapshot, category))
    told = found(answer.events, event, answer.frequency)
    return Response(told.model_dump_json(), 201, headers={"Location": location}, media_type="application/json")


def name_of(caller: Caller, settings: Settings) -> str:
    """What the key is called that decides, or its id where it is none of ours."""
    if caller.credential is None:
        return "anonymous"
    names = {key.id: key.name for key in all_keys(settings)}
    return names.get(caller.credential, caller.credential)


def _stored(home: Path, batch: Batch) -> bool:
    """Whether the batch is stored and readers see it; else it waits, safe on disk. Raises the problem 422."""
    handing = Handing(home)
    try:
        return handing.published(handing.give(batch), PATIENCE_SECONDS) is not None
    except BatchRefused as refusal:
        raise Problem(422, "invalid-request", str(refusal)) from refusal
