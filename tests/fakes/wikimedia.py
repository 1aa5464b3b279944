"""Wikimedia's pageviews of an article, `/api/rest_v1/metrics/pageviews/per-article/...`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from tests.fakes.server import Answer, Asked

PATH = "/api/rest_v1/metrics/pageviews/per-article/"
NO_DATA = (
    "The date(s) you used are valid, but we either do not have data for those date(s), or the project you asked for is "
    "not loaded yet. Please check https://wikimedia.org/api/rest_v1/?doc for more information."
)
ALLOWED = {
    "access": ("all-access", "desktop", "mobile-app", "mobile-web"),
    "agent": ("all-agents", "user", "spider", "automated"),
    "granularity": ("daily", "monthly"),
}


class Wikimedia:
    """Serves `views` by project and article: a day that is not in them had no views, or is not counted yet."""

    def __init__(self, views: Mapping[tuple[str, str], Mapping[str, int]]) -> None:
        self.views = views

    def __call__(self, asked: Asked) -> Answer:
        agent = asked.headers.get("user-agent", "")
        if not re.search(r"@|https?://", agent):
            return Answer(b"Please set a user-agent and respect our robot policy", 403, "text/plain")
        parts = asked.path.removeprefix(PATH).split("/")
        if not asked.path.startswith(PATH) or len(parts) != 7:
            return _problem(404, "Invalid route", asked)
        project, access, who, article, granularity, first, last = map(unquote, parts)
        for name, value in (("access", access), ("agent", who), ("granularity", granularity)):
            if value not in ALLOWED[name]:
                return _problem(400, f"{name} should be equal to one of the allowed values: {ALLOWED[name]}", asked)
        span = [_day(text) for text in (first, last)]
        if None in span or first > last:
            return _problem(400, "start timestamp is invalid, must be a valid date in YYYYMMDD format", asked)
        counted = self.views.get((project, article), {})
        days = [day for day in sorted(counted) if first[:8] <= day.replace("-", "") <= last[:8]]
        same = {"project": project, "article": article, "granularity": granularity}
        items = [
            {**same, "timestamp": f"{day.replace('-', '')}00", "access": access, "agent": who, "views": counted[day]}
            for day in days
        ]
        return Answer({"items": items}) if items else _problem(404, NO_DATA, asked)


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text[:8], "%Y%m%d") if re.fullmatch(r"\d{8}(\d\d)?", text) else None
    except ValueError:
        return None


def _problem(status: int, detail: str, asked: Asked) -> Answer:
    body: dict[str, Any] = {"type": "about:blank", "title": "Not Found" if status == 404 else "Bad Request"}
    body |= {"status": status, "method": asked.method.lower(), "detail": detail, "uri": asked.path}
    return Answer(body, status, "application/problem+json")
