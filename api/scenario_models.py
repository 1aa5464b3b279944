"""What the scenarios of the REST API take and give."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator

from api.fields import Count, DayRange, Days, EngineName, Moment, Name, Number
from api.models import Answer, AppliedEvent, Engine, Page, Request, Span
from forecast import Change
from forecast.changes import LARGEST_FACTOR, MOST_CHANGES

MOST_COMPARED = 20
MOST_VALUES = 520
SCENARIO_ID = r"^sc_[0-9a-f]{32}$"


Levels = list[Annotated[int, Strict(), Field(ge=1, le=99)]]
ScenarioId = Annotated[str, Field(pattern=SCENARIO_ID)]


class ChangeRequest(Request):
    """One signal in some periods, changed in one of three ways: `values`, `factor` or `level_of`."""

    signal: Name = Field(description="a candidate signal of the category, a promotion or a price too")
    first: Days = Field(
        description="the first day that changes, or its week, month or year: 2026-11-30, 2026-W48, 2026-12"
    )
    last: Days | None = Field(None, description="the last one, itself included; null: the same as `first`")
    values: list[Number] | None = Field(
        None, min_length=1, max_length=MOST_VALUES, description="what the signal is: one value, or one a period"
    )
    factor: Number | None = Field(
        None, ge=0, le=LARGEST_FACTOR, description="so many times what is expected: 1.2 for +20 %"
    )
    level_of: DayRange | None = Field(
        None, description="its mean over a past period: 2020-04, or 2020-03-16..2020-05-10"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [name for name in ("values", "factor", "level_of") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"one of `values`, `factor` and `level_of`, not {' and '.join(given) or 'none'}")
        return self

    def change(self) -> Change:
        """As the forecaster takes it."""
        return Change(self.signal, self.first, self.last, self.values, self.factor, self.level_of)


class ScenarioRequest(Request):
    """A scenario: signals of one category that take other paths than expected."""

    name: Name = Field(description="what it is called; no other scenario of the category is")
    category: Name
    changes: list[ChangeRequest] = Field(min_length=1, max_length=MOST_CHANGES)
    horizon: Count = Field(8, ge=1, description="periods to forecast, counted from the moment of forecasting")
    engine: EngineName = Field("fast", description="the engine that makes the baseline")
    levels: Levels = Field([80, 95], min_length=1, max_length=10, description="levels of the intervals, in per cent")
    as_of: Moment | None = Field(None, description="answer as if at this moment; not kept with the scenario")

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("a name of printable characters")
        return name

    @field_validator("category")
    @classmethod
    def _without_nul(cls, category: str) -> str:
        if "\0" in category:
            raise ValueError("a name without the character NUL, which no database keeps")
        return category


class AgainRequest(Request):
    """How to answer a kept scenario anew."""

    horizon: Count | None = Field(None, ge=1, description="periods to forecast; null: as it was kept")
    as_of: Moment | None = Field(None, description="as if at this moment; default: now")


class CompareRequest(Request):
    """Scenarios of one category, side by side."""

    scenarios: list[ScenarioId] = Field(min_length=1, max_length=MOST_COMPARED, description="their ids, each once")
    horizon: Count | None = Field(None, ge=1, description="periods to forecast; null: the longest of theirs")
    engine: EngineName = Field("fast", description="the engine that makes the baseline")
    levels: Levels = Field([80, 95], min_length=1, max_length=10, description="levels of the intervals, in per cent")
    as_of: Moment | None = Field(None, description="as if at this moment; default: now")

    @field_validator("scenarios")
    @classmethod
    def _each_once(cls, numbers: list[str]) -> list[str]:
        if twice := [number for number in numbers if numbers.count(number) > 1]:
            raise ValueError(f"each scenario once; {twice[0]} is given {numbers.count(twice[0])} times")
        return numbers


Interval = tuple[float, float]


class Expected(Answer):
    """The forecast of one period."""

    period: dt.date
    kind: Literal["forecast", "nowcast"]
    value: float
    median: float
    intervals: dict[str, Interval] = Field(description="lower and upper end by level")


class Changed(Expected):
    """The forecast of one period in a scenario."""

    difference: float = Field(description="`value` less that of the baseline")
    difference_intervals: dict[str, Interval]
    effects: dict[str, float] = Field(description="by changed signal; they add up to `difference`")


class Point(Answer):
    """A signal in a period in which it is changed."""

    period: dt.date
    expected: float = Field(description="the known value, or the last known one held")
    changed: float


class SignalEffect(Answer):
    """What one changed signal has in the difference."""

    signal: str
    value: float = Field(description="over all periods, in units of sales; the values add up to the difference")
    intervals: dict[str, Interval]
    lags: list[int] = Field(description="by how many periods sales follow the signal; below 0: sales come before it")
    used_by_forecast: bool = Field(description="whether it was admitted to the baseline, alone or in a group")
    reason: str = Field(description="the evidence for that, or why not")
    sentence: str
    path: list[Point]


class Total(Answer):
    """All periods together."""

    value: float
    difference: float
    difference_pct: float | None = Field(description="of the baseline; null where that is not positive")
    difference_intervals: dict[str, Interval]


class Outcome(Answer):
    """One scenario beside the baseline."""

    name: str
    periods: list[Changed]
    total: Total
    effects: list[SignalEffect]
    warnings: list[str]


class Baseline(Answer):
    """The forecast without any change."""

    periods: list[Expected]
    total: float


class Evaluation(Answer):
    """Scenarios of one category beside their baseline."""

    evaluated: dt.datetime
    category: str
    unit: str | None
    frequency: str
    as_of: dt.datetime | None
    data_version: int
    history: Span
    engine: Engine
    baseline: Baseline
    scenarios: list[Outcome]
    events: list[AppliedEvent] = Field([], description="accepted events that were taken out of the sales")
    warnings: list[str] = Field(description="of the baseline")


class ScenarioHead(Answer):
    """A kept scenario, and what it came to when it was last answered."""

    id: str
    name: str
    category: str
    horizon: int
    engine: str
    levels: list[int]
    changes: list[ChangeRequest]
    created: dt.datetime
    evaluated: dt.datetime
    total: Total


class Scenario(ScenarioHead):
    """A kept scenario with its last answer."""

    answer: Evaluation


class ScenarioPage(Page):
    """Scenarios, the newest first."""

    items: list[ScenarioHead]
