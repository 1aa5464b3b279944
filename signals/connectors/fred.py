"""Economic series of FRED: each value as it was published at the time (ALFRED) or, without a key, as it is now."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field, SecretStr, field_validator

from signals.connector import (
    YEAR,
    About,
    CategoryFacts,
    Connector,
    ConnectorSettings,
    Drift,
    Entry,
    Example,
    Observations,
    Payload,
    Policy,
    Pull,
    Request,
    Signal,
    Task,
    observations,
)
from signals.connectors import fred_vintages
from signals.periods import WEEKDAYS, spans

CADENCES = r"^(D|MS|QS|W-(MON|TUE|WED|THU|FRI|SAT|SUN))$"
LAGS = {"D": 2, "W": 6, "MS": 45, "QS": 60}  # days from the end of a period to its first print, as a rule
_FACTS = ("title", "units", "seasonal_adjustment", "frequency")
# Monthly retail sales of the United States, seasonally adjusted, by words of a category's name.
_RETAIL = {
    "RSCCAS": "clothing apparel fashion footwear shoe shoes boots sneakers accessories jewelry",
    "RSFHFS": "furniture furnishings home decor bedding kitchen",
    "RSEAS": "electronics appliances computers phones",
    "RSDBS": "food grocery groceries beverages drinks bakery dairy snacks",
    "RSHPCS": "health beauty cosmetics pharmacy drugstore care",
    "RSBMGESD": "garden building tools hardware paint lumber",
    "RSSGHBMS": "sport sports sporting toys games books hobby music outdoor",
    "RSMVPD": "car cars vehicle vehicles automotive tires parts",
}
_WEEKLY = ("ICSA",)  # initial claims for unemployment insurance
_MONTHLY = ("RSXFS", "UMCSENT")  # retail sales, consumer sentiment


class FredSettings(ConnectorSettings):
    """`[connectors.fred]`"""

    base_url: str = Field(
        "https://api.stlouisfed.org/fred", pattern=r"^https?://\S+$", description="where the API is, asked with a key"
    )
    graph_url: str = Field(
        "https://fred.stlouisfed.org/graph/fredgraph.csv",
        pattern=r"^https?://\S+$",
        description="where the file of a chart is, asked without a key",
    )
    api_key: SecretStr | None = Field(
        None, description="free key of fredaccount.stlouisfed.org; without it no vintages are read"
    )


class FredEntry(Entry):
    """One `[[signals]]` of economic series."""

    series: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,60}$")], ...] = Field(
        min_length=1, description="ids of FRED, such as RSXFS, all of one cadence"
    )
    cadence: str = Field(
        "MS", pattern=CADENCES, description="D, MS, QS, or W- and the day on which the weeks of the series end: W-SAT"
    )
    region: str = Field("US", pattern=r"^[A-Za-z0-9-]{1,12}$", description="what the series are about")
    lag_days: int | None = Field(
        None,
        ge=0,
        le=366,
        description="without a key: days from the end of a period until its value counts as known; "
        "default: 2 (D), 6 (weeks), 45 (MS), 60 (QS)",
    )

    @field_validator("series")
    @classmethod
    def _once(cls, series: tuple[str, ...]) -> tuple[str, ...]:
        if len({name.upper() for name in series}) < len(series):
            raise ValueError("a series is named twice; allowed: each once")
        return tuple(name.upper() for name in series)


class Fred(Connector[FredSettings, FredEntry]):
    """Economic series by their id."""

    name = "fred"
    about = About(
        title="FRED and ALFRED: economic series and what was known of them",
        homepage="https://fred.stlouisfed.org",
        licence="Source: the agency named by each series, via FRED, Federal Reserve Bank of St. Louis",
        terms="Free, up to 120 requests a minute. Some series belong to others: see the notes of each. This product "
        "uses the FRED API but is not endorsed or certified by the Federal Reserve Bank of St. Louis.",
    )
    policy = Policy(interval=0.6, overlap=timedelta(days=14), history=10 * YEAR)
    settings_type = FredSettings
    entry_type = FredEntry

    def signals(self, entry: FredEntry) -> list[Signal]:
        """One a series."""
        lag = LAGS[entry.cadence[:1] if entry.cadence[0] in "DW" else entry.cadence]
        return [
            Signal(
                signal=_name(series, entry),
                name=f"FRED {series}",
                cadence=entry.cadence,
                region=entry.region,
                publication_lag=timedelta(days=lag if entry.lag_days is None else entry.lag_days),
            )
            for series in entry.series
        ]

    def plan(self, task: Task) -> Iterator[Pull]:
        """One pull a series: with a key what it is and its vintages, from which `next_page` goes on; else its chart."""
        entry: FredEntry = task.entry
        for series in entry.series:
            # A chart is small and says nothing of what was revised: it is read whole each time.
            since = task.begin if self.settings.api_key is None else task.since[_name(series, entry)]
            context = {"series": series, "cadence": entry.cadence, "since": f"{since:%Y-%m-%d}"}
            yield Pull((_name(series, entry),), self._requests(series, context["since"]), task.now, context)

    def next_page(self, pull: Pull, payloads: Sequence[Payload]) -> Request | None:
        """What the vintages that were listed said."""
        return fred_vintages.next_request(payloads, pull.context["since"]) if len(pull.requests) > 1 else None

    def parse(self, pull: Pull, payloads: Sequence[Payload]) -> Observations:
        """Values by period, with a key each version dated by its vintage, else as they are today."""
        facts: Mapping[str, str] = {}
        if len(pull.requests) > 1:
            facts = _facts(payloads[0], pull.context["series"], pull.context["cadence"])
            frame = fred_vintages.read(payloads, pull.context["since"])
        else:
            frame = _chart(payloads[0], pull.context["series"])
        found = _observed(pull, frame, payloads[-1])
        return Observations(found.frame, {pull.signals[0]: facts} if facts else {})

    def _requests(self, series: str, since: str) -> tuple[Request, ...]:
        if self.settings.api_key is None:
            return (Request(self.settings.graph_url, {"id": series, "cosd": since}),)
        params = {"series_id": series, "api_key": self.settings.api_key.get_secret_value(), "file_type": "json"}
        url = self.settings.base_url
        return Request(f"{url}/series", params), fred_vintages.listing(url, params)

    @classmethod
    def suggest(cls, category: CategoryFacts) -> Iterator[Mapping[str, Any]]:
        """Where sales are made in the United States: retail sales of the trade, of all trades, and the mood."""
        if category.calendar != "US":
            return
        trades = [series for series, words in _RETAIL.items() if set(words.split()) & set(category.words)]
        yield {"series": [*trades, *_MONTHLY], "cadence": "MS"}
        if not category.frequency.startswith(("M", "Q")):
            yield {"series": list(_WEEKLY), "cadence": "W-SAT"}


def _name(series: str, entry: FredEntry) -> str:
    return f"fred/{series}/{entry.region}"


def _facts(payload: Payload, series: str, cadence: str) -> dict[str, str]:
    """What the source says of a series; Drift where it is not what it was asked for, or of another cadence."""
    body = payload.json()
    listed = body.get("seriess") if isinstance(body, dict) else None
    if not isinstance(listed, list) or len(listed) != 1 or not isinstance(listed[0], dict):
        raise Drift("one series was expected", "seriess", listed)
    facts = {name: _text(listed[0], name) for name in ("id", *_FACTS)}
    if facts["id"] != series:
        raise Drift(f"the series {series} was expected", "seriess.id", facts["id"])
    found = _cadence(facts["frequency"])
    if found != cadence:
        remedy = f'set cadence = "{found}"' if found else "series of days, weeks, months and quarters can be used"
        raise Drift(f"the cadence {cadence} was expected: {remedy}", "seriess.frequency", facts["frequency"])
    return {name: facts[name] for name in _FACTS}


def _text(facts: Mapping[str, Any], name: str) -> str:
    value = facts.get(name)
    if not isinstance(value, str):
        raise Drift("a text was expected", f"seriess.{name}", value)
    return value


def _cadence(frequency: str) -> str | None:
    """The cadence that FRED's words mean, such as "Weekly, Ending Saturday"; None where periods have no such name."""
    word, _, more = frequency.partition(",")
    if word == "Weekly":
        day = re.search(f"({'|'.join(WEEKDAYS)})$", more)
        return f"W-{day[0][:3].upper()}" if day else None
    return {"Daily": "D", "Monthly": "MS", "Quarterly": "QS"}.get(word)


