"""What the connectors of open data portals share: which sums to ask for, and how the answers become observations.

A portal adds up its own records by day or month; the sums of a pull must account for every record that the portal
counts for the same time, so that no page can be lost or doubled unseen.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from signals.connector import Drift, Entry, Observations, Payload, Pull, Request, Signal, observations
from signals.periods import place, spans, start

PERIODS_PER_PULL = {"D": 366, "MS": 120, "QS": 40}  # and 53 weeks
DAY = re.compile(r"\d{4}-\d{2}(-\d{2})?([T ].*)?")
_WHOLE = 0.9  # a last week, month or quarter of fewer records than this share of the one before is not yet whole
WEEKLY = "W-MON|W-TUE|W-WED|W-THU|W-FRI|W-SAT|W-SUN"
Row = tuple[str, str, float, float]  # day, group, value, records


class PortalEntry(Entry):
    """A dataset of a portal, which columns are summed, and how the series are called."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=60, description="how its signals are called")
    domain: str = Field(pattern=r"^[A-Za-z0-9.-]+$", description="host of the portal, such as data.ny.gov")
    dataset: str = Field(pattern=r"^[A-Za-z0-9_-]+$", description="identifier of the dataset")
    date_column: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="column that tells the day")
    value_column: str | None = Field(
        None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="column that is summed; without it records are counted"
    )
    group_column: str | None = Field(
        None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="column whose values become signals of their own"
    )
    groups: tuple[str, ...] = Field((), max_length=50, description="the values of group_column that are wanted")
    where: str = Field("", max_length=1000, description="further condition, in the portal's own language")
    aggregation: Literal["sum", "mean"] = Field("sum", description="how records become one value a period")
    cadence: str = Field("D", pattern=rf"^(D|MS|QS|{WEEKLY})$", description="D, W-MON to W-SUN, MS or QS")
    unit: str = Field("", max_length=100, description="unit of the values")
    region: str = Field("", pattern=r"^[A-Za-z0-9-]*$", description="where it is, such as US or US-NY")
    title: str = Field("", max_length=100, description="name for people; where it is empty, name")
    lag_days: int = Field(
        2, ge=0, le=365, description="days after its end until a period is complete and published; read no earlier"
    )

    @field_validator("groups")
    @classmethod
    def _plain_groups(cls, groups: tuple[str, ...]) -> tuple[str, ...]:
        for group in groups:
            if not group.strip() or not group.isprintable() or {'"', "\\"} & set(group):
                raise ValueError(f'{group!r} is no value of a group; " and \\ are not allowed')
        if len(set(groups)) < len(groups):
            raise ValueError("a value stands there twice")
        return groups

    @model_validator(mode="after")
    def _groups_of_a_column(self) -> PortalEntry:
        if (self.group_column is None) != (not self.groups):
            raise ValueError("group_column and groups belong together: give both or neither")
        if self.value_column is None and self.aggregation == "mean":
            raise ValueError("aggregation mean needs a value_column")
        return self

    @property
    def step(self) -> str:
        """By what the portal itself sums: D, or MS for months and quarters."""
        return "MS" if self.cadence in ("MS", "QS") else "D"


def with_preset(given: Any, presets: Mapping[str, Mapping[str, Any]]) -> Any:
    """What an entry says, over what its preset says."""
    preset = given.get("preset") if isinstance(given, dict) else None
    if preset is None:
        return given
    if not isinstance(preset, str) or preset not in presets:
        raise ValueError(f"preset is {preset!r}; allowed: {', '.join(presets)}")
    return {"name": preset, **presets[preset], **given}


def host(base_url: str, domain: str) -> str:
    """The address of a portal without a slash at its end."""
    return base_url.replace("{domain}", domain).rstrip("/")


def signals_of(connector: str, entry: PortalEntry) -> list[Signal]:
    """One signal, or one for each group."""
    title = entry.title or entry.name
    return [
        Signal(
            signal=signal_name(connector, entry, group),
            name=f"{title}, {group}" if group else title,
            cadence=entry.cadence,
            region=entry.region,
            unit=entry.unit,
            aggregation=entry.aggregation,
            publication_lag=timedelta(days=entry.lag_days),
        )
        for group in entry.groups or ("",)
    ]


def signal_name(connector: str, entry: PortalEntry, group: str) -> str:
    """connector/name, then the group and the region where there are any."""
    return "/".join(part for part in (connector, entry.name, group, entry.region) if part)


@dataclass(frozen=True)
class Window:
    """Whole periods, from the first day of one to the first day after another; `last` if nothing later is known."""

    start: date
    end: date
    last: bool


