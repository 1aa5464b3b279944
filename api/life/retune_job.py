"""The search for a better configuration as a job: a part a candidate, so that it goes on where it was interrupted."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import numpy as np
import orjson
import sqlalchemy as sa

from api.database import job as job_table
from api.database import now, reading, retune_part, writing
from api.errors import known_problem
from api.jobs import ALIVE, RETUNES, Jobs
from api.life.editions import Pause
from api.life.retune import (
    Plan,
    as_body,
    combination,
    conclude,
    from_body,
    gated,
    outcome_of,
    plan_or_note,
    ranked,
    searched,
)
from api.life.scoring import giving_way
from api.making import body_of
from api.run_chunk import is_over
from api.snapshots import Snapshots
from api.worker import JobFailed, Made, Work
from forecast import Configuration, ForecastError
from forecast.transform import FloatArray
from signals.store import Snapshot, StoreEmpty, UnknownCategory, VersionNotPublished

KIND = "retune"
PLAN = -1  # the number of the part that holds the plan


def begin(jobs: Jobs, engine: sa.Engine, category: str, why: str, key_id: str | None = None) -> tuple[str, bool]:
    """Accept a search for a category; its job, and whether it is new: one that is under way is not begun twice."""
    with reading(engine) as connection:
        for number, taken in under_way(connection):
            if taken == category:
                return number, False
    request = orjson.dumps({"category": category, "why": why, "moment": now().isoformat()})
    return jobs.accept(KIND, request, key_id=key_id, queue=RETUNES), True


def under_way(connection: sa.Connection) -> list[tuple[str, str]]:
    """The searches that are not over: job and category."""
    alive = sa.and_(job_table.c.kind == KIND, job_table.c.state.in_(ALIVE))
    rows = connection.execute(sa.select(job_table.c.job, job_table.c.request).where(alive))
    return [(row.job, orjson.loads(row.request)["category"]) for row in rows]


class Retuning:
    """Does a search: a part for each candidate, one for their combination, one for gate 1."""

    def parts(self, work: Work) -> int:
        """By the number of candidates."""
        return len(_planned(work).candidates) + 2

    def part(self, work: Work, number: int) -> None:
        """Try one candidate, unless an interrupted try has done so."""
        if is_over(work):  # cancelled: nothing comes after this
            _forget(work)
            return
        if _kept(work, number) is not None:
            return
        plan, snapshot, pause = _planned(work), _snapshot(work), _pause(work)
        count = len(plan.candidates)
        if number < count:
            _keep(
                work, number, _plain(plan.candidates[number], searched(snapshot, plan, plan.candidates[number], pause))
            )
        elif number == count:
            extra = combination(plan, _found(work, plan))
            _keep(work, number, extra and _plain(extra, searched(snapshot, plan, extra, pause)))
        else:
            best = next(iter(ranked(plan, _found(work, plan))), plan.champion)
            sides = () if best == plan.champion else (plan.champion, best)
            _keep(work, number, [_plain(one, gated(snapshot, plan, one, pause)) for one in sides])

    def finish(self, work: Work) -> Made:
        """What it came to; a challenger goes into shadow."""
        plan = _planned(work)
        sides = [_losses(one) for one in _kept(work, len(plan.candidates) + 1) or ()]
        both = (sides[0][1], sides[1][1]) if sides else None
        outcome = outcome_of(plan, ranked(plan, _found(work, plan)), both)
        done = conclude(work.settings, plan, outcome, now())
        told = {"category": plan.category, "outcome": done.outcome, "reason": done.sentence, "evidence": done.evidence}
        return Made(orjson.dumps(told))

    def ended(self, work: Work) -> None:
        """What the parts found is in its result, or not worth keeping."""
        _forget(work)


def _planned(work: Work) -> Plan:
    """The plan of the job, made once; raises JobFailed where none can be made."""
    kept = _body(work, PLAN)
    if kept is None:
        asked = orjson.loads(work.job.request)
        moment = dt.datetime.fromisoformat(asked["moment"])
        try:
            plan = plan_or_note(work.settings, _snapshot(work), asked["category"], asked["why"], moment)
        except (ForecastError, UnknownCategory) as error:
            problem = known_problem(error)
            assert problem is not None
            raise JobFailed(body_of(problem)) from error
        kept = as_body(plan)
        _write(work, PLAN, kept)
    return from_body(kept)


def _snapshot(work: Work) -> Snapshot:
    try:
        return Snapshots(work.settings.home).current()
    except (StoreEmpty, VersionNotPublished) as error:
        problem = known_problem(error)
        assert problem is not None
        raise JobFailed(body_of(problem)) from error


def _pause(work: Work) -> Pause:
    """Between two forecasts: requests come first, and a search that was cancelled ends."""
    give_way = giving_way(threading.Event())

    def pause() -> None:
        give_way()
        if is_over(work):
            _forget(work)
            raise JobFailed(b"")

    return pause


def _forget(work: Work) -> None:
    with writing(work.engine) as connection:
        connection.execute(retune_part.delete().where(retune_part.c.job == work.job.job))


def _found(work: Work, plan: Plan) -> dict[Configuration, FloatArray]:
    """The losses of all that was tried so far."""
    kept = [_kept(work, number) for number in range(len(plan.candidates) + 1)]
    return dict(_losses(one) for one in kept if one)


def _plain(configuration: Configuration, losses: FloatArray) -> dict[str, Any]:
    rows = [[None if value != value else value for value in row] for row in losses.tolist()]
    return {"settings": configuration.to_dict(), "losses": rows}


def _losses(kept: dict[str, Any]) -> tuple[Configuration, FloatArray]:
    return Configuration.from_dict(kept["settings"]), np.array(kept["losses"], dtype=float)


def _kept(work: Work, number: int) -> Any:
    """What a part has found; None where it was not done, or found nothing."""
    body = _body(work, number)
    return None if body is None else orjson.loads(body)


def _keep(work: Work, number: int, found: Any) -> None:
    _write(work, number, orjson.dumps(found))


def _body(work: Work, number: int) -> bytes | None:
    mine = sa.and_(retune_part.c.job == work.job.job, retune_part.c.part == number)
    with reading(work.engine) as connection:
        found = connection.execute(sa.select(retune_part.c.body).where(mine)).scalar()
    return None if found is None else bytes(found)


def _write(work: Work, number: int, body: bytes) -> None:
    mine = sa.and_(retune_part.c.job == work.job.job, retune_part.c.part == number)
    with writing(work.engine) as connection:
        connection.execute(retune_part.delete().where(mine))
        connection.execute(retune_part.insert().values(job=work.job.job, part=number, body=body))
