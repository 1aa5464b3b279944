"""GDELT's DOC 2.0 interface, `/api/v2/doc/doc`: timelines of raw volume; its refusals are text with status 200."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta

from tests.fakes.server import Answer, Asked

PATH = "/api/v2/doc/doc"
LIMIT = b"Please limit requests to one every 5 seconds or contact the project for larger queries.\n"
BUSY = Answer(LIMIT, 200, "text/html; charset=utf-8")  # it comes with 429 too
SHORT_WORD = "Your search contained a keyword that was too short."
SHORT_PHRASE = "The specified phrase is too short."
ILLEGAL = (
    "One or more of your keywords contained an illegal character. To use a dash in a word, place it in quotes like "
    '"f-16".'
)
BARE_OR = "Queries containing OR'd terms must be surrounded by ()."
Volume = Callable[[str, datetime], tuple[int, int]]  # query, begin of a bucket: matching articles, all articles


class Gdelt:
    """Serves `volume` in buckets of days, hours or quarters of an hour; a query with `unknown` matches nothing."""

    def __init__(self, volume: Volume, unknown: str = "xyzzy", illegal: str = "") -> None:
        self.volume, self.unknown, self.illegal = volume, unknown, illegal

    def __call__(self, asked: Asked) -> Answer:
        query = asked.query.get("query", "")
        refusal = self._refusal(asked, query)
        if refusal:
            return Answer(refusal.encode() + b"\n", 200, "text/html; charset=utf-8")
        if self.unknown in query:
            return Answer({})
        start, end = (_moment(asked.query[name]) for name in ("startdatetime", "enddatetime"))
        assert start is not None
        assert end is not None
        name, step = _resolution(end - start)
        data = []
        while start <= end:
            value, norm = self.volume(query, start)
            data.append({"date": f"{start:%Y%m%dT%H%M%SZ}", "value": value, "norm": norm})
            start += step
        title = query + self.illegal
        shape = {
            "query_details": {"title": "TITLE", "date_resolution": name},
            "timeline": [{"series": "Article Count", "data": data}],
        }
        return Answer(
            json.dumps(shape).replace('"TITLE"', f'"{title}"' if self.illegal else json.dumps(title)).encode()
        )

    def _refusal(self, asked: Asked, query: str) -> str:
        if asked.path != PATH or asked.query.get("mode", "").lower() != "timelinevolraw":
            return "Invalid mode."
        span = [_moment(asked.query.get(name, "")) for name in ("startdatetime", "enddatetime")]
        if None in span:
            return "Invalid/Unsupported date format."
        phrases = re.findall(r'"([^"]*)"', query)
        plain = re.sub(r'"[^"]*"', "phrase", query)
        if any(len(phrase) < 5 and "-" not in phrase for phrase in phrases):
            return SHORT_PHRASE
        words = [word for word in re.sub(r"[()]", " ", plain).split() if word != "OR"]
        if not words or any(len(word) < 3 for word in words):
            return SHORT_WORD
        if any(re.search(r"[!-/;-@\[-^`{-~]", word.removeprefix("-")) for word in words):
            return ILLEGAL
        return BARE_OR if " OR " in re.sub(r"\([^()]*\)", "", plain) else ""


def _moment(text: str) -> datetime | None:
    return datetime.strptime(text, "%Y%m%d%H%M%S") if re.fullmatch(r"\d{14}", text) else None


def _resolution(span: timedelta) -> tuple[str, timedelta]:
    if span > timedelta(days=7):
        return "day", timedelta(days=1)
    return ("hour", timedelta(hours=1)) if span >= timedelta(days=1) else ("15m", timedelta(minutes=15))
