"""What the REST API takes and gives, as strict pydantic models: nothing is coerced, unknown fields are refused."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from api.fields import (
    ConfigurationName,
    Count,
    Day,
    DayRange,
    Deadline,
    EngineName,
    EventKind,
    Flag,
    Frequency,
    Member,
    Moment,
    Name,
    Number,
)
from api.likeness import MOST, Said
from api.overrides.answered import AppliedOverride, PublishedPeriod, Which
from forecast.engines import names, stacked


class Request(BaseModel):
    """Base of what is taken."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """Base of what is given."""

    model_config = ConfigDict(extra="forbid")


class Values(Request):
    """A regular series, columnar: the first period, the frequency, one value a period."""

    start: Day = Field(description="label of the first period: the day, the week's last day, the first of the month")
    frequency: Frequency = Field(description="days, weeks by the day that ends them, months or quarters")
    values: list[Number | None] = Field(min_length=1, description="one value a period; null: not known")


class InlineSignal(Values):
    """An outside series for this request only."""

    signal: Name
    future_known: Flag = Field(False, description="its values over the horizon are known today: holidays, promotions")
    aggregation: Literal["mean", "sum"] = Field("mean", description="how finer values become one a period")


class ForecastRequest(Request):
    """A forecast of one category of the store, or of a history given inline."""

    category: Name | None = Field(None, description="a category of the store; with `history`, the name to answer with")
    history: Values | None = Field(None, description="sales given inline, instead of those of the store")
    signals: list[InlineSignal] = Field([], description="candidate signals given inline; only with `history`")
    horizon: Count = Field(ge=1, description="periods to forecast, counted from the moment of forecasting")
    engine: EngineName | None = Field(
        None,
        description=f"the engine: {', '.join(names())}; default: as the configuration that serves the category says, "
        "`fast` where none was chosen",
    )
    configuration: ConfigurationName | None = Field(
        None, description="the id of a configuration to forecast with, instead of an engine; default: the one that "
        "serves the category"
    )  # fmt: skip
    deadline_ms: Deadline | None = Field(
        None, description="milliseconds that `auto` and `detailed` may take, without the wait for their turn"
    )
    members: list[Member] | None = Field(
        None,
        min_length=1,
        max_length=len(stacked()),
        description="those that the same `deadline_ms` left before (`engine.members`): the same answer again",
    )
    levels: list[Annotated[int, Strict(), Field(ge=1, le=99)]] = Field(
        [80, 95], min_length=1, max_length=10, description="levels of the prediction intervals, in per cent"
    )
    as_of: Moment | None = Field(
        None, description="forecast as if at this moment, from what was known then; default: now"
    )
    data_version: Annotated[int, Strict(), Field(ge=1)] | None = Field(
        None, description="read the store as of this data version"
    )
    unit: str | None = Field(None, max_length=50, description="unit of an inline history, for the answer")
    events: Literal["accepted", "none"] = Field(
        "accepted", description="take accepted events out of the sales of the store, or leave all sales as they are"
    )
    overrides: Which = "published"
    like: list[Name] | None = Field(
        None,
        max_length=MOST,
        description="categories of the store that a short history borrows from; default: as the store says, else those "
        "of the same parent; [] for none",
    )
    phase_in: DayRange | None = Field(
        None, description="when sales begin: 2026-W49, or 2026-W49..2027-W02 over some time"
    )
    phase_out: DayRange | None = Field(None, description="when sales end, written in the same way")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.category is None and self.history is None:
            raise ValueError("either `category` (from the store) or `history` (inline)")
        if self.configuration is not None and self.engine is not None:
            raise ValueError("either `engine` or `configuration`, which names its engine itself")
        if self.history is not None and self.like:
            raise ValueError("`like` only without `history`: it names categories of the store for one of the store")
        stored = {"signals": self.signals, "unit": self.unit} if self.history is None else {}
        if given := [name for name, value in stored.items() if value]:
            raise ValueError(f"`{given[0]}` only together with `history`: the store has its own for a category")
        names = [signal.signal for signal in self.signals]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"each signal once; {twice[0]!r} is given {names.count(twice[0])} times")
        if self.history is not None and self.data_version is not None:
            raise ValueError("`data_version` only without `history`: an inline history is not read from the store")
        if self.history is not None and isinstance(self.overrides, list):
            raise ValueError("`overrides` by reference only without `history`: they are of categories of the store")
        return self

    @property
    def said(self) -> Said:
        """What it says of the category's beginning and end."""
        return Said(None if self.like is None else tuple(self.like), self.phase_in, self.phase_out)

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"category": "Boots", "horizon": 8},
                {
                    "history": {"start": "2026-09-06", "frequency": "W-SUN", "values": [12, 15, 11, None, 14, 16]},
                    "horizon": 4,
                },
            ]
        },
    )


