"""What the operations on events in the sales take and give."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from api.fields import Day, EventKind
from api.models import Answer, Request
from api.scenario_models import Expected

State = Literal["proposed", "accepted", "refused"]
Line = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]


class DecisionRequest(Request):
    """A decision of a person on an event: one that was proposed, or one that they know of."""

    kind: EventKind
    first: Day = Field(description="its first day, or any day of its first period; without `last` any day of it")
    last: Day | None = Field(
        None,
        description="its last day, or any day of its last period; null: all of the known event that holds `first`, or "
        "that period alone",
    )
    decision: Literal["accepted", "refused"]
    author: Line | None = Field(None, description="who decides; null: the name of the API key")
    reason: Line | None = Field(None, description="why")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last is not None and self.last < self.first:
            raise ValueError(f"`last` is a day that is not before `first`, {self.first}")
        return self


class DecisionTaken(Answer):
    """One decision on an event."""

    decision: Literal["accepted", "refused"]
    author: str
    reason: str | None
    decided: dt.datetime


class SalesEvent(Answer):
    """Something that happened in the sales, or looks as if it had. Numbers are null where nothing was proposed."""

    kind: EventKind
    first: dt.date = Field(description="label of its first period")
    last: dt.date = Field(description="label of its last period; of a level shift the same")
    state: State = Field(description="what was decided last, or `proposed`")
    size: float | None = Field(description="sold more than expected, in units; of a level shift in units a period")
    size_pct: float | None = Field(description="the same in per cent of what was expected")
    score: float | None = Field(description="how many times as large it is as the usual noise")
    sentence: str
    decisions: list[DecisionTaken] = Field(description="all of them, the oldest first")


class Beside(Answer):
    """One period, forecast with and without the events."""

    period: dt.date
    kind: Literal["forecast", "nowcast"]
    with_events: Expected = Field(description="the events taken out of the sales")
    without_events: Expected = Field(description="all sales as they are")
    difference: float = Field(description="`with_events` less `without_events`")


class EventEffect(Answer):
    """What the events do to the forecast."""

    events: Literal["accepted", "proposed"] = Field(description="which: those accepted, or those proposed as well")
    periods: list[Beside]
    total: float = Field(description="the differences added up")


class CategoryEvents(Answer):
    """The events of one category, in the order of time."""

    category: str
    unit: str | None
    frequency: str
    as_of: dt.datetime
    data_version: int
    events: list[SalesEvent]
    effect: EventEffect | None = Field(description="null where no `horizon` was asked for")


class DecisionPending(Answer):
    """A decision that is safe on disk, and will be stored as soon as whoever owns the store comes to it."""

    state: Literal["pending"]
    location: str = Field(description="where the events of the category are")