def _chart(payload: Payload, series: str) -> pd.DataFrame:
    """The two columns of a chart's file: date and value, NaN where there is none."""
    if not payload.body.endswith(b"\n"):
        raise Drift("the file breaks off in the middle of a line", found=payload.text()[-60:])
    try:
        rows = list(csv.reader(io.StringIO(payload.text()), strict=True))
    except csv.Error as error:
        raise Drift(f"a CSV file was expected ({error})") from error
    if not rows or len(rows[0]) != 2 or rows[0][1] != series:
        raise Drift(f"a table of two columns, the second called {series}, was expected", "header", rows[:1])
    cells = [row for row in rows[1:] if row]
    if any(len(row) != 2 for row in cells):
        raise Drift("two values a line were expected", found=next(row for row in cells if len(row) != 2))
    texts = pd.DataFrame(cells, columns=["date", "value"], dtype="str")
    date, value = fred_vintages.days(texts["date"], rows[0][0]), fred_vintages.numbers(texts["value"], series)
    frame = pd.DataFrame({"date": date, "value": value})
    if frame["date"].duplicated().any():
        raise Drift("a date stands there twice", rows[0][0], frame.loc[frame["date"].duplicated(), "date"].iloc[0])
    return frame


def _observed(pull: Pull, frame: pd.DataFrame, last: Payload) -> Observations:
    """The rows as periods; those of a period that was not over when its value was seen are left out."""
    cadence, days = pull.context["cadence"], frame["date"].to_numpy().astype("datetime64[D]")
    start, end = spans(days, cadence)
    label = end - np.timedelta64(1, "D") if cadence.startswith("W") else start
    if (days != label).any():
        strange = days[days != label][0]
        raise Drift(f"dates that name periods of the cadence {cadence} were expected", "date", strange)
    seen = frame["known_at"].to_numpy() if "known_at" in frame else np.datetime64(last.fetched_at, "us")
    kept = frame[end <= seen]
    dated = {"known_at": kept["known_at"].to_numpy()} if "known_at" in frame else {}
    return observations(pull.signals[0], kept["date"].to_numpy(), kept["value"].to_numpy(), cadence, **dated)


