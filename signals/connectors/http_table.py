"""Any table that a web address gives out: CSV, Parquet, or a list of records in JSON.

The file is read as an import reads one; where an import would be refused, the answer has drifted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from pydantic import Field, SecretStr, model_validator

from signals.connector import (
    YEAR,
    About,
    ConfigError,
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
from signals.dates import Dates, parse_dates
from signals.numbers import LIMIT, parse_numbers
from signals.periods import spans
from signals.prepared import LONGEST_LAG, read_known_at, refuse_missing
from signals.refused import ImportRefused
from signals.tables import Table, read_bytes, read_table, strings

CADENCES = r"^(D|MS|QS|W-(MON|TUE|WED|THU|FRI|SAT|SUN))$"
# What a refusal of an import calls by the name of its option.
_OPTIONS = {"--day-first or --month-first": "dayfirst = true or false", "--decimal": "decimal ="}
_PRECISIONS = {"day": "DWMQ", "week": "W", "month": "M", "quarter": "Q"}
_PLAIN = (str, int, float, bool, type(None))


class HttpTableSettings(ConnectorSettings):
    """`[connectors.http_table]`"""

    token: SecretStr | None = Field(
        None, description='whole value of the header that entries name as auth_header, such as "Bearer abc"'
    )


class HttpTableEntry(Entry):
    """One `[[signals]]` of a table."""

    name: str = Field(pattern=r"^[\w.-]([\w .-]{0,58}[\w.-])?$", description="how the signals name the table")
    url: str = Field(pattern=r"^https?://[^\s/]\S*$", description="address of the table; put no secret into it")
    format: Literal["csv", "parquet", "json"] | None = Field(
        None, description="default: what the content, its type or the end of the address shows"
    )
    records: str = Field("", description="JSON: where the list of records is, by keys with dots: data.rows")
    date: str = Field(min_length=1, description="column of dates; any day of a period names it")
    values: tuple[str, ...] = Field(min_length=1, description="columns of values, each a signal")
    signal: str | None = Field(None, description="column that names the series, where all values are in one column")
    labels: tuple[str, ...] = Field((), description="what that column says of the series wanted, each a signal")
    cadence: str = Field(pattern=CADENCES, description="D, W-MON to W-SUN (weeks that end on that day), MS or QS")
    known_at: str | None = Field(None, description="column that says when a value became known, UTC")
    lag_days: int = Field(
        0, ge=0, le=LONGEST_LAG, description="days from the end of a period until its value counts as known"
    )
    future_known: bool = Field(False, description="true for plans: values of coming periods are kept as known ahead")
    aggregation: Literal["mean", "sum"] = Field("mean", description="how values become one for a longer period")
    decimal: Literal[".", ","] | None = Field(None, description="decimal character; default: what the column shows")
    dayfirst: bool | None = Field(None, description="whether 03/04/2026 is in April; default: what the column shows")
    region: str = Field("", description="what the values are about")
    unit: str = Field("", description="of the values")
    auth_header: str | None = Field(
        None, pattern=r"^[A-Za-z0-9-]+$", description="header that carries the token, such as Authorization"
    )

    @model_validator(mode="after")
    def _long_or_wide(self) -> HttpTableEntry:
        if (self.signal is None) != (not self.labels):
            raise ValueError("signal and labels belong together; allowed: both, or neither")
        if self.signal is not None and len(self.values) != 1:
            raise ValueError(f"values names {len(self.values)} columns; allowed: one, where signal names the series")
        names = self.parts
        if len(set(names)) < len(names):
            raise ValueError(f"{max(names, key=names.count)!r} is named twice; allowed: each once")
        return self

    @property
    def parts(self) -> list[str]:
        """The ends of the signals' names."""
        return [part.replace("/", " ") for part in self.labels or self.values]


