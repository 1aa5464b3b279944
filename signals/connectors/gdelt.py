"""The share of the world's online news that speaks of something: GDELT's DOC 2.0 interface, from 2017 on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

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

FIRST_DAY = datetime(2017, 1, 1)  # nothing older can be searched
BUSY = 20.0  # seconds to wait after a "Please limit requests" that came with status 200
SHORTEST_WORD, SHORTEST_PHRASE = 3, 5  # letters; GDELT refuses shorter ones
_LIMIT = b"please limit requests"
_MARK = re.compile(r"[!-/:-@\[-^`{-~]")  # ASCII's marks without the underscore
_CHOICE = re.compile(r"\( ?(?!OR )[^\s()]+( OR (?!OR )[^\s()]+)+ ?\)")
# GDELT names countries by FIPS 10-4, which differs from ISO 3166 for many: GM is Germany, AU Austria, AS Australia.
_FIPS = {"AT": "AU", "AU": "AS", "CH": "SZ", "CN": "CH", "CZ": "EZ", "DE": "GM", "DK": "DA", "ES": "SP", "GB": "UK"}
_FIPS |= {"IE": "EI", "JP": "JA", "KR": "KS", "PT": "PO", "SE": "SW", "TR": "TU", "UA": "UP", "ZA": "SF"}
_FIPS |= {code: code for code in ("AR", "BE", "BR", "CA", "FI", "FR", "GR", "HU", "IN", "IT", "MX", "NL", "NO", "NZ")}
_FIPS |= {"PL": "PL", "US": "US"}


def _query(text: str) -> str:
    """A query as GDELT takes it; ValueError says what it would refuse, often with status 200."""
    query = " ".join(text.split())
    if query.count('"') % 2:
        raise ValueError(f"{text!r} has a quotation mark too few")
    phrases = re.findall(r'"([^"]*)"', query)
    plain = re.sub(r'"[^"]*"', " phrase ", query)
    words = [word for word in re.sub(r"[()]", " ", plain).split() if word != "OR"]
    if not words:
        raise ValueError(f"{text!r} asks for nothing; give words, a phrase in quotation marks, or (boots OR sneakers)")
    _check_terms(words, "word", SHORTEST_WORD)
    _check_terms([phrase for phrase in phrases if "-" not in phrase], "phrase", SHORTEST_PHRASE)
    _check_characters(words)
    left = _CHOICE.sub(" ", " ".join(plain.split()))
    if re.search(r"[()]|(?<!\S)OR(?!\S)", left):
        raise ValueError(f"{text!r}: a choice, and nothing else, stands in parentheses, such as (boots OR sneakers)")
    return query


def _check_terms(terms: Sequence[str], kind: str, least: int) -> None:
    for term in terms:
        if ":" in term:
            raise ValueError(f"{term!r} is an operator; use countries, languages and theme for what they stand for")
        if len(term.strip("- ")) < least:
            raise ValueError(f"the {kind} {term!r} is too short: GDELT refuses fewer than {least} characters")


def _check_characters(words: Sequence[str]) -> None:
    """A minus before a word means "without"; any other mark must stand in a phrase, such as "f-16"."""
    for word in words:
        if _MARK.search(word.removeprefix("-")):
            raise ValueError(
                f'{word!r} has a character that GDELT refuses in a word; put it in quotation marks: "f-16"'
            )


class GdeltSettings(ConnectorSettings):
    """Settings of `[connectors.gdelt]`."""

    base_url: str = Field(
        "https://api.gdeltproject.org/api/v2/doc/doc", pattern=r"^https?://\S+$", description="where the interface is"
    )


class GdeltEntry(Entry):
    """What the news is searched for."""

    queries: tuple[Annotated[str, AfterValidator(_query)], ...] = Field(
        min_length=1,
        description="each becomes a signal: words, a phrase in quotation marks, a choice as in (boots OR sneakers)",
    )
    countries: tuple[Annotated[str, Field(pattern=r"^([A-Z]{2}|[a-z]{3,})$")], ...] = Field(
        (), description="only news published there: FIPS codes (GM is Germany, UK, SP Spain) or names such as germany"
    )
    languages: tuple[Annotated[str, Field(pattern=r"^[a-z]{3,}$")], ...] = Field(
        (), description="only news written in them, such as german"
    )
    theme: str | None = Field(
        None, pattern=r"^[A-Z][A-Z0-9_]+$", description="only news of a theme of GDELT, such as ECON_INFLATION"
    )

    @field_validator("queries")
    @classmethod
    def _once(cls, queries: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(queries)) < len(queries):
            raise ValueError("a query is there twice; give each once")
        return queries

    @property
    def filters(self) -> str:
        """What is added to each query."""
        parts = [_choice("sourcecountry", self.countries), _choice("sourcelang", self.languages)]
        parts.append(f"theme:{self.theme}" if self.theme else "")
        return " ".join(part for part in parts if part)

    @property
    def where(self) -> str:
        """The last part of a signal's name."""
        parts = ["+".join(self.countries) or "world", "+".join(self.languages), self.theme or ""]
        return "/".join(part for part in parts if part)


