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
    # Last year's page is asked for until three weeks of January are over, so that its last days are not missed.
    policy = Policy(
        interval=5.0, overlap=timedelta(days=21), history=timedelta(days=8 * 365), answers=frozenset({200, 404})
    )
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
            last_year = pull.context["page"] == str(payload.fetched_at.year - 1)
            if payload.status == 404 and new_year and last_year:
                continue  # it gets its page only days after it has ended
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

    @classmethod
    def suggest(cls, category: CategoryFacts) -> Iterator[Mapping[str, Any]]:
        """For whatever is sold in the United States."""
        if category.calendar == "US":
            yield {}


class _Tables(HTMLParser):
    """The tables of a page, each a list of rows of cells; `depth` is 0 once every table has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.depth = 0
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag == "table":
            self._end_cell()
            self.depth += 1
            self.tables.append([])
        elif tag == "tr" and self.depth:
            self._end_cell()
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.depth and self.tables[-1]:
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
            self.tables[-1][-1].append(" ".join("".join(self._cell).split()))
            self._cell = None


def _table(text: str) -> list[list[str]]:
    """The rows of the first table with a header that begins with Date; Drift where there is none or it breaks off."""
    page = _Tables()
    try:
        page.feed(text)
        page.close()
    except AssertionError as error:  # so HTMLParser tells of declarations that it cannot read
        raise Drift("the page is no HTML", "Date", error) from error
    for table in page.tables:
        rows = [row for row in table if any(row)]
        if rows and rows[0][0].lower() == "date" and len(rows[0]) > 1:
            if page.depth:
                raise Drift("the table breaks off", "Date", rows[-1])
            return rows
    raise Drift("the page has no table with the columns Date and Numbers", "Date", text[:200])


def _read(text: str) -> dict[date, float]:
    """Every day of a page and its number."""
    header, *rows = _table(text)
    years = _years(header)
    days: dict[date, float] = {}
    for row in rows:
        if len(row) != len(header):
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