class HttpTable(Connector[HttpTableSettings, HttpTableEntry]):
    """The columns, or the named series, of a table."""

    name = "http_table"
    about = About(
        title="Tables over HTTP: CSV, Parquet, JSON",
        homepage="",
        licence="that of whoever gives out the table",
        terms="Those of whoever gives out the table.",
    )
    # The whole table comes with every answer, so all of it is compared.
    policy = Policy(overlap=10 * YEAR, history=30 * YEAR)
    settings_type = HttpTableSettings
    entry_type = HttpTableEntry

    def signals(self, entry: HttpTableEntry) -> list[Signal]:
        """One a column of values or label."""
        self._check(entry)
        return [
            Signal(
                signal=f"http/{entry.name}/{part}",
                name=f"{entry.name}: {part}",
                cadence=entry.cadence,
                region=entry.region,
                unit=entry.unit,
                aggregation=entry.aggregation,
                publication_lag=-YEAR if entry.future_known else timedelta(days=entry.lag_days),
                future_known=entry.future_known,
            )
            for part in entry.parts
        ]

    def plan(self, task: Task) -> Iterator[Pull]:
        """One request for the whole table."""
        entry: HttpTableEntry = task.entry
        names = tuple(signal.signal for signal in task.signals)
        headers = {}
        if entry.auth_header is not None and self.settings.token is not None:
            headers[entry.auth_header] = self.settings.token.get_secret_value()
        context = {"entry": entry.model_dump_json(), "since": f"{task.earliest:%Y-%m-%d}"}
        yield Pull(names, (Request(entry.url, headers=headers),), task.now, context)

    def parse(self, pull: Pull, payloads: Sequence[Payload]) -> Observations:
        """The values of each signal by period; without `future_known` those of periods that are over."""
        entry = HttpTableEntry.model_validate_json(pull.context["entry"])
        try:
            found = _read(entry, payloads[0], pull.signals)
        except ImportRefused as refused:
            message = str(refused)
            for option, here in _OPTIONS.items():
                message = message.replace(option, here)
            raise Drift(message, found=refused.value) from refused
        kept = found.frame["start"] >= pd.Timestamp(pull.context["since"])
        return Observations(found.frame[kept].reset_index(drop=True))

    def _check(self, entry: HttpTableEntry) -> None:
        if entry.auth_header is None:
            return
        if self.settings.token is None:
            raise ConfigError("auth_header", entry.auth_header, "only where [connectors.http_table] has a token")
        url = urlsplit(entry.url)
        if url.scheme != "https" and url.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ConfigError("url", entry.url, "https:// where a token is sent, so that nobody reads it on the way")


def _read(entry: HttpTableEntry, payload: Payload, signals: Sequence[str]) -> Observations:
    table = _table(entry, payload)
    wanted = [entry.date, *entry.values, *(name for name in (entry.signal, entry.known_at) if name)]
    for column in wanted:
        if column not in table.columns:
            raise Drift(f"there is no such column; there are {', '.join(table.columns)[:200]}", column)
    dates = parse_dates(table, entry.date, entry.dayfirst)
    _check_dates(dates, table, entry)
    known = read_known_at(table, entry.known_at, entry.dayfirst, payload.fetched_at)
    rows = {"day": dates.days, "known_at": known}
    numbers = {column: parse_numbers(table, column, entry.decimal).values for column in entry.values}
    if entry.signal is None:
        parts = [pd.DataFrame({**rows, "value": numbers[column]}) for column in entry.values]
    else:
        encoded = table.encoded(entry.signal)
        label, frame = strings(encoded.values)[encoded.codes], pd.DataFrame({**rows, "value": numbers[entry.values[0]]})
        parts = [frame[label == wanted] for wanted in entry.labels]
    found = [
        _series(signal, part, entry, payload, name)
        for signal, part, name in zip(signals, parts, entry.labels or entry.values, strict=True)
    ]
    return sum(found[1:], found[0])