_EXAMPLE = b"""{"query_details": {"title": "boots", "date_resolution": "day"}, "timeline": [{"series": "Article Count",
"data": [{"date": "20220601T000000Z", "value": 12, "norm": 171204},
{"date": "20220602T000000Z", "value": 31, "norm": 214877}]}]}"""


class Gdelt(Connector[GdeltSettings, GdeltEntry]):
    """`mode=timelinevolraw`: for each bucket of time how many articles match, and how many there were."""

    name = "gdelt"
    about = About(
        title="GDELT: online news of the world",
        homepage="https://www.gdeltproject.org",
        licence="Free for any use; name the GDELT Project with a link to https://www.gdeltproject.org",
        terms="Free, also for commercial use; one request each five seconds, and none beside it.",
    )
    # At 5 s between requests it still refuses some. Ten days read back: spans over a week come in days, not hours.
    policy = Policy(interval=6.5, overlap=timedelta(days=10), timeout=120.0)
    settings_type = GdeltSettings
    entry_type = GdeltEntry
    examples = (Example({"queries": ["boots"]}, (_EXAMPLE,)),)

    def signals(self, entry: GdeltEntry) -> list[Signal]:
        """One a query: `gdelt/<query>/<countries, languages, theme>`."""
        return [
            Signal(
                signal=_signal(query, entry),
                name=f"News of {query} ({entry.where})",
                cadence="D",
                region="+".join(entry.countries),
                unit="articles per million",
                publication_lag=timedelta(days=1),
            )
            for query in entry.queries
        ]

    def plan(self, task: Task) -> Iterable[Pull]:
        """One pull a query and year, oldest first, for all days before today (UTC)."""
        entry: GdeltEntry = task.entry
        today = _midnight(task.now)
        for query in entry.queries:
            signal = _signal(query, entry)
            start = max(_midnight(task.since[signal]), FIRST_DAY)
            while start < today:
                through = min(start + YEAR, today)
                span = {"start": f"{start:%Y-%m-%d}", "end": f"{through:%Y-%m-%d}"}
                yield Pull((signal,), (self._request(f"{query} {entry.filters}", start, through),), through, span)
                start = through

    def _request(self, query: str, start: datetime, through: datetime) -> Request:
        params = {"query": query.strip(), "mode": "timelinevolraw", "format": "json"}
        params["startdatetime"] = f"{start:%Y%m%d%H%M%S}"
        params["enddatetime"] = f"{through - timedelta(seconds=1):%Y%m%d%H%M%S}"
        return Request(self.settings.base_url, params)

    def busy(self, payload: Payload) -> float | None:
        """GDELT asks for patience in plain text, with status 429 or 200."""
        return BUSY if payload.body[:200].lstrip().lower().startswith(_LIMIT) else None

    def parse(self, pull: Pull, payloads: Sequence[Payload]) -> Observations:
        """Matching articles per million articles of each day; hours and quarters of an hour are added up."""
        (signal,), (payload,) = pull.signals, payloads
        first, end = (date.fromisoformat(pull.context[key]) for key in ("start", "end"))
        counts: dict[date, tuple[int, int]] = {}
        for moment, value, norm in _buckets(payload):
            day = moment.date()
            if first <= day < end:  # the answer may reach a bucket beyond what was asked for
                before = counts.get(day, (0, 0))
                counts[day] = (before[0] + value, before[1] + norm)
        # On a day of which GDELT has no article at all it did not work.
        days = sorted(day for day, (_, norm) in counts.items() if norm)
        return observations(signal, days, [1e6 * counts[day][0] / counts[day][1] for day in days])

    @classmethod
    def suggest(cls, category: CategoryFacts) -> Iterator[Mapping[str, Any]]:
        """News of what the category is called, in its country."""
        words = [word for word in category.words if len(word) >= SHORTEST_WORD]
        query = " ".join(words)
        if _MARK.search(query) or len(words) > 1:
            query = f'"{query}"'
        country = _FIPS.get((category.calendar or "")[:2].upper())
        if query:
            yield {"queries": [query], **({"countries": [country]} if country else {})}


