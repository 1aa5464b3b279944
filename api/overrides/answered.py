"""What a forecast tells of the overrides in it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

REFERENCE = r"^ov_[0-9a-f]{20}\.[1-9][0-9]{0,8}$"
Reference = Annotated[str, Field(pattern=REFERENCE)]
Which = Annotated[
    Literal["published", "none"] | list[Reference],
    Field(
        description="`published`: the overrides in force beside the system's forecast; `none`: without; or the "
        "references of those to apply, in this order, as an earlier answer tells them"
    ),
]


class PublishedPeriod(BaseModel):
    """What is published of one period in place of the system's `value`."""

    model_config = ConfigDict(extra="forbid")

    value: float
    median: float = Field(description="the system's, in per cent as the value; of an absolute override its number")
    intervals: dict[str, tuple[float, float]] = Field(description="lower and upper end by level")
    overrides: list[Reference] = Field(description="those that cover the period, in order; the last one decides")
    layer: str = Field(description="the layer of the one that decides")
    author: str
    reason: str


class AppliedOverride(BaseModel):
    """An override that covers a period of the forecast."""

    model_config = ConfigDict(extra="forbid")

    override: Reference
    first: dt.date = Field(description="first day of its first period")
    last: dt.date = Field(description="last day of its last period")
    value: float | None = Field(description="units a period; null: a relative one")
    percent: float | None = Field(description="change of the system's value in per cent; null: an absolute one")
    layer: str
    author: str
    reason: str
    changed: dt.datetime
    expires: dt.datetime | None
