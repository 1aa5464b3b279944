"""Datasets of Opendatasoft portals (cities and grids of Europe and Australia, mostly), summed by the portal."""

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
    "melbourne_pedestrians": {
        "domain": "data.melbourne.vic.gov.au",
        "dataset": "pedestrian-counting-system-monthly-counts-per-hour",
        "date_column": "sensing_date",
        "value_column": "pedestriancount",
        "unit": "pedestrians counted",
        "region": "AU-VIC",
        "title": "Pedestrians in Melbourne, all sensors",
        "lag_days": 2,
    },
}
_FORMAT = {"D": "yyyy-MM-dd", "MS": "yyyy-MM"}


class OpendatasoftSettings(ConnectorSettings):
    """How Opendatasoft portals are asked."""

    base_url: str = Field(
        "https://{domain}", pattern=r"^https?://\S+$", description="address of a portal; {domain} is the entry's"
    )
    api_key: SecretStr | None = Field(None, description="key of an account, for datasets that are not public")


class OpendatasoftEntry(PortalEntry):
    """A dataset, by a preset or in full."""

    preset: str | None = Field(None, description=f"a dataset known by name: {', '.join(PRESETS)}")
    timezone: str = Field(
        "UTC",
        pattern=r"^[A-Za-z0-9_+/-]+$",
        description="time zone whose days are meant, for columns with a time of day",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, given: Any) -> Any:
        return with_preset(given, PRESETS)


class Opendatasoft(Connector[OpendatasoftSettings, OpendatasoftEntry]):
    """One dataset's sums by day or month, in one export, beside the number of its records."""

    name = "opendatasoft"
    about = About(
        title="Opendatasoft portals",
        homepage="https://help.opendatasoft.com/apis/ods-explore-v2/",
        licence="Each dataset's own, shown on its page. Melbourne declares none for its pedestrians: ask the city.",
        terms="Free within the portal's daily number of requests, which its headers X-RateLimit-* tell.",
    )
    policy = Policy(overlap=timedelta(days=35), answers=frozenset({200, 400, 404}))
    settings_type = OpendatasoftSettings
    entry_type = OpendatasoftEntry
    examples: ClassVar[tuple[Example, ...]] = (
        Example(
            {"preset": "melbourne_pedestrians"},
            (
                b'{"total_count": 190, "results": [{"id": 1, "sensing_date": "2020-03-02", "pedestriancount": 210}]}',
                b'[{"gs_day": "2020-03-02", "gs_value": 611003, "gs_records": 96},'
                b' {"gs_day": "2020-03-03", "gs_value": 587110, "gs_records": 94}]',
            ),
        ),
    )

    def signals(self, entry: OpendatasoftEntry) -> list[Signal]:
        """One signal, or one for each group."""
        return signals_of(self.name, entry)

    def plan(self, task: Task) -> Iterable[Pull]:
        """For each window one record, with the number of all of them, then the export of the sums."""
        for window in windows(task.entry, task.earliest, task.now):
            yield pull_of(task.signals, window, self._requests(task.entry, window), task.entry)

    def parse(self, pull: Pull, payloads: Sequence[Payload]) -> Observations:
        """The sums, if together they hold every record."""
        entry = OpendatasoftEntry.model_validate_json(pull.context["entry"])
        if len(payloads) != 2:
            raise Drift(f"2 answers are needed, {len(payloads)} are there")
        counted, export = (answered(payload, entry.dataset) for payload in payloads)
        if not isinstance(counted, dict):
            raise Drift("it is no object", "records", counted)
        rows = [_row(found, entry) for found in objects(export, "export")]
        return combine(self.name, entry, pull, rows, number(counted, "total_count"))

    @classmethod
    def suggest(cls, category: CategoryFacts) -> Iterator[Mapping[str, Any]]:
        """People in the streets of Melbourne."""
        if category.calendar == "AU":
            yield {"preset": "melbourne_pedestrians"}

    def _requests(self, entry: OpendatasoftEntry, window: Window) -> tuple[Request, Request]:
        portal = host(self.settings.base_url, entry.domain)
        url = f"{portal}/api/explore/v2.1/catalog/datasets/{entry.dataset}"
        key = self.settings.api_key
        headers = {} if key is None else {"Authorization": f"Apikey {key.get_secret_value()}"}
        asked = {"where": _where(entry, window), "timezone": entry.timezone}
        period = f"date_format({entry.date_column}, '{_FORMAT[entry.step]}') as gs_day"
        group = [f"{entry.group_column} as gs_group"] if entry.group_column else []
        sums = {"select": _select(entry), "group_by": ", ".join([period, *group]), **asked}
        return Request(f"{url}/records", {**asked, "limit": "1"}, headers), Request(
            f"{url}/exports/json", sums, headers
        )


def _select(entry: OpendatasoftEntry) -> str:
    function = "avg" if entry.aggregation == "mean" else "sum"
    value = f"{function}({entry.value_column})" if entry.value_column else "count(*)"
    return f"{value} as gs_value, count(*) as gs_records"


def _where(entry: OpendatasoftEntry, window: Window) -> str:
    date = entry.date_column
    parts = [f"{date} >= date'{window.start}'", f"{date} < date'{window.end}'"]
    if entry.value_column:
        parts.append(f"{entry.value_column} is not null")
    if entry.group_column:
        values = ", ".join(f'"{group}"' for group in entry.groups)
        parts.append(f"{entry.group_column} in ({values})")
    return " and ".join([*parts, *([f"({entry.where})"] if entry.where else [])])


def _row(found: dict[str, Any], entry: OpendatasoftEntry) -> Row:
    group = text(found, "gs_group") if entry.group_column else ""
    return day(found, "gs_day"), group, number(found, "gs_value"), number(found, "gs_records")