def windows(entry: PortalEntry, since: datetime, now: datetime) -> Iterator[Window]:
    """What to read, oldest first: whole periods that ended `lag_days` ago, from the one before `since` on.

    The period before `since` shows how many records a whole one has.
    """
    cadence = entry.cadence
    known = now - timedelta(days=entry.lag_days)
    first, stop = (int(place(np.array([moment], "datetime64[D]"), cadence)[0]) for moment in (since, known))
    size = PERIODS_PER_PULL.get(cadence, 53)
    for begin in range(first - 1, stop, size):
        end = min(begin + size, stop)
        days = start(np.array([begin, end]), cadence).astype(object)
        yield Window(days[0], days[1], last=end == stop)


def pull_of(signals: Sequence[Signal], window: Window, requests: tuple[Request, ...], entry: PortalEntry) -> Pull:
    """The pull of a window, with what `combine` must know."""
    context = {"end": f"{window.end}", "last": "yes" if window.last else "", "entry": entry.model_dump_json()}
    through = datetime(window.end.year, window.end.month, window.end.day)
    return Pull(tuple(one.signal for one in signals), requests, through, context)


def answered(payload: Payload, what: str) -> Any:
    """The JSON of an answer; Drift with the portal's own words where it refused the question."""
    body = payload.json()
    if payload.status != 200 or (isinstance(body, dict) and "message" in body):
        words = body.get("message") if isinstance(body, dict) else body
        raise Drift(f"{what} was refused with status {payload.status}", found=words)
    return body


def objects(body: Any, what: str) -> list[dict[str, Any]]:
    """A list of JSON objects."""
    if not isinstance(body, list) or not all(isinstance(row, dict) for row in body):
        raise Drift("it is no list of objects", what, body)
    return body


def number(row: Mapping[str, Any], field: str) -> float:
    """A finite number, or the text of one, of a row that must have it."""
    found = row.get(field)
    try:
        value = float(found) if isinstance(found, str | int | float) and not isinstance(found, bool) else math.nan
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise Drift("it must be a number", field, row)
    return value


def day(row: Mapping[str, Any], field: str) -> str:
    """The day or month in a field that a row must have, as ISO 8601."""
    found = text(row, field)
    if not DAY.fullmatch(found):
        raise Drift("it must be a day such as 2026-11-22", field, found)
    return found


def text(row: Mapping[str, Any], field: str) -> str:
    """The text in a field that a row must have."""
    found = row.get(field)
    if not isinstance(found, str):
        raise Drift("it must be text", field, row)
    return found


def combine(connector: str, entry: PortalEntry, pull: Pull, rows: Sequence[Row], total: float) -> Observations:
    """The observations in the sums of one pull, with the number of records behind each; Drift where they contradict.

    `total` is how many records the portal counts over all of them.
    """
    frame = pd.DataFrame(rows, columns=["day", "group", "value", "records"])
    if frame.duplicated(["day", "group"]).any():
        twice = frame[frame.duplicated(["day", "group"])].iloc[0]
        raise Drift("the pages contradict one another: a day stands there twice", "gs_day", twice["day"])
    if frame["records"].sum() != total:
        raise Drift(f"the sums hold {frame['records'].sum():.0f} records, the dataset {total:.0f}", "gs_records")
    found = observations(connector, [], [])
    groups = entry.groups or ("",)
    unknown = sorted(set(frame["group"]) - set(groups))
    if unknown:
        raise Drift("a group that was not asked for", "gs_group", unknown[0])
    for group in groups:
        mine = frame[frame["group"] == group]
        if len(mine):
            found += _series(signal_name(connector, entry, group), entry, pull, mine)
    return found


def _series(signal: str, entry: PortalEntry, pull: Pull, rows: pd.DataFrame) -> Observations:
    days = observations(signal, rows["day"], rows["value"]).frame["start"]
    late = days >= pd.Timestamp(pull.context["end"])
    if late.any():
        raise Drift("a day after those asked for", "gs_day", days[late].iloc[0])
    begin, _ = spans(days.to_numpy().astype("datetime64[D]"), entry.cadence)
    records = rows["records"].to_numpy()
    weight = records if entry.aggregation == "mean" else 1.0  # a mean of means, each by its records
    sums = pd.DataFrame({"start": begin, "value": rows["value"].to_numpy() * weight, "records": records})
    periods = sums.groupby("start", sort=True).sum()
    if entry.aggregation == "mean":
        periods["value"] /= periods["records"]
    if pull.context["last"] and entry.value_column and entry.cadence != "D":
        periods = _without_unfinished(periods)
    made = observations(signal, periods.index.to_numpy(), periods["value"], entry.cadence)
    if entry.value_column is None:
        return made  # the value is the number of records, and may well halve or double
    return Observations(made.frame.assign(records=periods["records"].to_numpy()))


def _without_unfinished(periods: pd.DataFrame) -> pd.DataFrame:
    """Without a last week, month or quarter whose days have not all been published."""
    records = periods["records"].to_numpy()
    unfinished = len(records) > 1 and records[-1] < _WHOLE * records[-2]
    return periods.iloc[:-1] if unfinished else periods
