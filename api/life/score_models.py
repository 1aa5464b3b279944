"""What the operations on scores answer."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from api.models import Answer, Page

StepName = Literal["naive", "seasonal_naive", "without_signals", "system", "published"]


class Step(Answer):
    """One step of the ladder of forecast value added. Numbers are null where nothing can be measured."""

    step: StepName
    origins: int = Field(description="moments of forecasting that are scored, told apart by the last period known")
    forecasts: int = Field(description="scored periods of all of them")
    wape: float | None = Field(description="error as a share of sales; null over categories of several units")
    mase: float | None = Field(description="error against that of seasonal naive in the history that was known")
    bias_pct: float | None = Field(description="above zero where forecasts are too high; null as `wape`")
    coverage: dict[str, float | None] = Field(description="share of actuals inside each interval; of `system` only")
    gain_pct: float | None = Field(
        description="how much smaller the error is than that of the step before, in per cent; null below the sample"
    )
    gain_interval_pct: tuple[float, float] | None = Field(description="90 % interval of the gain")
    note: str | None = Field(description="`too few: 3 of 8` below the minimum sample of origins")


class Ladder(Answer):
    """The steps from the naive forecast to what was published, of one lead time or all."""

    lead: int | None = Field(description="periods after the last that was known; null: all of them")
    steps: list[Step] = Field(description="in order; `published` only where a person changed a number")


class CategoryScores(Answer):
    """How the issued forecasts of one category did."""

    category: str
    unit: str | None
    frequency: str
    basis: Literal["latest", "first"]
    data_version: int = Field(description="up to which actuals were followed")
    periods: int = Field(description="periods that are scored")
    since: dt.date | None = Field(description="label of the first of them")
    until: dt.date | None = Field(description="label of the last of them")
    sentence: str
    ladder: list[Ladder] = Field(description="of all lead times together, then of each")


class CategorySummary(Answer):
    """One category of the list."""

    category: str
    unit: str | None
    frequency: str
    periods: int
    until: dt.date | None
    sentence: str
    steps: list[Step] = Field(description="over all lead times asked for")


class Portfolio(Page):
    """How the issued forecasts of all categories did, which the caller may see."""

    basis: Literal["latest", "first"]
    data_version: int = Field(description="up to which actuals were followed")
    sentence: str
    ladder: Ladder = Field(description="over all categories: each error counts in units of its category's scale")
    items: list[CategorySummary] = Field(description="the categories that were forecast, by name")
