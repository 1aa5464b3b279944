"""What OData serves: one list of fields a set, from which come the tables, the metadata, parsing and rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

NAMESPACE = "Groundswell"
LEVELS = (50, 80, 90, 95, 99)  # prediction intervals with columns of their own
KEY = "Id"
# The category's attributes that fill a column, in order of preference: the ERP's own names first.
ATTRIBUTES = {
    "dataAreaId": ("dataAreaId", "company"),
    "ItemNumber": ("ItemNumber", "item"),
    "DeliveringSiteId": ("DeliveringSiteId", "site"),
    "DeliveringWarehouseId": ("DeliveringWarehouseId", "warehouse"),
    "CustomerGroupId": ("CustomerGroupId", "customer_group"),
}


@dataclass(frozen=True)
class Field:
    """One property. `type` is the primitive of OData without `Edm.`; a moment is UTC, a quantity has six decimals."""

    name: str
    type: str
    description: str
    nullable: bool = False
    indexed: bool = False


@dataclass(frozen=True)
class Navigation:
    """From an entity to those of `target` whose `remote` property equals its `local` one."""

    name: str
    target: str
    local: str
    remote: str
    many: bool
    partner: str | None = None


@dataclass(frozen=True)
class EntitySet:
    """One set: its name in the address, its type's name, its table, its properties and the ways from it."""

    name: str
    type: str
    table: str
    fields: tuple[Field, ...]
    navigations: tuple[Navigation, ...]
    by_name: dict[str, Field] = field(init=False, compare=False)
    ways: dict[str, Navigation] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {one.name: one for one in self.fields})
        object.__setattr__(self, "ways", {one.name: one for one in self.navigations})


def _maybe(name: str, kind: str, description: str, *, indexed: bool = False) -> Field:
    return Field(name, kind, description, nullable=True, indexed=indexed)


_ID = Field(KEY, "Guid", "key; the same at every refresh")
_RUN = Field("RunId", "Guid", "the run that it belongs to", indexed=True)
_RECEIPT = Field("Receipt", "String", "the id of the issued forecast, as REST gives it", indexed=True)
_CATEGORY = _maybe("Category", "String", "what is forecast; null for a history sent without a name", indexed=True)
_ISSUED = Field("IssuedAt", "DateTimeOffset", "when the forecast was issued")
_MODIFIED = Field("ModifiedAt", "DateTimeOffset", "when this row last changed: ask for what is newer", indexed=True)
_ITEM = (
    _maybe("dataAreaId", "String", "company: attribute `dataAreaId` or `company` of the category"),
    _maybe("ItemNumber", "String", "attribute `ItemNumber` or `item` of the category", indexed=True),
    _maybe("DeliveringSiteId", "String", "attribute `DeliveringSiteId` or `site` of the category"),
    _maybe("DeliveringWarehouseId", "String", "attribute `DeliveringWarehouseId` or `warehouse` of the category"),
    _maybe("CustomerGroupId", "String", "attribute `CustomerGroupId` or `customer_group` of the category"),
)
_TO_RUN = Navigation("Run", "Runs", "RunId", KEY, many=False)
_TO_CATEGORY = Navigation("CategoryDetails", "Categories", "Category", "Category", many=False)


def _of_category(name: str) -> Navigation:
    return Navigation(name, name, "Category", "Category", many=True, partner="CategoryDetails")


def _of_run(name: str) -> Navigation:
    return Navigation(name, name, KEY, "RunId", many=True, partner="Run")


def _of_receipt(name: str, partner: str | None = None) -> Navigation:
    return Navigation(name, name, "Receipt", "Receipt", many=name != "Accuracy", partner=partner)


def _bounds() -> tuple[Field, ...]:
    ends = (("Lower", "lower"), ("Upper", "upper"))
    return tuple(
        _maybe(f"{name}{level}", "Decimal", f"{word} end of the published {level} % interval, where it was asked for")
        for level in LEVELS
        for name, word in ends
    )


