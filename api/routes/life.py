"""Which configuration serves a category, what a person decides about it, and alerts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from api.database import engine_of, now
from api.errors import Problem
from api.fields import Name
from api.job_models import JobState
from api.life import retune_job
from api.life.alerts import Alert, alert_of, number_of, settle
from api.life.answers import alert_answer, alert_page, configurations, kept_settings, portfolio
from api.life.models import (
    AlertAnswer,
    AlertPage,
    AlertRequest,
    AlertState,
    CategoryConfigurations,
    ConfigurationPage,
    DecisionRequest,
    PromoteRequest,
    VetoRequest,
)
from api.life.moves import forbid, pin, place_now, promote_named, roll_back
from api.life.serving import By
from api.routes import AppJobs, AppSettings, Limit, Offset, check_visible, newest_snapshot, page_of, statuses
from api.routes.categories import get_category
from api.routes.events import name_of
from api.routes.jobs import accepted
from api.security import Caller, needs
from api.settings import Settings
from api.strict import StrictRoute

router = APIRouter(route_class=StrictRoute)

ENDING = b"/configurations"
CATEGORY = "/v1/categories/{category:name}"
MayRead = Annotated[Caller, needs("forecast:read")]
MayDecide = Annotated[Caller, needs("model:write")]
State = Annotated[AlertState | None, Field(description="only those in this state")]
Of = Annotated[Name | None, Field(description="only those of this category")]
PROBLEMS = statuses(400, 401, 403, 404, 409, 413, 415, 422, 503)
UNCACHED = {"Cache-Control": "no-store"}


@router.get(
    "/v1/configurations", tags=["configurations"], summary="What serves each category",
    response_model=ConfigurationPage, responses=statuses(401, 403, 422, 503),
)  # fmt: skip
def list_configurations(
    request: Request, settings: AppSettings, caller: MayRead, limit: Limit = 100, offset: Offset = 0
) -> Response:
    """Champion, challenger and its share of the categories that the caller may see, by name."""
    page = portfolio(settings, newest_snapshot(request), visible=caller.categories, limit=limit, offset=offset)
    page = page.model_copy(update={"next": page_of(request, page.total, limit, offset)["next"]})
    return Response(page.model_dump_json(), media_type="application/json", headers=UNCACHED)


@router.get(
    f"{CATEGORY}/configurations", tags=["configurations"], summary="What serves a category, and how that came about",
    response_model=CategoryConfigurations, responses=statuses(401, 403, 404, 422, 503),
)  # fmt: skip
def get_configurations(category: str, request: Request, settings: AppSettings, caller: MayRead) -> Response:
    """Champion, challenger with its share and evidence, and each change with its evidence.

    A category whose name ends in `/configurations` is asked for with `%2F` for that slash.
    """
    snapshot = newest_snapshot(request)
    if not request.scope["raw_path"].endswith(ENDING):
        caller.check_scope("data:read")
        return get_category(f"{category}/configurations", request, snapshot, caller)
    check_visible(snapshot, category, caller)
    return _told(request, settings, category)


@router.post(
    f"{CATEGORY}/configurations/promote", tags=["configurations"], summary="Make a configuration the champion",
    response_model=CategoryConfigurations, responses=PROBLEMS,
)  # fmt: skip
def promote_configuration(
    category: str, body: PromoteRequest, request: Request, settings: AppSettings, caller: MayDecide
) -> Response:
    """The challenger, one by its id, or one of a person's own; the champion of before is kept to roll back to."""
    by = _by(request, settings, category, body, caller)
    name = body.configuration if body.settings is None else kept_settings(settings, body.settings, by.moment)
    promote_named(settings, category, name, by)
    return _told(request, settings, category)


@router.post(
    f"{CATEGORY}/configurations/rollback", tags=["configurations"], summary="Put the champion of before back",
    response_model=CategoryConfigurations, responses=PROBLEMS,
)  # fmt: skip
def roll_configuration_back(
    category: str, body: DecisionRequest, request: Request, settings: AppSettings, caller: MayDecide
) -> Response:
    """End the challenger where there is one, else put the champion of before in its place again."""
    by = _by(request, settings, category, body, caller)
    if not roll_back(settings, place_now(settings, category), by):
        raise Problem(409, "conflict", f"what serves {category!r} was changed by another at this moment: look again")
    return _told(request, settings, category)


