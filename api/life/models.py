"""What the operations on configurations and alerts take and give."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from api.fields import ConfigurationName
from api.models import Answer, Page, Request

Line = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
Stage = Literal["shadow", "canary"]
Action = Literal[
    "retuned", "challenger", "canary", "share", "promoted", "dropped", "rolled back", "pinned", "unpinned", "vetoed"
]
AlertState = Literal["open", "acknowledged", "closed"]


class ModelConfiguration(Answer):
    """How a category is forecast, apart from its data."""

    configuration: str = Field(description="its id")
    engine: str
    signals: list[str] | None = Field(description="that may be admitted; null: all candidates")
    transform: Literal["auto", "log", "identity"]
    history: int | None = Field(description="most periods that are used; null: all")
    memory: float = Field(description="how long the fast engine remembers errors, 1: as a rule")


class Change(Answer):
    """Something that was found or decided, with its evidence."""

    number: int
    moment: dt.datetime
    action: Action
    configuration: str | None
    actor: str = Field(description="a person, or `groundswell`")
    reason: str
    evidence: dict[str, Any]


class Evidence(Answer):
    """What is known of the challenger beside the champion, on the same forecasts."""

    scores: int = Field(description="forecasts of one period ahead that both were scored on")
    e_value: float = Field(description="evidence for the challenger; 20 promotes it")
    against: float = Field(description="evidence against it; 20 ends it")
    gain_pct: float = Field(description="by how much its loss is lower so far, in per cent")


class Serving(Answer):
    """What serves a category."""

    category: str
    champion: ModelConfiguration
    previous: ModelConfiguration | None = Field(description="the champion before, to roll back to")
    challenger: ModelConfiguration | None
    stage: Stage | None = Field(description="of the challenger: `shadow` answers nobody, `canary` the share")
    share_pct: int = Field(description="per cent of requests that the challenger answers")
    since: dt.datetime | None = Field(description="when that became so; null: it never was otherwise")
    pinned: bool = Field(description="only a person changes the champion")


class CategoryConfigurations(Serving):
    """What serves a category, and how that came about."""

    evidence: Evidence | None = Field(description="of the challenger, or of the one before the last promotion")
    vetoed: list[str] = Field(description="configurations that are not tried again")
    searching: str | None = Field(description="the job that searches for a better configuration")
    changes: list[Change] = Field(description="the newest first, at most a hundred")


class ConfigurationPage(Page):
    """Categories, by name."""

    items: list[Serving]


class DecisionRequest(Request):
    """A person decides; why is kept with it."""

    reason: Line | None = Field(None, description="why, for those who read it later")


class ConfigurationSettings(Request):
    """A configuration by its settings; those left out are as usual."""

    engine: str = Field("fast", max_length=60)
    signals: list[Line] | None = None
    transform: Literal["auto", "log", "identity"] = "auto"
    history: int | None = Field(None, strict=True)
    memory: float = 1.0


class PromoteRequest(DecisionRequest):
    """Which configuration is to be the champion."""

    configuration: ConfigurationName | None = Field(None, description="null: the challenger")
    settings: ConfigurationSettings | None = Field(None, description="one of a person's own, in place of an id")

    @model_validator(mode="after")
    def _one(self) -> PromoteRequest:
        if self.configuration is not None and self.settings is not None:
            raise ValueError("either `configuration` or `settings`")
        return self


class VetoRequest(DecisionRequest):
    """Which configuration is not to be tried again."""

    configuration: ConfigurationName


class AlertRequest(DecisionRequest):
    """What becomes of an alert."""

    state: Literal["acknowledged", "closed"]


class AlertAnswer(Answer):
    """Something that goes wrong with the forecasts of a category."""

    id: str = Field(examples=["al_17"])
    category: str
    kind: str = Field(description="loss, coverage, bias, signal died, signal changed scale or season moved")
    signal: str | None
    since: dt.date = Field(description="label of the period in which it most likely began")
    found: dt.date = Field(description="label of the period that showed it")
    raised: dt.datetime
    change: float
    low: float | None = Field(description="of the 95 % interval of `change`; null where none can be told")
    high: float | None
    unit: str = Field(description="of `change`: %, points or periods")
    cause: str = Field(description="what it probably is: data, signal, regime or configuration")
    sentence: str
    done: str = Field(description="what was done about it")
    state: AlertState
    changed: dt.datetime | None
    actor: str | None = Field(description="who acknowledged or closed it")
    reason: str | None


class AlertPage(Page):
    """Alerts, the newest first."""

    items: list[AlertAnswer]
