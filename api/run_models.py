"""What a run is asked for and told as."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, field_validator, model_validator

from api.fields import Count, Deadline, EngineName, Name
from api.models import Answer, Request

MOST_FAILURES = 1_000  # that the state of a run lists; its results have all


class RunRequest(Request):
    """A run over categories of the store, or over what a database answers with."""

    categories: list[Name] | None = Field(None, min_length=1, description="names of categories; null: all of the store")
    sql: Name | None = Field(
        None, description="instead of the store: the [[sales]] database of groundswell.toml whose query gives the sales"
    )
    horizon: Count = Field(ge=1, description="periods to forecast, counted from the moment the run was accepted")
    engine: EngineName | None = Field(
        None,
        description="the engine, as for one forecast; default: as the configuration that serves each category says",
    )
    deadline_ms: Deadline | None = Field(None, description="milliseconds that `auto` and `detailed` may take for each")
    levels: list[Annotated[int, Strict(), Field(ge=1, le=99)]] = Field(
        [80, 95], min_length=1, max_length=10, description="levels of the prediction intervals, in per cent"
    )

    @field_validator("categories")
    @classmethod
    def _each_once(cls, names: list[str] | None) -> list[str] | None:
        if nul := next((name for name in names or () if "\0" in name), None):
            raise ValueError(f"names without the character NUL, which no database keeps: not {nul!r}")
        if names is not None and len(set(names)) < len(names):
            name, times = Counter(names).most_common(1)[0]
            raise ValueError(f"each category once; {name!r} is given {times} times")
        return names

    @model_validator(mode="after")
    def _one_source(self) -> RunRequest:
        if self.sql is not None and self.categories is not None:
            raise ValueError("either `categories` (of the store) or `sql` (of a database)")
        return self


class RunCounts(Answer):
    """How far a run is: `made` and `failed` add up to `asked` once it has succeeded."""

    asked: int
    made: int
    failed: int


class RunFailure(Answer):
    """A forecast that could not be made."""

    number: int = Field(description="which one it was of those asked for, from 0")
    category: str
    problem: dict[str, Any] = Field(description="the problem detail that a single request would have got")


class RunResults(Answer):
    """Where the forecasts of a run are."""

    all: str = Field(description="address of all results as NDJSON, Parquet or CSV, by Accept")
    csv: str = Field(description="address of all rows as CSV")
    odata: str = Field(description="address of all rows in the OData feed")


class RunState(Answer):
    """A run, under way or over."""

    id: str
    status: Literal["pending", "running", "succeeded", "failed", "dead", "cancelled"]
    counts: RunCounts
    estimate: dt.datetime | None = Field(description="when it will be over at its pace so far; null: not known")
    failures: list[RunFailure] = Field(
        description=f"what could not be forecast, in the order asked for; at most the first {MOST_FAILURES:,}"
    )
    error: dict[str, Any] | None = Field(description="why the run as a whole failed: a problem detail")
    results: RunResults | None = Field(description="null until the run is over")