@router.post(
    f"{CATEGORY}/configurations/pin", tags=["configurations"], summary="Keep the champion",
    response_model=CategoryConfigurations, responses=PROBLEMS,
)  # fmt: skip
def pin_configuration(
    category: str, body: DecisionRequest, request: Request, settings: AppSettings, caller: MayDecide
) -> Response:
    """Nothing takes its place any more but by a person; a challenger ends."""
    pin(settings, category, True, _by(request, settings, category, body, caller))
    return _told(request, settings, category)


@router.post(
    f"{CATEGORY}/configurations/unpin", tags=["configurations"], summary="Let the gates decide again",
    response_model=CategoryConfigurations, responses=PROBLEMS,
)  # fmt: skip
def unpin_configuration(
    category: str, body: DecisionRequest, request: Request, settings: AppSettings, caller: MayDecide
) -> Response:
    """The end of `pin`."""
    pin(settings, category, False, _by(request, settings, category, body, caller))
    return _told(request, settings, category)


@router.post(
    f"{CATEGORY}/configurations/veto", tags=["configurations"], summary="Never try a configuration again",
    response_model=CategoryConfigurations, responses=PROBLEMS,
)  # fmt: skip
def veto_configuration(
    category: str, body: VetoRequest, request: Request, settings: AppSettings, caller: MayDecide
) -> Response:
    """For this category; as its challenger it ends."""
    forbid(settings, category, body.configuration, _by(request, settings, category, body, caller))
    return _told(request, settings, category)


@router.post(
    f"{CATEGORY}/retune", tags=["configurations"], summary="Search for a better configuration", status_code=202,
    response_model=JobState, responses=PROBLEMS,
)  # fmt: skip
def retune_category(
    category: str, body: DecisionRequest, request: Request, settings: AppSettings, jobs: AppJobs, caller: MayDecide
) -> Response:
    """As a job, which gives way to requests; one that is under way for the category is answered in its place."""
    check_visible(newest_snapshot(request), category, caller)
    why = f"{name_of(caller, settings)}: {body.reason or 'asked for'}"
    number, _ = retune_job.begin(jobs, engine_of(settings), category, why, caller.key_id)
    found = jobs.status(number)
    assert found is not None  # it was written before
    return accepted(request, found)


@router.get(
    "/v1/alerts", tags=["alerts"], summary="What goes wrong", response_model=AlertPage,
    responses=statuses(401, 403, 422, 503),
)  # fmt: skip
def list_alerts(
    request: Request,
    settings: AppSettings,
    caller: MayRead,
    state: State = None,
    category: Of = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Response:
    """Alerts of the categories that the caller may see, the newest first."""
    visible = caller.categories
    if category is not None:
        visible = frozenset({category} if caller.may_see(category) else ())
    page = alert_page(settings, categories=visible, state=state, limit=limit, offset=offset)
    page = page.model_copy(update={"next": page_of(request, page.total, limit, offset)["next"]})
    return Response(page.model_dump_json(), media_type="application/json", headers=UNCACHED)


@router.get("/v1/alerts/{alert}", tags=["alerts"], summary="One alert", responses=statuses(401, 403, 404, 422, 503))
def get_alert(alert: str, settings: AppSettings, caller: MayRead) -> AlertAnswer:
    """By its id."""
    return alert_answer(_alert(settings, alert, caller))


@router.post("/v1/alerts/{alert}", tags=["alerts"], summary="Acknowledge or close an alert", responses=PROBLEMS)
def settle_alert(alert: str, body: AlertRequest, settings: AppSettings, caller: MayDecide) -> AlertAnswer:
    """One that is acknowledged is not raised again while it lasts; one that is closed is, where it is found anew."""
    known = _alert(settings, alert, caller)
    by = {"actor": name_of(caller, settings), "reason": body.reason, "moment": now()}
    settled = settle(settings, known.number, body.state, **by)  # type: ignore[arg-type]
    assert settled is not None
    return alert_answer(settled)


def _alert(settings: Settings, name: str, caller: Caller) -> Alert:
    number = number_of(name)
    found = None if number is None else alert_of(settings, number)
    if found is None or not caller.may_see(found.category):
        raise Problem(404, "unknown-alert", f"there is no alert {name!r}")
    return found


def _by(request: Request, settings: Settings, category: str, body: DecisionRequest, caller: Caller) -> By:
    check_visible(newest_snapshot(request), category, caller)
    return By(body.reason or "decided by a person", now(), name_of(caller, settings))


def _told(request: Request, settings: Settings, category: str) -> Response:
    answer = configurations(settings, newest_snapshot(request), category)
    return Response(answer.model_dump_json(), media_type="application/json", headers=UNCACHED)
