"""Google Trends: how much people search for a term, as its web page shows it.

Google offers no licensed interface for this page, so the connector is off until the operator takes the decision. Each
answer is drawn anew from a sample of all searches and scaled so that its own largest value is 100. So each term is
asked for alone, each pull makes a whole series anew, and several draws become one by a joint fit (`signals.stitch`):

    weekly  one request over some five years, never joined to another; draws of earlier pulls are averaged in
    daily   windows of 268 days that overlap by half, fitted together and bent to a weekly draw of the same years
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from signals.connector import (
    About,
    CategoryFacts,
    ConfigError,
    Connector,
    ConnectorSettings,
    Entry,
    Example,
    Get,
    Observations,
    Payload,
    Policy,
    Pull,
    Request,
    Signal,
    Task,
    observations,
)
from signals.connectors.google_trends_series import daily_series, read_timeline, weekly_series
from signals.names import name_problem
from signals.snapshot import window_label
from signals.trends_places import PLACE, WORLD

if TYPE_CHECKING:
    from signals.connectors.google_trends_client import TrendsClient

WEEKS = 260  # up to 1,826 days, which Google still answers by the week
JITTER = 4  # windows of other lengths are other draws
DAYS, STRIDE = 268, 134  # up to 269 are answered by the day; half of a window overlaps the next
RECALL = timedelta(days=14)  # whose draws are averaged in
CADENCE = "W-SAT"  # Google's weeks begin on Sunday
_DAY = timedelta(days=1)


class GoogleTrendsSettings(ConnectorSettings):
    """`[connectors.google_trends]`"""

    base_url: str = Field("https://trends.google.com", pattern=r"^https?://\S+$", description="host that is asked")
    language: str = Field(
        "en-US", pattern=r"^[a-z]{2,3}-[A-Z]{2}$", description="language and country that the page is asked in"
    )


class GoogleTrendsEntry(Entry):
    """One `[[signals]]` of search interest."""

    terms: tuple[str, ...] = Field(
        min_length=1, description="what people type, or Google's code of a topic such as /m/0663v; `a + b` is either"
    )
    places: tuple[str, ...] = Field(
        min_length=1, description="world, or countries and their parts such as US, US-NY, US-NY-501"
    )
    resolution: Literal["weekly", "daily"] = Field("weekly", description="weekly, or daily at many times the requests")
    property: Literal["web", "images", "news", "youtube", "froogle"] = Field(
        "web", description="which search: web, images, news, youtube, or froogle (Google Shopping)"
    )
    category: int = Field(0, ge=0, le=9999, description="Google's number of a category; 0 is all")

    @field_validator("terms")
    @classmethod
    def _terms(cls, terms: tuple[str, ...]) -> tuple[str, ...]:
        for term in terms:
            if not 1 <= len(term) <= 100 or term != term.strip() or name_problem("signal", term):
                raise ValueError(f"{term!r} cannot be asked for; allowed: one line of 1 to 100 characters")
        return _once(terms)

    @field_validator("places")
    @classmethod
    def _places(cls, places: tuple[str, ...]) -> tuple[str, ...]:
        for place in places:
            if not re.fullmatch(PLACE, place):
                raise ValueError(f"{place!r} is no place; allowed: world, or a code such as US, US-NY, US-NY-501")
        return _once(places)


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} is named twice; allowed: each once")
    return names


def signal_name(term: str, place: str, entry: GoogleTrendsEntry) -> str:
    """google_trends/TERM/PLACE, and what sets it apart from weekly interest in web search."""
    parts = ["google_trends", term, place]
    parts += ["daily"] * (entry.resolution == "daily") + [entry.property] * (entry.property != "web")
    parts += [f"category-{entry.category}"] * (entry.category > 0)
    return "/".join(parts)


class GoogleTrends(Connector[GoogleTrendsSettings, GoogleTrendsEntry]):
    """Search interest in single terms."""

    name = "google_trends"
    about = About(
        title="Google Trends: interest in search terms",
        homepage="https://trends.google.com",
        licence="Data source: Google Trends (https://www.google.com/trends); name it where values are shown",
        terms="Google offers no licensed interface for the page that is asked here, and automated access may break its "
        "terms of service: the operator decides. Downloading a file and importing it needs no such access.",
        consent=True,
    )
    policy = Policy(
        interval=10.0,  # Google answers 429 to a few requests a minute, and then for hours
        every=timedelta(days=2),  # soon repeated requests get the same draw
        overlap=timedelta(0),  # each pull makes the whole series anew
        history=timedelta(weeks=WEEKS),
        answers=frozenset({200, 404}),  # the page that sets the cookie is a 404
    )
    settings_type = GoogleTrendsSettings
    entry_type = GoogleTrendsEntry

    def __init__(self, settings: GoogleTrendsSettings) -> None:
        super().__init__(settings)
        self._client: TrendsClient | None = None

    def signals(self, entry: GoogleTrendsEntry) -> list[Signal]:
        """One a term and place, term by term."""
        return [_signal(term, place, entry) for term in entry.terms for place in entry.places]

    def plan(self, task: Task) -> Iterator[Pull]:
        """One pull a signal, that asks for the whole series."""
        entry: GoogleTrendsEntry = task.entry
        asked = [(term, place) for term in entry.terms for place in entry.places]
        for signal, (term, place) in zip(task.signals, asked, strict=True):
            spans = [("WEEK", *weeks_asked(task.now.date()))]
            if entry.resolution == "daily":
                spans += [("DAY", *span) for span in windows_asked(task.now.date())]
            requests = tuple(self._request(term, place, entry, *span) for span in spans)
            context = {"window": window_label(task.now), "resolution": entry.resolution}
            yield Pull((signal.signal,), requests, task.now, context, RECALL)

    def fetch(self, request: Request, get: Get) -> Payload:
        """Ask as the page does: its cookie (once a run), a token, the timeline."""
        from signals.connectors.google_trends_client import TrendsClient  # imports pytrends, which is heavy

        if self._client is None or self._client.get != get:
            self._client = TrendsClient(self.settings.base_url, self.settings.language, get)
        return self._client.timeline(request)

    def parse(self, pull: Pull, payloads: Sequence[Payload]) -> Observations:
        """The whole series as one window named for the moment of the pull, from this and earlier draws."""
        lines = [read_timeline(payload) for payload in payloads]
        weekly = [line for line in lines if line.step > 1]
        daily = pull.context["resolution"] == "daily"
        series = daily_series([line for line in lines if line.step == 1], weekly) if daily else weekly_series(weekly)
        known = np.isfinite(series.level)
        days, cadence = series.day[known].astype("datetime64[D]"), "D" if daily else CADENCE
        found = observations(
            pull.signals[0], days, series.level[known], cadence, window=pull.context["window"], is_partial=False
        )
        noise = {"noise": round(series.noise, 6)} if np.isfinite(series.noise) else {}
        return Observations(found.frame, {pull.signals[0]: {"pulls": series.pulls, **noise}})

    @classmethod
    def suggest(cls, category: CategoryFacts) -> Iterator[Mapping[str, Any]]:
        """Interest in the category's own name, in its country."""
        if category.words:
            yield {"terms": [" ".join(category.words)], "places": [category.calendar or WORLD]}

    def _request(self, term: str, place: str, entry: GoogleTrendsEntry, step: str, first: date, last: date) -> Request:
        """What is asked for; `fetch` takes the several steps that it needs."""
        params = {
            "term": term,
            "time": f"{first} {last}",
            "resolution": step,
            "geo": "" if place == WORLD else place,
            "property": "" if entry.property == "web" else entry.property,
            "category": str(entry.category),
        }
        return Request(f"{self.settings.base_url}/trends/api/widgetdata/multiline", params)


