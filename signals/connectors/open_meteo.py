"""Weather as it was forecast at the time: one model run a day, each kept as a version of the days that it covers.

No reanalysis and no measurement is read: nobody knew it before the day was over. What stands for a past day in the end
is the last forecast that was issued for it, a day ahead or less. Hours are asked for in UTC and made local days here,
as the source's own daily values are right only where the run begins at local midnight.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from signals.connector import (
    YEAR,
    About,
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
from signals.numbers import LIMIT

ARCHIVE = datetime(2024, 3, 14)  # the first run of ecmwf_ifs that the source keeps
RUNS = 14  # that are stored in one transaction
NOTHING = observations("", [], [], known_at=pd.Series(dtype="datetime64[us]"))
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_UNITS = {
    "temperature_2m": "°C",
    "apparent_temperature": "°C",
    "dew_point_2m": "°C",
    "relative_humidity_2m": "%",
    "cloud_cover": "%",
    "pressure_msl": "hPa",
    "wind_speed_10m": "km/h",
    "snow_depth": "m",
    "wind_gusts_10m": "km/h",
    "shortwave_radiation": "W/m²",
    "precipitation": "mm",
    "rain": "mm",
    "snowfall": "cm",
    "sunshine_duration": "s",
}
_SUMS = ("precipitation", "rain", "snowfall", "sunshine_duration")
_BEFORE = (*_SUMS, "wind_gusts_10m", "shortwave_radiation")  # the value of an hour is about the hour before it
VARIABLES = tuple(
    f"{hourly}_{statistic}"
    for hourly in _UNITS
    for statistic in (("sum",) if hourly in _SUMS else ("mean", "min", "max"))
)


class OpenMeteoSettings(ConnectorSettings):
    """`[connectors.open_meteo]`"""

    base_url: str = Field(
        "https://single-runs-api.open-meteo.com",
        pattern=r"^https?://\S+$",
        description="host that is asked without a key: for non-commercial use only",
    )
    customer_url: str = Field(
        "https://customer-single-runs-api.open-meteo.com",
        pattern=r"^https?://\S+$",
        description="host that is asked where there is an api_key",
    )
    api_key: SecretStr | None = Field(None, description="key of a paid plan, which commercial use needs")
    delay_hours: int = Field(
        9, ge=1, le=48, description="hours from the start of a model run until its forecast counts as known"
    )


class Place(BaseModel):
    """A point on the map."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[^/\s](?:[^/\n]*[^/\s])?$", max_length=60, description="how the signals name it")
    latitude: float = Field(ge=-90, le=90, description="degrees north")
    longitude: float = Field(ge=-180, le=180, description="degrees east")
    timezone: str = Field("UTC", description="whose days are meant, such as Europe/Berlin")
    country: str = Field("", description="ISO 3166 code, the region of the signals")

    @field_validator("timezone")
    @classmethod
    def _known(cls, timezone: str) -> str:
        if timezone not in available_timezones():
            raise ValueError("allowed: the name of a time zone such as UTC or Europe/Berlin")
        return timezone


class OpenMeteoEntry(Entry):
    """One `[[signals]]` of weather forecasts."""

    places: tuple[Place, ...] = Field(min_length=1, description="name, latitude, longitude, timezone, country of each")
    variables: tuple[str, ...] = Field(min_length=1, description="hourly variable and statistic of the day")
    model: str = Field("ecmwf_ifs", pattern=r"^[a-z0-9_]+$", description="the weather model whose runs are read")
    days: int = Field(
        14, ge=2, le=16, description="days ahead that each run is read; over 14 a request counts as more than one"
    )

    @field_validator("variables")
    @classmethod
    def _allowed(cls, variables: tuple[str, ...]) -> tuple[str, ...]:
        for variable in variables:
            if variable not in VARIABLES:
                raise ValueError(f"{variable!r} is not known; allowed: {', '.join(VARIABLES)}")
        return _once(variables)

    @model_validator(mode="after")
    def _named_once(self) -> OpenMeteoEntry:
        _once([place.name for place in self.places])
        return self


def _once(names: Sequence[str]) -> tuple[str, ...]:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} is named twice; allowed: each name once")
    return tuple(names)