class Span(Answer):
    """The history that was used."""

    start: str
    end: str
    periods: int


class MemberRecord(Answer):
    """A member of a stack, or the `stack` itself: its weight, and errors at the stack's past origins."""

    name: str
    weight: float = Field(description="in this forecast; 0: it adds nothing")
    wape: float | None = Field(description="error as a share of sales, at the same origins for all")
    wape_without: float | None = Field(description="that of the stack without this member")


class Engine(Answer):
    """Which engine answered, and why it."""

    model_config = ConfigDict(extra="allow")

    name: str
    members: list[str] | None = Field(
        None, description="of a stack only: those that were in time", exclude_if=lambda members: members is None
    )
    record: list[MemberRecord] | None = Field(
        None, description="of a stack only: what each member is worth", exclude_if=lambda record: record is None
    )


class Period(Answer):
    """The forecast of one period."""

    period: dt.date = Field(description="label of the period")
    kind: Literal["forecast", "nowcast"] = Field(
        description="nowcast: the period was over, its sales were not known yet"
    )
    value: float = Field(description="the expectation; adds up over categories")
    median: float
    intervals: dict[str, tuple[float, float]] = Field(description="lower and upper end by level")
    contributions: dict[str, float] = Field(description="by driver, in units of sales; they add up to `value`")
    published: PublishedPeriod | None = Field(
        None, description="only where an override covers the period", exclude_if=lambda published: published is None
    )


class Signal(Answer):
    """What one candidate signal did."""

    model_config = ConfigDict(extra="allow")

    signal: str
    admitted: bool
    gain_pct: float | None = Field(description="how much smaller the backtest's error is with it, in per cent")
    gain_interval_pct: tuple[float, float] | None
    lag: int | None = Field(description="periods by which sales follow the signal")
    lead: int | None = Field(description="periods after the last known sale that the signal still informs")
    known_to: dt.date | None
    importance: float | None
    reason: str
    members: list[str] = Field(default=[], description="the signals of a group that was admitted as one")


class Share(Answer):
    """The share of one driver in the movement of the forecast."""

    driver: str
    share: float
    share_interval: tuple[float, float] | None = Field(
        default=None, description="the share at four in five of the latest past origins; null where they are too few"
    )


class Quality(Answer):
    """The backtest over rolling origins."""

    origins: int
    wape: float | None
    mase: float | None
    bias_pct: float | None
    vs_seasonal_naive_pct: float | None = Field(description="error against seasonal naive; negative is better")
    coverage: dict[str, float | None]


class Timing(Answer):
    """Where the time went, in milliseconds."""

    read: float
    fit: float
    total: float


class AppliedEvent(Answer):
    """An accepted event, and what it changed in what the engine saw."""

    kind: EventKind
    first: dt.date = Field(description="label of its first period")
    last: dt.date = Field(description="label of its last period; of a level shift the same")
    change_pct: float | None = Field(description="by how much sales before a level shift were moved, in per cent")
    sentence: str


