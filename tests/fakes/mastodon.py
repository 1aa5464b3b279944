"""A Mastodon server's public view of hashtags, `/api/v1/tags/:name`, and what a client asks for first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from tests.fakes.server import Answer, Asked

DAYS = 7
NOT_FOUND = Answer({"error": "Record not found"}, 404)


class Mastodon:
    """Serves `uses` by tag and day, as on `today`; half as many accounts. Tags are known once they were used."""

    def __init__(self, uses: Mapping[str, Mapping[date, int]], today: date) -> None:
        self.uses, self.today = uses, today

    def __call__(self, asked: Asked) -> Answer:
        if asked.path in ("/api/v1/instance", "/api/v1/instance/"):
            return Answer({"uri": "127.0.0.1", "title": "A server", "version": "4.5.0", "urls": {}})
        found = re.fullmatch(r"/api/v1/tags/([^/]+)/?", asked.path)
        tag = unquote(found[1]).lower() if found else ""
        if tag not in self.uses:
            return NOT_FOUND
        body = {"id": "802", "name": tag, "url": f"https://127.0.0.1/tags/{tag}", "history": self._history(tag)}
        return Answer({**body, "following": False, "featuring": False}, headers=_budget())

    def _history(self, tag: str) -> list[dict[str, Any]]:
        """The newest day first, today included; numbers are text."""
        days = [self.today - timedelta(days=back) for back in range(DAYS)]
        counts = [(day, self.uses[tag].get(day, 0)) for day in days]
        return [
            {"day": str(_epoch(day)), "uses": str(count), "accounts": str((count + 1) // 2)} for day, count in counts
        ]


def too_many(seconds: float) -> Answer:
    """Over the budget: no Retry-After, the moment of the reset in ISO 8601."""
    return Answer({"error": "Too many requests"}, 429, headers=_budget(0, seconds))


def _budget(left: int = 299, seconds: float = 300.0) -> dict[str, str]:
    reset = datetime.now(UTC) + timedelta(seconds=seconds)
    stamp = reset.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": str(left), "X-RateLimit-Reset": stamp}


def _epoch(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
