"""Travellers screened at the airports of the United States, a table on a web page of the TSA."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from html.parser import HTMLParser
from typing import Any, ClassVar

from pydantic import Field

from signals.connector import (
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

SIGNAL = "tsa/travellers/US"
FIRST_YEAR = 2019
_GRACE = 14  # days of January in which the old year's page or the new year's rows may still be missing
_NUMBER = re.compile(r"\d{1,3}(,\d{3})*|\d+")
_YEAR = re.compile(r"(20\d\d)\b.*")  # 2019, or 2019 Traveler Throughput
_DATES = ("%m/%d/%Y", "%b %d, %Y")
_DATES_WITHOUT_YEAR = ("%Y %m/%d", "%Y %b %d")


class TsaSettings(ConnectorSettings):
    """Where the page is."""

    base_url: str = Field(
        "https://www.tsa.gov/travel/passenger-volumes",
        pattern=r"^https?://\S+$",
        description="the page of this year; those of other years are below it",
    )


class TsaEntry(Entry):
    """There is one series; nothing is to be chosen."""


class Tsa(Connector[TsaSettings, TsaEntry]):
    """A page a year."""

    name = "tsa"
    about = About(
        title="TSA checkpoint travel numbers",
        homepage="https://www.tsa.gov/travel/passenger-volumes",
        licence="Work of the United States government, in the public domain; source: TSA.",
        terms="A public web page, no interface: ask once a day at most.",
    )
    policy = Policy(interval=5.0, answers=frozenset({200, 404}), history=timedelta(days=8 * 365))
    settings_type = TsaSettings
    entry_type = TsaEntry
    examples: ClassVar[tuple[Example, ...]] = (
        Example(
            {},
            (
                b"<table><thead><tr><th>Date</th><th>Numbers</th></tr></thead><tbody>"
                b"<tr><td>1/2/2019</td><td>2,202,111</td></tr><tr><td>1/1/2019</td><td>2,126,398</td></tr>"
                b"</tbody></table>",
            ),
            content_type="text/html; charset=utf-8",
        ),
    )

    def signals(self, entry: TsaEntry) -> list[Signal]:  # noqa: ARG002
        """The one signal."""
        return [
            Signal(
                SIGNAL,
                "Travellers screened at airports",
                "D",
                region="US",
                unit="travellers",
                aggregation="sum",
                publication_lag=timedelta(days=1),
            )
        ]

    def plan(self, task: Task) -> Iterable[Pull]:
        """The page of each past year that is not read to its end, then that of this year."""
        today = datetime(task.now.year, task.now.month, task.now.day)
        for year in range(max(task.earliest.year, FIRST_YEAR), today.year):
            page = Request(f"{self.settings.base_url.rstrip('/')}/{year}")
            yield Pull((SIGNAL,), (page,), datetime(year + 1, 1, 1), {"page": str(year)})
        yield Pull((SIGNAL,), (Request(self.settings.base_url),), today, {"page": ""})

    def parse(self, pull: Pull, payloads: Sequence[Payload]) -> Observations:
        """The days of a page up to where it was asked for."""
        days: dict[date, float] = {}
        for payload in payloads:
            new_year = payload.fetched_at.timetuple().tm_yday <= _GRACE
            if payload.status == 404 and new_year and pull.through.year == payload.fetched_at.year:
                continue  # the old year stays on the main page until it gets one of its own
            if payload.status != 200:
                raise Drift(f"there is no page (status {payload.status})", found=payload.request.url)
            found = _read(payload.text())
            if not found and not new_year:
                raise Drift("the table has no rows", "Date")
            days |= found
        late = [day for day in days if day >= pull.through.date()]
        if late:
            raise Drift("a day after those asked for", "Date", max(late))
        return observations(SIGNAL, sorted(days), [days[day] for day in sorted(days)])

    def suggest(self, category: CategoryFacts) -> Iterator[Mapping[str, Any]]:
        """For whatever is sold in the United States."""
        if category.calendar == "US":
            yield {}


class _Tables(HTMLParser):
    """The rows of cells of all tables; `depth` is 0 once every table has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.depth = 0
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag == "table":
            self.depth += 1
        elif tag == "tr" and self.depth:
            self.rows.append([])
        elif tag in ("td", "th") and self.depth and self.rows:
            self._end_cell()
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._end_cell()
        if tag == "table" and self.depth:
            self.depth -= 1

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def _end_cell(self) -> None:
        if self._cell is not None:
            self.rows[-1].append(" ".join("".join(self._cell).split()))
            self._cell = None


def _read(text: str) -> dict[date, float]:
    """Every day of a page and its number; Drift where the table is another one or breaks off."""
    tables = _Tables()
    tables.feed(text)
    tables.close()
    rows = [row for row in tables.rows if any(row)]
    header = next((number for number, row in enumerate(rows) if row[0].lower() == "date" and len(row) > 1), None)
    if header is None:
        raise Drift("the page has no table with the columns Date and Numbers", "Date", text[:200])
    if tables.depth:
        raise Drift("the table breaks off", "Date", rows[-1])
    years = _years(rows[header])
    days: dict[date, float] = {}
    for row in rows[header + 1 :]:
        if len(row) != len(rows[header]):
            raise Drift("a row has another number of columns than the header", "Date", row)
        day, number = _value(row, years)
        if number is not None and days.setdefault(day, number) != number:
            raise Drift("a day stands there twice", "Date", day)
    return days


def _years(header: list[str]) -> list[int]:
    """The years of the columns of an older layout; none where the header is Date, Numbers."""
    years = [_YEAR.fullmatch(name) for name in header[1:]]
    if all(years):
        return [int(year[1]) for year in years if year]
    if len(header) != 2 or header[1].lower() != "numbers":
        raise Drift("the columns must be Date and Numbers, or Date and years", "Numbers", header)
    return []


def _value(row: list[str], years: list[int]) -> tuple[date, float | None]:
    """The day of a row and its number, None for a blank under a year.

    Of columns of years only that of the day's own counts: the others held the same weekday of those years.
    """
    day = _day(row[0], max(years, default=None))
    if years and day.year not in years:
        raise Drift(f"the columns are of {years}", "Date", row[0])
    cell = row[1 + years.index(day.year)] if years else row[1]
    if years and not cell:
        return day, None
    if not _NUMBER.fullmatch(cell):
        raise Drift("it must be a number such as 2,854,118", "Numbers", row)
    return day, float(cell.replace(",", ""))


def _day(text: str, year: int | None) -> date:
    """The day that a cell tells; without a year of its own it is one of the newest column's."""
    tries = [(text, form) for form in _DATES]
    tries += [] if year is None else [(f"{year} {text}", form) for form in _DATES_WITHOUT_YEAR]
    for shown, form in tries:
        try:
            return datetime.strptime(shown, form).date()
        except ValueError:
            continue
    raise Drift("it must be a day such as 11/22/2026", "Date", text)