def _midnight(moment: datetime) -> datetime:
    return datetime(moment.year, moment.month, moment.day)


def _signal(query: str, entry: GdeltEntry) -> str:
    return f"gdelt/{query}/{entry.where}"


def _choice(operator: str, values: Sequence[str]) -> str:
    terms = [f"{operator}:{value}" for value in values]
    return f"({' OR '.join(terms)})" if len(terms) > 1 else "".join(terms)


def _json(payload: Payload) -> Any:
    """The answer as JSON. What it repeats of the query may hold illegal characters; only that part may be broken."""
    text = payload.body.decode("utf-8-sig", errors="replace").strip()
    if not text.startswith("{"):
        kind = "a web page" if text.startswith("<") else "a refusal, not JSON"
        raise Drift(f"the answer is {kind}", found=text[:200])
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:
        start = re.search(r'"timeline"\s*:\s*\[', text)
        if start is None:
            raise Drift("the answer is no JSON", found=text[:200]) from error
    try:
        return json.loads("{" + text[start.start() :])
    except (ValueError, RecursionError) as error:
        raise Drift("the answer is no JSON", "timeline", text[start.start() :][:200]) from error


def _buckets(payload: Payload) -> list[tuple[datetime, int, int]]:
    """Begin, matching and all articles of each bucket; none where nothing matched."""
    answer = _json(payload)
    if answer == {}:
        return []
    timeline = answer.get("timeline")
    if not isinstance(timeline, list) or len(timeline) > 1:
        raise Drift("must be a list of one series", "timeline", timeline)
    if not timeline:
        return []
    series = timeline[0]
    if not isinstance(series, dict) or series.get("series") != "Article Count":
        raise Drift("must be the series Article Count", "timeline.series", series)
    if not isinstance(series.get("data"), list):
        raise Drift("must be a list of buckets", "timeline.data", series.get("data"))
    buckets = [_bucket(item) for item in series["data"]]
    if len({moment for moment, _, _ in buckets}) < len(buckets):
        raise Drift("a bucket is there twice", "timeline.data.date")
    return buckets


def _bucket(item: Any) -> tuple[datetime, int, int]:
    if not isinstance(item, dict):
        raise Drift("must be an object for each bucket", "timeline.data", item)
    value, norm = _count(item, "value"), _count(item, "norm")
    if value > norm:
        raise Drift("more articles match than there are", "timeline.data.value", item)
    try:
        return datetime.strptime(str(item.get("date")), "%Y%m%dT%H%M%SZ"), value, norm
    except ValueError as error:
        raise Drift("must be a moment such as 20261101T000000Z", "timeline.data.date", item.get("date")) from error


def _count(item: Mapping[str, Any], name: str) -> int:
    count = item.get(name)
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 10**9:
        raise Drift("must be a count", f"timeline.data.{name}", count)
    return count
