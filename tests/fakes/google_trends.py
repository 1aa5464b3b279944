"""Google Trends as its web page asks it: a cookie, widgets with tokens, a timeline drawn anew with every request.

Each bucket of a request is a Poisson count of sampled searches about its expected number; 100 is the largest bucket of
all terms of the request. Times are days of UTC, weeks begin on Sunday.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.fakes.server import Answer, Asked

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]
Curve = Callable[[str, str, Days], Array]  # term, geo, days -> searches a day, relative

LONGEST_DAILY, LONGEST_WEEKLY = 269, 1889  # days
STEP = {"DAY": 1, "WEEK": 7}
PROPERTIES = ("", "images", "news", "youtube", "froogle")
JSON = "application/json; charset=utf-8"
REFUSED = Answer(b"<!DOCTYPE html><html><title>Error 400 (Bad Request)!!1</title></html>", 400, "text/html")
UNKNOWN_TOKEN = Answer(b"<!DOCTYPE html><html><title>Error 401 (Unauthorized)!!1</title></html>", 401, "text/html")
NO_PAGE = b"<!DOCTYPE html><html><title>Error 404 (Not Found)!!1</title></html>"
TOO_MANY = Answer(b"<!DOCTYPE html><html><title>Error 429 (Too Many Requests)!!1</title></html>", 429, "text/html")


def season(term: str, geo: str, days: Days) -> Array:
    """A yearly wave, another phase for each term and place, and quiet weekends."""
    number = days.astype("datetime64[D]").astype(np.int64)
    phase = int.from_bytes(hashlib.sha256(f"{term} {geo}".encode()).digest()[:2], "big") / 2**16
    wave = 0.4 * np.sin(2 * np.pi * (number / 365.25 + phase)) + 0.1 * np.sin(2 * np.pi * number / 7)
    return np.asarray(np.exp(wave))


def sample(expected: Array, rng: np.random.Generator) -> list[tuple[Array, list[str]]]:
    """Values and their texts of expected searches (terms, buckets), as one request draws and scales them."""
    drawn = rng.poisson(expected).astype(np.float64)
    index = 100 * drawn / max(drawn.max(), 1.0)
    whole = np.floor(index + 0.5)
    return [
        (row, ["<1" if shown == 0 < raw else f"{shown:.0f}" for shown, raw in zip(row, raws, strict=True)])
        for row, raws in zip(whole, index, strict=True)
    ]


@dataclass
class GoogleTrends:
    """A source for `serving`: `volume` is how many searches a day of level 1 has in the sample."""

    curve: Curve = season
    volume: float = 1000.0
    today: date = date(2026, 11, 25)
    seed: int = 1
    tokens: dict[str, str] = field(default_factory=dict)  # token -> the widget's request

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def __call__(self, asked: Asked) -> Answer:
        if asked.path.rstrip("/") == "/trends/explore":
            cookie = {"Set-Cookie": "NID=511=fake; path=/; HttpOnly"}
            return Answer(NO_PAGE, 404, "text/html; charset=utf-8", cookie)
        if asked.path == "/trends/api/explore":
            return self._explore(asked)
        if asked.path == "/trends/api/widgetdata/multiline":
            return self._multiline(asked)
        return Answer(NO_PAGE, 404, "text/html; charset=utf-8")

    def _explore(self, asked: Asked) -> Answer:
        wanted = json.loads(asked.query.get("req", "{}"))
        items = wanted.get("comparisonItem", [])
        if not 1 <= len(items) <= 5 or wanted.get("property") not in PROPERTIES or not asked.query.get("hl"):
            return REFUSED
        try:
            spans = {self._span(item["time"]) for item in items}
            comparison = [_item(item) for item in items]
        except (KeyError, ValueError):
            return REFUSED
        if len(spans) > 1:
            return REFUSED
        timeline = self._timeline_request(*spans.pop(), comparison, wanted, asked.query["hl"])
        return _prefixed(b")]}'\n", self._widgets(timeline, items))

    def _span(self, text: str) -> tuple[date, date]:
        if text == "today 5-y":
            return self.today - timedelta(days=1826), self.today
        if text == "today 12-m":
            return self.today - timedelta(days=365), self.today
        if not re.fullmatch(r"\d{4}-\d\d-\d\d \d{4}-\d\d-\d\d", text):
            raise ValueError(text)
        start, end = (datetime.strptime(part, "%Y-%m-%d").date() for part in text.split(" "))
        if not date(2004, 1, 1) <= start <= end or end > self.today:
            raise ValueError(text)
        return start, end

    def _timeline_request(
        self, start: date, end: date, comparison: list[Any], wanted: dict[str, Any], language: str
    ) -> dict[str, Any]:
        days = (end - start).days
        resolution = "DAY" if days <= LONGEST_DAILY else "WEEK" if days <= LONGEST_WEEKLY else "MONTH"
        options = {"property": wanted["property"], "backend": "IZG", "category": wanted["category"]}
        return {
            "time": f"{start} {end}",
            "resolution": resolution,
            "locale": language,
            "comparisonItem": comparison,
            "requestOptions": options,
            "userConfig": {"userType": "USER_TYPE_SCRAPER"},
        }

    def _widgets(self, timeline: dict[str, Any], items: list[Any]) -> dict[str, Any]:
        terms = [item["keyword"] for item in items]
        widgets = [
            {"request": timeline, "token": self._token(timeline), "id": "TIMESERIES", "type": "fe_line_chart"},
            {"request": {"geo": {}}, "token": self._token({"geo": {}}), "id": "GEO_MAP", "type": "fe_heat_map"},
            *({"request": {}, "token": "", "id": f"RELATED_QUERIES_{i}"} for i in range(len(terms))),
        ]
        return {
            "widgets": widgets,
            "keywords": [{"keyword": term, "name": term, "type": "Search term"} for term in terms],
            "timeRanges": [item["time"] for item in items],
            "examples": [],
            "shareText": f"Explore search interest for {', '.join(terms)}",
            "shouldShowMultiHeatMapMessage": False,
        }

    def _token(self, request: dict[str, Any]) -> str:
        token = "APP6_UEAAAAA" + hashlib.sha256(json.dumps([request, len(self.tokens)]).encode()).hexdigest()[:32]
        self.tokens[token] = json.dumps(request, sort_keys=True)
        return token

    def _multiline(self, asked: Asked) -> Answer:
        request = json.loads(asked.query.get("req", "{}"))
        if self.tokens.get(asked.query.get("token", "")) != json.dumps(request, sort_keys=True):
            return UNKNOWN_TOKEN
        starts, expected = self._expected(request)
        rows = sample(expected * self.volume, self._rng)
        step = STEP.get(request["resolution"], 28)
        line = [
            self._bucket(start, step, [(row[i], texts[i]) for row, texts in rows]) for i, start in enumerate(starts)
        ]
        averages = [round(float(row.mean())) for row, _ in rows]
        return _prefixed(b")]}',\n", {"default": {"timelineData": line, "averages": averages}})

    def _expected(self, request: dict[str, Any]) -> tuple[list[date], Array]:
        """First days of the buckets and expected searches (terms, buckets)."""
        first, last = (date.fromisoformat(part) for part in request["time"].split(" "))
        step = STEP.get(request["resolution"], 28)
        begin = first + timedelta(days=(6 - first.weekday()) % 7) if step == 7 else first
        starts = [begin + timedelta(days=step * i) for i in range((last - begin).days // step + 1)]
        over = min(starts[-1] + timedelta(days=step), self.today + timedelta(days=1))  # the present day has begun
        days = np.arange(np.datetime64(begin, "D"), np.datetime64(over, "D"))
        items = [
            (item["complexKeywordsRestriction"]["keyword"][0]["value"], next(iter(item["geo"].values()), ""))
            for item in request["comparisonItem"]
        ]
        daily = np.array([self.curve(term, geo, days) for term, geo in items])
        daily = np.pad(daily, [(0, 0), (0, step * len(starts) - len(days))])
        return starts, daily.reshape(len(items), len(starts), step).sum(axis=2)

    def _bucket(self, start: date, step: int, values: list[tuple[float, str]]) -> dict[str, Any]:
        end = start + timedelta(days=step - 1)
        seconds = (np.datetime64(start, "s") - np.datetime64(0, "s")).astype(int)
        label = f"{start:%b} {start.day}" + (f", {start.year}" if start.year != end.year else "")
        if step > 1:
            label += f"\u2009\u2013\u2009{'' if end.month == start.month else f'{end:%b} '}{end.day}"
        bucket = {
            "time": str(seconds),
            "formattedTime": f"{label}, {end.year}",
            "formattedAxisTime": f"{start:%b} {start.day}, {start.year}",
            "value": [int(value) for value, _ in values],
            "hasData": [text != "0" for _, text in values],
            "formattedValue": [text for _, text in values],
        }
        return bucket | ({"isPartial": True} if end >= self.today else {})


def _item(item: dict[str, Any]) -> dict[str, Any]:
    geo = item["geo"]
    where = {} if not geo else {"region": geo} if "-" in geo else {"country": geo}
    return {"geo": where, "complexKeywordsRestriction": {"keyword": [{"type": "BROAD", "value": item["keyword"]}]}}


def _prefixed(prefix: bytes, body: Any) -> Answer:
    content = prefix + json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return Answer(content, 200, JSON, {"Content-Disposition": 'attachment; filename="json.txt"'})
