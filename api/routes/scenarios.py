"""Scenarios: what if signals took other paths?"""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api.attempts import in_turn
from api.database import engine_of
from api.idempotency import claim_of
from api.routes import AppSettings, Limit, Offset, base_url, newest_snapshot, page_of, statuses
from api.scenario_models import (
    AgainRequest,
    CompareRequest,
    Evaluation,
    Scenario,
    ScenarioPage,
    ScenarioRequest,
)
from api.scenarios import Asked, Scenarios, asked_of, changes_of, compared, evaluate
from api.security import Caller, needs
from api.strict import StrictRoute

router = APIRouter(prefix="/v1/scenarios", tags=["scenarios"], route_class=StrictRoute)


def _scenarios(settings: AppSettings) -> Scenarios:
    return Scenarios(engine_of(settings))


Port = Annotated[Scenarios, Depends(_scenarios)]
Reader = Annotated[Caller, needs("forecast:read")]
Writer = Annotated[Caller, needs("forecast:write")]
Category = Annotated[str | None, Query(min_length=1, max_length=200, description="only those of this category")]
REFUSED = statuses(400, 401, 403, 404, 413, 415, 422, 503)


@router.post("", summary="Keep and answer a scenario", status_code=201, responses=REFUSED | statuses(409))
async def create_scenario(
    body: ScenarioRequest, request: Request, response: Response, settings: AppSettings, port: Port, caller: Writer
) -> Scenario:
    """Forecast a category as if signals, promotions or prices took other paths, beside the baseline; keep it by name.

    What it tells is an association in past sales, not proof of a cause. Answering it again, with what is known by then,
    is `POST /v1/scenarios/{id}/forecast`.
    """
    caller.check_category(body.category)
    claim = claim_of(request)
    number = f"sc_{uuid.uuid5(uuid.NAMESPACE_OID, claim.name).hex}" if claim else None

    def make() -> Scenario:
        if claim and claim.again and (before := port.find(body.category, number or "")):
            return before[0]
        port.check_free(body.category, body.name)
        changes = [change.change() for change in body.changes]
        answer = evaluate(newest_snapshot(request), settings, asked_of(body), {body.name: changes})
        return port.add(body, answer, caller, number)

    made = await in_turn(request, f"{body.engine} scenario", make)
    response.headers["Location"] = f"{base_url(request)}/v1/scenarios/{made.id}"
    return made


@router.get("", summary="All scenarios", responses=statuses(401, 403, 422))
def list_scenarios(
    request: Request, port: Port, caller: Reader, category: Category = None, limit: Limit = 100, offset: Offset = 0
) -> ScenarioPage:
    """The newest first, a page at a time; those of categories that the caller may see."""
    caller.check_category(category)
    items, total = port.page(caller.categories if category is None else {category}, limit, offset)
    return ScenarioPage(items=items, **page_of(request, total, limit, offset))


@router.post("/compare", summary="Several scenarios side by side", responses=REFUSED)
async def compare_scenarios(
    body: CompareRequest, request: Request, settings: AppSettings, port: Port, caller: Writer
) -> Evaluation:
    """Answer kept scenarios of one category anew, all beside the same baseline; their last answers stay."""

    def make() -> Evaluation:
        found = [port.get(number, caller) for number in body.scenarios]
        asked = compared(found, body)
        return evaluate(newest_snapshot(request), settings, asked, {one.name: changes_of(one) for one in found})

    return await in_turn(request, f"{body.engine} scenario", make)


@router.get("/{scenario}", summary="A scenario", responses=statuses(401, 403, 404))
def get_scenario(scenario: str, port: Port, caller: Reader) -> Scenario:
    """As it was kept, with its last answer."""
    return port.get(scenario, caller)


@router.post("/{scenario}/forecast", summary="Answer a scenario anew", responses=REFUSED)
async def forecast_scenario(
    scenario: str, body: AgainRequest, request: Request, settings: AppSettings, port: Port, caller: Writer
) -> Evaluation:
    """Retrain on what is known now and answer; the answer is kept as the scenario's last one."""

    def make() -> Evaluation:
        found = port.get(scenario, caller)
        asked = Asked(found.category, body.horizon or found.horizon, found.engine, found.levels, body.as_of)
        answer = evaluate(newest_snapshot(request), settings, asked, {found.name: changes_of(found)})
        port.keep(found.id, answer)
        return answer

    return await in_turn(request, "kept scenario", make)


@router.delete("/{scenario}", summary="Forget a scenario", status_code=204, responses=statuses(401, 403, 404))
def delete_scenario(scenario: str, port: Port, caller: Writer) -> Response:
    """Its answers are gone with it."""
    port.remove(scenario, caller)
    return Response(status_code=204)
