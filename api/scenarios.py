"""Scenarios: kept with their last answer in the operational database, answered from the store."""

from __future__ import annotations

import datetime as dt
import uuid
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pandas as pd
import sqlalchemy as sa

from api.audit import record
from api.database import metadata, now, reading, writing
from api.errors import Problem, invalid_field
from api.overrides.applying import spans_of
from api.overrides.publishing import left_out
from api.scenario_models import CompareRequest, Evaluation, Scenario, ScenarioHead, ScenarioRequest
from api.security import Caller
from api.service import Inputs, moment_of, read_inputs
from api.settings import Settings
from forecast import Change, WhatIf, what_if
from forecast.engines import Wanted
from signals.store import Snapshot

scenario = sa.Table(
    "scenario",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("key_id", sa.String(40)),
    sa.Column("category", sa.String(200), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("created", sa.DateTime, nullable=False),
    sa.Column("definition", sa.LargeBinary, nullable=False),  # JSON: horizon, engine, levels, changes
    sa.Column("answer", sa.LargeBinary, nullable=False),  # the last one: JSON, zlib
    sa.UniqueConstraint("category", "name", name="scenario_name"),
)

_KEPT = ("horizon", "engine", "levels", "changes")


@dataclass(frozen=True)
class Asked:
    """How scenarios of one category are answered."""

    category: str
    horizon: int
    engine: str
    levels: Sequence[int]
    as_of: dt.datetime | None


def asked_of(body: ScenarioRequest) -> Asked:
    """As a new scenario asks for it."""
    return Asked(body.category, body.horizon, body.engine, body.levels, body.as_of)


def check_asked(asked: Asked, settings: Settings) -> None:
    """Refuse an unknown engine, and a horizon beyond the setting; raises Problem and ForecastError."""
    Wanted(asked.engine).check()
    if asked.horizon > settings.max_horizon:
        message = f"horizon: {asked.horizon} is above the limit of {settings.max_horizon} (max_horizon)"
        raise invalid_field("horizon", asked.horizon, f"<= {settings.max_horizon}", message)


def evaluate(
    snapshot: Snapshot, settings: Settings, asked: Asked, scenarios: Mapping[str, Sequence[Change]]
) -> Evaluation:
    """Answer scenarios by their names from the store; raises Problem, ForecastError and what the store raises."""
    check_asked(asked, settings)
    version = snapshot.data_version
    inputs = read_inputs(
        snapshot,
        asked.category,
        asked.horizon,
        as_of=asked.as_of,
        data_version=version,
        from_origin=True,
        max_nowcast_days=settings.max_nowcast_days,
    )
    answer = _answered(inputs, asked, scenarios).to_dict()
    periods = spans_of({"forecast": answer["baseline"]["periods"], "frequency": answer["frequency"]})
    notes = left_out(settings, [asked.category], periods, moment_of(asked.as_of) or now(), "a scenario")
    answer["warnings"] = [*inputs.warnings, *answer["warnings"], *notes]
    head = {"evaluated": now().replace(tzinfo=dt.UTC).isoformat(), "data_version": version}
    return Evaluation.model_validate_json(orjson.dumps(answer | head))


def _answered(inputs: Inputs, asked: Asked, scenarios: Mapping[str, Sequence[Change]]) -> WhatIf:
    record_ = inputs.record
    return what_if(
        inputs.history,
        inputs.horizon,
        scenarios,
        signals=inputs.signals,
        engine=asked.engine,
        levels=tuple(asked.levels),
        frequency=record_.frequency,
        as_of=None if inputs.as_of is None else pd.Timestamp(inputs.as_of),
        calendar=record_.calendar,
        events=inputs.events,
        category=record_.category,
        unit=record_.unit,
    )


@dataclass(frozen=True)
class Scenarios:
    """The scenarios in the operational database."""

    engine: sa.Engine

    def check_free(self, category: str, name: str, number: str = "") -> None:
        """Raise the problem that a scenario of the category, other than that of the id `number`, has the name."""
        if any(one.id != number for one in self.find(category, name)):
            raise _exists(category, name)

    def add(self, body: ScenarioRequest, answer: Evaluation, caller: Caller, number: str | None = None) -> Scenario:
        """Keep a new scenario; raises the problem 409 where another of the category has its name."""
        definition = body.model_dump_json(include=set(_KEPT), exclude_none=True).encode()
        row: dict[str, Any] = {
            "id": number or f"sc_{uuid.uuid4().hex}",
            "key_id": caller.key_id,
            "category": body.category,
            "name": body.name,
            "created": now(),
            "definition": definition,
            "answer": _packed(answer),
        }
        try:
            with writing(self.engine) as connection:
                connection.execute(scenario.insert().values(**row))
                record(connection, "scenario kept", row["id"], key_id=caller.credential, name=body.name)
        except sa.exc.IntegrityError:
            if number and self.has(number):  # another try of the same request was first
                return self.get(number, caller)
            raise _exists(body.category, body.name) from None
        return _scenario(row)

    def has(self, number: str) -> bool:
        """Whether there is a scenario of that id, whoever may see it."""
        with reading(self.engine) as connection:
            return connection.execute(sa.select(scenario.c.id).where(scenario.c.id == number)).first() is not None

    def get(self, number: str, caller: Caller) -> Scenario:
        """A scenario of a category that the caller may see; raises the problem 404."""
        with reading(self.engine) as connection:
            row = connection.execute(sa.select(scenario).where(scenario.c.id == number)).mappings().first()
        if row is None or not caller.may_see(row["category"]):
            raise unknown(number)
        return _scenario(row)

    def find(self, category: str | None, name: str) -> list[Scenario]:
        """Scenarios of a name, or of an id, in one category or in any."""
        query = sa.select(scenario).where(sa.or_(scenario.c.name == name, scenario.c.id == name))
        if category is not None:
            query = query.where(scenario.c.category == category)
        with reading(self.engine) as connection:
            return [_scenario(row) for row in connection.execute(query.order_by(scenario.c.category)).mappings()]

    def page(
        self, categories: Collection[str] | None, limit: int | None, offset: int = 0
    ) -> tuple[list[ScenarioHead], int]:
        """Those of some categories (None: of all), the newest first, and how many there are."""
        mine = sa.true() if categories is None else scenario.c.category.in_(sorted(categories))
        query = sa.select(scenario).where(mine).order_by(scenario.c.created.desc(), scenario.c.id)
        with reading(self.engine) as connection:
            total = connection.execute(sa.select(sa.func.count()).select_from(scenario).where(mine)).scalar_one()
            rows = connection.execute(query.limit(limit).offset(offset)).mappings().all()
        return [ScenarioHead(**_head(row, _unpacked(row))) for row in rows], total

    def keep(self, number: str, answer: Evaluation) -> None:
        """Keep the newest answer of a scenario; of one that is gone meanwhile nothing."""
        with writing(self.engine) as connection:
            connection.execute(scenario.update().where(scenario.c.id == number).values(answer=_packed(answer)))

    def remove(self, number: str, caller: Caller) -> None:
        """Forget a scenario; raises the problem 404."""
        found = self.get(number, caller)
        with writing(self.engine) as connection:
            connection.execute(scenario.delete().where(scenario.c.id == number))
            record(connection, "scenario removed", number, key_id=caller.credential, name=found.name)


def changes_of(found: ScenarioHead) -> list[Change]:
    """The changes of a kept scenario, as the forecaster takes them."""
    return [change.change() for change in found.changes]


def compared(found: Sequence[ScenarioHead], body: CompareRequest) -> Asked:
    """How to answer several side by side; raises the problem that they are of several categories."""
    categories = {one.category for one in found}
    if len(categories) > 1:
        told = ", ".join(sorted(categories))
        raise invalid_field(
            "scenarios", told, "scenarios of one category", f"scenarios: of one category, not of {told}"
        )
    horizon = body.horizon or max(one.horizon for one in found)
    return Asked(found[0].category, horizon, body.engine, body.levels, body.as_of)


def unknown(number: str) -> Problem:
    """The problem that there is no such scenario."""
    return Problem(404, "unknown-scenario", f"there is no scenario {number!r}")


def _exists(category: str, name: str) -> Problem:
    return Problem(
        409, "scenario-exists", f"{category!r} has a scenario {name!r} already; remove it, or choose another name"
    )


def _packed(answer: Evaluation) -> bytes:
    return zlib.compress(answer.model_dump_json().encode(), 1)


def _unpacked(row: Mapping[Any, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(zlib.decompress(row["answer"]))
    return answer


def _head(row: Mapping[Any, Any], answer: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {name: row[name] for name in ("id", "name", "category")}
    told = {"evaluated": answer["evaluated"], "total": answer["scenarios"][0]["total"]}
    kept["created"] = row["created"].replace(tzinfo=dt.UTC)
    return {**kept, **orjson.loads(row["definition"]), **told}


def _scenario(row: Mapping[Any, Any]) -> Scenario:
    answer = _unpacked(row)
    return Scenario(**_head(row, answer), answer=Evaluation(**answer))
