"""Fields that several models of the REST API have: strict types with their bounds."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, Strict

from api.moments import is_date, is_moment
from forecast import SignalsError
from forecast.changes import LEVEL_ALLOWED, days_of
from forecast.engines import names, stacked


def _days(text: str) -> str:
    try:
        days_of(text, "")
    except SignalsError as error:
        raise ValueError(error.allowed) from None
    return text


def _range(text: str) -> str:
    parts = text.split("..")
    try:
        for part in parts:
            days_of(part, "", LEVEL_ALLOWED)
    except SignalsError as error:
        raise ValueError(error.allowed) from None
    if len(parts) > 2:
        raise ValueError(LEVEL_ALLOWED)
    return text


def _date(value: object) -> object:
    if not isinstance(value, str) or not is_date(value):  # pydantic would read a number as seconds since 1970
        raise ValueError("a date in ISO 8601, such as 2026-11-29")
    return value


def _moment(value: object) -> object:
    if not isinstance(value, str) or not is_moment(value):
        raise ValueError("a moment in ISO 8601 with its offset, such as 2026-11-23T09:00:00Z")
    return value


def _day_within(value: dt.date) -> dt.date:
    if not FIRST <= value <= LAST:
        raise ValueError(f"a date from {FIRST} to {LAST}")
    return value


def _utc_within(value: dt.datetime) -> dt.datetime:
    if not EARLIEST <= value <= LATEST:
        raise ValueError(f"a moment from {FIRST} to {LAST}")
    return value.astimezone(dt.UTC)


FIRST, LAST = dt.date(1800, 1, 1), dt.date(2199, 12, 31)
EARLIEST, LATEST = (dt.datetime.combine(day, dt.time(), dt.UTC) for day in (FIRST, LAST))
CENTURIES = {"pattern": "^(18|19|20|21)[0-9]{2}-"}  # these bounds in JSON Schema, which has none for dates
LONGEST_MS = 3_600_000  # an hour for one forecast
LARGEST = 1e15  # beyond it, sums and squares lose whole units or overflow
Number = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]
Count = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Name = Annotated[str, Field(min_length=1, max_length=200)]
EngineName = Annotated[Name, Field(json_schema_extra={"enum": names()})]  # an unknown one is refused with near matches
ConfigurationName = Annotated[str, Field(pattern="^cfg_[0-9a-f]{16}$")]
Deadline = Annotated[int, Strict(), Field(ge=1, le=LONGEST_MS)]
Member = Annotated[Name, Field(json_schema_extra={"enum": list(stacked())})]
Day = Annotated[dt.date, BeforeValidator(_date), AfterValidator(_day_within), Field(json_schema_extra=CENTURIES)]
EventKind = Literal["outlier", "stock_out", "one_off", "level_shift"]
Frequency = Literal["D", "W-MON", "W-TUE", "W-WED", "W-THU", "W-FRI", "W-SAT", "W-SUN", "MS", "QS"]
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_moment),
    AfterValidator(_utc_within),
    Field(json_schema_extra=CENTURIES),
]
DAYS = "^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?|-W[0-9]{2}|-Q[1-4])?$"
RANGE = DAYS.replace("$", r"(\.\.") + DAYS[1:-1] + ")?$"
Days = Annotated[str, AfterValidator(_days), Field(json_schema_extra={"pattern": DAYS})]
DayRange = Annotated[str, AfterValidator(_range), Field(json_schema_extra={"pattern": RANGE})]