def _series(signal: str, rows: pd.DataFrame, entry: HttpTableEntry, payload: Payload, name: str) -> Observations:
    """One signal's rows by period."""
    if not rows["value"].notna().any():
        raise Drift("there is no value", name)
    start, end = spans(rows["day"].to_numpy().astype("datetime64[D]"), entry.cadence)
    rows = rows.assign(start=start)
    twice = rows.duplicated(["start", "known_at"])
    if twice.any():
        problem = (
            f"two rows for one period ({entry.cadence}): the table may be of another cadence, or of several series"
        )
        raise Drift(problem, name, rows.loc[twice, "day"].iloc[0])
    over = end <= np.datetime64(payload.fetched_at, "us")
    rows = rows[over | entry.future_known]
    dated = {} if entry.known_at is None else {"known_at": rows["known_at"].to_numpy()}
    return observations(signal, rows["day"].to_numpy(), rows["value"].to_numpy(), entry.cadence, **dated)


def _check_dates(dates: Dates, table: Table, entry: HttpTableEntry) -> None:
    refuse_missing(np.isnat(dates.stamps), table, entry.date, "date")
    if entry.cadence[0] not in _PRECISIONS[dates.precision]:
        raise Drift(f"dates name a {dates.precision} each, which does not fit cadence {entry.cadence}", entry.date)


def _table(entry: HttpTableEntry, payload: Payload) -> Table:
    kind = entry.format or _format(payload)
    if kind == "json":
        return read_table(_records(entry, payload.json()))
    if payload.body.lstrip()[:1] == b"<":
        raise Drift("the answer is a web page", found=payload.body[:80])
    if kind == "parquet" and payload.body[:4] != b"PAR1":
        raise Drift("the answer is no Parquet file", found=payload.body[:80])
    return read_bytes(payload.body, entry.name)


def _format(payload: Payload) -> str:
    """What the answer is: Parquet files tell it themselves, JSON by its type or the end of the address."""
    if payload.body[:4] == b"PAR1":
        return "parquet"
    path = urlsplit(payload.request.url).path.lower()
    return "json" if "json" in payload.content_type.lower() or path.endswith(".json") else "csv"


def _records(entry: HttpTableEntry, body: Any) -> pd.DataFrame:
    """The records as a table of the columns that are wanted; a record may lack some, but not all records one."""
    for key in entry.records.split(".") if entry.records else ():
        if not isinstance(body, dict) or key not in body:
            found = list(body) if isinstance(body, dict) else body
            raise Drift("there is no such key on the way to the records", key, found)
        body = body[key]
    if not isinstance(body, list) or not body or not all(isinstance(record, dict) for record in body):
        raise Drift("a list of records was expected", entry.records or "answer", body)
    names = [name for name in dict.fromkeys([entry.date, *entry.values, entry.signal, entry.known_at]) if name]
    columns = {name: [record.get(name) for record in body] for name in names if any(name in row for row in body)}
    for name, values in columns.items():
        strange = next((value for value in values if not _is_plain(value)), None)
        if strange is not None:
            raise Drift("texts, numbers or null were expected", name, strange)
    return pd.DataFrame(columns)


def _is_plain(value: object) -> bool:
    """Whether a value can stand in a column; whole numbers beyond the limit fit into none."""
    return isinstance(value, _PLAIN) and not (isinstance(value, int) and abs(value) > LIMIT)


HttpTable.examples = (
    Example(
        entry={
            "name": "store traffic",
            "url": "https://example.com/traffic.csv",
            "date": "week",
            "values": ["visitors"],
            "cadence": "W-SUN",
            "aggregation": "sum",
        },
        answers=(b"week,visitors\n2026-10-26,1200\n2026-11-02,1350\n2026-11-09,1100\n",),
        content_type="text/csv",
    ),
    Example(
        entry={
            "name": "prices",
            "url": "https://example.com/api/prices",
            "records": "data.rows",
            "date": "month",
            "values": ["price"],
            "signal": "product",
            "labels": ["milk", "bread"],
            "cadence": "MS",
        },
        answers=(
            b'{"data": {"rows": [{"month": "2026-09", "product": "milk", "price": 1.19},'
            b' {"month": "2026-09", "product": "bread", "price": 2.49},'
            b' {"month": "2026-10", "product": "milk", "price": "1.25"}]}}',
        ),
    ),
)
