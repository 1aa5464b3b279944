"""What issued forecasts are listed as."""

from __future__ import annotations

import datetime as dt

from pydantic import Field

from api.models import Answer, ForecastAnswer


class IssuedForecast(Answer):
    """One forecast that was issued; its receipt resolves to the whole of it."""

    receipt: str
    category: str | None
    issued: dt.datetime
    horizon: int
    engine: str
    deadline_ms: int | None
    members: list[str] | None = Field(description="of the stack, those that the deadline left")
    levels: list[int]
    as_of: dt.datetime | None
    data_version: int | None
    face: str = Field(description="who asked: rest, job or one of the ERP faces")
    location: str


class IssuedPage(Answer):
    """Issued forecasts, newest first."""

    next: str | None = Field(description="address of the older ones; null where there are none")
    items: list[IssuedForecast]


class LastForecast(Answer):
    """The newest forecast of a category, as it was issued."""

    issued: dt.datetime
    age_seconds: float
    forecast: ForecastAnswer
