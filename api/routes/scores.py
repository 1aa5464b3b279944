"""How issued forecasts did, once their actuals were known."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BeforeValidator, Field

from api.fields import Day
from api.life.score_answers import category_scores, portfolio
from api.life.score_models import CategoryScores, Portfolio
from api.life.scores import Basis, Chosen
from api.routes import AppSettings, Limit, Offset, check_visible, newest_snapshot, page_of, statuses
from api.routes.categories import get_category
from api.security import Caller, needs
from api.strict import StrictRoute, whole

router = APIRouter(tags=["scores"], route_class=StrictRoute)

ENDING = b"/scores"
Lead = Annotated[
    int | None,
    Field(ge=1, le=520, description="only of so many periods after the last that was known; default: all together"),
    BeforeValidator(whole),
]
Since = Annotated[Day | None, Field(description="only periods with this label or a later one")]
Until = Annotated[Day | None, Field(description="only periods with this label or an earlier one")]
Against = Annotated[
    Basis, Field(description="score against the actuals as they are known by now, or as they were first known")
]
MayRead = Annotated[Caller, needs("forecast:read")]


async def chosen(lead: Lead = None, since: Since = None, until: Until = None, basis: Against = "latest") -> Chosen:
    """Which scores are asked for."""
    return Chosen(lead=lead, since=since, until=until, basis=basis)


Wanted = Annotated[Chosen, Depends(chosen)]


@router.get(
    "/v1/scores",
    summary="How the forecasts of all categories did",
    response_model=Portfolio,
    responses=statuses(401, 403, 422, 503),
)
def list_scores(
    request: Request,
    settings: AppSettings,
    caller: MayRead,
    wanted: Wanted,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Response:
    """The ladder of forecast value added over the categories that the caller may see, and a sentence on each."""
    snapshot = newest_snapshot(request)
    answer = portfolio(settings, snapshot, wanted, visible=caller.categories, limit=limit, offset=offset)
    following = page_of(request, answer.total, limit, offset)["next"]
    answer = answer.model_copy(update={"next": following})
    return Response(answer.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})


@router.get(
    "/v1/categories/{category:name}/scores",
    summary="How the forecasts of a category did",
    response_model=CategoryScores,
    responses=statuses(401, 403, 404, 422, 503),
)
def get_scores(
    category: str,
    request: Request,
    settings: AppSettings,
    caller: MayRead,
    wanted: Wanted,
) -> Response:
    """The ladder of forecast value added: naive, seasonal naive, model without signals, system, published.

    Of all lead times together and of each, by the last forecast of each origin. A category whose name ends in
    `/scores` is asked for with `%2F` for that slash.
    """
    snapshot = newest_snapshot(request)
    if not request.scope["raw_path"].endswith(ENDING):
        caller.check_scope("data:read")
        return get_category(f"{category}/scores", request, snapshot, caller)
    check_visible(snapshot, category, caller)
    answer = category_scores(settings, snapshot, category, wanted)
    return Response(answer.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})