class ForecastAnswer(Answer):
    """One forecast."""

    receipt: str = Field(description="the id of this forecast", examples=["fc_01KASQ5Y3V9Q6T4XN0ZC5R8D2H"])
    category: str | None
    unit: str | None
    frequency: str
    as_of: dt.datetime | None
    data_version: int | None = Field(description="the version of the store that was read; null for an inline history")
    history: Span
    engine: Engine
    forecast: list[Period]
    signals: list[Signal]
    importance: list[Share]
    quality: Quality
    events: list[AppliedEvent] = Field([], description="accepted events that were taken out of the sales")
    warnings: list[str]
    timing_ms: Timing
    overrides: list[AppliedOverride] = Field(
        [], description="only where there are any: those in force, as they apply", exclude_if=lambda found: not found
    )


class Category(Answer):
    """One category of the store."""

    category: str
    frequency: str
    unit: str | None
    timezone: str | None
    calendar: str | None
    parent: str | None
    attributes: dict[str, Any]
    periods: int
    start: dt.date | None = Field(description="first day of the first period")
    end: dt.date | None = Field(description="the day after the last period")


class Sale(Answer):
    """The latest known quantity of one period."""

    period: dt.date
    quantity: float
    known_at: dt.datetime


class CategoryDetail(Category):
    """One category with its newest sales and the signals that may serve it."""

    latest: list[Sale]
    candidate_signals: list[str]


class Page(Answer):
    """One page of a list."""

    total: int
    limit: int
    offset: int
    next: str | None = Field(description="address of the next page; null on the last")


class CategoryPage(Page):
    """Categories, by name."""

    items: list[Category]


class StoredSignal(Answer):
    """One signal of the store."""

    signal: str
    source: str | None
    name: str | None
    region: str | None
    unit: str | None
    cadence: str | None
    aggregation: str | None
    future_known: bool
    licence: str | None
    observations: int
    first: dt.date | None
    last: dt.date | None
    last_known_at: dt.datetime | None
    age_days: float | None = Field(description="days since a value of it last became known")


class SignalPage(Page):
    """Signals, by name."""

    items: list[StoredSignal]


class Source(Answer):
    """One outside source that signals are pulled from."""

    connector: str
    title: str
    state: str = Field(description="ok, never, late, degraded, closed, off or unused")
    message: str = Field(description="what a person should know or do; empty where nothing")
    entries: int = Field(description="[[signals]] tables that name it")
    signals: int
    last: dt.datetime | None = Field(description="end of the newest period that is over, of the signal that lags most")
    age_days: float | None = Field(description="days since then")
    succeeded: dt.datetime | None = Field(description="when all of it was last pulled")
    next_due: dt.datetime | None = Field(description="when `serve` pulls it next; null: at once, or never")
    quarantined: int = Field(description="answers that could not be read and were set aside")
    closed_until: dt.datetime | None = Field(description="it is left alone until then, after failures")
    licence: str


class SourceList(Answer):
    """Sources, by name."""

    items: list[Source]


class BulkItem(Answer):
    """The answer to one item of a bulk request."""

    number: int = Field(description="of the item in the request, from 0")
    status: int = Field(description="200, or that of the problem")
    forecast: ForecastAnswer | None = None
    problem: dict[str, Any] | None = Field(None, description="problem details, where there is no forecast")


class BulkAnswer(Answer):
    """The answers to all items, in their order."""

    items: list[BulkItem]


class Stored(Answer):
    """What the store made of an upload; the counts are of values."""

    data_version: int = Field(description="the first version of the store that contains it")
    inserted: int
    unchanged: int = Field(description="known before, with the same value")
    withdrawn: int = Field(description="known before, and empty now")


class UploadAnswer(Answer):
    """How an upload was read, and what became of it."""

    rows: int
    mapping: dict[str, str] = Field(description="which column each field was taken from")
    notes: list[str] = Field(description="what was assumed, dropped or mended")
    result: Stored
