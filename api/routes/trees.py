"""Trees: forecasts of all levels that add up."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request

from api.now_or_later import in_turn
from api.routes import AppSettings, newest_snapshot, statuses
from api.security import Caller, needs
from api.strict import StrictRoute
from api.tree_models import TreeAnswer, TreeRequest
from api.trees import answer_tree

router = APIRouter(prefix="/v1/trees", tags=["trees"], route_class=StrictRoute)


@router.post(
    "",
    summary="Forecast a tree of categories",
    responses=statuses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def forecast_tree(
    body: TreeRequest, request: Request, settings: AppSettings, caller: Annotated[Caller, needs("forecast:write")]
) -> TreeAnswer:
    """Forecast a category and all below it so that every level adds up, and split a plan over them.

    The tree is that of the categories' parents; those without any below them bring the sales. `gains` tells by level
    what adding up did to the errors of past forecasts.
    """
    return await in_turn(
        request,
        f"{body.engine} tree",
        lambda: answer_tree(newest_snapshot(request), settings, body, caller),
    )
