"""Scenarios: what if signals took other paths?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Query, Request, Response

from api.database import engine_of
from api.idempotency import claim_of
from api.job_models import JobState
from api.jobs import Job, Jobs
from api.now_or_later import Attempt, now_or_later
from api.prefer import preference_of
from api.routes import AppSettings, Limit, Offset, base_url, page_of, statuses
from api.routes.forecasts import LOCATION
from api.routes.jobs import accepted
from api.scenario_jobs import KIND, Question, answered, asked_by, check, new_id
from api.scenario_models import (
    AgainRequest,
    CompareRequest,
    Evaluation,
    Scenario,
    ScenarioPage,
    ScenarioRequest,
)
from api.scenarios import Scenarios
from api.security import Caller, needs
from api.strict import StrictRoute
from api.turns import Turns

router = APIRouter(prefix="/v1/scenarios", tags=["scenarios"], route_class=StrictRoute)


def _scenarios(settings: AppSettings) -> Scenarios:
    return Scenarios(engine_of(settings))


Port = Annotated[Scenarios, Depends(_scenarios)]
Reader = Annotated[Caller, needs("forecast:read")]
Writer = Annotated[Caller, needs("forecast:write")]
Category = Annotated[str | None, Query(min_length=1, max_length=200, description="only those of this category")]
POSTED = statuses(400, 401, 403, 404, 409, 413, 415, 422, 503) | {202: {"model": JobState, "headers": LOCATION}}


@dataclass
class _Answering(Attempt[Scenario | Evaluation]):
    question: Question
    engine: str

    @property
    def kind(self) -> str:
        return f"{self.engine} scenario"

    async def made(self, turns: Turns) -> Scenario | Evaluation:
        return await turns.take(self.kind, self._answer, begun=self.begun)

    def _answer(self) -> Scenario | Evaluation:
        return answered(self.question, self.app.state.snapshots.current(), self.app.state.settings)

    async def become_job(self) -> Job:
        return await run_sync(self._accept)

    def _accept(self) -> Job:
        jobs: Jobs = self.app.state.jobs
        name = self.claim.name if self.claim else ""
        request = self.question.model_dump_json(exclude_defaults=True).encode()
        job = jobs.status(jobs.accept(KIND, request, key_id=self.question.key_id, name=name))
        assert job is not None
        return job


async def _answered(request: Request, response: Response, question: Question, engine: str) -> Any:
    """The answer, or the response 202 of the job that it became; raises the problem 503 as for forecasts."""
    preference = preference_of(request)
    await run_sync(check, question, request.app.state.settings)
    made = await now_or_later(_Answering(request.app, claim_of(request), question, engine), preference)
    told = accepted(request, made) if isinstance(made, Job) else response
    told.headers.update({"Vary": "Prefer"} | preference.applied)
    return told if isinstance(made, Job) else made


@router.post("", summary="Keep and answer a scenario", status_code=201, response_model=Scenario, responses=POSTED)
async def create_scenario(body: ScenarioRequest, request: Request, response: Response, caller: Writer) -> Any:
    """Forecast a category as if signals, promotions or prices took other paths, beside the baseline; keep it by name.

    What it tells is an association in past sales, not proof of a cause. Answering it again, with what is known by then,
    is `POST /v1/scenarios/{id}/forecast`. `Prefer` and a busy service may make a job of it, as of a forecast.
    """
    caller.check_category(body.category)
    question = asked_by(caller, new_id(claim_of(request)), new=body)
    made = await _answered(request, response, question, body.engine)
    if isinstance(made, Scenario):
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


@router.post("/compare", summary="Several scenarios side by side", response_model=Evaluation, responses=POSTED)
async def compare_scenarios(body: CompareRequest, request: Request, response: Response, caller: Writer) -> Any:
    """Answer kept scenarios of one category anew, all beside the same baseline; their last answers stay."""
    return await _answered(request, response, asked_by(caller, compare=body), body.engine)


@router.get("/{scenario}", summary="A scenario", responses=statuses(401, 403, 404))
def get_scenario(scenario: str, port: Port, caller: Reader) -> Scenario:
    """As it was kept, with its last answer."""
    return port.get(scenario, caller)


@router.post("/{scenario}/forecast", summary="Answer a scenario anew", response_model=Evaluation, responses=POSTED)
async def forecast_scenario(
    scenario: str, body: AgainRequest, request: Request, response: Response, caller: Writer
) -> Any:
    """Retrain on what is known now and answer; the answer is kept as the scenario's last one."""
    return await _answered(request, response, asked_by(caller, scenario, again=body), "kept")


@router.delete("/{scenario}", summary="Forget a scenario", status_code=204, responses=statuses(401, 403, 404))
def delete_scenario(scenario: str, port: Port, caller: Writer) -> Response:
    """Its answers are gone with it."""
    port.remove(scenario, caller)
    return Response(status_code=204)
