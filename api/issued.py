"""The issued forecasts of a category, newest first."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from api.database import engine_of, issued, reading
from api.ledger import Issued, as_issued
from api.moments import CLOCKS_DIFFER
from api.settings import Settings

_PAGE = 20
BUSINESS_CENTRAL = "business-central"
LONGEST_RUN = dt.timedelta(days=1)


@dataclass(frozen=True)
class Page:
    """Issued forecasts, and whether older ones follow."""

    items: list[Issued]
    more: bool


def page_of_category(settings: Settings, category: str, limit: int, before: str | None = None) -> Page:
    """At most `limit` of them; `before`: only those with an earlier receipt."""
    query = sa.select(issued).where(issued.c.category == category).order_by(issued.c.receipt.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(issued.c.receipt < before)
    with reading(engine_of(settings)) as connection:
        rows = [as_issued(row) for row in connection.execute(query).mappings()]
    return Page(rows[:limit], len(rows) > limit)


def last_of_category(settings: Settings, category: str) -> Issued | None:
    """The newest forecast from the store (see `is_current`)."""
    before = None
    while True:
        page = page_of_category(settings, category, _PAGE, before)
        for item in page.items:
            if is_current(item):
                return item
        if not page.more:
            return None
        before = page.items[-1].receipt


def is_current(item: Issued) -> bool:
    """Whether it says what the store said of its category when it was issued.

    Not a forecast of a history that came along (Business Central sends its own), none as if at an earlier moment, and
    none whose overrides somebody left out or named: that one was looked at, and is not what is published.
    """
    asked: dict[str, Any] = orjson.loads(item.request)
    if asked.get("data_version") is None or item.issued is None or item.face == BUSINESS_CENTRAL:
        return False
    if asked.get("overrides") == "none" or asked.get("overrides_named"):
        return False
    moment = asked["as_of"] and dt.datetime.fromisoformat(asked["as_of"]).replace(tzinfo=None)
    # All forecasts of a run are made as of its acceptance.
    return not moment or item.issued - moment <= (CLOCKS_DIFFER if item.run is None else LONGEST_RUN)
