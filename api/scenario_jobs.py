"""What is asked of scenarios, as data: answered by the request itself, or by the job worker where it takes too long."""

from __future__ import annotations

import uuid
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel

from api.database import engine_of, job, writing
from api.errors import known_problem
from api.idempotency import Claim
from api.making import body_of
from api.scenario_models import AgainRequest, CompareRequest, Evaluation, Scenario, ScenarioRequest
from api.scenarios import Asked, Scenarios, asked_of, changes_of, check_asked, compared, evaluate
from api.security import Caller
from api.settings import Settings
from api.snapshots import Snapshots
from api.worker import JobFailed, Made, Work
from forecast import Change
from signals.store import Snapshot

KIND = "scenario"


class Question(BaseModel):
    """One of three questions, and who asks. `scenario` is the id of the one that is kept or answered anew."""

    new: ScenarioRequest | None = None
    again: AgainRequest | None = None
    compare: CompareRequest | None = None
    scenario: str = ""
    key_id: str | None
    credential: str | None
    categories: frozenset[str] | None

    @property
    def caller(self) -> Caller:
        """Who asks; the scopes were looked at when the question came."""
        return Caller(self.key_id, frozenset(), self.categories, self.credential)


def asked_by(
    caller: Caller,
    scenario: str = "",
    *,
    new: ScenarioRequest | None = None,
    again: AgainRequest | None = None,
    compare: CompareRequest | None = None,
) -> Question:
    """The question of a caller; its parts were validated when they came."""
    return Question.model_construct(
        new=new,
        again=again,
        compare=compare,
        scenario=scenario,
        key_id=caller.key_id,
        credential=caller.credential,
        categories=caller.categories,
    )


def new_id(claim: Claim | None) -> str:
    """The id of a new scenario: the same for the same key of a request, another each time where there is none."""
    return f"sc_{(uuid.uuid5(uuid.NAMESPACE_OID, claim.name) if claim else uuid.uuid4()).hex}"


def check(question: Question, settings: Settings) -> None:
    """Refuse at once what no answer will come of, as far as no data are needed to see it; raises Problem."""
    port = Scenarios(engine_of(settings))
    check_asked(_asked(question, port)[0], settings)
    if question.new is not None:
        port.check_free(question.new.category, question.new.name, question.scenario)


def answered(question: Question, snapshot: Snapshot, settings: Settings) -> Scenario | Evaluation:
    """The answer, kept where it is to be. Raises Problem, ForecastError and what the store raises.

    A new scenario that is there already, by a try that was cut off, is given as it was kept.
    """
    port = Scenarios(engine_of(settings))
    if question.new is not None and port.has(question.scenario):
        return port.get(question.scenario, question.caller)
    check(question, settings)
    answer = evaluate(snapshot, settings, *_asked(question, port))
    if question.new is not None:
        return port.add(question.new, answer, question.caller, question.scenario)
    if question.again is not None:
        port.keep(question.scenario, answer)
    return answer


def _asked(question: Question, port: Scenarios) -> tuple[Asked, dict[str, list[Change]]]:
    """How to answer, and the changes of each scenario by its name."""
    new, again, compare = question.new, question.again, question.compare
    if new is not None:
        return asked_of(new), {new.name: [change.change() for change in new.changes]}
    if again is not None:
        found = port.get(question.scenario, question.caller)
        asked = Asked(found.category, again.horizon or found.horizon, found.engine, found.levels, again.as_of)
        return asked, {found.name: changes_of(found)}
    assert compare is not None
    side_by_side = [port.get(number, question.caller) for number in compare.scenarios]
    return compared(side_by_side, compare), {one.name: changes_of(one) for one in side_by_side}


class Answering:
    """One question. What it came to is kept with the job in one step, so that done again it is the same."""

    def parts(self, work: Work) -> int:  # noqa: ARG002
        """One."""
        return 1

    def part(self, work: Work, number: int) -> None:  # noqa: ARG002
        """Answer, unless an interrupted try has."""
        if work.job.result is not None:
            return
        try:
            snapshot = _snapshots(work.settings.home).current()
            answer = answered(Question.model_validate_json(work.job.request), snapshot, work.settings)
        except Exception as error:
            problem = known_problem(error)
            if problem is None:
                raise
            raise JobFailed(body_of(problem)) from error
        this = job.c.job == work.job.job, job.c.result.is_(None)
        with writing(work.engine) as connection:
            connection.execute(job.update().where(*this).values(result=answer.model_dump_json().encode()))

    def finish(self, work: Work) -> Made:
        """The answer."""
        assert work.job.result is not None
        return Made(work.job.result)


@lru_cache(maxsize=1)
def _snapshots(home: Path) -> Snapshots:
    return Snapshots(home)
