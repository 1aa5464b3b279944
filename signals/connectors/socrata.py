"""Datasets of Socrata portals (cities, states and departments of the United States, mostly), summed by the portal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field, SecretStr, model_validator

from signals.connector import (
    About,
    CategoryFacts,
    Connector,
    ConnectorSettings,
    Drift,
    Example,
    Observations,
    Payload,
    Policy,
    Pull,
    Request,
    Signal,
    Task,
)
from signals.portal import (
    PortalEntry,
    Row,
    Window,
    answered,
    combine,
    day,
    host,
    number,
    objects,
    pull_of,
    signals_of,
    text,
    windows,
    with_preset,
)

PRESETS: dict[str, dict[str, Any]] = {
    "new_york_mta": {
        "domain": "data.ny.gov",
        "dataset": "sayj-mze2",
        "date_column": "date",
        "value_column": "count",
        "group_column": "mode",
        "groups": ("Subway", "Bus", "LIRR", "MNR"),
        "unit": "riders",
        "region": "US-NY",
        "title": "Riders of New York's MTA",
        "lag_days": 2,
    },
    "us_bts": {
        "domain": "data.bts.gov",
        "dataset": "crem-w557",
        "date_column": "date",
        "value_column": "transportation_services_index_passenger",
        "aggregation": "mean",
        "cadence": "MS",
        "unit": "index, 2000 = 100",
        "region": "US",
        "title": "Transportation Services Index, passengers",
        "lag_days": 50,
    },
    "chicago_cta": {
        "domain": "data.cityofchicago.org",
        "dataset": "6iiy-9s97",
        "date_column": "service_date",
        "value_column": "total_rides",
        "unit": "rides",
        "region": "US-IL",
        "title": "Rides of Chicago's CTA",
        "lag_days": 60,
    },
}
_TRUNCATE = {"D": "date_trunc_ymd", "MS": "date_trunc_ym"}


class SocrataSettings(ConnectorSettings):
    """How Socrata portals are asked."""

    base_url: str = Field(
        "https://{domain}", pattern=r"^https?://\S+$", description="address of a portal; {domain} is the entry's"
    )
    app_token: SecretStr | None = Field(None, description="application token, which lifts the portal's throttling")
    page_size: int = Field(5000, ge=1, le=50_000, description="rows of one page of an answer")


class SocrataEntry(PortalEntry):
    """A dataset, by a preset or in full; a column must be named as the API names it."""

    preset: str | None = Field(None, description=f"a dataset known by name: {', '.join(PRESETS)}")
    dataset: str = Field(
        pattern=r"^[a-z0-9]{4}-[a-z0-9]{4}$", description="identifier of the dataset, such as abcd-1234"
    )

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, given: Any) -> Any:
        return with_preset(given, PRESETS)


class Socrata(Connector[SocrataSettings, SocrataEntry]):
    """One dataset's sums by day or month, page by page."""

    name = "socrata"
    about = About(
        title="Socrata open data portals",
        homepage="https://dev.socrata.com",
        licence="Each dataset's own, shown on its page; to be named as the source.",
        terms="Free. Without an application token requests are throttled together with those of others.",
    )
    # Sums are cheap to ask for again, and operators revise weeks of them.
    policy = Policy(overlap=timedelta(days=35), answers=frozenset({200, 400, 404}))
    settings_type = SocrataSettings
    entry_type = SocrataEntry
    examples: ClassVar[tuple[Example, ...]] = (
        Example(
            {"preset": "new_york_mta", "groups": ["Subway", "Bus"]},
            (
                b'[{"gs_records":"3"}]',
                b'[{"gs_day":"2020-03-02T00:00:00.000","gs_group":"Bus","gs_value":"1900000","gs_records":"1"},'
                b'{"gs_day":"2020-03-02T00:00:00.000","gs_group":"Subway","gs_value":"5400000","gs_records":"1"},'
                b'{"gs_day":"2020-03-03T00:00:00.000","gs_group":"Subway","gs_value":"5500000","gs_records":"1"}]',
            ),
        ),
    )

    def signals(self, entry: SocrataEntry) -> list[Signal]:
        """One signal, or one for each group."""
        return signals_of(self.name, entry)

    def plan(self, task: Task) -> Iterable[Pull]:
        """For each window the number of all records, then the first page of sums."""
        for window in windows(task.entry, task.earliest, task.now):
            yield pull_of(task.signals, window, self._requests(task.entry, window), task.entry)

    def next_page(self, pull: Pull, payloads: Sequence[Payload]) -> Request | None:  # noqa: ARG002
        """The page after a full one; none after a page that came twice, which `parse` refuses."""
        pages = [payload for payload in payloads if "$offset" in payload.request.params]
        if not pages or pages[-1].status != 200 or (len(pages) > 1 and pages[-1].body == pages[-2].body):
            return None
        request = pages[-1].request
        size = int(request.params["$limit"])
        if len(objects(answered(pages[-1], "a page"), "a page")) < size:
            return None
        offset = int(request.params["$offset"]) + size
        return Request(request.url, {**request.params, "$offset": str(offset)}, request.headers)

    def parse(self, pull: Pull, payloads: Sequence[Payload]) -> Observations:
        """The sums of all pages, if together they hold every record."""
        entry = SocrataEntry.model_validate_json(pull.context["entry"])
        totals, rows = [], list[Row]()
        for payload in payloads:
            body = objects(answered(payload, entry.dataset), entry.dataset)
            if "$offset" in payload.request.params:
                rows += [_row(found, entry) for found in body]
            else:
                totals += [number(found, "gs_records") for found in body]
        if len(totals) != 1:
            raise Drift("the number of all records is not one number", "gs_records", totals)
        return combine(self.name, entry, pull, rows, totals[0])

    @classmethod
    def suggest(cls, category: CategoryFacts) -> Iterator[Mapping[str, Any]]:
        """Travel in the United States and in its largest city."""
        if category.calendar == "US":
            yield {"preset": "us_bts"}
            yield {"preset": "new_york_mta"}

    def _requests(self, entry: SocrataEntry, window: Window) -> tuple[Request, Request]:
        url = f"{host(self.settings.base_url, entry.domain)}/resource/{entry.dataset}.json"
        token = self.settings.app_token
        headers = {} if token is None else {"X-App-Token": token.get_secret_value()}
        where = {"$where": _where(entry, window)}
        keys = "gs_day, gs_group" if entry.group_column else "gs_day"
        paging = {"$limit": str(self.settings.page_size), "$offset": "0"}
        page = {"$select": _select(entry), **where, "$group": keys, "$order": keys, **paging}
        return Request(url, {"$select": "count(*) AS gs_records", **where}, headers), Request(url, page, headers)