def _signal(term: str, place: str, entry: GoogleTrendsEntry) -> Signal:
    name = signal_name(term, place, entry)
    if problem := name_problem("signal", name):
        raise ConfigError("terms", term, f"a shorter term ({problem[0]})")
    daily = entry.resolution == "daily"
    return Signal(
        signal=name,
        name=f"Search interest in {term}, {place}",
        cadence="D" if daily else CADENCE,
        region=place,
        unit="largest value of the window = 100",
        scale="window",
        publication_lag=2 * _DAY,  # the last days are shown as partial, or late
    )


def weeks_asked(today: date) -> tuple[date, date]:
    """The whole weeks to ask for, from a Sunday to a Saturday; their number changes with each scheduled pull."""
    last = today - timedelta(days=(today.weekday() + 1) % 7 + 1)
    number = WEEKS - today.toordinal() // 2 % JITTER
    return last - timedelta(days=7 * number - 1), last


def windows_asked(today: date) -> list[tuple[date, date]]:
    """Overlapping windows of days back from yesterday over the same years, oldest first."""
    begin = today - timedelta(weeks=WEEKS)
    lasts = [today - _DAY]
    while lasts[-1] - (DAYS - 1) * _DAY > begin:
        lasts.append(lasts[-1] - STRIDE * _DAY)
    return [(last - (DAYS - 1) * _DAY, last) for last in reversed(lasts)]


def _example() -> bytes:
    """What the source answers for five years of a term."""
    start = datetime(2019, 1, 6, tzinfo=UTC)
    values = [round(60 + 40 * float(np.sin(week * 2 * np.pi / 52))) for week in range(WEEKS)]
    line = [
        {
            "time": str(int((start + timedelta(weeks=week)).timestamp())),
            "value": [value],
            "hasData": [True],
            "formattedValue": [str(value)],
        }
        for week, value in enumerate(values)
    ]
    return b")]}',\n" + json.dumps({"default": {"timelineData": line, "averages": [60]}}).encode()


GoogleTrends.examples = (
    Example(entry={"terms": ["rain boots"], "places": ["US"]}, answers=(_example(),), settings={"accept_terms": True}),
)