class OpenMeteo(Connector[OpenMeteoSettings, OpenMeteoEntry]):
    """Forecast weather of named places, a version a model run."""

    name = "open_meteo"
    about = About(
        title="Open-Meteo: weather as it was forecast",
        homepage="https://open-meteo.com",
        licence="CC BY 4.0: weather data by Open-Meteo.com, from the weather model that is named",
        terms="Without a key for non-commercial use only, up to 10,000 calls a day; commercial use needs a paid plan.",
        consent=True,
    )
    policy = Policy(
        interval=0.75,  # 4,800 an hour of the 5,000 allowed
        budget=(9_000, 86_400),
        overlap=2 * _DAY,
        history=10 * YEAR,
        answers=frozenset({200, 400}),
    )
    settings_type = OpenMeteoSettings
    entry_type = OpenMeteoEntry

    def signals(self, entry: OpenMeteoEntry) -> list[Signal]:
        """One a place and variable, place by place."""
        return [_signal(variable, place, entry.model) for place in entry.places for variable in entry.variables]

    def plan(self, task: Task) -> Iterator[Pull]:
        """One request a place and run, oldest first, `RUNS` of them in a pull."""
        entry: OpenMeteoEntry = task.entry
        for place in entry.places:
            names = tuple(f"{self.name}/{variable}/{place.name}" for variable in entry.variables)
            runs = self._runs(min(task.since[name] for name in names), task.now)
            for first in range(0, len(runs), RUNS):
                part = runs[first : first + RUNS]
                requests = tuple(self._request(place, entry, run) for run in part)
                context = {"timezone": place.timezone, "delay_hours": str(self.settings.delay_hours)}
                yield Pull(names, requests, part[-1] + self._delay, context)

    def parse(self, pull: Pull, payloads: Sequence[Payload]) -> Observations:
        """The days that each run covers whole, in the place's time zone, known when the run had been published."""
        delay, zone = timedelta(hours=int(pull.context["delay_hours"])), ZoneInfo(pull.context["timezone"])
        found, hourly = NOTHING, {_split(signal)[0] for signal in pull.signals}
        for payload in payloads:
            hours = _hours(payload, hourly)
            if hours is None:
                continue
            known_at = pd.Timestamp(payload.request.params["run"]).as_unit("us") + delay
            for signal in pull.signals:
                days = _daily(hours[_split(signal)[0]], *_split(signal), zone)
                found += observations(signal, days.index.to_numpy(), days, known_at=known_at)
        if any(payload.status == 200 for payload in payloads):
            _refuse_empty(pull, found.frame)
        return found

    @property
    def _delay(self) -> timedelta:
        return timedelta(hours=self.settings.delay_hours)

    def _runs(self, since: datetime, now: datetime) -> list[datetime]:
        """The runs of midnight UTC that became known from `since` to `now`."""
        first = max(since - self._delay, ARCHIVE)
        first = datetime(first.year, first.month, first.day)
        return [first + day * _DAY for day in range((now - self._delay - first) // _DAY + 1)]

    def _request(self, place: Place, entry: OpenMeteoEntry, run: datetime) -> Request:
        hourly = dict.fromkeys(variable.rpartition("_")[0] for variable in entry.variables)
        params = {
            "latitude": f"{place.latitude:.4f}",
            "longitude": f"{place.longitude:.4f}",
            "hourly": ",".join(hourly),
            "run": f"{run:%Y-%m-%dT%H:%M}",
            "models": entry.model,
            "forecast_days": str(entry.days),
            "timezone": "GMT",
        }
        key = self.settings.api_key
        if key is None:
            return Request(f"{self.settings.base_url}/v1/forecast", params)
        return Request(f"{self.settings.customer_url}/v1/forecast", params | {"apikey": key.get_secret_value()})


def _signal(variable: str, place: Place, model: str) -> Signal:
    hourly, statistic = variable.rpartition("_")[::2]
    return Signal(
        signal=f"open_meteo/{variable}/{place.name}",
        name=f"{hourly.replace('_', ' ')}, {statistic} of the day, {place.name}, as forecast by {model}",
        cadence="D",
        region=place.country or place.name,
        unit=_UNITS[hourly],
        aggregation="sum" if statistic == "sum" else "mean",
    )


def _split(signal: str) -> tuple[str, str]:
    """The hourly variable and the statistic of a signal."""
    hourly, _, statistic = signal.split("/")[1].rpartition("_")
    return hourly, statistic


def _hours(payload: Payload, wanted: set[str]) -> pd.DataFrame | None:
    """The hourly values of a run by hour of UTC, one column a variable; None where the source has not kept the run."""
    if payload.status == 400 and b"modelRunUnavailable" in payload.body:
        return None
    body = payload.json()
    if not isinstance(body, dict):
        raise Drift("the answer is no JSON object", found=body)
    if payload.status == 400 or body.get("error"):
        raise Drift("the source refused the request", "reason", body.get("reason"))
    hourly, units = _object(body, "hourly"), _object(body, "hourly_units")
    hours = _times(hourly.get("time"), payload.request.params["run"])
    return pd.DataFrame({name: _values(hourly, units, name, len(hours)) for name in sorted(wanted)}, index=hours)


def _object(body: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = body.get(field)
    if not isinstance(value, dict):
        raise Drift("an object was expected", field, value)
    return value


def _times(times: object, run: str) -> pd.DatetimeIndex:
    if not isinstance(times, list) or not times or not all(isinstance(time, str) for time in times):
        raise Drift("a list of hours was expected", "hourly.time", times)
    try:
        hours = pd.DatetimeIndex(pd.to_datetime(times, format="%Y-%m-%dT%H:%M"))
    except ValueError as error:
        raise Drift("hours such as 2026-11-01T00:00 were expected", "hourly.time", times[:3]) from error
    if hours[0] != pd.Timestamp(run) or (np.diff(hours) != np.timedelta64(1, "h")).any():
        raise Drift(f"one value an hour from {run} on was expected", "hourly.time", f"{times[0]} to {times[-1]}")
    return hours


def _values(hourly: Mapping[str, Any], units: Mapping[str, Any], name: str, size: int) -> np.ndarray:
    values, field = hourly.get(name), f"hourly.{name}"
    if not isinstance(values, list) or len(values) != size:
        raise Drift(f"a list of {size} values was expected", field, values)
    if units.get(name) != _UNITS[name]:
        raise Drift(f"the unit {_UNITS[name]} was expected", f"hourly_units.{name}", units.get(name))
    strange = next((value for value in values if value is not None and not _is_number(value)), None)
    if strange is not None:
        raise Drift("numbers or null were expected", field, strange)
    return np.array(values, dtype="float64")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LIMIT


def _daily(values: pd.Series, hourly: str, statistic: str, zone: ZoneInfo) -> pd.Series:
    """The statistic of each local day that is there from its first to its last hour, without a null among them."""
    first = values.index[0] - (_HOUR if hourly in _BEFORE else timedelta(0))
    around = pd.date_range(first - _HOUR, periods=len(values) + 2, freq="h", tz="UTC")
    days = around.tz_convert(zone).tz_localize(None).normalize()
    whole = values.notna().to_numpy() & (days[1:-1] != days[0]) & (days[1:-1] != days[-1])
    kept = pd.Series(whole).groupby(days[1:-1]).transform("all").to_numpy()
    daily: pd.Series = pd.Series(values.to_numpy()[kept]).groupby(days[1:-1][kept]).agg(statistic).round(3)
    return daily


def _refuse_empty(pull: Pull, frame: pd.DataFrame) -> None:
    """A model that does not forecast a variable answers with nulls alone."""
    for signal in pull.signals:
        if not (frame["signal"] == signal).any():
            raise Drift("no run holds a value: the model may not forecast it", f"hourly.{_split(signal)[0]}")


def _example(run: datetime) -> bytes:
    """What the source answers for two days of a place."""
    hours = [f"{run + hour * _HOUR:%Y-%m-%dT%H:%M}" for hour in range(48)]
    warmth = [round(8 + 5 * float(np.sin(hour / 24 * 2 * np.pi)) + run.day / 10, 1) for hour in range(48)]
    rain = [None, *([0.0, 0.1] * 24)[1:]]  # the hour before a run begins is not forecast
    units = {"time": "iso8601", "temperature_2m": "°C", "precipitation": "mm"}
    hourly = {"time": hours, "temperature_2m": warmth, "precipitation": rain}
    return json.dumps({"utc_offset_seconds": 0, "hourly_units": units, "hourly": hourly}).encode()


OpenMeteo.examples = (
    Example(
        entry={
            "places": [{"name": "Greenwich", "latitude": 51.48, "longitude": 0.0, "country": "GB"}],
            "variables": ["temperature_2m_max", "precipitation_sum"],
            "days": 2,
        },
        answers=tuple(_example(ARCHIVE + day * _DAY) for day in range(RUNS)),
        settings={"accept_terms": True},
    ),
)
