"""FRED and ALFRED: series with all their vintages, in XML (the default) or JSON, and the file of a chart without a key.

Answers about observations are cut to the real time asked for, as the source does it: a `realtime_start` may be no more
than the beginning of the question.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from xml.etree import ElementTree as ET

from tests.fakes.server import Answer, Asked

KEY = "0123456789abcdef" * 2
MOST_VINTAGES = 2000
EARLIEST, LATEST = "1776-07-04", "9999-12-31"
ROWS = {"series": "seriess", "vintagedates": "vintage_dates", "observations": "observations"}


class BadRequest(Exception):  # noqa: N818 - what the source calls it
    pass


@dataclass
class Series:
    """A series: `vintages[day]` holds what was published that day, all values by date; None stands for "."."""

    frequency: str = "Monthly"
    title: str = "Advance Retail Sales: Retail Trade"
    units: str = "Millions of Dollars"
    vintages: dict[str, dict[str, float | None]] = field(default_factory=dict)

    @property
    def days(self) -> list[str]:
        return sorted(self.vintages)

    def truth(self, day: str) -> dict[str, float | None]:
        """What the newest vintage of that day said."""
        known = bisect_right(self.days, day)
        return self.vintages[self.days[known - 1]] if known else {}

    def rows(self, first: str, last: str) -> list[dict[str, str]]:
        """Each value with the real time in which it held, cut to `first` and `last`."""
        rows: list[dict[str, str]] = []
        steps = [first, *(day for day in self.days if first < day <= last)]
        open_rows: dict[str, dict[str, str]] = {}
        for day in steps:
            before = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
            now = {when: "." if value is None else f"{value:g}" for when, value in self.truth(day).items()}
            for when in [when for when, row in open_rows.items() if now.get(when) != row["value"]]:
                rows.append(open_rows.pop(when) | {"realtime_end": before})
            for when, value in now.items():
                open_rows.setdefault(when, {"realtime_start": day, "date": when, "value": value})
        rows += [row | {"realtime_end": last} for row in open_rows.values()]
        return sorted(rows, key=lambda row: (row["date"], row["realtime_start"]))


class Fred:
    """A source; `most` rows or vintages in one answer, `today` bounds the real time."""

    def __init__(self, series: dict[str, Series], today: str = "2026-11-25", most: int = 100_000) -> None:
        self.series, self.today, self.most = series, today, most

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/graph/fredgraph.csv":
            return self._chart(asked.query)
        kind = asked.query.get("file_type", "xml")
        try:
            name, attributes, rows = self._answer(asked)
        except BadRequest as error:
            return _refusal(f"Bad Request.  {error}", kind)
        return _json(name, attributes, rows) if kind == "json" else _xml(name, attributes, rows)

    def _answer(self, asked: Asked) -> tuple[str, dict[str, Any], list[Any]]:
        query, name = asked.query, asked.path.removeprefix("/fred/").removeprefix("series/")
        if name not in ROWS:
            raise BadRequest("The requested resource does not exist.")
        self._check(query)
        series = self.series[query["series_id"]]
        default = (EARLIEST, LATEST) if name == "vintagedates" else (self.today, self.today)
        first, last = (
            query.get(key, day) for key, day in zip(("realtime_start", "realtime_end"), default, strict=True)
        )
        attributes: dict[str, Any] = {"realtime_start": first, "realtime_end": last}
        if name == "series":
            about = {"id": query["series_id"], "title": series.title, "frequency": series.frequency}
            about |= {"units": series.units, "seasonal_adjustment": "Seasonally Adjusted", "last_updated": "2026-11-14"}
            return name, attributes, [about | attributes]
        rows = self._listed(name, series, first, last)
        limit, offset = min(int(query.get("limit", self.most)), self.most), int(query.get("offset", 0))
        attributes |= {"count": len(rows), "offset": offset, "limit": limit}
        return name, attributes, rows[offset : offset + limit]

    def _listed(self, name: str, series: Series, first: str, last: str) -> list[Any]:
        days = [day for day in series.days if first <= day <= last]
        if name == "vintagedates":
            return days
        if len(days) > MOST_VINTAGES:
            raise BadRequest(
                f"There are {len(days):,} vintage dates between {first} and {last} which exceeds the limit of 2,000."
            )
        return series.rows(max(first, series.days[0]), min(last, LATEST))

    def _check(self, query: dict[str, str]) -> None:
        key = query.get("api_key")
        if key is None:
            raise BadRequest("Variable api_key is not set.  Read https://fred.stlouisfed.org/docs/api/api_key.html")
        if len(key) != 32 or not key.isalnum() or key != key.lower():
            raise BadRequest("The value for variable api_key is not a 32 character alpha-numeric lower-case string.")
        if key != KEY:
            raise BadRequest("The value for variable api_key is not registered.")
        if "series_id" not in query:
            raise BadRequest("Variable series_id is not set.")
        if query["series_id"] not in self.series:
            raise BadRequest("The series does not exist.")
        for name in ("realtime_start", "realtime_end"):
            if self.today < query.get(name, self.today) < LATEST:
                raise BadRequest(f"Variable {name} can not be after today's date ({self.today}).")

    def _chart(self, query: dict[str, str]) -> Answer:
        name = query.get("id", "")
        if name not in self.series:
            return Answer(b"<!DOCTYPE html><html><title>Error - St. Louis Fed</title></html>", 404, "text/html")
        values = self.series[name].truth(self.today)
        first = query.get("cosd", EARLIEST)
        lines = [f"{day},{'' if value is None else f'{value:g}'}" for day, value in values.items() if day >= first]
        return Answer("\n".join([f"observation_date,{name}", *lines, ""]).encode(), 200, "application/csv")


def _refusal(message: str, kind: str) -> Answer:
    if kind == "json":
        return Answer({"error_code": 400, "error_message": message}, 400)
    return Answer(ET.tostring(ET.Element("error", code="400", message=message)), 400, "text/xml")


def _json(name: str, attributes: dict[str, Any], rows: list[Any]) -> Answer:
    return Answer({**attributes, ROWS[name]: rows})


def _xml(name: str, attributes: dict[str, Any], rows: list[Any]) -> Answer:
    root = ET.Element(ROWS[name], {key: str(value) for key, value in attributes.items()})
    for row in rows:
        if name == "vintagedates":
            ET.SubElement(root, "vintage_date").text = row
        else:
            ET.SubElement(root, "series" if name == "series" else "observation", row)
    return Answer(ET.tostring(root), 200, "text/xml")
