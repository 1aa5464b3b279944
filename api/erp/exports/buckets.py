"""Issued forecasts as buckets: a category, its attributes, a span of days and a quantity."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import orjson

from api.erp.config import ExportSettings
from api.ledger import Issued
from api.overrides.applying import served
from signals.connector import ConfigError
from signals.periods import spans


@dataclasses.dataclass(frozen=True)
class Bucket:
    """What is published of a category's sales from `start` to the day before `end`.

    date: the day that it is exported under; its start, unless it was given another. author: who overrides the system's
    forecast; None: nobody does.
    """

    category: str
    receipt: str
    start: dt.date
    end: dt.date
    date: dt.date
    quantity: float
    attributes: Mapping[str, Any]
    author: str | None = None

    @property
    def last(self) -> dt.date:
        """Its last day."""
        return self.end - dt.timedelta(days=1)


def buckets_of(entries: Iterable[Issued], attributes: Mapping[str, Mapping[str, Any]], decimals: int) -> list[Bucket]:
    """The buckets of issued forecasts by category and start; `attributes` by category."""
    found = [bucket for entry in entries for bucket in _buckets(entry, attributes, decimals)]
    return sorted(found, key=lambda bucket: (bucket.category, bucket.start))


def _buckets(entry: Issued, attributes: Mapping[str, Mapping[str, Any]], decimals: int) -> Iterator[Bucket]:
    answer = orjson.loads(entry.answer)
    category, rows = answer["category"] or "", answer["forecast"]
    starts, ends = spans(np.array([row["period"] for row in rows], "datetime64[D]"), answer["frequency"])
    for row, start, end in zip(rows, starts.tolist(), ends.tolist(), strict=True):
        shown = served(row)
        quantity = round(float(shown["value"]), decimals)
        own = attributes.get(category, {})
        yield Bucket(category, entry.receipt, start, end, start, quantity, own, shown.get("author"))


def coming(buckets: Sequence[Bucket], today: dt.date, *, redate: bool) -> list[Bucket]:
    """The buckets that begin after today: planning ignores the others.

    With `redate` one that is running is kept too, whole, under the date of tomorrow, where that still lies in it.
    """
    tomorrow = today + dt.timedelta(days=1)
    dated = [
        dataclasses.replace(bucket, date=tomorrow) if redate and bucket.start < tomorrow < bucket.end else bucket
        for bucket in buckets
    ]
    return [bucket for bucket in dated if bucket.date > today]


def today_of(settings: ExportSettings, where: str) -> dt.date:
    """Which day it is in the time zone of the target."""
    try:
        return dt.datetime.now(ZoneInfo(settings.timezone)).date()
    except (ZoneInfoNotFoundError, ValueError) as error:
        allowed = "the name of a time zone, such as Europe/Berlin"
        raise ConfigError("timezone", settings.timezone, allowed, where) from error


def attribute(bucket: Bucket, name: str, target: str) -> str:
    """An attribute that a row cannot do without."""
    value = bucket.attributes.get(name)
    if value is None or value == "":
        raise ConfigError(
            name, "missing", f'an attribute of category {bucket.category!r}; give it one in the store, or under '
            f'[exports.{target}.categories."{bucket.category}"]', f"[exports.{target}]",
        )  # fmt: skip
    return str(value)
