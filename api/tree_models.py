"""What forecasts of a tree of categories take and give over REST."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from api.fields import Count, DayRange, Deadline, EngineName, Moment, Name, Number
from api.models import Answer, Engine, Request, Span
from api.scenario_models import Interval, Levels

MOST_PLANNED = 520
MethodName = Literal["wls", "mint", "bottom_up", "top_down"]


class PlannedPeriod(Request):
    """What is planned for one period, or for several together."""

    period: DayRange = Field(
        description="a day of it, or the week, month, quarter or year that it is, or a range of these: 2026-11-29, "
        "2026-W48, 2027-Q1, 2026-W49..2027-W02"
    )
    value: Number


class Plan(Request):
    """A plan at one level, to be split over all categories below it."""

    category: Name | None = Field(None, description="the category that the plan is for; null: the one at the top")
    periods: list[PlannedPeriod] = Field(min_length=1, max_length=MOST_PLANNED)


class TreeRequest(Request):
    """A forecast of a category and of all below it that adds up."""

    category: Name = Field(description="the category at the top: one that others name as their parent")
    horizon: Count = Field(8, ge=1, description="periods to forecast, counted from the moment of forecasting")
    method: MethodName = Field("wls", description="how forecasts of all levels are made to add up")
    plan: Plan | None = None
    engine: EngineName = Field("fast", description="the engine that forecasts each category and each total")
    deadline_ms: Deadline | None = Field(
        None,
        description="milliseconds that `auto` and `detailed` may take for the whole tree, shared by its categories",
    )
    levels: Levels = Field([80, 95], min_length=1, max_length=10, description="levels of the intervals, in per cent")
    as_of: Moment | None = Field(None, description="as if at this moment, from what was known then; default: now")


class NodePeriod(Answer):
    """One period of one category."""

    period: dt.date
    kind: Literal["forecast", "nowcast"]
    value: float = Field(description="the values of the categories below add up to it")
    median: float
    intervals: dict[str, Interval] = Field(description="lower and upper end by level")
    before: float = Field(description="the category's own forecast, or its known sale, before it was made to add up")
    planned: float | None = Field(description="its part of the plan; null where there is none")


class Node(Answer):
    """One category of the tree."""

    category: str
    parent: str | None
    level: int = Field(description="0 for the one at the top")
    engine: Engine
    periods: list[NodePeriod]
    total: float = Field(description="over all periods")
    warnings: list[str]


class LevelGain(Answer):
    """What adding up did to past forecasts of one level: errors before and after."""

    level: int
    nodes: int
    wape_before: float | None
    wape_after: float | None
    mase_before: float | None
    mase_after: float | None
    gain_pct: float | None = Field(description="100 (1 - WAPE after / WAPE before): above 0 where they shrank")


class TreeAnswer(Answer):
    """Forecasts of a tree that add up in every period, the top first."""

    category: str
    unit: str | None
    frequency: str
    as_of: dt.datetime | None
    data_version: int
    history: Span
    method: MethodName
    nodes: list[Node]
    gains: list[LevelGain]
    warnings: list[str]