def _select(entry: SocrataEntry) -> str:
    # An alias that is also a column's name is an error there, so they are such as no column bears.
    function = "avg" if entry.aggregation == "mean" else "sum"
    value = f"{function}({entry.value_column})" if entry.value_column else "count(*)"
    group = [f"{entry.group_column} AS gs_group"] if entry.group_column else []
    period = f"{_TRUNCATE[entry.step]}({entry.date_column}) AS gs_day"
    return ", ".join([period, *group, f"{value} AS gs_value", "count(*) AS gs_records"])


def _where(entry: SocrataEntry, window: Window) -> str:
    date = entry.date_column
    parts = [f"{date} >= '{window.start}T00:00:00'", f"{date} < '{window.end}T00:00:00'"]
    if entry.value_column:
        parts.append(f"{entry.value_column} IS NOT NULL")
    if entry.group_column:
        values = ", ".join("'" + group.replace("'", "''") + "'" for group in entry.groups)
        parts.append(f"{entry.group_column} IN ({values})")
    return " AND ".join([*parts, *([f"({entry.where})"] if entry.where else [])])


def _row(found: dict[str, Any], entry: SocrataEntry) -> Row:
    group = text(found, "gs_group") if entry.group_column else ""
    return day(found, "gs_day"), group, number(found, "gs_value"), number(found, "gs_records")