def _bodies() -> tuple[bytes, ...]:
    """A monthly series of which one month was revised."""
    about = {"id": "RSXFS", "title": "Advance Retail Sales: Retail Trade", "units": "Millions of Dollars"}
    about |= {"seasonal_adjustment": "Seasonally Adjusted", "frequency": "Monthly"}
    published = ["2026-10-15", "2026-11-14"]
    rows = [
        {"realtime_start": "2026-10-15", "realtime_end": "2026-11-13", "date": "2026-09-01", "value": "612345"},
        {"realtime_start": "2026-11-14", "realtime_end": "2026-11-14", "date": "2026-09-01", "value": "612901"},
        {"realtime_start": "2026-11-14", "realtime_end": "2026-11-14", "date": "2026-10-01", "value": "615210"},
    ]
    bodies = (
        {"seriess": [about]},
        {"count": 2, "offset": 0, "limit": 10000, "vintage_dates": published},
        {"count": 3, "offset": 0, "limit": fred_vintages.ROWS, "observations": rows},
    )
    return tuple(json.dumps(body).encode() for body in bodies)


Fred.examples = (
    Example(
        entry={"series": ["ICSA"], "cadence": "W-SAT"},
        answers=(b"observation_date,ICSA\n2026-10-31,229000\n2026-11-07,.\n2026-11-14,227000\n",),
        settings={"api_key": None},
        content_type="text/csv",
    ),
    Example(entry={"series": ["RSXFS"]}, answers=_bodies(), settings={"api_key": "0123456789abcdef" * 2}),
)