FORECASTS = EntitySet(
    "Forecasts",
    "ForecastEntry",
    "published_row",  # before there were overrides it was forecast_row
    (
        _ID,
        _RUN,
        _RECEIPT,
        Field("IsLatest", "Boolean", "whether it is of the newest forecast of its category"),
        replace(_CATEGORY, indexed=False),  # it is indexed together with IsLatest
        *_ITEM,
        Field("Frequency", "String", "`D`, `W-SUN` (weeks that end on Sunday), `MS` or `QS`"),
        Field("PeriodNumber", "Int32", "1 for the first period of the forecast"),
        Field("Period", "Date", "label of the period: the day, the week's last day, the first of the month"),
        Field("ForecastStartDate", "DateTimeOffset", "first day of the period, 00:00 UTC", indexed=True),
        Field("ForecastStartDay", "Date", "the same as a date"),
        Field("ForecastEndDate", "DateTimeOffset", "the day after the period, 00:00 UTC"),
        Field("ForecastEndDay", "Date", "the same as a date"),
        Field("Kind", "String", "`forecast`, or `nowcast`: the period was over, its sales were not known yet"),
        Field("ForecastedQuantity", "Decimal", "what is published: the system's expectation, or a person's override"),
        _maybe("QuantityUnitSymbol", "String", "unit of the quantities"),
        Field("Median", "Decimal", "of the system's forecast: as likely too low as too high"),
        _maybe("ConfidenceLevel", "Int32", "the lowest level that was asked for, in per cent"),
        _maybe("LowerBound", "Decimal", "lower end of that interval, as published"),
        _maybe("UpperBound", "Decimal", "upper end of that interval, as published"),
        *_bounds(),
        Field("IsOverridden", "Boolean", "whether a person's override is published in place of the system's forecast"),
        Field(
            "SystemQuantity", "Decimal", "the system's expectation; adds up over categories, as its contributions do"
        ),
        _maybe("SystemLowerBound", "Decimal", "lower end of the system's interval at `ConfidenceLevel`"),
        _maybe("SystemUpperBound", "Decimal", "upper end of it"),
        _maybe("Overrides", "String", "the overrides of the period with their versions; the last one decides"),
        _maybe("OverrideLayer", "String", "the layer of the one that decides"),
        _maybe("OverrideAuthor", "String", "whose it is"),
        _maybe("OverrideReason", "String", "why"),
        Field("EngineName", "String", "the engine that answered"),
        _maybe("DataVersion", "Int64", "version of the store that was read"),
        _maybe("AsOf", "DateTimeOffset", "the moment as of which it was forecast"),
        _ISSUED,
        _MODIFIED,
    ),
    (
        _TO_RUN,
        _TO_CATEGORY,
        Navigation("Contributions", "Contributions", KEY, "ForecastId", many=True, partner="Forecast"),
        _of_receipt("Signals", "Forecasts"),
        _of_receipt("Accuracy", "Forecasts"),
    ),
)
CONTRIBUTIONS = EntitySet(
    "Contributions",
    "ForecastContribution",
    "contribution_row",
    (
        _ID,
        Field("ForecastId", "Guid", "the forecast of the period that it is part of", indexed=True),
        Field("RunId", "Guid", "the run that it belongs to"),
        Field("Receipt", "String", "the id of the issued forecast, as REST gives it"),
        _CATEGORY,
        Field("Period", "Date", "label of the period"),
        Field("ForecastStartDate", "DateTimeOffset", "first day of the period, 00:00 UTC"),
        Field("Driver", "String", "`level`, `trend`, `season`, `calendar`, a signal, `guard`"),
        Field("ContributedQuantity", "Double", "its part of the expectation; the parts add up to it"),
        _ISSUED,
        _MODIFIED,
    ),
    (Navigation("Forecast", "Forecasts", "ForecastId", KEY, many=False, partner="Contributions"), _TO_CATEGORY),
)
SIGNALS = EntitySet(
    "Signals",
    "ForecastSignal",
    "signal_row",
    (
        _ID,
        _RUN,
        _RECEIPT,
        _CATEGORY,
        Field("Signal", "String", "name of the outside series", indexed=True),
        Field("Admitted", "Boolean", "whether the forecast uses it: it has evidence that it helps"),
        _maybe("GainPct", "Double", "how much smaller the backtest's error is with it, in per cent"),
        _maybe("GainLowerPct", "Double", "lower end of the interval of the gain"),
        _maybe("GainUpperPct", "Double", "upper end of the interval of the gain"),
        _maybe("Lag", "Int32", "periods by which sales follow it"),
        _maybe("Lead", "Int32", "periods after the last known sale that it still informs"),
        _maybe("KnownTo", "DateTimeOffset", "the last day that it was known for, 00:00 UTC"),
        _maybe("KnownToDay", "Date", "the same as a date"),
        _maybe("Importance", "Double", "its share in the movement of the forecast, 0 to 1"),
        Field("Reason", "String", "why it was admitted or not"),
        _maybe("Members", "String", "the signals of a group that was admitted as one, separated by `; `"),
        _ISSUED,
        _MODIFIED,
    ),
    (_TO_RUN, _TO_CATEGORY, _of_receipt("Forecasts", "Signals")),
)
ACCURACY = EntitySet(
    "Accuracy",
    "ForecastAccuracy",
    "accuracy_row",
    (
        _ID,
        _RUN,
        _RECEIPT,
        _CATEGORY,
        Field("EngineName", "String", "the engine that answered"),
        Field("HistoryPeriods", "Int32", "periods of the history that was used"),
        Field("Origins", "Int32", "rolling origins of the backtest"),
        _maybe("Wape", "Double", "absolute error over sales, 0.1 is 10 %"),
        _maybe("Mase", "Double", "absolute error over that of the seasonal naive forecast within the history"),
        _maybe("BiasPct", "Double", "mean error over sales in per cent; positive: too high"),
        _maybe("VsSeasonalNaivePct", "Double", "error against seasonal naive in per cent; negative is better"),
        *(
            _maybe(f"Coverage{level}", "Double", f"share of sales within the {level} % interval, 0 to 1")
            for level in LEVELS
        ),
        _maybe("Warnings", "String", "what the forecaster warned of, separated by line breaks"),
        _ISSUED,
        _MODIFIED,
    ),
    (_TO_RUN, _TO_CATEGORY, _of_receipt("Forecasts", "Accuracy")),
)
CATEGORIES = EntitySet(
    "Categories",
    "ProductCategory",
    "category_row",
    (
        _ID,
        Field("Category", "String", "name", indexed=True),
        *_ITEM,
        Field("Frequency", "String", "`D`, `W-SUN` (weeks that end on Sunday), `MS` or `QS`"),
        _maybe("QuantityUnitSymbol", "String", "unit of the sales"),
        _maybe("TimeZone", "String", "time zone of its days"),
        _maybe("Calendar", "String", "country whose holidays are known"),
        _maybe("Parent", "String", "the category above it"),
        Field("Periods", "Int32", "periods with sales"),
        _maybe("FirstDate", "DateTimeOffset", "first day of the first period, 00:00 UTC"),
        _maybe("FirstDay", "Date", "the same as a date"),
        _maybe("EndDate", "DateTimeOffset", "the day after the last period, 00:00 UTC"),
        _maybe("EndDay", "Date", "the same as a date"),
        _maybe("Attributes", "String", "all attributes, as JSON"),
        _MODIFIED,
    ),
    (_of_category("Forecasts"), _of_category("Contributions"), _of_category("Signals"), _of_category("Accuracy")),
)
RUNS = EntitySet(
    "Runs",
    "ForecastRun",
    "run_row",
    (
        _ID,
        Field("Kind", "String", "the kind of job, or `single`: one request"),
        Field("State", "String", "`pending`, `running`, `succeeded`, `failed`, `dead` or `cancelled`", indexed=True),
        Field("Face", "String", "which interface gave its forecasts"),
        Field("AcceptedAt", "DateTimeOffset", "when it was accepted"),
        _maybe("StartedAt", "DateTimeOffset", "when its work began"),
        _maybe("FinishedAt", "DateTimeOffset", "when it was over"),
        Field("Total", "Int32", "parts in all"),
        Field("Done", "Int32", "parts done"),
        _MODIFIED,
    ),
    (_of_run("Forecasts"), _of_run("Signals"), _of_run("Accuracy")),
)
SETS = {one.name: one for one in (FORECASTS, CONTRIBUTIONS, SIGNALS, ACCURACY, CATEGORIES, RUNS)}
